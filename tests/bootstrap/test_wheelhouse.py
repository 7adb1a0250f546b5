"""The folder that nodes install from: the same content, the same name; in S3 it is whole, or without its sums."""

from pathlib import Path
from typing import Any

import pytest

from bootstrap import wheelhouse
from bootstrap.wheelhouse import WheelhouseError, build, main, stage, verify
from tests.bootstrap.small import fold
from tests.conftest import Aws


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let wheels be small, and count who asks for them."""
    asked: list[str] = []

    def download(text: str, architecture: str, folder: Path) -> list[Path]:
        asked.append(architecture)
        folder.mkdir()
        for name in ("b-1.0-py3-none-any.whl", f"a_name_longer_than_a_tar_once_took-{100 * '1'}-py3-none-any.whl"):
            (folder / name).write_text(f"{architecture} {len(text)}")
        return sorted(folder.iterdir())

    monkeypatch.setattr(wheelhouse, "download", download)
    return asked


def test_the_same_content_has_the_same_name(downloads: list[str], tmp_path: Path) -> None:
    first, second = build(tmp_path / "one"), build(tmp_path / "two")
    assert first.name == second.name
    assert len(first.name) == 64
    assert sorted(downloads) == ["aarch64", "aarch64", "x86_64", "x86_64"]
    assert sorted(path.name for path in first.iterdir()) == [
        "SHA256SUMS",
        "install.sh",
        "requirements-aarch64.txt",
        "requirements-x86_64.txt",
        "wheels-aarch64.tar",
        "wheels-x86_64.tar",
    ]
    assert all((first / path.name).read_bytes() == path.read_bytes() for path in second.iterdir())
    assert build(tmp_path / "one", ["x86_64"]).name != first.name


def test_wheels_that_are_there_are_not_fetched_again(
    downloads: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(tmp_path)
    downloads.clear()
    assert build(tmp_path) == first
    alone = build(tmp_path, ["aarch64"])
    assert alone != first
    other = tmp_path / "here"
    other.mkdir()
    for path in wheelhouse._HERE.glob("requirements*.txt"):
        (other / path.name).write_bytes(path.read_bytes())
    (other / "install.sh").write_text("another")
    monkeypatch.setattr(wheelhouse, "_HERE", other)
    assert build(tmp_path) not in (first, alone)
    assert downloads == []
    (other / "requirements.txt").write_text("another")
    build(tmp_path)
    assert downloads == ["x86_64"]


def test_a_damaged_one_is_made_anew(downloads: list[str], tmp_path: Path) -> None:
    made = build(tmp_path, ["x86_64"])
    (made / "wheels-x86_64.tar").write_text("damaged")
    with pytest.raises(WheelhouseError) as caught:
        verify(made)
    assert str(caught.value) == (
        f"{made}/wheels-x86_64.tar is missing or damaged: remove {made}, and `make wheelhouse`."
    )
    assert build(tmp_path, ["x86_64"]) == made
    assert downloads == ["x86_64", "x86_64"]
    assert verify(made) == ["install.sh", "requirements-x86_64.txt", "wheels-x86_64.tar"]


@pytest.mark.parametrize(
    ("engine", "architectures", "message"),
    [
        ("openvino", ["riscv64"], "'openvino' on x86_64 and aarch64; asked for: riscv64. Engines are: openvino, tenso"),
        ("openvino", [], "'openvino' on x86_64 and aarch64; asked for: none. Engines are: openvino, tensorflow."),
        ("tensorflow", ["x86_64", "aarch64"], "'tensorflow' on x86_64; asked for: x86_64, aarch64. Engines are"),
        ("torch", None, "'torch' on no architecture; asked for: none. Engines are: openvino, tensorflow."),
    ],
)
def test_what_there_is_not(engine: str, architectures: list[str] | None, message: str, tmp_path: Path) -> None:
    with pytest.raises(WheelhouseError, match=message):
        build(tmp_path / "out", architectures, engine)
    assert not (tmp_path / "out").exists()


def test_tensorflow_only_where_it_is_chosen(
    downloads: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--out", str(tmp_path), "--engine", "tensorflow"])
    folder = Path(capsys.readouterr().out.strip())
    assert "\ntensorflow==" in (folder / "requirements-x86_64.txt").read_text()
    assert downloads == ["x86_64"]
    main(["--out", str(tmp_path), "--arch", "x86_64"])
    folder = Path(capsys.readouterr().out.strip())
    assert "tensorflow" not in (folder / "requirements-x86_64.txt").read_text()


class Puts:
    """An S3 client that notes what is put, and breaks off at a name."""

    def __init__(self, s3: Any, breaks_at: str = "") -> None:
        self._s3, self._breaks_at, self.names = s3, breaks_at, list[str]()

    def head_object(self, **what: str) -> Any:
        return self._s3.head_object(**what)

    def upload_file(self, path: str, bucket: str, key: str, **more: Any) -> None:
        name = Path(path).name
        if name == self._breaks_at:
            raise ConnectionError("gone")
        self._s3.upload_file(path, bucket, key, **more)
        self.names.append(name)


def test_staging_puts_what_is_missing_and_the_sums_last(aws: Aws, bucket: str, tmp_path: Path) -> None:
    s3 = aws.client("s3")
    folder = fold(tmp_path, {"install.sh": b"#!", "wheels-x86_64.tar": b"tar", "wheels-aarch64.tar": b"other"})
    broken = Puts(s3, breaks_at="wheels-x86_64.tar")
    with pytest.raises(ConnectionError):
        stage(broken, f"s3://{bucket}/lake/", folder)
    assert broken.names == ["install.sh", "wheels-aarch64.tar"]
    again = Puts(s3)
    address = f"s3://{bucket}/lake/bootstrap/{folder.name}"
    assert stage(again, f"s3://{bucket}/lake", folder) == address
    assert again.names == ["wheels-x86_64.tar", "SHA256SUMS"]
    third = Puts(s3)
    assert stage(third, f"s3://{bucket}/lake", folder) == address
    assert third.names == []
    prefix = f"lake/bootstrap/{folder.name}/"
    found = {one["Key"].removeprefix(prefix) for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]}
    assert found == {"install.sh", "wheels-x86_64.tar", "wheels-aarch64.tar", "SHA256SUMS"}
    assert s3.get_object(Bucket=bucket, Key=f"{prefix}install.sh")["Body"].read() == b"#!"


def test_a_damaged_one_is_not_staged(aws: Aws, bucket: str, tmp_path: Path) -> None:
    folder = fold(tmp_path, {"install.sh": b"#!"})
    (folder / "install.sh").write_text("rm")
    with pytest.raises(WheelhouseError, match=r"install\.sh is missing or damaged"):
        stage(aws.client("s3"), f"s3://{bucket}/lake", folder)
    moved = folder.rename(tmp_path / "mine")
    with pytest.raises(WheelhouseError, match="mine is no wheelhouse, or a damaged one"):
        stage(aws.client("s3"), f"s3://{bucket}/lake", moved)
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket=bucket)
