"""The shelf of a lake's artefacts."""

from dataclasses import replace
from pathlib import Path

from spark_jobs.extractor.artefact import Extractor
from spark_jobs.running import shelf


def test_an_artefact_that_lacks_maps_is_replaced_by_one_of_its_id_that_has_them(
    small_artefact: Path, tmp_path: Path
) -> None:
    older = Extractor.load(small_artefact)
    newer = replace(older, model_xml=older.model_xml.replace(b"</layers>", b'<layer type="Result"/></layers>'))
    assert (older.has_maps, newer.has_maps, older.extractor_id) == (False, True, newer.extractor_id)
    for put, has_maps in ((older, False), (newer, True), (older, True)):
        shelf.put(str(tmp_path), put)
        assert shelf.take(str(tmp_path), older.extractor_id).has_maps == has_maps
