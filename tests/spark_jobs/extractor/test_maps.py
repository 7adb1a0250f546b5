from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.engines import OpenVINOEngine, decode, open_engine
from spark_jobs.extractor.keras_models import serialise
from spark_jobs.extractor.maps import Maps, crops
from tests.artefacts import colours, exported, small

LOOK = ("--views", "96,64", "--mirror", "--feature", "sqrt")


@pytest.fixture(scope="module")
def extractor(random_artefact):
    return Extractor.load(random_artefact)


@pytest.fixture(scope="module")
def with_look():
    return Extractor.load(exported("look", "mobilenet_v2", "--weights", "random:0", *LOOK))


def test_a_maps_mean_is_the_embedding(extractor):
    seen, turned = Maps(extractor).see(extractor.test_image)
    assert seen.shape == turned.shape == (7, 7, 1280)
    np.testing.assert_allclose(seen.mean(axis=(0, 1)), extractor.test_embedding, rtol=1e-4, atol=1e-4)
    assert np.abs(turned - seen).max() > 0.1


def test_the_other_side_is_turned_back(tmp_path):
    """For a network that sees places alone, both sides are the same."""
    extractor = Extractor.load(colours(tmp_path))
    seen, turned = Maps(extractor, 2).see(extractor.test_image)
    np.testing.assert_allclose(turned, seen, atol=1e-6)
    assert np.abs(seen[:, ::-1] - seen).max() > 0.1


def test_of_several_views_and_sides_each_has_a_map(with_look):
    maps = Maps(with_look).see(with_look.test_image)
    assert [seen.shape for seen in maps] == [(3, 3, 1280)] * 2 + [(2, 2, 1280)] * 2
    merged = np.mean([np.sqrt(seen.mean(axis=(0, 1))) for seen in maps], axis=0)
    np.testing.assert_allclose(merged, with_look.test_embedding, rtol=1e-4, atol=1e-4)


def test_a_photo_can_be_seen_larger(extractor, with_look):
    assert [seen.shape for seen in Maps(extractor, 3).see(extractor.test_image)] == [(21, 21, 1280)] * 2
    assert [seen.shape[0] for seen in Maps(with_look, 2).see(with_look.test_image)] == [6, 6, 4, 4]


def test_the_engine_computes_no_map_and_embeds_as_without_one(extractor):
    core = OpenVINOEngine.library().Core()
    model = OpenVINOEngine.embedding_alone(core.read_model(extractor.model_xml, extractor.model_bin))
    assert len(model.outputs) == 1
    xml, weights = serialise(model)
    before = replace(extractor, model_xml=xml, model_bin=weights)  # as artefacts were before they held maps
    assert before.extractor_id == extractor.extractor_id
    photo = decode(extractor.test_image, extractor)
    np.testing.assert_array_equal(open_engine(before).embed([photo]), open_engine(extractor).embed([photo]))
    with pytest.raises(ExtractorError, match=r"holds no map of places, .*: export it again with the same options"):
        Maps(before)


def test_an_old_artefact_embeds_and_says_what_to_do(tmp_path):
    old = Extractor.load(small(tmp_path))
    assert open_engine(old).embed([decode(old.test_image, old)]).shape == (1, 48)
    with pytest.raises(ExtractorError, match="Its id stays, and no photo is embedded again"):
        Maps(old)


def test_a_crop_shows_what_stands_around_a_box_and_its_other_side(tmp_path):
    photo = Image.new("RGB", (200, 100), "red")
    photo.paste((0, 0, 255), (100, 0, 200, 100))
    one, other = crops(photo, (0.25, 0.2, 0.75, 0.8), Extractor.load(colours(tmp_path)))
    assert one.shape == (64, 64, 3)
    assert one[32, 5].tolist() == other[32, 58].tolist() == [255, 0, 0]
    assert one[32, 58].tolist() == other[32, 5].tolist() == [0, 0, 255]
