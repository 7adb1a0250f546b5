"""The command, on drawn photos: what is made, what is made again, and what it says."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from local.sample_photos import write_sample_photos
from orchard.lake.tables import open_catalog
from spark_jobs.augment_photos import main
from tests.conftest import Call

LABELS = ["Apple Red", "Plum"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_sample_photos(tmp_path / "photos", LABELS, 3, 60, 1)
    (tmp_path / "shop").mkdir()
    for number, colour in enumerate([(70, 90, 200), (90, 90, 90)]):
        Image.new("RGB", (120, 90), colour).save(tmp_path / "shop" / f"{number}.jpg")
    return tmp_path / "photos"


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_only_what_is_missing_is_made(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, names = tmp_path / "out", sorted(str(path.relative_to(photos)) for path in photos.rglob("*.jpg"))
    arguments = [str(photos), str(out), "--backgrounds", str(tmp_path / "shop")]

    def run(*more: str) -> str:
        assert main([*arguments, *more]) == 0
        return capsys.readouterr().out

    assert run("--each", "2") == f"12 photos made of 6, in {out}; 0 were there already\n"
    first = held(out)
    assert sorted(first) == sorted(f"{name}.augmented-{number}.jpg" for name in names for number in (1, 2))
    assert len(set(first.values())) == 12
    for name, data in first.items():
        with Image.open(out / name) as made:
            assert made.size == (120, 90)
            assert made.info["comment"] == f"Made of file://{photos}/{name.partition('.augmented')[0]}".encode()
        assert data
    assert run("--each", "2") == f"0 photos made of 6, in {out}; 12 were there already\n"
    # One is lost, one is older than its origin, an origin is gone; a new photo does not change the others.
    (out / f"{names[0]}.augmented-2.jpg").unlink()
    os.utime(out / f"{names[1]}.augmented-1.jpg", (0, 0))
    (photos / names[2]).unlink()
    (photos / "Plum" / "new.jpg").write_bytes((photos / names[3]).read_bytes())
    (photos / "Plum" / "notes.txt").touch()
    assert run("--each", "2") == (
        f"4 photos made of 6, in {out}; 8 were there already\n"
        f"By their names, 2 in {out} are of photos that are gone, or more than --each\n"
        "Left out: 1 named .txt\n"
    )
    second = held(out)
    assert {name: second[name] for name in first} == first
    assert sorted(second.keys() - first.keys()) == [f"Plum/new.jpg.augmented-{number}.jpg" for number in (1, 2)]
    other = tmp_path / "other"
    assert main([str(photos), str(other), "--seed", "1"]) == 0
    assert not set(held(other).values()) & set(second.values())


def test_what_is_made_is_never_augmented_again(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main([str(photos), str(photos / "augmented")]) == 0
        assert " of 6, in " in capsys.readouterr().out
    assert len(held(photos)) == 12


def test_photos_of_s3(photos: Path, tmp_path: Path, aws: Any, bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    s3 = aws.client("s3")
    keys = ["photos/Fig/a//b.jpg", "photos/Fig/e\u0301 1.jpg"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=next(photos.rglob("*.jpg")).read_bytes())
    arguments = [f"s3://{bucket}/photos", f"s3://{bucket}/made", "--backgrounds", str(tmp_path / "shop")]
    for words in ("2 photos made of 2", "0 photos made of 2"):
        assert main(arguments) == 0
        assert words in capsys.readouterr().out
    found = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix="made/")["Contents"]}
    assert found == {key.replace("photos/", "made/", 1) + ".augmented-1.jpg" for key in keys}


def test_a_photo_that_cannot_be_used_is_told(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "Plum" / "broken.jpg").write_bytes(b"%PDF-1.7")
    assert main([str(photos), str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"6 photos made of 7, in {tmp_path / 'out'}; 0 were there already",
        f"Nothing could be made of file://{photos}/Plum/broken.jpg: not an image that can be read: it is a PDF",
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--backgrounds", "{}/empty"], r"error: .*/empty: expected a folder of pictures, .*; found none"),
        (
            ["--backgrounds", "{}/broken"],
            r"error: file://.*/x.jpg: the file is empty \(0 bytes\); take it away or",
        ),
        (
            ["--in-front", "{}/shop"],
            r"error: file://.*/[01].jpg: nothing of it is transparent, and",
        ),
        (["--backgrounds", "{}/nowhere"], r"error: .*/nowhere: expected a folder of pictures"),
        (["--each", "0"], r"argument --each: expected a number from 1, got '0'"),
    ],
)
def test_what_cannot_be_is_said(
    photos: Path, tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.jpg").touch()
    try:
        status: object = main([str(photos), str(tmp_path / "out"), *(word.format(tmp_path) for word in more)])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert re.search(message, capsys.readouterr().err)
    assert held(tmp_path / "out" if (tmp_path / "out").exists() else tmp_path / "empty") == {}


def test_places_that_cannot_be_meant(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nothing").mkdir()
    for of, out, said in (
        (photos, photos, f"error: OUT is PHOTOS, {photos}: expected a folder of its own, which may lie in PHOTOS"),
        (photos, tmp_path / "file", f"error: {tmp_path}/file: expected a folder, or none yet; it is a file"),
        (photos, "/proc/nowhere", "error: [Errno 2] No such file or directory: '/proc/nowhere'"),
        (tmp_path / "nothing", tmp_path / "out", f"error: {tmp_path}/nothing: expected photos, found none that"),
    ):
        assert main([str(of), str(out)]) == 2
        assert said in capsys.readouterr().err
    assert len(held(photos)) == 6


def test_interrupted_it_says_so_and_the_next_call_does_the_rest(tmp_path: Path) -> None:
    photos = tmp_path / "many"
    write_sample_photos(photos, LABELS, 150, 60, 2)
    command = [sys.executable, "-m", "spark_jobs.augment_photos", str(photos), str(tmp_path / "out")]
    # Ctrl-C reaches all processes of a terminal's group; one that was started behind a shell's & would ignore it.
    running = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    with running:
        assert running.stderr
        while not held(tmp_path / "out"):
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        said = running.stderr.read()
    assert (running.returncode, said) == (130, "\ninterrupted: what was made stays; the same command makes the rest\n")
    assert 0 < len(held(tmp_path / "out")) < 300
    assert main(command[3:]) == 0
    assert len(held(tmp_path / "out")) == 300


def test_a_lake_learns_from_them_and_judges_none(
    photos: Path, tmp_path: Path, call: Call, small_artefact: Path
) -> None:
    assert main([str(photos), str(photos / "augmented"), "--backgrounds", str(tmp_path / "shop"), "--each", "2"]) == 0
    done = call("run_local", photos, "--lake", tmp_path / "lake", "--extractor", small_artefact)
    assert "12 augmented photos of this run were learnt from, and not judged" in done.stdout
    (row,) = open_catalog(str(tmp_path / "lake")).load_table("orchard.runs").scan().to_arrow().to_pylist()
    assert (row["embedded"], row["augmented"], row["accuracy_folds_photos"]) == (18, 12, 6)
