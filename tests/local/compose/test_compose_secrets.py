import base64
import json
import stat
from pathlib import Path

import pytest

from local.compose.secrets import main


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_secrets_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path)])
    first = contents(tmp_path)
    assert set(first) == {"fernet_key", "jwt_secret", "api_secret_key", "postgres_password", "users.json"}
    (tmp_path / "jwt_secret").unlink()
    capsys.readouterr()
    main([str(tmp_path)])
    assert capsys.readouterr().out == f"Secrets in {tmp_path}: jwt_secret made, others kept.\n"
    second = contents(tmp_path)
    assert second.pop("jwt_secret") != first.pop("jwt_secret")
    assert second == first


def test_secrets_are_what_their_readers_take(tmp_path: Path) -> None:
    main([str(tmp_path)])
    made = contents(tmp_path)
    assert len(base64.urlsafe_b64decode(made["fernet_key"])) == 32
    assert len(base64.urlsafe_b64decode(made["jwt_secret"])) == 48  # HS512 wants no less than its 64 characters
    assert len(made["jwt_secret"]) == 64
    assert made["postgres_password"].isalnum()
    (password,) = json.loads(made["users.json"]).values()
    assert len(password) >= 16


def test_secrets_are_for_owner_and_group_only_and_never_the_same(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        main([str(tmp_path / name)])
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o660 for path in (tmp_path / "a").iterdir())
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert not set(a.values()) & set(b.values())
