import json
from pathlib import Path
from typing import Any

import pytest

from local.compose import settings as compose_settings
from local.prepare import Prepared

ID = "mobilenet_v2-f32-0123456789ab"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Collect what is prepared, and prepare nothing."""
    calls: list[tuple[Any, ...]] = []

    def prepare(folder: Path, photos: Path | None, weights: str | None) -> Prepared:
        assert folder.is_dir()
        calls.append((photos, weights))
        return Prepared(
            "orchard", 240, ID, *(("mobilenet_v2", weights) if weights else ("efficientnet_lite0", "imagenet"))
        )

    monkeypatch.setattr(compose_settings, "prepare", prepare)
    return calls


def run(folder: Path) -> None:
    for name in ("photos", "weights"):
        (folder / name).mkdir(exist_ok=True)
    given = [f"--photos={folder / 'photos'}", f"--weights={folder / 'weights'}", "--console=http://localhost:5555"]
    compose_settings.main([str(folder / "variables.json"), *given])


def test_nothing_given(tmp_path: Path, asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    assert "efficientnet_lite0 with the weights of ImageNet, which are installed with us" in capsys.readouterr().out
    assert asked == [(None, None)]
    settings = json.loads((tmp_path / "variables.json").read_text())["orchard"]
    assert settings["extractor"] == ID
    assert settings["console"] == "http://localhost:5555"


def test_photos_and_weights_given(tmp_path: Path, asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos" / "Banana").mkdir(parents=True)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "LICENSE").touch()
    (tmp_path / "weights" / "mine.h5").touch()
    run(tmp_path)
    assert asked == [(tmp_path / "photos", str(tmp_path / "weights" / "mine.h5"))]
    assert f"has the weights of {tmp_path / 'weights' / 'mine.h5'}." in capsys.readouterr().out


def test_which_weights_are_meant_is_not_guessed(tmp_path: Path, asked: list[Any]) -> None:
    (tmp_path / "weights").mkdir()
    for name in ("a.h5", "b.keras"):
        (tmp_path / "weights" / name).touch()
    with pytest.raises(SystemExit, match=r"ORCHARD_WEIGHTS: expected .* one file of weights, got .*a\.h5, .*b\.keras"):
        run(tmp_path)
    assert not asked


def test_what_is_there_stays(tmp_path: Path, asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "variables.json").write_text("mine")
    run(tmp_path)
    assert not asked
    assert (tmp_path / "variables.json").read_text() == "mine"
    assert "left as they are" in capsys.readouterr().out
