"""Prepare: a bucket that the DAG can run on: photos, an extractor's artefact, and the settings that name both.

For the demo and docker-compose; on AWS the deployment does this.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from local.sample_photos import LABELS, write_sample_photos
from local.stack import REGION

BUCKET = "orchard"
_ROOT = Path(__file__).parent.parent
RANDOM = "random:0"


@dataclass(frozen=True)
class Prepared:
    """What the bucket holds now.

    Attributes
    ----------
    photos : int
        Uploaded.
    weights : str
        What the extractor was made of: imagenet, a file, or `RANDOM`.
    """

    bucket: str
    photos: int
    extractor_id: str
    weights: str

    def settings(self, console: str) -> dict[str, Any]:
        """Return the settings of the control plane, for a cluster that is quick to answer."""
        return {
            "lake": f"s3://{self.bucket}/lake",
            "prefixes": [f"s3://{self.bucket}/photos/"],
            "extractor": self.extractor_id,
            "region": REGION,
            "poll_seconds": 1,
            "log_seconds": 20,
            "console": console,
            "tags": {"project": "orchard"},
        }

    def describe(self) -> str:
        """Say which weights the extractor has, as that decides what its features are good for."""
        if self.weights == RANDOM:
            return (
                "The extractor has RANDOM weights: ImageNet's could not be downloaded here, and no file was given "
                "(WEIGHTS=file). All works, but what it recognises is poorer than it would be."
            )
        return f"The extractor has the weights of {self.weights}."


def prepare(folder: Path, photos: Path | None = None, weights: str | None = None, bucket: str = BUCKET) -> Prepared:
    """Make the bucket, upload the photos, and put an artefact on the lake's shelf.

    Parameters
    ----------
    folder : Path
        Where sample photos and artefacts are kept.
    photos : Path, optional
        A folder of photos, a folder a label; default: sample photos, rendered into `folder`.
    weights : str, optional
        As for ``export_extractor``; default: ImageNet's where they can be had, else random ones.
    """
    if photos is None:
        photos = folder / "photos"
        if not photos.exists():
            write_sample_photos(photos, LABELS[:6], 40, 100, 0)
    elif not photos.is_dir():
        raise NotADirectoryError(f"{photos}: expected a folder of photos, one folder a label.")
    s3 = boto3.client("s3")
    if bucket not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    # The export takes seconds of one core; the upload waits for the disk.
    with ThreadPoolExecutor(1) as beside:
        exported = beside.submit(export, folder / "extractors", weights)
        uploaded = upload(s3, photos, bucket)
        artefact, weights = exported.result()
    s3.upload_file(str(artefact), bucket, f"lake/extractors/{artefact.name}")
    return Prepared(bucket, uploaded, artefact.stem, weights)


def upload(s3: Any, photos: Path, bucket: str = BUCKET) -> int:
    """Upload a folder of photos under ``photos/``; return how many."""
    files = [path for path in sorted(photos.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: s3.upload_file(str(path), bucket, key_of(path, photos)), files))
    return len(files)


def key_of(path: Path, photos: Path) -> str:
    """Return the key of a photo of a folder."""
    return f"photos/{path.relative_to(photos).as_posix()}"


def export(folder: Path, weights: str | None) -> tuple[Path, str]:
    """Export the default extractor, once; return its artefact and its weights.

    Raises
    ------
    RuntimeError
        With what the export said.
    """
    told = folder / "weights.json"
    if told.exists():
        kept = json.loads(told.read_text())
        if kept["asked"] == weights and (folder / kept["artefact"]).exists():
            return folder / kept["artefact"], kept["weights"]
    folder.mkdir(parents=True, exist_ok=True)
    tries = [weights] if weights else ["imagenet", RANDOM]
    for number, one in enumerate(tries):
        # A process of its own: tensorflow would stay in this one's memory.
        command = [sys.executable, "-m", "spark_jobs.export_extractor", "--weights", one, "--out", str(folder)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            artefact = folder / f"{done.stdout.split()[-1]}.zip"
            told.write_text(json.dumps({"asked": weights, "weights": one, "artefact": artefact.name}))
            return artefact, one
        if number + 1 == len(tries):
            raise RuntimeError(f"The extractor could not be exported:\n{done.stderr[-2000:]}")
    raise AssertionError("unreachable: there is always one try")


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the AWS that the environment names, and print the settings as JSON."""
    parser = argparse.ArgumentParser(prog="python -m local.prepare", description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photos (default: sample photos)")
    parser.add_argument("--weights", help="as for export_extractor (default: ImageNet's, else random ones)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "orchard", help="for what is made")
    parser.add_argument("--console", default="http://localhost:5555", help="where people look at clusters")
    options = parser.parse_args(argv)
    if "AWS_ENDPOINT_URL" not in os.environ:
        parser.error("AWS_ENDPOINT_URL is not set: this is for an AWS on this machine, and AWS itself is left alone")
    prepared = prepare(options.folder, options.photos, options.weights)
    print(prepared.describe(), file=sys.stderr)
    print(json.dumps(prepared.settings(options.console)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
