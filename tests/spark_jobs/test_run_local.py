"""run_local and recognise by their command lines, on rendered photos and on real ones."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from orchard.commands.rollback import main as rollback
from orchard.lake import parents
from orchard.lake.ledger import behind, label_rule
from orchard.lake.sums import Sums, sums
from orchard.lake.tables import open_catalog, replace_run
from spark_jobs.exact.accuracy import Accuracy
from spark_jobs.extract_embeddings import Extracted
from spark_jobs.extractor.artefact import Extractor, ExtractorError
from spark_jobs.extractor.engines import open_engine
from spark_jobs.extractor.photos import decode
from spark_jobs.reduce_embeddings import Reduced
from spark_jobs.run_local import Done, describe, main
from spark_jobs.running import shelf
from tests.conftest import Call, RunLocal
from tests.lakes import sample, told

REPOSITORY = Path(__file__).resolve().parents[2]


def read(lake: Path, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Read a table with pyiceberg, in the order of its first column."""
    rows = open_catalog(str(lake)).load_table(("orchard", table)).scan(selected_fields=columns).to_arrow().to_pylist()
    return sorted(tuple(row[column] for column in columns) for row in rows)


def test_days_of_growth(small_artefact: Path, tmp_path: Path, run_local: RunLocal, call: Call) -> None:
    photos, lake = tmp_path / "my photos", tmp_path / "the lake"
    paths = sample(photos, per_label=6)

    (first,) = run_local(photos, "--lake", lake, "--extractor", small_artefact, "--components", "5")
    assert told(first) == {
        **{"listed": 24, "added": 24, "changed": 0, "deleted": 0, "left": 0, "relabelled": 0},
        **{"unlabelled": 0, "examples": [], "rule": "parent", "left_out": {}, "notes": []},
    }
    assert (first["extracted"]["embedded"], first["reduced"]["components"]) == (24, 5)

    paths[0].unlink()
    shutil.copy(paths[2], paths[1])
    shutil.copy(paths[3], photos / "Apple Red" / "new.jpg")
    (photos / "Apple Red" / "bad.jpg").write_text("no photo")
    (photos / "top.jpg").write_bytes(paths[4].read_bytes())
    shutil.copy(paths[5], photos / "Apple Red" / "IMG_7")
    for name in ("._1.jpg", ".DS_Store"):
        (photos / "Apple Red" / name).write_bytes(b"\0\5\x16\7")
    (second,) = run_local(photos, "--lake", lake, "--components", "5")
    assert told(second) == {
        **{"listed": 29, "added": 4, "changed": 1, "deleted": 1, "left": 0, "relabelled": 0},
        **{"unlabelled": 1, "examples": [f"file://{photos}/top.jpg"], "rule": "parent"},
        "left_out": {"of macOS": 2},
        "notes": [
            f"The same bytes under another name: 4 photos, such as file://{paths[2]}, those of file://{paths[1]}; each "
            "counts, and what is measured on them is too good."
        ],
    }
    (noted,) = (notes for run_id, notes in read(lake, "runs", "run_id", "notes") if run_id == second["run_id"])
    assert json.loads(noted) == second["found"]["notes"]
    assert (second["extracted"]["embedded"], second["extracted"]["rejected"]) == (3, 2)
    assert [Path(uri).name for uri, _ in second["rejects"]] == ["bad.jpg", "top.jpg"]
    kept = read(lake, "runs", "run_id", "listed", "left_out_kinds", "report", "embed_seconds", "vcpus")
    assert [row[1:4] for row in kept] == [(24, "{}", None), (29, '{"of macOS": 2}', None)]
    assert all(seconds > 0 and vcpus >= 1 for *_, seconds, vcpus in kept)
    catalog = open_catalog(str(lake))
    done = [sums(catalog, "orchard", run["run_id"], run["extractor_id"]) for run in (first, second)]
    assert done == [Sums(asked=24, embedded=22, superseded=2), Sums(asked=5, embedded=3, rejected=2)]
    assert behind(catalog, "orchard", second["extractor_id"]) == []
    none = ("bad.jpg", "._1.jpg", ".DS_Store")
    present = sorted(f"file://{path}" for path in photos.glob("*/*") if path.name not in none)
    assert [uri for (uri,) in read(lake, "embeddings", "uri")] == present
    assert [uri for (uri,) in read(lake, "coordinates", "uri")] == present

    third = call("run_local", photos, "--lake", lake, "--components", "5")
    assert "29 listed: 0 new, 0 changed, 0 deleted; left out: 2 of macOS\n" in third.stdout
    assert f"no label    1 by the rule parent, such as file://{photos}/top.jpg\n" in third.stdout
    assert "nothing to do" in third.stdout

    # Other options on the same photos: step 2 alone. What it cannot make beside the tables is made by the next run.
    (lake / "exports").rename(tmp_path / "kept")
    (lake / "exports").touch()
    blocked = call("run_local", photos, "--lake", lake, "--components", "3")
    assert (blocked.returncode, blocked.stdout.count("  not made    ")) == (0, 4)
    assert read(lake, "runs", "ended_at", "unmade")[2][1].startswith("exports: ")
    (lake / "exports").unlink()
    (fourth,) = run_local(photos, "--lake", lake, "--components", "3")
    assert (fourth["extracted"]["photos"], fourth["reduced"]["components"]) == (0, 3)
    assert (fourth["reduced"]["exported"], fourth["reduced"]["unmade"]) == (len(present), [])
    assert [unmade is None for _, unmade in read(lake, "runs", "ended_at", "unmade")] == [True, True, False, True]
    assert "nothing to do" in call("run_local", photos, "--lake", lake, "--components", "3").stdout

    shutil.rmtree(photos / "Banana")
    mass = call("run_local", photos, "--lake", lake, "--components", "3")
    assert mass.returncode == 2
    assert "6 of the 27 photos that the lake holds under" in mass.stderr
    assert len(read(lake, "embeddings", "uri")) == len(present)
    # Another rule of labels, too: photos that it alone changes are not read.
    rule = r"^(\w+)[^/]*/"
    meant = ("--lake", lake, "--components", "3", "--label", rule, "--mass-deletion-meant")
    (fifth,) = run_local(photos, *meant)
    assert (fifth["found"]["deleted"], fifth["found"]["relabelled"], fifth["found"]["rule"]) == (6, 7, rule)
    assert (fifth["extracted"]["photos"], fifth["extracted"]["relabelled"], fifth["rejects"]) == (0, 7, [])
    assert fifth["reduced"]["labels"] == 3
    for table in ("embeddings", "coordinates"):
        assert {label for _, label in read(lake, table, "uri", "label")} == {"Apple", "Lemon", "Orange"}
    done = sums(catalog, "orchard", fifth["run_id"], fifth["extractor_id"])
    assert done == Sums(asked=7, relabelled=7)
    assert label_rule(catalog, "orchard") == rule

    answer = call("recognise", paths[2], f"file://{paths[2]}", paths[2], "--lake", lake, "--json")
    assert answer.returncode == 0, answer.stderr
    one, address, again = json.loads(answer.stdout)
    assert [one["photo"], address["photo"]] == [str(paths[2]), f"file://{paths[2]}"]
    assert one == again == address | {"photo": str(paths[2])}
    assert [set(label) for label in one["labels"]] == [{"label", "probability"}] * 3
    assert sum(label["probability"] for label in one["labels"]) == pytest.approx(1.0)
    nearest = one["neighbours"][0]
    assert nearest["distance"] == pytest.approx(0.0, abs=1e-3)
    assert nearest["label"] == "Apple"
    assert (one["parents"], one["labels"][0]["label"]) == ([], "Apple")
    # A hierarchy needs no run: answers add up by parent at once.
    (tmp_path / "fruits.csv").write_text("label,parent\nLemon,Citrus\nOrange,Citrus\nFig,Moraceae\n")
    same = call("run_local", photos, *meant, "--hierarchy", tmp_path / "fruits.csv")
    assert "nothing to do" in same.stdout
    assert parents.read(catalog, "orchard") == {"Lemon": "Citrus", "Orange": "Citrus", "Fig": "Moraceae"}
    answer = call("recognise", paths[2], "--lake", lake, "--json")
    (by_parent,) = json.loads(answer.stdout)
    chances = {label["label"]: label["probability"] for label in by_parent["labels"]}
    assert list(chances) == [label["label"] for label in one["labels"]]
    best = max(("Lemon", "Orange"), key=lambda name: chances[name])
    apple, citrus = by_parent["parents"]
    assert apple == {"parent": "Apple", "probability": chances["Apple"], "best": by_parent["labels"][0]}
    assert citrus == {
        "parent": "Citrus",
        "probability": pytest.approx(chances["Lemon"] + chances["Orange"]),
        "best": {"label": best, "probability": chances[best]},
    }
    said = call("recognise", paths[2], "--lake", lake).stdout.splitlines()[0]
    assert said == (
        f"{paths[2]}: Apple {chances['Apple']:.1%}, Citrus {citrus['probability']:.1%} ({best} {chances[best]:.1%})"
    )
    bad = call("recognise", photos / "Apple Red" / "bad.jpg", "--lake", lake)
    assert bad.returncode == 2
    assert "bad.jpg: not an image" in bad.stderr

    # Back to the second day: what is listed then is found anew, and the lake ends as it was.
    last = {name: read(lake, name, "uri", "etag", "label") for name in ("embeddings", "coordinates")}
    assert rollback(["--lake", str(lake), "--to", second["run_id"], "--yes"]) == 0
    assert [uri for (uri,) in read(lake, "embeddings", "uri")] == present
    assert len(read(lake, "runs", "run_id")) == 2
    assert behind(catalog, "orchard", second["extractor_id"]) == []
    assert label_rule(catalog, "orchard") == "parent"
    (again,) = run_local(photos, *meant)
    assert (again["found"]["deleted"], again["found"]["relabelled"], again["reduced"]["labels"]) == (6, 7, 3)
    assert {name: read(lake, name, "uri", "etag", "label") for name in last} == last

    # The folder gets another name.
    photos.rename(tmp_path / "pictures")
    photos.mkdir()
    (moved,) = run_local(tmp_path / "pictures", "--lake", lake, "--components", "3", "--take-out", photos)
    held = len(last["embeddings"]) + 2  # and two rejects
    assert (moved["found"]["added"], moved["found"]["deleted"]) == (held, held)
    there = [uri.replace(f"{photos}/", f"{tmp_path}/pictures/") for uri, *_ in last["embeddings"]]
    for table in ("embeddings", "coordinates"):
        assert [uri for (uri,) in read(lake, table, "uri")] == there
    assert sums(catalog, "orchard", moved["run_id"], moved["extractor_id"]).match
    assert behind(catalog, "orchard", moved["extractor_id"]) == []


def test_errors_a_user_understands(small_artefact: Path, tmp_path: Path, call: Call) -> None:
    nowhere = call("run_local", tmp_path / "nowhere", "--lake", tmp_path / "lake", "--extractor", small_artefact)
    assert nowhere.returncode == 2
    assert "expected a folder of photos, one folder a label; there is no such folder" in nowhere.stderr
    (tmp_path / "empty").mkdir()
    empty = call("run_local", tmp_path / "empty", "--lake", tmp_path / "lake", "--extractor", small_artefact)
    assert empty.returncode == 0
    assert "no photo was found there" in empty.stdout
    assert (
        f"  note        No photo is under file://{tmp_path}/empty/, nor does the lake hold one from there: is that "
        "where they are?\n"
    ) in empty.stdout
    rule = call("run_local", tmp_path / "empty", "--lake", tmp_path / "lake", "--label", "parent/0")
    assert rule.returncode == 2
    assert "error: label 'parent/0': levels are counted from 1; expected parent, parent/2" in rule.stderr
    took = ("--extractor", small_artefact, "--take-out", tmp_path / "photos")
    out = call("run_local", tmp_path / "empty", "--lake", tmp_path / "lake", *took)
    assert out.returncode == 2
    assert out.stderr.splitlines()[-1] == (
        f"error: {tmp_path}/photos: expected a prefix to take out that the lake holds photos under, got one with none. "
        "Besides what is listed, it holds no photo."
    )
    embedded = {"uri": f"file://{tmp_path}/photos/1.jpg", "action": "delete", "run_id": "killed"}
    catalog = open_catalog(str(tmp_path / "lake"))
    table = catalog.load_table("orchard.batches")
    table.append(pa.Table.from_pylist([embedded | {"extractor_id": small_artefact.stem}], table.schema().as_arrow()))
    replace_run(catalog, "orchard", {"run_id": "killed", "extractor_id": small_artefact.stem, "added": None})
    out = call("run_local", tmp_path / "empty", "--lake", tmp_path / "lake", *took)
    assert out.returncode == 0, out.stderr
    assert (
        f"  note        The lake holds no photo under file://{tmp_path}/photos/ any more: an earlier run has taken "
        "them out.\n"
    ) in out.stdout
    none = call("recognise", tmp_path / "x.jpg", "--lake", tmp_path / "no lake")
    assert none.returncode == 2
    assert "There is no lake in" in none.stderr


@pytest.mark.parametrize(
    ("photos", "lake", "more", "says"),
    [
        ("p", "new", ["--database", "fruits-360"], "database 'fruits-360': expected 1 to 252 of a-z, 0-9 and _"),
        ("p", "new", ["--database", ""], "database '': expected 1 to 252 of a-z, 0-9 and _"),
        ("p/sub", "p", [], "p/sub: expected a place beside the lake"),
        ("p", "p", [], "p: expected a place beside the lake"),
        ("nowhere", "new", [], "nowhere: expected a folder of photos, one folder a label; there is no such folder"),
        ("p", "new", ["--label", "parent/0"], "label 'parent/0': levels are counted from 1"),
        ("p", "new", ["--components", "0"], "omponents"),
        ("p", "new", ["--take-out", "p/sub"], "p/sub: expected to take out a prefix that is not among those given"),
        ("p", "new", ["--take-out", "q"], "--take-out q: expected a prefix that the lake holds photos under"),
        ("p", "new", ["--extractor", "nothing.zip"], "nothing.zip"),
        ("p", "p/sub/1.jpg", [], "expected a folder, or none yet"),
        ("p", "p/sub/1.jpg/lake", [], "expected a folder, or none yet"),
    ],
)
def test_what_words_alone_refuse_leaves_nothing(
    photos: str,
    lake: str,
    more: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p" / "sub").mkdir(parents=True)
    (tmp_path / "p" / "sub" / "1.jpg").touch()
    assert main([photos, "--lake", lake, *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and says in error
    assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")) == ["p", "p/sub", "p/sub/1.jpg"]


def test_a_figure_only_where_it_means_something() -> None:
    def said(labels: int, *accuracies: Accuracy, twins: int = 0, worst: tuple[str, ...] = ()) -> list[str]:
        before, folds = accuracies or (Accuracy(), Accuracy())
        reduced = Reduced(9, labels, shrinkage=0.25, accuracy_before=before, accuracy_folds=folds)
        reduced = replace(reduced, near_twins=twins, worst=worst)
        return describe(Done("r1", "e1", extracted=Extracted(), reduced=reduced)).splitlines()[1:]

    assert said(1, twins=3) == ["  recogniser  1 label: it tells nothing apart, shrinkage 0.250"]
    assert said(2, Accuracy(0, 1, 0.0, 0.0, 0.79), Accuracy(72, 96, 0.75, 0.661, 0.829)) == [
        "  recogniser  2 labels, shrinkage 0.250",
        "    the recogniser before this run: right about 0 of 1 (0% to 79%) of this run's photos",
        "    recognisers without a photo and its near twins: right about 72 of 96 (66% to 83%) of this run's photos",
    ]
    assert said(3, Accuracy(), Accuracy(750, 1000, 0.75, 0.7, 0.8), twins=1200, worst=("Fig (1 of 9)",))[1:] == [
        "    recognisers without a photo and its near twins: right about 75.0% (70% to 80%) of 1,000 of this run's "
        "photos",
        "    1,200 of this run's photos have a near twin in the lake",
        "    recognised least: Fig (1 of 9)",
    ]


def test_a_full_disk_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fill(*_: object, **__: object) -> None:
        try:
            os.write(os.open("/dev/full", os.O_WRONLY), b"x")
        except OSError as error:
            raise RuntimeError("An error occurred while calling o42.overwrite.") from error

    monkeypatch.setattr("spark_jobs.run_local.run_local", fill)
    assert main(["photos", "--lake", "lake"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: no space is left on a disk: free some of lake or of {tempfile.gettempdir()} (TMPDIR names another "
        "folder than that); nothing is lost, and the same command does the rest"
    )


_TWICE = """
import sys
from spark_jobs.run_local import run_local
from spark_jobs.tables.location import LakeLocation

for photos in sys.argv[3:]:
    done = run_local(photos, LakeLocation.parse(sys.argv[1]), sys.argv[2])
    print(done[-1].extracted.embedded)
"""


@pytest.mark.long
def test_twice_in_one_process_by_a_user_without_a_name(small_artefact: Path, tmp_path: Path) -> None:
    """As in a notebook, and as docker run --user and OpenShift start it."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        sample(folder, per_label=2)
    nameless: list[str] = []
    if os.getuid() == 0:  # which may become anybody; the rights on files it keeps
        nameless = ["setpriv", "--reuid=12345", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    done = subprocess.run(
        [*nameless, sys.executable, "-c", _TWICE, str(tmp_path / "lake"), small_artefact, *folders],
        cwd=REPOSITORY,
        env={**os.environ, "HOME": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "8\n8\n"


def test_without_a_network_the_extractor_is_one_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    sample(tmp_path / "photos", per_label=1)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    done = call("run_local", tmp_path / "photos", "--lake", tmp_path / "lake")
    assert done.returncode == 0
    assert "extractor efficientnet_lite0-f32-db5088220450\n" in done.stdout
    (said,) = [record.getMessage() for record in caplog.records if record.name == "shelf"]
    assert said == (
        "The lake's extractor is efficientnet_lite0 with the weights of ImageNet that are installed with us, as Keras "
        "cannot fetch those of mobilenet_v2 here and no --extractor was given."
    )


def test_where_nothing_can_be_exported_it_says_how_to_give_an_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "defaults", lambda: ["mobilenet_v2", "efficientnet_lite0"])
    tried = []

    def run(command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        tried.append(command[3])
        return subprocess.CompletedProcess(command, 2, "", "progress\nerror: it is not installed\n")

    monkeypatch.setattr(shelf.subprocess, "run", run)
    with pytest.raises(
        ExtractorError, match=r"efficientnet_lite0 of .*: it is not installed\nWith .*:\n.*--weights FILE"
    ):
        shelf.put_default(str(tmp_path))
    assert tried == ["mobilenet_v2", "efficientnet_lite0"]


# What a run has just begun to write when it is killed.
MOMENTS = ("embeddings/data/**/*.parquet", "moments/metadata/*.json", "coordinates/data/**/*.parquet")


@pytest.mark.long
def test_killed_at_any_moment_and_run_again(small_artefact: Path, tmp_path: Path, run_local: RunLocal) -> None:
    """SIGKILL or Ctrl-C to the process group as it writes; the next run ends with the tables of an undisturbed one."""
    photos, lake, undisturbed = tmp_path / "photos", tmp_path / "killed", tmp_path / "undisturbed"
    paths = sample(photos, per_label=10)
    options = ("--extractor", small_artefact, "--components", "5", "--refit", "always")
    run_local(photos, "--lake", lake, *options)
    for day, moment in enumerate(MOMENTS):
        paths[2 * day].unlink()
        shutil.copy(paths[-1 - day], paths[2 * day + 1])
        number = signal.SIGINT if day == 0 else signal.SIGKILL
        _kill(number, lake, moment, "run_local", photos, "--lake", lake, *options)
    run_local(photos, "--lake", lake, *options)
    run_local(photos, "--lake", undisturbed, *options)
    for table in ("embeddings", "coordinates"):
        assert read(lake, table, "uri", "etag", "label") == read(undisturbed, table, "uri", "etag", "label")
    assert len({uri for (uri,) in read(lake, "embeddings", "uri")}) == len(read(lake, "embeddings", "uri"))
    assert read(lake, "rejects", "uri") == []
    (eigenvalues, *_), (expected, *_) = (
        sorted(read(where, "bases", "created_at", "eigenvalues"), reverse=True) for where in (lake, undisturbed)
    )
    np.testing.assert_allclose(eigenvalues[1][:5], expected[1][:5], rtol=1e-10)
    newest, fresh = (
        max(read(where, "recognisers", "created_at", "labels", "weights")) for where in (lake, undisturbed)
    )
    assert newest[1] == fresh[1]
    np.testing.assert_allclose(newest[2], fresh[2], rtol=0, atol=1e-10 * np.abs(fresh[2]).max())


def _kill(number: signal.Signals, lake: Path, moment: str, command: str, *arguments: str | Path) -> None:
    """Kill a command when the first new file of that pattern is there; Spark has said nothing on its way."""
    there = set(lake.glob(f"tables/**/{moment}"))
    said = lake.with_suffix(".stderr")
    with (
        said.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-m", f"spark_jobs.{command}", *map(str, arguments)],
            cwd=REPOSITORY,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        ) as process,
    ):
        while set(lake.glob(f"tables/**/{moment}")) <= there:
            assert process.poll() is None, f"{command} ended, and wrote no {moment}"
            time.sleep(0.02)
        os.killpg(process.pid, number)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in said.read_text()
        assert said.read_text().endswith("\ninterrupted: nothing is lost; the same command does the rest\n")
    assert "log level" not in said.read_text(), "the JVM says what it made up for its shell (tables/log4j2.properties)"


@pytest.mark.long
def test_real_photos(
    real_artefact: Path, shared: Path, tmp_path: Path, figures: list[str], run_local: RunLocal, call: Call
) -> None:
    """Training into the lake, Test to recognise: at least 99% right."""
    lake = tmp_path / "lake"
    (run,) = run_local(shared / "data/fruits-360/Training", "--lake", lake, "--extractor", real_artefact)
    assert run["extracted"]["embedded"] == run["reduced"]["photos"] == 1_920
    assert run["reduced"]["labels"] == 24
    photos = sorted((shared / "data/fruits-360/Test").glob("*/*.jpg"))
    done = call("recognise", *photos, "--lake", lake, "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert len(answers) == len(photos) == 720
    right = sum(answer["labels"][0]["label"] == path.parent.name for answer, path in zip(answers, photos, strict=True))
    near = sum(
        answer["neighbours"][0]["label"] == path.parent.name for answer, path in zip(answers, photos, strict=True)
    )
    figures.append(f"Fruits-360, Test from Training: {right / 720:.1%} of 720 photos recognised,")
    figures.append(f"                                {near / 720:.1%} by the nearest photo alone")
    assert right / 720 >= 0.99

    # What Spark stored is what one process computes.
    rows = (
        open_catalog(str(lake)).load_table("orchard.embeddings").scan(selected_fields=("uri", "embedding")).to_arrow()
    )
    extractor = Extractor.load(real_artefact)
    engine = open_engine(extractor)
    for row in rows.slice(0, 200).to_pylist()[::20]:
        alone = engine.embed(decode(Path(row["uri"].removeprefix("file://")).read_bytes(), (224, 224))[np.newaxis])[0]
        np.testing.assert_allclose(row["embedding"], alone, rtol=1e-5, atol=1e-6)
