"""S3, from where steps get their artefacts and where their logs go."""

import functools
import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# s3n and s3a are Hadoop's other names for it.
URI = re.compile(r"s3[na]?://(?P<bucket>[^/]+)/?(?P<key>.*)", re.DOTALL)


class S3Error(RuntimeError):
    """S3 did not give or take something; the message says what, and why."""


def is_s3(uri: str) -> bool:
    return URI.fullmatch(uri) is not None


class S3:
    """One S3, seen by a client that gives up soon.

    Parameters
    ----------
    credentials : Mapping
        As environment variables name them; default: what boto3 finds.
    """

    def __init__(
        self, endpoint: str | None, region: str, credentials: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.endpoint = endpoint
        self._region = region
        self._credentials = {name.lower(): value for name, value in credentials.items()}

    @functools.cached_property
    def _client(self) -> Any:
        config = Config(
            s3={"addressing_style": "path"} if self.endpoint else {},
            connect_timeout=5,
            read_timeout=20,
            retries={"total_max_attempts": 3, "mode": "standard"},
        )
        session = boto3.session.Session(region_name=self._region, **self._credentials)
        return session.client("s3", endpoint_url=self.endpoint, config=config)

    def fetch(self, uri: str, target: Path) -> Path:
        """Download one object."""
        bucket, key = _split(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._client.download_file(bucket, key, str(target))
        except (BotoCoreError, ClientError) as error:
            raise S3Error(f"{uri} could not be fetched{self._where()}: {error}") from error
        return target

    def put_gzipped(self, path: Path, uri: str) -> None:
        """Upload a file, compressed."""
        bucket, key = _split(uri)
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=gzip.compress(path.read_bytes(), mtime=0))
        except (BotoCoreError, ClientError) as error:
            raise S3Error(f"{uri} could not be written{self._where()}: {error}") from error

    def _where(self) -> str:
        return f" (S3 at {self.endpoint})" if self.endpoint else ""


def _split(uri: str) -> tuple[str, str]:
    match = URI.fullmatch(uri)
    if match is None:
        raise S3Error(f"{uri!r} is no address in S3, expected s3://bucket/key")
    return match["bucket"], match["key"]
