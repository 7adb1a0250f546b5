"""The command on drawn photos, with a network of random weights: what it shows, and not how fast it is."""

import os
import re
import subprocess

import pytest

from local.sample_photos import LABELS, write_sample_photos
from spark_jobs import choose_extractor
from tests.artefacts import MAIN_PYTHON, REPOSITORY

ROW = re.compile(r" *[\d.]+  [\d.]+% \(\d+% to \d+%\) +(?P<twins>\d+) of +(?P<judged>\d+) +(?P<unseen>[\d.]+)%  ")


def choose(*arguments) -> "subprocess.CompletedProcess[str]":
    """Run it in a process of its own, so that tensorflow stays out of the tests'."""
    return subprocess.run(
        [MAIN_PYTHON, "-m", "spark_jobs.choose_extractor", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_each_choice_is_a_row(tmp_path):
    write_sample_photos(tmp_path / "photos", LABELS[:2], 8, 40, 0)
    (tmp_path / "photos" / LABELS[0] / "notes.txt").write_text("not a photo")
    options = ["mobilenet_v2", "--weights", "random:0", "--views", "48,32", "--crop", "0.75"]
    # Judged by what it learnt from, too: that any network knows again, whatever its weights.
    done = choose(tmp_path / "photos", *options, "--unseen", tmp_path / "photos")
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()
    assert head == "photos/s  unseen, by folds       near twins, judged  of --unseen"
    names = [
        f"mobilenet_v2 --views {views}{feature}{crop}"
        for views in ("48", "32", "48,32")
        for crop in ("", " --crop 0.75")
        for feature in ("", " --feature sqrt")
    ]
    found = {row[match.end() :]: match for row in rows if (match := ROW.match(row))}
    assert list(found) == names
    for match in found.values():
        assert int(match["judged"]) == 16  # not the notes
        assert float(match["unseen"]) >= 90


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}", "resnet_v9"], r"error: Got resnet_v9; expected some of mobilenet_v2, .*efficientnet_lite2"),
        (
            ["{}", "mobilenet_v2", "--shrinkage", "2"],
            r"error: --shrinkage: expected auto or a share in .*, got '2'",
        ),
        (["{}", "mobilenet_v2"], r"error: Expected photos of two labels or more in .*, a folder a label; got 0 files"),
    ],
)
def test_what_cannot_be_is_said(arguments, message, capsys, tmp_path):
    assert choose_extractor.main([argument.format(tmp_path) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert re.match(message, captured.err)
    assert captured.out == ""
