"""Data: what a stack retains, and how it is destroyed when somebody says so outright; done again, it goes on."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

Tell = Callable[[str], None]
KEY_DAYS = 30  # until a key is gone, and with it all that it encrypted; until then `aws kms cancel-key-deletion`
_GONE = (
    "404", "EntityNotFoundException", "NoSuchBucket", "NotFoundException",
)  # fmt: skip


def destroy(session: Any, resources: Sequence[dict[str, Any]], tell: Tell) -> None:
    """Destroy the data among a stack's resources: tables, all versions of all objects, and the key.

    Parameters
    ----------
    resources : sequence of dict
        As `Stack.resources` gives them.
    """
    for kind, remove in (
        ("AWS::Glue::Database", _remove_database),
        ("AWS::S3::Bucket", _remove_bucket),
        ("AWS::KMS::Key", _remove_key),
    ):
        for one in resources:
            if one["ResourceType"] == kind:
                try:
                    tell(f"  {remove(session, one['PhysicalResourceId'])}")
                except ClientError as error:
                    if error.response["Error"]["Code"] not in _GONE:
                        raise
                    tell(f"  {one['PhysicalResourceId']} was gone already")


def _remove_database(session: Any, name: str) -> str:
    glue = session.client("glue")
    pages = glue.get_paginator("get_tables").paginate(DatabaseName=name)
    tables = [one["Name"] for page in pages for one in page["TableList"]]
    for table in tables:
        glue.delete_table(DatabaseName=name, Name=table)
    glue.delete_database(Name=name)
    return f"Glue database {name} with {len(tables)} tables is gone"


def _remove_bucket(session: Any, name: str) -> str:
    s3 = session.client("s3")
    uploads = s3.get_paginator("list_multipart_uploads").paginate(Bucket=name)
    for one in [one for page in uploads for one in page.get("Uploads", ())]:
        s3.abort_multipart_upload(Bucket=name, Key=one["Key"], UploadId=one["UploadId"])
    removed = 0
    for batch in _versions(s3, name):
        answer = s3.delete_objects(Bucket=name, Delete={"Objects": batch, "Quiet": True})
        if errors := answer.get("Errors"):
            raise ClientError({"Error": errors[0]}, "DeleteObjects")
        removed += len(batch)
    s3.delete_bucket(Bucket=name)
    return f"bucket {name} with {removed:,} objects and versions is gone"


def _versions(s3: Any, bucket: str) -> Iterator[list[dict[str, str]]]:
    """Yield all versions and delete markers, a thousand at a time: as many as one request deletes."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        for start in range(0, len(found), 1000):
            yield [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found[start : start + 1000]]


def _remove_key(session: Any, key: str) -> str:
    kms = session.client("kms")
    state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    if state != "PendingDeletion":
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_DAYS)
    return f"key {key} goes in {KEY_DAYS} days; until then `aws kms cancel-key-deletion --key-id {key}` keeps it"
