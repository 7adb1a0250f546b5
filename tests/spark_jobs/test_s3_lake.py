"""The same on S3 and Glue: photos, artefact and tables in a bucket, and keys that only S3 allows."""

import json
from pathlib import Path

import boto3

from orchard.lake.lease import alone
from orchard.lake.tables import open_catalog
from tests.conftest import REGION, Call, RunLocal
from tests.lakes import sample, told


def etags(bucket: str) -> dict[str, str]:
    """List what a lake's tables hold."""
    listed = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="lake/tables/")
    return {item["Key"]: item["ETag"] for page in listed for item in page["Contents"]}


def test_days_of_growth(
    aws: object, bucket: str, small_artefact: Path, tmp_path: Path, run_local: RunLocal, call: Call
) -> None:
    s3 = boto3.client("s3")
    paths = sample(tmp_path, per_label=3)
    keys = [f"photos/{path.relative_to(tmp_path)}" for path in paths]
    keys += ["photos/Fig//double.jpg", "photos/./Fig/dot.jpg", "photos/Fig/new\nline.jpg", "photos/Fig/100% +=é🍑.jpg"]
    for number, key in enumerate(keys):
        s3.put_object(Bucket=bucket, Key=key, Body=paths[number % len(paths)].read_bytes())
    s3.put_object(Bucket=bucket, Key="photos/Fig/text.jpg", Body=b"no photo")
    arguments = (f"s3://{bucket}/photos/", "--lake", f"s3://{bucket}/lake", "--database", "fruits", "--components", "3")

    (first,) = run_local(*arguments, "--extractor", small_artefact)
    known = {"relabelled": 0, "unlabelled": 0, "examples": [], "rule": "parent", "left_out": {}}
    notes = first["found"].pop("notes")
    assert notes == [
        f"The same bytes under another name: 4 photos, such as s3://{bucket}/{keys[1]}, those of "
        f"s3://{bucket}/{keys[-3]}; each counts, and what is measured on them is too good."
    ]
    assert told(first) == {"listed": 17, "added": 17, "changed": 0, "deleted": 0, "left": 0, **known}
    assert (first["extracted"]["embedded"], first["extracted"]["rejected"]) == (16, 1)

    with alone(f"s3://{bucket}/lake", "another run"):
        refused = call("run_local", *arguments)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: Another run works on the lake s3://{bucket}/lake: another run on ")
    assert refused.stderr.endswith(" UTC. Wait until it has ended.\n")

    s3.delete_object(Bucket=bucket, Key=keys[0])
    s3.put_object(Bucket=bucket, Key=keys[-4], Body=paths[5].read_bytes())
    (second,) = run_local(*arguments)
    (note,) = second["found"].pop("notes")  # of the photos that have changed
    assert note.startswith("The same bytes under another name: 1 photo, such as ")
    assert told(second) == {"listed": 16, "added": 0, "changed": 1, "deleted": 1, "left": 0, **known}
    catalog = open_catalog(f"s3://{bucket}/lake", "fruits")
    for table in ("embeddings", "coordinates"):
        rows = catalog.load_table(("fruits", table)).scan(selected_fields=("uri", "label")).to_arrow().to_pylist()
        assert sorted(row["uri"] for row in rows) == sorted(f"s3://{bucket}/{key}" for key in keys[1:])
    assert {row["label"] for row in rows if row["uri"].endswith("dot.jpg")} == {"Fig"}

    lake = ("--lake", f"s3://{bucket}/lake", "--database", "fruits")
    (answer,) = json.loads(call("recognise", f"s3://{bucket}/{keys[-4]}", *lake, "--json").stdout)
    assert answer["neighbours"][0]["distance"] < 1e-3
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="lake/exports/")["Contents"]
    names = {item["Key"].rpartition("/")[2] for item in listed}
    assert {"map.png", "variance.svg", "variance.csv"} <= names

    # The lake's prefix, synchronised to another bucket, is a lake there once its tables name that one.
    other = f"{bucket}-copy"
    s3.create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": REGION})
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="lake/"):
        for item in page["Contents"]:
            s3.copy_object(Bucket=other, Key=item["Key"], CopySource={"Bucket": bucket, "Key": item["Key"]})
    copy = ("--lake", f"s3://{other}/lake", "--database")
    for database, why in (("fruits", "they are another lake's"), ("copy", "is that of the database fruits")):
        refused = call("run_local", f"s3://{bucket}/photos/", *copy, database)
        assert (refused.returncode, why in refused.stderr.splitlines()[-1]) == (2, True), refused.stderr
    original = etags(bucket)
    assert call("move_lake", f"s3://{other}/lake", "--database", "copy").returncode == 0
    s3.put_object(Bucket=bucket, Key="photos/Fig/late.jpg", Body=paths[7].read_bytes())
    (third,) = run_local(f"s3://{bucket}/photos/", *copy, "copy", "--components", "3")
    (note,) = third["found"].pop("notes")
    assert note.startswith("The same bytes under another name: 1 photo, such as ")
    assert told(third) == {"listed": 17, "added": 1, "changed": 0, "deleted": 0, "left": 0, **known}
    assert (third["reduced"]["photos"], etags(bucket)) == (16, original)
