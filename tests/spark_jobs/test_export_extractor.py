import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from spark_jobs import export_extractor
from spark_jobs.extractor import photos, quantisation
from spark_jobs.extractor.architectures import ARCHITECTURES
from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.engines import decode, open_engine


def test_the_same_export_has_the_same_id(random_artefact, exported):
    """Another process, another folder, other exports in between; and all that KERAS_JSON and KERAS_SHELL say."""
    assert random_artefact.stem == exported.ids["mobilenet_v2"]
    assert re.fullmatch(r"mobilenet_v2-f32-[0-9a-f]{12}", random_artefact.stem)
    assert list(random_artefact.parent.iterdir()) == [random_artefact]  # nothing half-written beside it
    mine, theirs = (Extractor.load(path) for path in (random_artefact, exported.artefact("mobilenet_v2")))
    assert mine.model_bin == theirs.model_bin
    np.testing.assert_allclose(mine.test_embedding, theirs.test_embedding, rtol=0, atol=1e-6)


def test_ids_stay(exported):
    """Should one change, lakes of it would embed all their photos again."""
    assert {
        key: exported.ids[key] for key in ("mobilenet_v2", "resnet50", "efficientnet_b0", "efficientnet_lite0")
    } == {
        "mobilenet_v2": "mobilenet_v2-f32-061d347cd05b",
        "resnet50": "resnet50-f32-5d0bafafc447",
        "efficientnet_b0": "efficientnet_b0-f32-720c1c798899",
        "efficientnet_lite0": "efficientnet_lite0-f32-db5088220450",  # of ImageNet, the others of random:0
    }


def test_weights_precision_architecture_and_look_are_in_the_id(exported):
    of_interest = ("mobilenet_v2", "other weights", "resnet50", "efficientnet_b0", "int8", "views", "crop")
    assert len({exported.ids[key] for key in of_interest}) == 7
    for key in of_interest:
        extractor = Extractor.load(exported.artefact(key))
        assert extractor.extractor_id == exported.ids[key]
        assert (
            extractor.dimension == ARCHITECTURES[extractor.spec.architecture].dimension == len(extractor.test_embedding)
        )


def test_a_crop_is_another_extractor_of_the_same_network(exported):
    plain, cropped = (Extractor.load(exported.artefact(key)) for key in ("mobilenet_v2", "crop"))
    assert (plain.spec.crop, cropped.spec.crop) == (None, 0.875)
    assert replace(cropped.spec, crop=None).extractor_id == plain.extractor_id
    pixels = photos.decode(cropped.test_image, (224, 224), 0.875)
    np.testing.assert_array_equal(decode(cropped.test_image, cropped), pixels)
    np.testing.assert_allclose(open_engine(cropped).embed([pixels])[0], cropped.test_embedding, rtol=0.01, atol=0.01)
    assert not np.allclose(plain.test_embedding, cropped.test_embedding, rtol=0.01, atol=0.01)


def test_a_crop_that_cannot_be(capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        export_extractor.main(["--out", str(tmp_path), "--crop=2"])
    assert ended.value.code == 2
    assert "got '2'; expected a share from 0.5 to 1.0, as 0.875" in capsys.readouterr().err


@pytest.mark.parametrize(
    "views", ["224,", "", "20", "2000", "224,224", "224x224", "-224"], ids=lambda views: views or "none"
)
def test_views_that_cannot_be(views, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        export_extractor.main(["--out", str(tmp_path), f"--views={views}"])
    assert ended.value.code == 2
    assert (
        f"got {views!r}; expected different sides from 32 to 1024 pixels, as in 224,320,448" in capsys.readouterr().err
    )


def test_the_values_of_weights_decide_and_not_the_file_they_came_in(exported):
    assert exported.ids["same weights, from a file"] == exported.ids["efficientnet_b0"]


def test_weights_of_another_architecture_are_refused(exported):
    assert exported.ids["misfit"] == "exit code 2"
    assert re.search(
        r"error: The weights in .*saved\.weights\.h5 do not fit resnet50 .*expected a Keras file .* of ResNet50 "
        r"without its classifier",
        exported.log,
        re.DOTALL,
    )


def test_checkpoints_of_another_network_are_refused(exported):
    assert exported.ids["misfit of PyTorch"] == exported.ids["no checkpoint"] == "exit code 2"
    assert re.search(
        r"error: The weights in .*efficientnet-lite0-57934424\.pth do not fit \(_blocks\.3\._depthwise_conv\.weight "
        r"has the shape \(5, 5, 144, 1\); expected \(3, 3, 144, 1\)\); expected a checkpoint as in the Python packages",
        exported.log,
    )
    assert re.search(r"rendered\.npy do not fit \(no checkpoint of PyTorch", exported.log)


def test_real_weights_have_this_hash(exported, shared):
    """It is in the ids of lakes: should it change, all photos would be embedded again."""
    assert Extractor.load(exported.artefact("real")).spec.weights_sha256.startswith("d9fdbe61412d80f9")


def test_int8_is_measured_beside_f32(exported):
    table = exported.log[exported.log.index("8 photos that int8 was not calibrated with; one thread") :].splitlines()
    assert re.sub(" +", " ", table[1]) == "precision cosine to Keras: min, median recognition photos/s MB"
    f32, int8 = (re.fullmatch(r"(\w+) +([\d.]+), ([\d.]+) +([\d.]+)% +(\d+) +([\d.]+)", line) for line in table[2:4])
    assert (f32[1], int8[1]) == ("f32", "int8")
    assert float(f32[2]) >= 0.99999
    assert 0.9 < float(int8[2]) <= float(int8[3]) < 1
    assert float(int8[6]) < float(f32[6]) / 3


def test_int8_is_another_extractor(exported, rendered):
    f32, int8 = (Extractor.load(exported.artefact(key)) for key in ("mobilenet_v2", "int8"))
    assert int8.spec.weights_sha256 == f32.spec.weights_sha256
    assert (int8.precision, int8.model_keras) == ("int8", None)
    assert exported.ids["int8"].startswith("mobilenet_v2-int8-")
    assert not np.array_equal(open_engine(int8).embed(rendered), open_engine(f32).embed(rendered))


def test_the_test_image_takes_part_in_reduced_scale_decoding():
    image = export_extractor.render((224, 224))
    assert image == export_extractor.render((224, 224))
    width, height = Image.open(io.BytesIO(image)).size
    assert width > 448
    assert height > 448
    assert width != height


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--weights", "nowhere.h5"],
            r"No such file of weights: nowhere\.h5; expected imagenet, random:SEED or a file",
        ),
        (["--weights", "random:one"], r"Got --weights random:one; expected random:SEED with a whole number"),
    ],
)
def test_wrong_weights_are_said(arguments, message, capsys, tmp_path):
    assert export_extractor.main(["mobilenet_v2", *arguments, "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert re.match(f"error: {message}", captured.err)
    assert captured.out == ""
    assert not (tmp_path / "out").exists()


def test_without_a_network_it_says_which_file_keras_wanted(exported):
    assert exported.ids["no network"] == "exit code 2"
    assert re.search(
        r"error: Keras could not fetch the weights mobilenet_v2_\S+_no_top\.h5 from https://\S+ .*"
        r"pass it as --weights FILE; to try things out only: --weights random:0",
        exported.log,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int8"], "--precision int8 needs --calibrate PHOTOS"),
        (["--calibrate", "photos"], "--calibrate PHOTOS goes with --precision int8"),
        (["--precision", "bf16"], "invalid choice: 'bf16'"),
    ],
)
def test_wrong_arguments_are_said(arguments, message, capsys, tmp_path):
    with pytest.raises(SystemExit) as exit_:
        export_extractor.main(["mobilenet_v2", *arguments, "--out", str(tmp_path)])
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err


def test_a_folder_to_calibrate_with_must_be_there(capsys, tmp_path):
    arguments = ["--precision", "int8", "--calibrate", str(tmp_path / "nowhere"), "--out", str(tmp_path)]
    assert export_extractor.main(["mobilenet_v2", *arguments]) == 2
    captured = capsys.readouterr()
    assert "error: No such folder: " in captured.err
    assert captured.out == ""
    with pytest.raises(ExtractorError, match=r"No photo to calibrate with in .* \(0 files\)"):
        quantisation.read(tmp_path, (224, 224))


def test_calibration_takes_from_all_labels_alike(tmp_path, exported):
    extractor = Extractor.load(exported.artefact("views"))
    for label, count in (("apple", 9), ("pear", 3), ("plum", 2)):
        for number in range(count):
            photo = tmp_path / "some" / label / f"{number}.png"
            photo.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (10 * number, 0, 0)).save(photo)
    (tmp_path / "some" / "apple" / "broken.jpg").write_bytes(b"not a photo")
    sample = quantisation.read(tmp_path, extractor, most=8)
    again = quantisation.read(tmp_path, extractor, most=8)
    for one, other in zip(sample.pixels, again.pixels, strict=True):
        assert [view.shape for view in one] == [(96, 96, 3), (64, 64, 3)]
        assert all(np.array_equal(*views) for views in zip(one, other, strict=True))
    assert sorted(sample.labels) == ["apple"] * 3 + ["pear"] * 3 + ["plum"] * 2
    calibration, measuring = quantisation.split(sample)
    assert (len(calibration.pixels), len(measuring.pixels)) == (6, 2)


def test_recognition_is_measured_on_photos_it_was_not_fitted_on():
    rng = np.random.default_rng(0)
    labels = np.tile(["apple", "pear"], 40)
    rounds = np.arange(80) // 2
    apart = rng.standard_normal((80, 5)).astype(np.float32) + 10 * (labels == "pear")[:, np.newaxis]
    noise = rng.standard_normal((80, 200)).astype(np.float32)  # fits by heart, and knows nothing
    measuring = quantisation.Photos(np.zeros((80, 1, 1, 3), np.uint8), labels, rounds)
    assert quantisation.recognition(apart, measuring) == 1
    assert quantisation.recognition(noise, measuring) < 0.7
    alone = quantisation.Photos(measuring.pixels, np.full(80, "apple"), rounds)
    assert quantisation.recognition(apart, alone) is None
    few = quantisation.Photos(measuring.pixels[:4], labels[:4], rounds[:4])  # two of each label: no spread within
    assert quantisation.recognition(apart[:4], few) is None


def test_nothing_is_left_where_writing_fails(random_artefact, tmp_path, monkeypatch):
    extractor = Extractor.load(random_artefact)
    monkeypatch.setattr(export_extractor.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        export_extractor._write(extractor, tmp_path)
    assert not list(tmp_path.glob("*.zip"))
