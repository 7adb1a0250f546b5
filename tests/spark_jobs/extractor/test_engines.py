import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import ARCHITECTURES, KerasApplication, Look
from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.engines import OpenVINOEngine, decode, open_engine
from spark_jobs.extractor.looks import merge
from tests.spark_jobs.conftest import OTHERS, QUICK, VIEWS

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def extractor(random_artefact):
    return Extractor.load(random_artefact)


def cosines(got, expected):
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    return np.sum(got * expected, axis=1) / np.linalg.norm(got, axis=1) / np.linalg.norm(expected, axis=1)


@pytest.mark.parametrize("name", QUICK)
def test_embeddings_are_those_of_keras_with_its_own_preprocessing(name, exported, rendered):
    agree(open_engine(Extractor.load(exported.artefact(name))).embed(rendered), exported.keras(name))


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_so_are_those_of_larger_networks(name, others):
    """Those of EfficientNet-Lite agree with Keras on the test image; test_efficientnet_lite.py has their origin."""
    extractor = Extractor.load(others.artefact(name))
    embeddings = open_engine(extractor).embed(np.load(others.folder / f"{name}-pixels.npy"))
    assert embeddings.shape == (8, ARCHITECTURES[name].dimension)
    if isinstance(ARCHITECTURES[name].origin, KerasApplication):
        agree(embeddings, others.keras(name))
    if name == "convnext_tiny":
        assert cosines(embeddings, others.keras("convnext_tiny by tensorflow")).min() >= 0.99999


def agree(embeddings, expected):
    assert embeddings.shape == expected.shape
    assert embeddings.dtype == np.float32
    assert cosines(embeddings, expected).min() >= 0.99999
    # Random networks give embeddings that are alike, so that a cosine alone says little.
    spread = expected.std(axis=0).mean()
    assert spread > 0.01 * np.abs(expected).mean()
    assert np.abs(embeddings - expected).max() < 0.01 * spread


def test_embeddings_of_real_photos_are_those_of_keras(exported, shared, real_photos):
    extractor = Extractor.load(exported.artefact("real"))
    pixels = np.stack([photos.decode(path.read_bytes(), extractor.input_size) for path in real_photos])
    found = cosines(open_engine(extractor).embed(pixels), exported.keras("real"))
    assert len(found) > 200
    assert found.min() >= 0.99999


def test_an_embedding_does_not_depend_on_its_batch(extractor, rendered):
    engine = open_engine(extractor)
    together = engine.embed(rendered)
    np.testing.assert_array_equal(together, np.concatenate([engine.embed(one[np.newaxis]) for one in rendered]))
    assert engine.embed(rendered[:0]).shape == (0, 1280)


def test_neither_tensorflow_nor_telemetry_on_a_worker(random_artefact):
    script = (
        "import json, sys, numpy as np\n"
        "from spark_jobs.extractor.engines import Extractor, open_engine\n"
        f"engine = open_engine(Extractor.load({str(random_artefact)!r}))\n"
        "engine.embed(np.zeros((2, 224, 224, 3), np.uint8))\n"
        "print(json.dumps([name for name, module in sys.modules.items() if module is not None]))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    imported = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert "openvino" in imported
    assert not imported & {"tensorflow", "keras", "nncf", "openvino_telemetry"}


def test_tensorflow_runs_the_same_artefact(exported, extractor, rendered):
    by_tensorflow = exported.keras("by tensorflow")
    assert by_tensorflow.dtype == np.float32
    assert cosines(open_engine(extractor).embed(rendered), by_tensorflow).min() >= 0.99999


def test_other_weights_are_refused(extractor, exported):
    other = Extractor.load(exported.artefact("other weights"))
    with pytest.raises(ExtractorError, match=r"wrong embedding of its test image on openvino \(f32 on .*cosine 0\.\d+"):
        open_engine(replace(extractor, model_xml=other.model_xml, model_bin=other.model_bin))


def test_another_test_embedding_is_refused(extractor):
    with pytest.raises(ExtractorError, match=r"cosine -1\.000000, expected at least 0\.99999; norm"):
        open_engine(replace(extractor, test_embedding=-extractor.test_embedding))
    with pytest.raises(ExtractorError, match=r"norm -50\.00%, expected at most 0\.10% off"):
        open_engine(replace(extractor, test_embedding=2 * extractor.test_embedding))
    with pytest.raises(ExtractorError, match=r"gives \(1280,\) numbers .* not \(3,\)"):
        open_engine(replace(extractor, test_embedding=extractor.test_embedding[:3]))
    with pytest.raises(ExtractorError, match="Install those versions on the nodes, or export the extractor again"):
        open_engine(replace(extractor, test_embedding=np.full_like(extractor.test_embedding, np.nan)))


def test_bf16_is_refused(extractor, monkeypatch):
    if "BF16" not in OpenVINOEngine.library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bf16: OpenVINO runs f32 instead")
    settings = {**OpenVINOEngine.settings(1), "INFERENCE_PRECISION_HINT": "bf16"}
    monkeypatch.setattr(OpenVINOEngine, "settings", staticmethod(lambda threads: settings))
    with pytest.raises(ExtractorError, match=r"wrong embedding of its test image on openvino \(bf16"):
        open_engine(extractor)


def test_another_decoder_is_refused(extractor, monkeypatch):
    def decode_views(data, sizes, crop=None):
        with Image.open(io.BytesIO(data)) as image:  # from the full scale
            return tuple(np.asarray(image.resize(size, Image.Resampling.BICUBIC)) for size in sizes)

    monkeypatch.setattr(photos, "decode_views", decode_views)
    with pytest.raises(ExtractorError, match="wrong embedding of its test image"):
        open_engine(extractor)


def test_another_recipe_is_refused(extractor, monkeypatch):
    monkeypatch.setattr(photos, "RECIPE", {**photos.RECIPE, "resize": "nearest"})
    with pytest.raises(ExtractorError, match=r"but this code decodes them by .*nearest.*: export it again"):
        open_engine(extractor)


def test_unknown_engine(extractor):
    with pytest.raises(ExtractorError, match="Unknown engine 'onnx'; expected one of: openvino, tensorflow"):
        open_engine(extractor, "onnx")


def test_int8_does_not_run_on_tensorflow(exported):
    with pytest.raises(ExtractorError, match="for the engine tensorflow export the extractor with --precision f32"):
        open_engine(Extractor.load(exported.artefact("int8")), "tensorflow")
    assert "tensorflow" not in sys.modules


def test_views_mirror_and_feature_are_the_mean_of_square_roots(exported):
    """Of the network's means over all places, at each view and on both sides, as the network itself gives them."""
    views = list(zip(*(np.load(exported.folder / f"{side}.npy") for side in VIEWS), strict=True))
    parts = [f"map of {side}{end}" for side in VIEWS for end in ("", " mirrored")]
    means = [exported.keras(part).mean(axis=(1, 2)) for part in parts]
    expected = np.mean([np.sqrt(mean) for mean in means], axis=0)
    extractor = Extractor.load(exported.artefact("views"))
    assert (extractor.views, extractor.spec.mirror, extractor.spec.feature) == (((96, 96), (64, 64)), True, "sqrt")
    agree(open_engine(extractor).embed(views), expected)
    agree(exported.keras("views by tensorflow"), expected)
    look = Look(extractor.views, mirror=True, feature="sqrt")
    np.testing.assert_allclose(merge(look, means), expected, rtol=1e-6)


def test_a_photo_is_decoded_at_each_view(exported):
    extractor = Extractor.load(exported.artefact("views"))
    found = decode(extractor.test_image, extractor)
    assert [view.shape for view in found] == [(96, 96, 3), (64, 64, 3)]
    # The same as alone, but for the scale at which a JPEG is decoded: that of the largest.
    np.testing.assert_array_equal(found[0], photos.decode(extractor.test_image, (96, 96)))
    alone = photos.decode(extractor.test_image, (64, 64))
    assert np.abs(found[1].astype(int) - alone).mean() < 4


@pytest.mark.long
def test_views_in_int8(exported, others):
    f32, int8 = Extractor.load(exported.artefact("views")), Extractor.load(others.artefact("views in int8"))
    assert (int8.views, int8.spec.weights_sha256) == (f32.views, f32.spec.weights_sha256)
    views = list(zip(*(np.load(others.folder / f"{side}.npy") for side in VIEWS), strict=True))
    assert cosines(open_engine(int8).embed(views), open_engine(f32).embed(views)).min() > 0.9
