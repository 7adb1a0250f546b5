import subprocess
import sys
from pathlib import Path

import pytest

from local.demo.home import MARK, Home, HomeError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv(MARK, "put back in the end")
    return Home(tmp_path / "demo")


def test_one_demo_at_a_time(home: Home) -> None:
    with (
        home.taken("http://localhost:1"),
        pytest.raises(HomeError, match=r"process \d+, Airflow at http://localhost:1.*DATA="),
        home.taken("http://localhost:2"),
    ):
        pass
    with home.taken("http://localhost:3"):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    with pytest.raises(HomeError, match="no demo's"), Home(tmp_path).taken("http://localhost:1"):
        pass
    assert (tmp_path / "airflow").is_dir()


def test_what_a_demo_did_is_forgotten_and_what_it_may_use_again_is_not(home: Home) -> None:
    with home.taken("http://localhost:1"):
        assert not home.forget()
        for name in ("aws", "airflow", "extractors", "photos-40"):
            (home.folder / name).mkdir()
        (home.folder / "report.html").touch()
        assert home.forget()
        assert sorted(path.name for path in home.folder.iterdir()) == ["demo.lock", "extractors", "photos-40"]


def test_processes_of_a_killed_demo_are_found_and_ended(home: Home, tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    with home.taken("http://localhost:1"):
        ours = subprocess.Popen(sleep, stdout=subprocess.PIPE)
        other = subprocess.Popen(sleep, stdout=subprocess.PIPE, env={MARK: str(tmp_path / "other")})
        try:
            for process in (ours, other):
                assert process.stdout is not None
                process.stdout.readline()
            assert [process.pid for process in home.processes()] == [ours.pid]
            assert home.kill_processes() == 1
            assert ours.wait(10) == -9
            assert other.poll() is None
        finally:
            for process in (ours, other):
                process.kill()
                process.communicate()
