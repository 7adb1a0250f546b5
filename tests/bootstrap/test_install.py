"""install.sh, as a node runs it: from S3 into a folder of its own, and each way that it can fail."""

import hashlib
import platform
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bootstrap.wheelhouse import stage
from tests.bootstrap.conftest import BIN, INSTALL, Install
from tests.bootstrap.small import fold, member, tar
from tests.conftest import Aws

MACHINE = platform.machine()
TAR, LIST = f"wheels-{MACHINE}.tar", f"requirements-{MACHINE}.txt"


@pytest.fixture(scope="module")
def uv(wheelhouse: Path) -> tuple[str, bytes]:
    """Give the wheel of uv in the wheelhouse: its name and content."""
    return member(wheelhouse / TAR, "uv-")


@pytest.fixture
def small(tmp_path: Path, uv: tuple[str, bytes]) -> Path:
    """Make a wheelhouse that installs uv, and nothing else: with it all goes well but the imports at the end."""
    pin = f"uv=={uv[0].split('-')[1]} --hash=sha256:{hashlib.sha256(uv[1]).hexdigest()}\n"
    return fold(tmp_path / "small", {LIST: pin.encode(), TAR: tar(dict([uv])), "install.sh": INSTALL.read_bytes()})


def put(aws: Aws, bucket: str, folder: Path) -> str:
    return stage(aws.client("s3"), f"s3://{bucket}/lake", folder)


def failure(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what install.sh says went wrong, without the time: the last line, and the only one on stderr."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    time, found, message = line.partition(" orchard bootstrap: FAILED: ")
    assert found and len(time) == len("12:34:56")
    return message


def shim(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return folder


@pytest.mark.long
def test_it_installs_once(wheelhouse: Path, install: Install, aws: Aws, bucket: str, prefix: Path) -> None:
    """What Spark then does with it is test_clean_root's."""
    address = put(aws, bucket, wheelhouse)
    prefix.mkdir(parents=True)
    (prefix / "left.by.a.try").touch()  # which was cut short
    done = install(address)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert [line.partition("bootstrap: ")[2] for line in done.stdout.splitlines()[:-1]] == [
        "fetching SHA256SUMS",
        f"fetching {LIST}",
        f"fetching {TAR}",
        "installing",
    ]
    assert f"{prefix} is ready: " in done.stdout.splitlines()[-1]
    assert not (prefix / "left.by.a.try").exists() and not (prefix / ".work").exists()
    assert not list(prefix.glob("lib/python3.11/site-packages/pyspark*"))

    # Twice is once: no more than a look, not even at S3.
    again = install(address, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert again.returncode == 0, again.stderr
    assert again.stdout.partition("bootstrap: ")[2] == f"{prefix} is there already, as {address} wants it\n"


@pytest.mark.parametrize("address", ["", "s3://bucket", "s3://bucket/bootstrap/abc", "/tmp/" + 64 * "a"])
def test_a_wrong_address(install: Install, address: str) -> None:
    assert failure(install(address)) == (
        "wrong address: expected s3://.../bootstrap/<64 hex digits>, which 'make deploy' prints; got " + f"'{address}'"
    )


def test_no_python(install: Install, tmp_path: Path) -> None:
    path = shim(tmp_path / "bin", "python3", "echo Python 3.9.25")
    message = failure(
        install(f"s3://bucket/bootstrap/{64 * 'a'}", path=path, ORCHARD_PYTHON="/usr/bin/python3.11.none")
    )
    assert message == (
        "no Python 3.11: '/usr/bin/python3.11.none' is none, and python3 is 'Python 3.9.25'; "
        "take a release with it: emr-7.1.0 or later, or emr-spark-8"
    )


def test_an_architecture_for_which_there_are_no_wheels(install: Install, tmp_path: Path) -> None:
    path = shim(tmp_path / "bin", "uname", "echo riscv64")
    assert failure(install(f"s3://bucket/bootstrap/{64 * 'a'}", path=path)) == (
        "wrong architecture: there are wheels for x86_64 and aarch64; this node is riscv64"
    )


def test_an_architecture_that_the_wheelhouse_was_not_made_for(
    install: Install, aws: Aws, bucket: str, tmp_path: Path
) -> None:
    address = put(aws, bucket, fold(tmp_path, {"wheels-other.tar": b""}))
    assert failure(install(address)) == (
        f"wrong architecture: this node is {MACHINE}, and the wheelhouse has no {TAR}; "
        f"take other instance types, or a wheelhouse made with ARCH={MACHINE}"
    )


LOOK = (
    "look whether it is there, whether the nodes' role may s3:GetObject it and kms:Decrypt with its key, "
    "and whether the subnet has an endpoint for S3. It said: "
)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "(404)"),
        ({"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN000000000"}, "(403)"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Could not connect to the endpoint URL"),
    ],
)
def test_no_access_to_s3(install: Install, bucket: str, prefix: Path, environment: dict[str, str], said: str) -> None:
    address = f"s3://{bucket}/lake/bootstrap/{64 * 'a'}"
    message = failure(install(address, **environment))
    assert message.startswith(f"no access to S3: {address}/SHA256SUMS could not be read; {LOOK}")
    assert said in message
    assert not list(prefix.iterdir())


def test_no_folder_and_no_sudo(install: Install, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = shim(tmp_path / "bin", "sudo", "exit 1")
    message = failure(install(f"s3://b/{64 * 'a'}", path=path, ORCHARD_PREFIX=str(tmp_path / "file" / "orchard")))
    assert message == (
        f"no folder: {tmp_path}/file/orchard cannot be made, nor by sudo; bootstrap actions run as hadoop, who may"
    )


@pytest.mark.parametrize("name", ["SHA256SUMS", LIST, TAR])
def test_a_damaged_file(install: Install, aws: Aws, bucket: str, small: Path, prefix: Path, name: str) -> None:
    address = put(aws, bucket, small)
    content = bytearray((small / name).read_bytes())
    content[len(content) // 2] ^= 1
    aws.client("s3").put_object(Bucket=bucket, Key=f"lake/bootstrap/{small.name}/{name}", Body=bytes(content))
    assert (
        failure(install(address)) == f"damaged: {address}/{name} is not what the address says; run 'make deploy' again"
    )
    assert not list(prefix.iterdir())


def test_an_import_error_and_a_second_try(install: Install, aws: Aws, bucket: str, small: Path, prefix: Path) -> None:
    for _ in range(2):  # the first left an environment, which is not taken for a good one
        message = failure(install(put(aws, bucket, small)))
        assert message.startswith("import error: what was installed cannot be imported. It said: Traceback")
        assert message.rstrip().endswith("ModuleNotFoundError: No module named 'boto3'")
    assert (prefix / "bin" / "uv").exists() and not (prefix / ".digest").exists()


def test_a_wheel_that_the_list_does_not_want(
    install: Install, aws: Aws, bucket: str, small: Path, tmp_path: Path
) -> None:
    """The list's hashes hold even where the wheelhouse was made wrongly."""
    other = (small / LIST).read_text().split("sha256:")[0] + f"sha256:{64 * '0'}\n"
    address = put(aws, bucket, fold(tmp_path, {LIST: other.encode(), TAR: (small / TAR).read_bytes()}))
    message = failure(install(address))
    assert message.startswith("not installed: uv pip install failed. It said: ")
    assert "Hash mismatch" in message and f"sha256:{64 * '0'}" in message


def test_a_tar_that_is_none(install: Install, aws: Aws, bucket: str, tmp_path: Path) -> None:
    address = put(aws, bucket, fold(tmp_path, {LIST: b"", TAR: b"no tar"}))
    message = failure(install(address))
    assert message.startswith(f"{TAR} cannot be unpacked. It said: tar: This does not look like a tar archive")


@pytest.mark.parametrize(
    ("megabytes", "said"),
    [(8, "Where it ended: no access to S3"), (48, " are needed; give the nodes a larger root volume")],
)
def test_a_full_disk(
    install: Install, aws: Aws, bucket: str, small: Path, prefix: Path, megabytes: int, said: str
) -> None:
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("needs a file system of a few MB: this user may not mount one (unshare --user --mount)")
    prefix.mkdir(parents=True)
    mount = f'mount -t tmpfs -o size={megabytes}m none "$0" && exec "$@"'
    unshare = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(prefix))
    message = failure(install(put(aws, bucket, small), *unshare))
    assert message.startswith("disk full: ")
    assert f" MB are free in {prefix}" in message and said in message


class _Metadata(BaseHTTPRequestHandler):
    """The instance metadata service, version 2: a token is PUT, and without it nothing is told."""

    def do_PUT(self) -> None:
        asked = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] == "60"
        self._answer(200 if asked else 400, b"the token")

    def do_GET(self) -> None:
        asked = self.path == "/latest/meta-data/placement/region"
        self._answer(200 if asked and self.headers["X-aws-ec2-metadata-token"] == "the token" else 401, b"eu-north-1")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def metadata() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Metadata) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_region_is_the_nodes_own(install: Install, metadata: str, tmp_path: Path) -> None:
    """A subnet without internet reaches its own region's S3 alone, and aws does not ask for the region everywhere."""
    path = shim(tmp_path / "bin", "aws", 'echo "$AWS_REGION $AWS_DEFAULT_REGION" >&2; exit 1')
    nowhere = {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}
    address = f"s3://b/{64 * 'a'}"
    message = failure(install(address, path=path, AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata, **nowhere))
    assert message.rstrip().endswith("It said: eu-north-1 eu-north-1")
    done = install(address, path=path, AWS_EC2_METADATA_SERVICE_ENDPOINT="http://127.0.0.1:9", **nowhere)
    assert "the instance metadata service does not tell the region; going on without" in done.stdout
    assert "no access to S3" in done.stderr


def test_shellcheck() -> None:
    done = subprocess.run([BIN / "shellcheck", INSTALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
