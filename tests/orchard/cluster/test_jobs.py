import os
import re
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchard.cluster.jobs import package, stage
from tests.airflow_home import REPOSITORY

JOBS = REPOSITORY / "spark_jobs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a small package with both scripts."""
    folder = tmp_path / "spark_jobs"
    folder.mkdir()
    for name in (
        "__init__.py",
        "extract_embeddings.py",
        "reduce_embeddings.py",
        "maintain_tables.py",
        "room/__init__.py",
        "room/log4j2.properties",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"# {name}\n")
    return folder


def keys(client: Any, bucket: str) -> dict[str, Any]:
    return {item["Key"]: item for item in client.list_objects_v2(Bucket=bucket).get("Contents", ())}


def test_what_is_packed(folder: Path) -> None:
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.py").write_text("x")
    (folder / "notes.txt").write_text("x")
    data, digest = package(folder)
    archive = zipfile.ZipFile(BytesIO(data))
    assert {name: archive.read(name).decode() for name in archive.namelist()} == {
        "spark_jobs/__init__.py": "# __init__.py\n",
        "spark_jobs/extract_embeddings.py": "# extract_embeddings.py\n",
        "spark_jobs/maintain_tables.py": "# maintain_tables.py\n",
        "spark_jobs/reduce_embeddings.py": "# reduce_embeddings.py\n",
        "spark_jobs/room/__init__.py": "# room/__init__.py\n",
        "spark_jobs/room/log4j2.properties": "# room/log4j2.properties\n",
    }
    assert re.fullmatch("[0-9a-f]{12}", digest)


def test_the_same_code_is_the_same_zip(folder: Path, tmp_path: Path) -> None:
    """Whenever, and wherever, its files were written."""
    again = tmp_path / "again" / "spark_jobs"
    again.mkdir(parents=True)
    for path in sorted((one for one in folder.rglob("*") if one.is_file()), reverse=True):
        copy = again / path.relative_to(folder)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
        os.utime(copy, (0, 0))
        copy.chmod(0o755)
    assert package(again) == package(folder)


@given(st.data())
def test_another_byte_is_another_name(data: st.DataObject) -> None:
    folder = data.draw(st.just(JOBS), "folder")
    paths = sorted(path for path in folder.rglob("*.py") if path.stat().st_size)
    changed = data.draw(st.sampled_from(paths))
    with pytest.MonkeyPatch.context() as patch:
        before = package(folder)[1]
        read = Path.read_bytes
        content = read(changed)
        where = data.draw(st.integers(0, len(content)))
        other = content[:where] + data.draw(st.binary(min_size=1, max_size=3)) + content[where:]
        patch.setattr(Path, "read_bytes", lambda path: other if path == changed else read(path))
        assert package(folder)[1] != before


def test_bytes_do_not_wander_from_file_to_file_unseen(folder: Path) -> None:
    (folder / "a.py").write_text("one")
    (folder / "b.py").write_text("two")
    before = package(folder)[1]
    (folder / "a.py").write_text("onet")
    (folder / "b.py").write_text("wo")
    assert package(folder)[1] != before
    (folder / "a.py").write_text("one")
    (folder / "b.py").rename(folder / "c.py")
    (folder / "c.py").write_text("two")
    assert package(folder)[1] != before


@pytest.mark.parametrize("script", ["extract_embeddings.py", "reduce_embeddings.py", "maintain_tables.py"])
def test_code_that_is_not_there(script: str, folder: Path) -> None:
    (folder / script).unlink()
    with pytest.raises(FileNotFoundError) as refused:
        package(folder)
    assert str(refused.value) == (
        f"Expected the jobs' code in {folder}, with {script} in it. "
        "spark_jobs/ is to stand beside plugins/ wherever Airflow's workers run."
    )


def test_staged_once(folder: Path, aws: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    root = f"s3://{bucket}/lake"
    digest = package(folder)[1]
    addresses = stage(s3, root, folder)
    assert addresses == {
        "package": f"{root}/code/spark_jobs-{digest}.zip",
        "extract_embeddings": f"{root}/code/{digest}/extract_embeddings.py",
        "reduce_embeddings": f"{root}/code/{digest}/reduce_embeddings.py",
        "maintain_tables": f"{root}/code/{digest}/maintain_tables.py",
    }
    staged = keys(s3, bucket)
    assert {f"s3://{bucket}/{key}" for key in staged} == set(addresses.values())

    calls: list[str] = []
    s3.meta.events.register("before-call.s3", calls_into := lambda model, **_: calls.append(model.name))
    assert stage(s3, root, folder) == addresses
    s3.meta.events.unregister("before-call.s3", calls_into)
    assert set(calls) == {"HeadObject"}
    assert keys(s3, bucket) == staged

    (folder / "reduce_embeddings.py").write_text("# another\n")
    others = stage(s3, root, folder)
    assert not set(others.values()) & set(addresses.values())
    assert {key: item for key, item in keys(s3, bucket).items() if key in staged} == staged
    script = others["reduce_embeddings"].removeprefix(f"s3://{bucket}/")
    assert s3.get_object(Bucket=bucket, Key=script)["Body"].read() == b"# another\n"


def test_staging_that_was_broken_off_is_gone_on_with(folder: Path, aws: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    addresses = stage(s3, f"s3://{bucket}", folder)
    for address in (addresses["package"], addresses["reduce_embeddings"]):
        s3.delete_object(Bucket=bucket, Key=address.removeprefix(f"s3://{bucket}/"))
    stage(s3, f"s3://{bucket}", folder)
    assert {f"s3://{bucket}/{key}" for key in keys(s3, bucket)} == set(addresses.values())


def test_the_zip_and_the_script_run_without_the_folder(aws: Any, bucket: str, tmp_path: Path) -> None:
    """As on a cluster: the package from --py-files, the script by itself."""
    s3 = aws.client("s3")
    addresses = stage(s3, f"s3://{bucket}", JOBS)
    for name, address in addresses.items():
        path = tmp_path / (f"{name}.zip" if name == "package" else f"{name}.py")
        s3.download_file(bucket, address.removeprefix(f"s3://{bucket}/"), str(path))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for script in ("extract_embeddings", "reduce_embeddings", "maintain_tables"):
        done = subprocess.run(
            [sys.executable, "-P", str(tmp_path / f"{script}.py"), "--help"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(tmp_path / "package.zip"), "MPLCONFIGDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"usage: {script} ")
