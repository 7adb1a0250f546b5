"""Aws: clients of AWS with the credentials, region and endpoints of Airflow's connection ``aws_default``.

Where there is no such connection, boto3's own chain is asked: environment, profile, role.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchard.photos.bucket import THREADS

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

CONNECTION = "aws_default"
RETRIES = {"retries": {"mode": "adaptive", "max_attempts": 10}}  # EMR's API is throttled by account


def hook(service: str, region: str, **config: Any) -> Any:
    """Make the provider's hook for a service; `config` is botocore's, in place of `RETRIES`."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from botocore.config import Config

    wide = Config(**{**RETRIES, **config}, max_pool_connections=THREADS)  # as discovery lists
    return AwsGenericHook(aws_conn_id=CONNECTION, client_type=service, region_name=region, config=wide)


def client(service: str, region: str) -> Any:
    """Open a boto3 client."""
    return hook(service, region).conn


def never_twice(boto_client: Any, *operations: str) -> Any:
    """Let botocore send calls again only when the first was not done for certain; return the client.

    Without this, it sends RunJobFlow a second time when the connection breaks before the answer: two clusters. Then the
    call fails here instead, and the task's retry looks for what it left. A call that was refused (throttled), or never
    sent, is sent again.

    Parameters
    ----------
    operations : str
        Those that do something each time that they are sent, and take no token.
    """
    events = boto_client.meta.events
    service = boto_client.meta.service_model.service_id.hyphenize()
    for operation in operations:
        events.register_first(f"needs-retry.{service}.{operation}", _stop_when_in_doubt, f"never-twice-{operation}")
    return boto_client


def _stop_when_in_doubt(response: Any, caught_exception: Exception | None, operation: Any, **_: Any) -> None:
    """Raise what happened, which ends botocore's retries in all its versions, or leave it to the next handler."""
    from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

    if caught_exception is not None:
        if not isinstance(caught_exception, (ConnectTimeoutError, EndpointConnectionError)):
            raise caught_exception
        return
    answer, parsed = response
    if answer.status_code >= 500:
        raise ClientError(parsed, operation.name)


def catalog_properties(region: str) -> dict[str, str]:
    """Tell pyiceberg what the connection says; nothing where there is none, so that roles refresh by themselves."""
    glue = hook("glue", region)
    properties = {"glue.region": region, "s3.region": region}
    for service in ("glue", "s3"):
        if endpoint := glue.conn_config.get_service_endpoint_url(service):
            properties[f"{service}.endpoint"] = endpoint
    if glue.conn_config.conn_id:
        credentials = glue.get_credentials(region_name=region)
        for service in ("glue", "s3"):
            properties[f"{service}.access-key-id"] = credentials.access_key
            properties[f"{service}.secret-access-key"] = credentials.secret_key
            if credentials.token:
                properties[f"{service}.session-token"] = credentials.token
    return properties


def catalog(lake: str, database: str, region: str) -> "Catalog":
    """Open a lake's catalog with what the connection says."""
    from orchard.lake.tables import open_catalog

    return open_catalog(lake, database, catalog_properties(region))


def table_bucket(arn: str) -> "Catalog":
    """Open the catalog of an S3 table bucket, by the REST endpoint of S3 Tables."""
    from pyiceberg.catalog import load_catalog

    region = arn.split(":")[3]
    held = catalog_properties(region)
    properties = {
        "type": "rest",
        "uri": f"https://s3tables.{region}.amazonaws.com/iceberg",
        "warehouse": arn,
        "rest.sigv4-enabled": "true",
        "rest.signing-name": "s3tables",
        "rest.signing-region": region,
        "client.region": region,
    }
    secrets = ("access-key-id", "secret-access-key", "session-token")
    properties |= {f"client.{name}": held[f"s3.{name}"] for name in secrets if f"s3.{name}" in held}
    return load_catalog("s3tables", **properties)


def split(address: str) -> tuple[str, str]:
    """Split ``s3://bucket/key``."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def read_object(s3: Any, address: str) -> bytes:
    """Read an object.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    bucket, key = split(address)
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket) as error:
        raise FileNotFoundError(address) from error


def exists(s3: Any, address: str) -> bool:
    """Say whether an object is there."""
    bucket, key = split(address)
    return _found(s3.head_object, Bucket=bucket, Key=key)


def bucket_exists(s3: Any, address: str) -> bool:
    """Say whether the bucket of an address is there."""
    return _found(s3.head_bucket, Bucket=split(address)[0])


def _found(head: Callable[..., Any], **what: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        head(**what)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "NoSuchBucket", "NotFound"):
            return False
        raise
    return True


def write_object(s3: Any, address: str, data: bytes, content_type: str) -> None:
    """Write an object."""
    bucket, key = split(address)
    s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)
