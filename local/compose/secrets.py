"""Make the secrets that docker-compose's services share; what is there stays.

For an Airflow on one machine. A deployment takes its secrets from where it keeps them.
"""

import argparse
import base64
import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

USER = "admin"


def generate() -> dict[str, str]:
    """Return a file name and a new content for each secret."""
    return {
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "jwt_secret": secrets.token_urlsafe(48),
        "api_secret_key": secrets.token_urlsafe(48),
        "postgres_password": secrets.token_hex(24),  # it stands in an address
        "users.json": json.dumps({USER: secrets.token_urlsafe(12)}) + "\n",
    }


def keep_or_write(folder: Path) -> list[str]:
    """Write the secrets that are missing in a folder, each whole or not at all; return their names.

    Readable for owner and group only: the services share their group, not their user.
    """
    written = []
    for name, content in generate().items():
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f".{name}") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o660)
            try:
                os.link(file.name, folder / name)
            except FileExistsError:
                continue
            written.append(name)
    return written


def main(argv: Sequence[str] | None = None) -> None:
    """Make the secrets that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    written = keep_or_write(args.folder)
    print(f"Secrets in {args.folder}: {', '.join(written) or 'none'} made, others kept.")


if __name__ == "__main__":
    main()
