"""Screenshots: the pictures of the README, taken anew from a running demo by a headless browser.

Not part of the demo: it wants a Chromium, the machine's own or Playwright's.
"""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from local.standalone import USER, Client

DAG = "orchard_daily"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WIDTH, _HEIGHT = 1440, 900
_ROOT = Path(__file__).parent.parent
_UP = re.compile(r"stays up at (?P<url>\S+) \(user \S+ password (?P<password>\S+)\)")


def take(url: str, password: str, folder: Path) -> list[Path]:
    """Take the pictures.

    Parameters
    ----------
    url : str
        Of an Airflow in which `DAG` ran.
    folder : Path
        Where ``grid.png``, ``form.png`` and ``report.png`` are written.
    """
    client = Client.log_in(url, USER, password)
    runs = client.call("GET", f"/dags/{DAG}/dagRuns", params={"order_by": "-run_after", "limit": 20})["dag_runs"]
    reports = [
        one["dag_run_id"]
        for one in runs
        if client.tasks(DAG, one["dag_run_id"]).get("report", {}).get("state") == "success"
    ]
    if not reports:
        raise RuntimeError(f"No run of {DAG} at {url} has a report yet: let the demo reach its end first.")
    folder.mkdir(parents=True, exist_ok=True)
    taken = []
    with _browser() as browser:
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
        _log_in(page, url, password)
        page.goto(f"{url}/dags/{DAG}")
        page.get_by_text("find_new_photos").first.wait_for()
        taken.append(_shoot(page, folder / "grid.png"))
        page.get_by_role("button", name="Trigger").first.click()
        page.set_viewport_size({"width": _WIDTH, "height": 3 * _HEIGHT})  # the whole form, opened
        page.get_by_text("Photo limit").first.wait_for()
        taken.append(_shoot(page.get_by_role("dialog"), folder / "form.png"))
        page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})
        page.goto(client.xcom(DAG, reports[0], "report", "_link_ReportLink"))
        taken.append(_shoot(page, folder / "report.png", full_page=True))
    return taken


@contextmanager
def _browser() -> Iterator[Browser]:
    own = next(filter(None, map(shutil.which, _BROWSERS)), None)
    with sync_playwright() as playwright:
        # Its sandbox wants rights that containers do not have; it only sees pages of this machine.
        browser = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _log_in(page: Page, url: str, password: str) -> None:
    page.goto(url)
    page.locator("input[name=username]").fill(USER)
    page.locator("input[name=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/**")
    page.get_by_text("Dags").first.wait_for()


def _shoot(shown: Page | Locator, path: Path, **options: Any) -> Path:
    time.sleep(1.5)  # until what moves has come to rest
    shown.screenshot(path=path, **options)
    return path


@contextmanager
def _demo(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Run a demo until it has told its story; give the address and the password of its Airflow."""
    command = [sys.executable, "-m", "local.demo", "--data", str(_ROOT / ".orchard" / "screenshots"), *arguments]
    demo = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        for line in demo.stdout or ():
            print(line, end="", flush=True)
            if up := _UP.search(line):
                yield up["url"], up["password"]
                return
        raise RuntimeError(f"The demo ended with {demo.wait()} before it had told its story.")
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Take the pictures of a demo of its own, or of one that is up."""
    parser = argparse.ArgumentParser(
        prog="python -m local.screenshots", description=__doc__, epilog="Other arguments are the demo's."
    )
    parser.add_argument("--url", help="of an Airflow that is up; default: a demo is run for it")
    parser.add_argument("--password", help=f"of its user {USER}")
    parser.add_argument("--out", type=Path, default=_ROOT / "docs" / "pictures", help="default: docs/pictures")
    options, demo = parser.parse_known_args(argv)
    with nullcontext((options.url, options.password)) if options.url else _demo(demo) as (url, password):
        for path in take(url.rstrip("/"), password, options.out):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
