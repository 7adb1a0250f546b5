import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor, ExtractorError, Spec

SPEC = Spec(
    architecture="tiny",
    precision="f32",
    input_size=(3, 2),
    dimension=2,
    photo_recipe=photos.RECIPE,
    preprocessing="none",
    weights_sha256="12ab",
    quantised_sha256=None,
    tolerance=0.99999,
    norm_tolerance=0.001,
    versions={"pillow": "13.0"},
)
TINY = Extractor(SPEC, b"<net/>", b"\x00\x01", b"keras", b"jpeg", np.array([1.5, -2], np.float32))


def test_bytes_and_back():
    read = Extractor.from_bytes(TINY.to_bytes())
    assert read.spec == TINY.spec
    assert (read.extractor_id, read.input_size, read.dimension, read.precision) == (TINY.extractor_id, (3, 2), 2, "f32")
    assert (read.model_xml, read.model_bin, read.model_keras) == (b"<net/>", b"\x00\x01", b"keras")
    np.testing.assert_array_equal(read.test_embedding, TINY.test_embedding)
    assert Extractor.from_bytes(replace(TINY, model_keras=None).to_bytes()).model_keras is None
    assert read.to_bytes() == TINY.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "other"},
        {"precision": "int8"},
        {"input_size": (3, 3)},
        {"photo_recipe": {**photos.RECIPE, "resize": "nearest"}},
        {"preprocessing": "other"},
        {"weights_sha256": "34cd"},
        {"quantised_sha256": "56ef"},
        {"views": ((3, 2), (6, 4))},
        {"mirror": True},
        {"feature": "sqrt"},
        {"crop": 0.875},
    ],
)
def test_whatever_decides_the_numbers_is_in_the_id(change):
    assert replace(SPEC, **change).extractor_id != SPEC.extractor_id


def test_views_are_read_as_they_were_written():
    several = replace(TINY, spec=replace(SPEC, views=((3, 2), (6, 4)), mirror=True, feature="sqrt"))
    read = Extractor.from_bytes(several.to_bytes())
    assert (read.spec, read.views, TINY.views) == (several.spec, ((3, 2), (6, 4)), ((3, 2),))


def test_the_id_says_what_it_is_and_not_where_it_was_made():
    assert SPEC.extractor_id.startswith("tiny-f32-")
    assert len(SPEC.extractor_id) == len("tiny-f32-") + 12
    assert replace(SPEC, versions={"pillow": "14.0"}, tolerance=0.5).extractor_id == SPEC.extractor_id


def test_what_is_no_artefact_is_refused():
    for data in (b"", b"no zip", TINY.to_bytes()[:100]):
        with pytest.raises(ExtractorError, match="Not an extractor's artefact, or a damaged one"):
            Extractor.from_bytes(data)
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    with pytest.raises(ExtractorError, match=r"extractor\.json"):
        Extractor.from_bytes(empty.getvalue())


def test_a_changed_spec_is_refused():
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(TINY.to_bytes())) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "extractor.json":
                content = json.dumps({**json.loads(content), "weights_sha256": "ffff"}).encode()
            target.writestr(name, content)
    with pytest.raises(ExtractorError, match=r"calls itself tiny-f32-.*, but its spec makes it tiny-f32-"):
        Extractor.from_bytes(changed.getvalue())


@pytest.mark.parametrize(
    ("half", "what"),
    [
        ({"model_xml": b'<data element_type="f16" shape="3, 3"/><port precision="FP32">'}, "f16"),
        ({"model_xml": b'<port id="0" precision="BF16">', "model_keras": None}, "bf16"),
        ({"model_keras": b'{"dtype": "mixed_float16"}'}, "float16"),
    ],
)
def test_half_precision_under_the_name_of_f32_is_neither_written_nor_read(half, what, monkeypatch):
    calls_itself_f32 = replace(TINY, **half)
    message = rf"The artefact tiny-f32-\w+ calls itself f32, but has numbers of {what}: export it again"
    with pytest.raises(ExtractorError, match=message):
        calls_itself_f32.to_bytes()
    with monkeypatch.context() as older:
        older.setattr(Extractor, "check_numbers", lambda self: None)
        written = calls_itself_f32.to_bytes()
    with pytest.raises(ExtractorError, match=message):
        Extractor.from_bytes(written)
    assert replace(calls_itself_f32, spec=replace(SPEC, precision="int8")).to_bytes()  # whose weights may be anything


def test_load_takes_a_file_or_the_folder_of_one(tmp_path):
    with pytest.raises(ExtractorError, match=r"Expected exactly one artefact .* got 0"):
        Extractor.load(tmp_path)
    with pytest.raises(
        ExtractorError, match=r"No such artefact: .*missing\.zip; `python -m spark_jobs\.export_extractor`"
    ):
        Extractor.load(tmp_path / "missing.zip")
    (tmp_path / "one.zip").write_bytes(TINY.to_bytes())
    assert Extractor.load(tmp_path).extractor_id == Extractor.load(tmp_path / "one.zip").extractor_id
    (tmp_path / "two.zip").write_bytes(TINY.to_bytes())
    with pytest.raises(ExtractorError, match=r"(?s)got 2.*one\.zip.*two\.zip"):
        Extractor.load(tmp_path)
