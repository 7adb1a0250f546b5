"""Prepare: a bucket that the DAG can run on: photos, an extractor's artefact, and the settings that name both.

For the demo and docker-compose; on AWS the deployment does this.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.export import Export, Exported
from local.principals import SETTINGS, TAGS
from local.sample_photos import LABELS, write_sample_photos
from local.stack import BUCKET, REGION
from orchard.photos.sieve import SUFFIXES, Sieve
from spark_jobs.extractor.architectures import OFFLINE

_AT_ONCE = 8


@dataclass(frozen=True)
class Prepared:
    """What the bucket holds now.

    Attributes
    ----------
    photos : int
        Uploaded.
    architecture, weights : str
        What the extractor was made of, the weights as for ``export_extractor``.
    """

    bucket: str
    photos: int
    extractor_id: str
    architecture: str
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
            "tags": {"project": "orchard", **TAGS},
            **SETTINGS,
        }

    def describe(self) -> str:
        """Say which weights the extractor has, as that decides what its features are good for."""
        return describe_weights(self.architecture, self.weights)


def describe_weights(architecture: str, weights: str) -> str:
    """Say what an extractor of such weights is good for."""
    if weights.startswith("random:"):
        return "The extractor has RANDOM weights, as was asked for. All works, but it recognises less than it would."
    if architecture == OFFLINE:
        return (
            f"The extractor is {OFFLINE} with the weights of ImageNet, which are installed with us, as MobileNetV2's "
            "cannot be downloaded here and no file was given."
        )
    return f"The extractor has the weights of {'ImageNet' if weights == 'imagenet' else weights}."


def prepare(folder: Path, photos: Path | None = None, weights: str | None = None, bucket: str = BUCKET) -> Prepared:
    """Make the bucket, upload the photos, and put an artefact on the lake's shelf.

    Parameters
    ----------
    folder : Path
        Where sample photos and artefacts are kept.
    photos : Path, optional
        A folder of photos, a folder a label; default: sample photos, rendered into `folder`.
    weights : str, optional
        As for `Export`.
    """
    # The export takes seconds of one core; the upload waits for the disk.
    with Export(folder / "extractors", weights) as export:
        photos = photos or sample_photos(folder)
        files = find_photos(photos)
        s3 = client()
        make_bucket(s3, bucket)
        upload(s3, [(path, key_of(path, photos)) for path in files], bucket)
        exported = export.result()
    return shelve(s3, exported, len(files), bucket)


def client() -> Any:
    """Open a client of S3 for `upload`."""
    return boto3.client("s3", config=Config(max_pool_connections=_AT_ONCE))


def sample_photos(folder: Path, per_label: int = 40) -> Path:
    """Render sample photos into a folder below `folder`, once; return it."""
    photos = folder / f"photos-{per_label}"
    if not photos.exists():
        # Whole or not at all, should this be interrupted.
        rendered = Path(tempfile.mkdtemp(dir=_made(folder), prefix="rendering-"))
        write_sample_photos(rendered, LABELS[:6], per_label, 100, 0)
        rendered.rename(photos)
    return photos


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def find_photos(folder: Path) -> list[Path]:
    """Find the files of a folder that are named like photos.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        There is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder of photos, one folder a label; there is no such folder.")
    sieve = Sieve()
    files = (path for path in folder.rglob("*") if path.is_file())
    found = sorted(path for path in files if sieve.passes(path.relative_to(folder).as_posix()))
    if not found:
        raise FileNotFoundError(
            f"{folder}: expected photos ({', '.join(SUFFIXES)}), one folder a label, such as {folder}/Banana/1.jpg; "
            "found none."
        )
    return found


def make_bucket(s3: Any, bucket: str = BUCKET) -> None:
    """Make the bucket where it is missing."""
    if bucket not in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})


def upload(
    s3: Any, photos: Sequence[tuple[Path, str]], bucket: str = BUCKET, tell: Callable[[int], None] | None = None
) -> None:
    """Upload files under keys; `tell` hears how many there are so far."""

    def put(photo: tuple[Path, str]) -> None:
        s3.put_object(Bucket=bucket, Key=photo[1], Body=photo[0].read_bytes())

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for number, _ in enumerate(pool.map(put, photos), start=1):
                if tell is not None:
                    tell(number)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def key_of(path: Path, photos: Path) -> str:
    """Return the key of a photo of a folder."""
    return f"photos/{path.relative_to(photos).as_posix()}"


def shelve(s3: Any, exported: Exported, photos: int, bucket: str = BUCKET) -> Prepared:
    """Put the artefact on the lake's shelf."""
    s3.upload_file(str(exported.artefact), bucket, f"lake/extractors/{exported.artefact.name}")
    return Prepared(bucket, photos, exported.artefact.stem, exported.architecture, exported.weights)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the AWS that the environment names, and print the settings as JSON."""
    parser = argparse.ArgumentParser(prog="python -m local.prepare", description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photos (default: sample photos)")
    parser.add_argument("--weights", help="of mobilenet_v2, as for export_extractor (default: see local.export)")
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
