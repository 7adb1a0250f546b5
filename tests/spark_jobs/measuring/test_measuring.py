"""A sample is seen by a network that is none: its numbers are a photo's mean colour, and its answers are known."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spark_jobs.extractor import photos
from spark_jobs.extractor.architectures import Look
from spark_jobs.extractor.artefact import ExtractorError
from spark_jobs.measuring.judgement import divide, judge
from spark_jobs.measuring.sample import Sample
from spark_jobs.measuring.seen import Seen, embeddings, rate, see

COLOURS = {"lemon": (250, 220, 40), "lime": (40, 200, 60), "plum": (90, 30, 110)}


class MeanColour:
    """Stands for `spark_jobs.extractor.looks.Network`."""

    def __init__(self, side):
        self.size = (side, side)

    def means(self, pixels):
        return np.array([photo[:, : self.size[0] // 2].mean(axis=(0, 1)) for photo in pixels], np.float32)


def write(folder: Path, shots: int = 6) -> Path:
    """Write photos whose left half has the label's colour, more or less, and whose right half is black."""
    rng = np.random.default_rng(3)
    for label, colour in COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(shots):
            pixels = np.zeros((8, 8, 3), np.uint8)
            pixels[:, :4] = np.clip(colour + rng.normal(0, 9, 3), 0, 255)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def sample(tmp_path):
    return Sample.of(write(tmp_path / "photos"))


def test_a_sample_is_a_folder_a_label(sample, tmp_path):
    assert [(file.name, label) for file, label in zip(sample.files, sample.labels, strict=True)][5:8] == [
        ("5.png", "lemon"),
        ("0.png", "lime"),
        ("1.png", "lime"),
    ]
    some = sample.some(6)
    assert some.labels == ("lemon", "lemon", "lime", "lime", "plum", "plum")
    assert [file.name for file in some.files] == ["0.png", "3.png"] * 3
    assert sample.some(100) == sample
    with pytest.raises(
        ExtractorError, match=r"two labels or more in .*lime, a folder a label; got 6 files of 1 labels"
    ):
        Sample.of(tmp_path / "photos" / "lime")


def test_what_cannot_be_read_is_not_seen(sample):
    sample.files[1].write_bytes(b"not a photo")
    seen = see(MeanColour(4), sample)
    assert len(seen.uris) == len(seen.labels) == len(seen.means[0]) == 17
    assert (seen.uris[0], seen.uris[1]) == (sample.files[0].as_uri(), sample.files[2].as_uri())
    assert len(seen.means) == 1


def test_photos_are_decoded_as_asked_for(sample):
    def black(data, size):
        return np.zeros_like(photos.decode(data, size))

    assert see(MeanColour(4), sample, black).means[0].max() == 0 < see(MeanColour(4), sample).means[0].min()


def test_embeddings_are_put_together_of_views_and_sides(sample):
    views = [see(MeanColour(side), sample, mirror=True) for side in (4, 8)]
    (left, right), (large_left, large_right) = (view.means for view in views)
    assert right.max() < 10 < left.max()
    np.testing.assert_array_equal(embeddings(Look(((4, 4),)), views[:1]), left)
    expected = np.mean([np.sqrt(one) for one in (left, right, large_left, large_right)], axis=0)
    look = Look(((4, 4), (8, 8)), mirror=True, feature="sqrt")
    np.testing.assert_allclose(embeddings(look, views), expected, rtol=1e-6)


def test_a_photo_is_decoded_once_for_all_its_views():
    of = partial(Seen, (), (), [])
    small, large = of(0.001, 0.004), of(0.002, 0.010)
    assert rate(Look(((4, 4),)), [small]) == pytest.approx(200)
    assert rate(Look(((4, 4), (8, 8))), [small, large]) == pytest.approx(1 / 0.016)
    assert rate(Look(((4, 4), (8, 8)), mirror=True), [small, large]) == pytest.approx(1 / 0.030)


def test_colours_that_differ_are_recognised(sample, tmp_path):
    seen = [see(MeanColour(4), sample)]
    assert judge(Look(), seen).unseen is None
    others = Sample.of(write(tmp_path / "others", shots=2))
    (tmp_path / "others" / "plum" / "0.png").rename(tmp_path / "others" / "lime" / "plum.png")
    others = Sample.of(tmp_path / "others")
    found = judge(Look(), seen, [see(MeanColour(4), others)])
    assert found.folds.share == 1.0
    assert found.unseen == pytest.approx(5 / 6)  # the plum among the limes
    # Labels that nobody learnt are not judged, nor is what was made of a photo.
    (tmp_path / "others" / "plum").rename(tmp_path / "others" / "quince")
    (tmp_path / "others" / "lime" / "plum.png").rename(tmp_path / "others" / "lime" / "0.png.augmented-1.png")
    fewer = judge(Look(), seen, [see(MeanColour(4), Sample.of(tmp_path / "others"))])
    assert (fewer.unseen, fewer.unseen_judged, found.unseen_judged) == (1.0, 4, 6)


def test_looks_are_judged_on_the_folds_that_they_are_given(sample):
    seen = [see(MeanColour(4), sample)]
    division = divide(seen[0])
    found = judge(Look(feature="sqrt"), seen, division=division)
    assert found.near_twins == division.near_twins
    nobody = replace(division, taken=np.zeros(len(division.taken), bool))
    assert judge(Look(), seen, division=nobody).folds.judged == 0
