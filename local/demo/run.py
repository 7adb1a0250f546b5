"""Run: the demo from its first line to its last."""

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from local import prepare
from local.demo import machine, show
from local.demo.home import Home
from local.demo.machine import Ports
from local.demo.screen import Screen
from local.demo.story import MINIMUM, StoryError, labels, mirrored, tell
from local.demo.watch import DAG, Watch
from local.export import Export
from local.principals import AIRFLOW, NODE
from local.stack import BUCKET
from local.standalone import USER


@dataclass(frozen=True)
class Given:
    """What the user gave."""

    photos: Path | None
    weights: str | None
    per_label: int

    @classmethod
    def check(cls, photos: Path | None, weights: str | None, per_label: int) -> "Given":
        """Look at it before anything starts.

        Raises
        ------
        OSError, StoryError
            No such folder or file, or no photos.
        """
        if weights and not weights.startswith("random:") and weights != "imagenet":
            if not Path(weights).is_file():
                raise FileNotFoundError(f"{weights}: expected a file of weights; there is no such file.")
            with open(weights, "rb") as file:
                if not file.read(8).startswith((b"\x89HDF\r\n\x1a\n", b"PK")):
                    raise StoryError(f"{weights}: expected a file of Keras' weights, .h5 or .keras; it is neither.")
            weights = str(Path(weights).absolute())
        if photos is not None:
            photos = photos.absolute()
            tell(photos, prepare.find_photos(photos))
        elif per_label * 6 < MINIMUM:
            raise StoryError(f"--per-label {per_label}: expected {MINIMUM // 6} or more.")
        return cls(photos, weights or None, per_label)


class Demo:
    """One demo.

    Attributes
    ----------
    told : bool
        Whether it has come to its end: from then on, to be stopped is what it waits for.
    """

    def __init__(self, given: Given, home: Home, ports: Ports, screen: Screen) -> None:
        self.given, self.home, self.ports, self.screen = given, home, ports, screen
        self.told = False
        self._news = 0  # how many lines of them were said

    def tell(self, stack: ExitStack) -> None:
        """Start everything on `stack`, run three days, show what they made."""
        say, phase = self.screen.say, self.screen.phase
        say(f"Orchard's demo: the whole pipeline on this machine. Everything it makes is in {self.home.folder}")
        if killed := self.home.kill_processes():
            say(f"An earlier demo was killed; {killed} of its processes were left, and are ended now.")
        if self.home.forget():
            say("What an earlier demo made there is removed.")
        for port in self.ports.missed:
            say(f"Port {port} is in use: a free one is taken instead.")
        with phase("start"):
            # Side by side, as each waits for something else.
            self.machine = stack.enter_context(machine.running(self.home.folder, self.ports))
            os.environ.update(self.machine.stack.environment())
            export = stack.enter_context(Export(self.home.folder / "extractors", self.given.weights))
            say(f"Weights: {prepare.describe_weights(*export.trying)}")
            photos = self.given.photos or prepare.sample_photos(self.home.folder, self.given.per_label)
            self.story = tell(photos, prepare.find_photos(photos))
            say(f"Photos: {self._photos()}")
            self.screen.head("Starting S3, Glue, EMR and Airflow; exporting the extractor")
            self.s3 = prepare.client()
            prepare.make_bucket(self.s3)
            self._upload(self.story.keyed(self.story.first))
            self.prepared = prepare.shelve(self.s3, export.result(), len(self.story.first))
            self.client = self.machine.client()
            self._set_settings()
        aws = self.machine.stack
        say(f"       Airflow is at {self._airflow}, AWS at {aws.url}, EMR at {aws.emr_url}")
        say("       The policies of infra/orchard.yaml are enforced:")
        say(f"         Airflow is the user {AIRFLOW}, steps have the role {NODE}")
        self.watch = Watch(self.client, self.screen, self._check)
        self._day(1, self._first_day)
        self._day(2, self._second_day)
        self._day(3, lambda: "nothing new: no cluster is rented")
        with phase("show"):
            self._show()
        self.told = True

    def _check(self) -> None:
        """Say which service of Airflow died, and was started again.

        Raises
        ------
        DiedError
            A server ended by itself.
        """
        self.machine.check()
        for line in self.machine.airflow.news()[self._news :]:
            self.screen.say(f"       {line}")
            self._news += 1

    @property
    def _airflow(self) -> str:
        return f"{self.client.url} (user {USER}, password {self.machine.airflow.password})"

    def _photos(self) -> str:
        story, many = self.story, len(self.story.first) + len(self.story.second) + 1
        whose = story.folder if self.given.photos else f"drawn by our own code, in {story.folder}"
        return f"{many:,} of {len(labels((*story.first, *story.second)))} kinds, {whose}"

    def _upload(self, photos: Sequence[tuple[Path, str]]) -> None:
        started, many = time.monotonic(), len(photos)

        def tell_progress(done: int) -> None:
            if done % 50 == 0:
                rate = done / (time.monotonic() - started)
                self.screen.show(f"       … {done:,} of {many:,} photos uploaded, {(many - done) / rate:.0f} s left")
            if done % 5000 == 0:
                self._check()

        prepare.upload(self.s3, photos, tell=tell_progress)
        self.screen.say(f"       {many:,} photos are in s3://{BUCKET}/photos/ ({time.monotonic() - started:.0f} s)")

    def _set_settings(self) -> None:
        """Set Airflow's variable, where a person can see and change it."""
        settings = self.prepared.settings(self.machine.stack.emr_url)
        settings["max_reject_share"] = 0.5  # the second day brings a broken file on purpose
        self.settings = settings
        self.client.call("POST", "/variables", json={"key": "orchard", "value": json.dumps(settings, indent=2)})

    def _day(self, number: int, happens: Callable[[], str]) -> None:
        with self.screen.phase(f"day {number}"):
            self.screen.head(f"Day {number}: {happens()}")
            self.run_id = self.client.trigger(DAG, f"day-{number}")
            self.watch.follow(self.run_id)
        self.screen.say(f"       The run is green: {self.client.url}/dags/{DAG}/runs/{self.run_id}")

    def _first_day(self) -> str:
        return f"{len(self.story.first):,} photos of {len(labels(self.story.first))} kinds are new"

    def _second_day(self) -> str:
        """Add, change and delete photos, and say so."""
        story = self.story
        prepare.upload(self.s3, story.keyed(story.second))
        for photo in story.changed:
            self._put(prepare.key_of(photo, story.folder), mirrored(photo))
        for photo in story.deleted:
            self.s3.delete_object(Bucket=BUCKET, Key=prepare.key_of(photo, story.folder))
        self._put(story.broken, story.broken_photo())
        came = f" (among them all of {story.new_label}, a label not seen before)" if story.new_label else ""
        return (
            f"{len(story.second):,} new photos{came}, {len(story.changed)} replaced by others, "
            f"{len(story.deleted)} deleted, 1 broken"
        )

    def _put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def _show(self) -> None:
        say, lake, database = self.screen.say, str(self.settings["lake"]), "orchard"
        self.screen.head(f"What it made. The lake: {lake}, Iceberg tables in the Glue database {database}\n")
        say(show.tables(lake, database))
        say("\nClusters that lived, at AWS' prices:\n" + show.clusters(lake, database))
        asked = self.story.asked
        say(f"\nA photo of {asked.parent.name} that was never in the bucket: what is it, and which photos are nearest?")
        say(show.recognised(asked, lake))
        last = "day-2"
        page = self.home.folder / "report.html"
        if show.report(self.s3, last, page):
            say(f"\nThe second day's report: {page}")
            say(f"  also at {self.client.url}/orchard/reports/{last} and {lake}/reports/{last}.html")
        else:
            say(f"\nThe second day has no report: another run took its photos, and {last} had nothing to do.")
            say(f"  The runs of {DAG}, with their reports: {self.client.url}/dags/{DAG}/runs")
        say(f"\nWeights: {self.prepared.describe()}")
        say("Seconds: " + ", ".join(f"{name} {seconds:.0f}" for name, seconds in self.screen.phases.items()))

    def leave(self) -> None:
        """Say what is left."""
        data = self.machine.stack.data
        self.screen.say(f"\nThe lake stays until the next demo; to serve it: .venv/bin/python -m local --data {data}")

    def stay(self) -> None:
        """Wait for the end, which a signal brings.

        Raises
        ------
        DiedError
            A server ended by itself.
        """
        stack = self.machine.stack
        say = self.screen.say
        self.screen.head(f"Airflow stays up at {self._airflow} until Ctrl-C.")
        say(f"       Go on: add, change or delete photos, and press Trigger at {self.client.url}/dags/{DAG}")
        say(
            f"         AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=eu-west-1 \\\n"
            f"           aws --endpoint-url {stack.url} s3 cp photo.jpg s3://{BUCKET}/photos/Banana/\n"
            f"       What EMR does: {stack.emr_url}, or aws --endpoint-url {stack.emr_url} emr list-clusters"
        )
        while True:
            time.sleep(2)
            self._check()
