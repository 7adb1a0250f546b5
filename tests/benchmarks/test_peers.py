"""Peers: what is compared with what, who starts them, and what their workers do; with Ray and Daft where they are."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks import __main__ as bench
from benchmarks import agreement
from benchmarks.figures import Figures, Measured
from benchmarks.job import SLOTS, Job
from benchmarks.peers.models import Ours
from benchmarks.peers.ray_data import OurActor, blocks
from benchmarks.run import STARTS
from benchmarks.workload import Workload, embeddings
from local.sample_photos import LABELS, write_sample_photos
from spark_jobs.extractor.engines import BATCH, Extractor, decode, open_engine


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, small_artefact: Path) -> Job:
    folder = tmp_path_factory.mktemp("peers")
    write_sample_photos(folder / "photos", LABELS, 2, 100, 0)
    (folder / "out").mkdir()
    return Job(folder / "photos", "random:0", small_artefact, folder / "out")


def measured(**seconds: tuple[float, float]) -> Figures:
    """Figures of contenders, by their seconds for 2,000 and 10,000 photos."""
    return Figures(
        [
            Measured(contender.replace("_", "-"), size, value, 2 * value, number * 400_000_000)
            for contender, both in seconds.items()
            for number, (size, value) in enumerate(zip((2_000, 10_000), both, strict=True), 1)
        ]
    )


def test_what_is_promised_against_notebook_and_peers() -> None:
    promises = measured(notebook=(65, 250), f32=(10, 50), ray_ours=(20, 62.5), daft_ours=(9, 62.4)).promises()
    for line in (
        "         met  f32 at 2,000 photos: at least 6.5 x notebook: 6.50 x",
        "         met  f32 at 10,000 photos: at least 5.0 x notebook: 5.00 x",
        "not measured  int8 at 10,000 photos: at least 7.0 x notebook",
        "         met  f32 at 10,000 photos: at least 1.25 x Ray Data with the same engine: 1.25 x",
        "      MISSED  f32 at 10,000 photos: at least 1.25 x Daft with the same engine: 1.25 x",
    ):
        assert line in promises.splitlines()


def test_a_peer_that_was_not_measured_breaks_no_promise() -> None:
    figures = measured(notebook=(64, 240), f32=(10, 50))
    assert "not measured  f32 at 10,000 photos: at least 1.25 x Ray Data with the same engine" in figures.promises()
    assert "MISSED  f32 at 2,000 photos: at least 6.5 x notebook: 6.40 x" in figures.promises()


def test_the_table_says_how_many_times_as_long_as_ours() -> None:
    head, _, *rows = measured(f32=(10, 50), daft_ours=(12, 65)).table().splitlines()
    assert head.split()[-2:] == ["/", "f32"]
    assert [row.split()[-1] for row in rows] == ["1.00", "1.00", "1.20", "1.30"]


def test_the_table_of_the_readme() -> None:
    figures = measured(int8=(5, 20), notebook=(60, 250), f32=(10, 50), bare_int8=(4, 15), ray_ours=(20, 60))
    assert figures.markdown() == (
        "| | 2,000 photos | 10,000 photos | photos/s at the margin | MB beside the JVM |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| the usual notebook | 60.0 s | 250.0 s | 42 | 400 to 800 |\n"
        "| Ray Data, our decoder and engine | 20.0 s (3.0 x) | 60.0 s (4.2 x) | 200 | 400 to 800 |\n"
        "| Orchard, f32 | 10.0 s (6.0 x) | 50.0 s (5.0 x) | 200 | 400 to 800 |\n"
        "| Orchard, int8 | 5.0 s (12.0 x) | 20.0 s (12.5 x) | 533 | 400 to 800 |"
    )


def test_pixels_of_another_resize_are_no_fault_and_those_of_ours_are() -> None:
    rng = np.random.default_rng(0)
    right = {"a.jpg": rng.random(48, np.float32), "b.jpg": rng.random(48, np.float32)}
    near = {photo: values + 0.1 * rng.random(48, np.float32) for photo, values in right.items()}
    found = {"notebook": right, "ray": near, "daft-ours": right, "ray-ours": near}
    assert [line.split("  ")[-2].split()[-1] for line in agreement.check(found).splitlines()] == [
        "extractor",
        "agrees",
        "DIFFERENT",
    ]


def test_peers_are_asked_for_and_start_with_the_python_that_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "PEERS_PYTHON", tmp_path / "bin" / "python")
    photos = ["--photos", str(tmp_path)]
    assert bench._parse(photos).contenders == ["notebook", "bare", "f32", "int8"]
    for argv in (["--peers"], ["--contenders", "f32,daft-ours"]):
        with pytest.raises(SystemExit):
            bench._parse([*photos, *argv])
        assert "make bench PEERS=1" in capsys.readouterr().err
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    assert bench._parse([*photos, "--peers"]).contenders == [*bench.USUAL, *bench.PEERS]
    assert bench._parse([*photos, "--peers", "--contenders", "f32,ray"]).contenders == [
        "f32",
        *("ray", "ray-ours", "daft", "daft-ours"),
    ]
    python = {start: bench._python(start) for start, _ in bench.CONTENDERS.values()}
    assert python.keys() <= STARTS.keys()
    assert {start for start, path in python.items() if path == str(tmp_path / "bin" / "python")} == {*bench.PEERS}
    assert {path for start, path in python.items() if start not in bench.PEERS} == {sys.executable}


def test_a_measurement_keeps_what_python_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = bench._environment(tmp_path)
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert Path(environment["PYTHONPYCACHEPREFIX"]).parent == tmp_path


def test_the_worker_of_ray_gives_what_our_engine_does(job: Job) -> None:
    extractor = Extractor.from_bytes(job.artefact.read_bytes())
    contents = [file.read_bytes() for file in job.files]
    assert len(contents) == 2 * len(LABELS) > BATCH
    expected = open_engine(extractor).embed([decode(content, extractor) for content in contents])
    np.testing.assert_array_equal(Ours(job.artefact)(contents), expected)
    given = OurActor(job)(pa.table({"path": [str(file) for file in job.files], "bytes": contents}))
    assert given["path"].to_pylist() == [str(file) for file in job.files]
    np.testing.assert_array_equal(np.array(given["embedding"].to_pylist(), np.float32), expected)


@pytest.mark.parametrize(("photos", "expected"), [(1, 4), (2_000, 6), (10_000, 38)])
def test_each_slot_of_ray_has_as_many_blocks(photos: int, expected: int) -> None:
    assert blocks(photos) == expected
    assert expected % SLOTS == 0


@pytest.mark.long
@pytest.mark.skipif(not bench.PEERS_PYTHON.exists(), reason="no .venv-peers: make bench PEERS=1")
@pytest.mark.parametrize("contender", bench.PEERS)
def test_a_peer_embeds_every_photo(contender: str, random_artefact: Path, tmp_path: Path) -> None:
    """CI does not install them; there, the workers and all else of this page are tried."""
    write_sample_photos(tmp_path / "source", LABELS, 2, 100, 0)
    work = Workload(tmp_path / "source", "random:0", tmp_path)
    (tmp_path / "out").mkdir()
    job = Job(work.photos(12), "random:0", random_artefact, tmp_path / "out")
    assert bench._run(contender, job)["seconds"] > 0
    found = embeddings(job)
    extractor = Extractor.from_bytes(random_artefact.read_bytes())
    photos = {str(file.relative_to(job.photos)): decode(file.read_bytes(), extractor) for file in job.files}
    assert found.keys() == photos.keys()
    right = dict(zip(photos, open_engine(extractor).embed(list(photos.values())), strict=True))
    assert agreement.cosines(found, right).min() > (0.5 if contender in agreement.OTHER_PIXELS else 0.99999)
