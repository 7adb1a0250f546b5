"""Step 1 on files: each photo ends once, embedded or rejected with a reason; a fault of the system fails the step."""

import io
import struct
import zlib
from dataclasses import replace as replace_
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyspark.errors import PythonException
from pyspark.sql import Row
from pyspark.sql import functions as F

from spark_jobs.extract_embeddings import Extracted, extract, main, tasks
from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import open_engine
from spark_jobs.tables.batch import Batch
from spark_jobs.tables.lake import Lake
from tests.lakes import contents, new_lake, row, sample, set_batch

JPEG = io.BytesIO()
Image.effect_mandelbrot((80, 60), (-2, -1.5, 1, 1.5), 50).convert("RGB").save(JPEG, "JPEG")
PHOTO = JPEG.getvalue()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def bomb() -> bytes:
    """Make a PNG of 20,000 x 20,000 white pixels in some kilobytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


RGB = Image.open(io.BytesIO(PHOTO))
GOOD = {
    "cmyk.jpg": encoded(RGB.convert("CMYK"), "JPEG"),
    "gray.jpg": encoded(RGB.convert("L"), "JPEG"),
    "sixteen.png": encoded(Image.fromarray(np.full((9, 9), 0x8000, np.uint16)), "PNG"),
    "palette.png": encoded(RGB.convert("P"), "PNG", transparency=3),
    "rotated.jpg": encoded(
        RGB, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    ),
    "animated.gif": encoded(RGB, "GIF", save_all=True, append_images=[RGB.rotate(90)]),
    "one-pixel.png": encoded(Image.new("RGB", (1, 1), "red"), "PNG"),
    "a b.jpg": PHOTO,
    "100%.jpg": PHOTO,
    "a%20b+c=d#e?f~.JPG": PHOTO,
    "pêche.jpg": PHOTO,
    "pe\u0302che-2.jpg": PHOTO,
    "🍑.jpg": PHOTO,
    "new\nline.jpg": PHOTO,
    "back\\slash.jpg": PHOTO,
}
BAD = {
    "truncated.jpg": (PHOTO[: len(PHOTO) // 2], "truncated"),
    "empty.jpg": (b"", "empty"),
    "text.jpg": (b"hello, I am no photo", "not an image"),
    "bomb.png": (bomb(), "megapixels"),
}


@pytest.fixture(scope="module")
def lake(spark: None, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return new_lake(tmp_path_factory.mktemp("lake"))


def test_good_and_bad_photos_together(lake: Lake, random_artefact: Path, tmp_path: Path) -> None:
    extractor = Extractor.load(random_artefact)
    folder = tmp_path / "Fig & Co"
    folder.mkdir()
    for name, data in GOOD.items():
        (folder / name).write_bytes(data)
    for name, (data, _) in BAD.items():
        (folder / name).write_bytes(data)
    rows = [row(folder / name) for name in [*GOOD, *BAD]]
    changed, vanished = folder / "changed.jpg", folder / "vanished.jpg"
    for path in (changed, vanished):
        path.write_bytes(PHOTO)
        rows.append(row(path))
    changed.write_bytes(PHOTO + b"more")
    vanished.unlink()
    (folder / "top.jpg").write_bytes(PHOTO)
    rows.append(row(folder / "top.jpg", label=None))
    rows.append(row(folder / "top.jpg", uri=f"file://{folder}/huge.jpg", size=photos.MAX_BYTES + 1))
    set_batch(lake, "bad", extractor.extractor_id, rows)

    extracted = extract(lake, "bad", extractor.extractor_id, str(random_artefact))

    assert (extracted.photos, extracted.embedded, extracted.rejected) == (len(rows), len(GOOD), len(BAD) + 4)
    part = lake.table("embeddings", run_id="bad").select("uri", "label", "embedding").collect()
    engine = open_engine(extractor)
    assert {Path(one.uri).name for one in part} == {Path(f"file://{folder}/{name}").name for name in GOOD}
    for one in part:
        name = one.uri.removeprefix(f"file://{folder}/")
        alone = engine.embed(photos.decode(GOOD[name], extractor.input_size)[np.newaxis])[0]
        np.testing.assert_allclose(one.embedding, alone, rtol=1e-4, atol=1e-5 * np.abs(alone).max(), err_msg=name)
        assert one.label == "Fig & Co"
    reasons = {
        one.uri.removeprefix(f"file://{folder}/"): one.reason for one in lake.table("rejects", run_id="bad").collect()
    }
    for name, (_, expected) in BAD.items():
        assert expected in reasons[name]
    assert reasons["changed.jpg"] == (
        "changed: the object was overwritten after it was listed; the next run will find its new version"
    )
    assert reasons["vanished.jpg"] == "gone: the object was deleted after it was listed (or its name is not UTF-8)"
    assert reasons["top.jpg"] == "no label: the rule parent finds none; move or rename the photo, or change the rule"
    assert "268,435,457" in reasons["huge.jpg"] or "256 MiB" in reasons["huge.jpg"]


def test_again_changes_nothing(lake: Lake, random_artefact: Path, tmp_path: Path) -> None:
    extractor_id = random_artefact.stem
    set_batch(lake, "twice", extractor_id, [row(path) for path in sample(tmp_path, per_label=3)])
    columns = ("uri", "etag", "label", "extractor_id", "run_id")
    assert extract(lake, "twice", extractor_id, str(random_artefact)).embedded == 12
    before = contents(lake, "embeddings", *columns), contents(lake, "rejects", "uri")
    assert extract(lake, "twice", extractor_id, str(random_artefact)).embedded == 12
    assert (contents(lake, "embeddings", *columns), contents(lake, "rejects", "uri")) == before


@pytest.mark.parametrize("broken_off", ["nowhere", "before the move", "after the move", "before the rejects"])
def test_another_label_reads_no_photo(
    broken_off: str, lake: Lake, random_artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it is killed, and done again."""
    extractor_id, paths = random_artefact.stem, sample(tmp_path, per_label=2, labels=2)
    old, new = f"old, {broken_off}", f"new, {broken_off}"
    listed = [row(path) for path in paths]
    set_batch(lake, old, extractor_id, listed[:3])
    extract(lake, old, extractor_id, str(random_artefact))
    here = [one["uri"] for one in listed]

    def held() -> dict[str, Row]:
        return {one.uri: one for one in lake.table("embeddings").where(F.col("uri").isin(here)).collect()}

    before = held()
    for path in paths[:2]:
        path.unlink()
    # The fourth is thought to be embedded, too, and is not: it is embedded now.
    asked = [one | {"action": "relabel", "label": "Fruit/small"} for one in (*listed[:2], listed[3])]
    asked += [row(paths[2], "change", label=None, label_rule="parent/7")]
    set_batch(lake, new, extractor_id, asked)
    with monkeypatch.context() as patched:
        if broken_off == "before the move":
            patched.setattr(Batch, "_take_over", _killed)
        elif broken_off == "after the move":
            patched.setattr(Batch, "kept", _killed)
        elif broken_off == "before the rejects":
            replace = Lake.replace
            patched.setattr(Lake, "replace", lambda *a, **b: _killed() if a[1] == "rejects" else replace(*a, **b))
        if broken_off != "nowhere":
            with pytest.raises(KeyboardInterrupt):
                extract(lake, new, extractor_id, str(random_artefact))
    again = broken_off == "before the rejects"  # then the fourth is there under its new label
    extracted = extract(lake, new, extractor_id, str(random_artefact))
    assert replace_(extracted, seconds=0.0) == Extracted(2 - again, 1 - again, 1, 0.0, 2 + again, withdrew=not again)

    after = held()
    assert {uri: (one.label, one.run_id, one.etag) for uri, one in after.items()} == {
        one["uri"]: ("Fruit/small", new, one["etag"]) for one in (*listed[:2], listed[3])
    }
    for uri in here[:2]:
        assert after[uri].embedding == before[uri].embedding
    reason = "no label: the rule parent/7 finds none; move or rename the photo, or change the rule"
    assert contents(lake, "rejects", "uri", "reason", "run_id").count((here[2], reason, new)) == 1
    assert lake.parts("rejects", run_id=new) == {new: 1}


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_fault_of_the_system_fails_the_step(lake: Lake, random_artefact: Path, tmp_path: Path) -> None:
    set_batch(lake, "fault", random_artefact.stem, [row(path) for path in sample(tmp_path, per_label=1)])
    with pytest.raises(PythonException, match=r"FileNotFoundError.*no-such\.zip"):
        extract(lake, "fault", random_artefact.stem, str(tmp_path / "no-such.zip"))
    assert lake.parts("embeddings", run_id="fault") == lake.parts("rejects", run_id="fault") == {}


def test_a_worker_that_computes_something_else_fails_the_step(
    lake: Lake, random_artefact: Path, tmp_path: Path
) -> None:
    extractor = Extractor.load(random_artefact)
    object.__setattr__(extractor, "test_embedding", extractor.test_embedding[::-1].copy())
    wrong = tmp_path / "wrong.zip"
    wrong.write_bytes(extractor.to_bytes())
    set_batch(lake, "wrong", extractor.extractor_id, [row(path) for path in sample(tmp_path, per_label=1)])
    with pytest.raises(PythonException, match="wrong embedding of its test image"):
        extract(lake, "wrong", extractor.extractor_id, str(wrong))
    assert lake.parts("embeddings", run_id="wrong") == {}


def test_no_batch_is_a_clear_error(lake: Lake, random_artefact: Path) -> None:
    with pytest.raises(LookupError, match="holds nothing of run 'nobody'"):
        extract(lake, "nobody", random_artefact.stem, str(random_artefact))


def test_main_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--lake", "x"])
    assert "--run-id, --extractor" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("photos_", "slots", "expected"),
    [(0, 2, 2), (1, 2, 2), (2_000, 2, 8), (10_000, 2, 16), (10_000_000, 64, 2_496), (100_000, 16, 128)],
)
def test_tasks(photos_: int, slots: int, expected: int) -> None:
    assert tasks(photos_, slots) == expected
