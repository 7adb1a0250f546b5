"""The lake's bucket, what the deployment put there, the photos, and the Glue database."""

from collections.abc import Iterator

from orchard.aws import read_object, split
from orchard.cluster import jobs
from orchard.commands.checks import Check, Failed, Subject, error_code
from orchard.instances import INSTANCES
from orchard.photos.listing import canonical_prefix
from orchard.photos.sieve import SUFFIXES, Sieve

_GONE = ("404", "NoSuchBucket", "NoSuchKey", "NotFound")
_DEPLOY = "`make deploy ENV=<env>` in Orchard's repository"


def _bucket(subject: Subject) -> str:
    return split(subject.settings.root)[0]


def bucket(subject: Subject) -> str:
    """Look whether the lake's bucket is there, and in the region."""
    from botocore.exceptions import ClientError

    name, region = _bucket(subject), subject.settings.region
    try:
        head = subject.client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        if error_code(error) in _GONE:
            raise Failed(f"there is no bucket {name}", f"{_DEPLOY} makes it; or mend the setting lake.") from error
        raise
    found = head.get("BucketRegion") or head["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", region)
    if found != region:
        raise Failed(f"{name} is in {found}, the settings say {region}", "Mend the setting region, or lake.")
    return f"s3://{name} in {found}"


def encryption(subject: Subject) -> str:
    """Look whether the bucket encrypts what is put into it."""
    from botocore.exceptions import ClientError

    try:
        found = subject.client("s3").get_bucket_encryption(Bucket=_bucket(subject))
    except ClientError as error:
        if error_code(error) == "ServerSideEncryptionConfigurationNotFoundError":
            raise Failed("the bucket has no default encryption", f"{_DEPLOY}, or set one on the bucket.") from error
        raise
    default = found["ServerSideEncryptionConfiguration"]["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    algorithm, key = default["SSEAlgorithm"], default.get("KMSMasterKeyID")
    if not algorithm.startswith("aws:kms"):
        return f"{algorithm}, not a key of yours: S3's own, and who may read the bucket needs no right to a key"
    return f"{algorithm} with {key}" if key else f"{algorithm} with AWS' key aws/s3, not a key of yours"


def public_access(subject: Subject) -> str:
    """Look whether anybody could make the bucket public."""
    from botocore.exceptions import ClientError

    try:
        found = subject.client("s3").get_public_access_block(Bucket=_bucket(subject))["PublicAccessBlockConfiguration"]
    except ClientError as error:
        if error_code(error) != "NoSuchPublicAccessBlockConfiguration":
            raise
        found = {}
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    if missing := [name for name in names if not found.get(name)]:
        raise Failed(
            f"public access is not blocked: {', '.join(missing)}",
            f"{_DEPLOY}; or `aws s3api put-public-access-block --bucket {_bucket(subject)} "
            f"--public-access-block-configuration {','.join(f'{name}=true' for name in names)}`.",
        )
    return "blocked"


def versioning(subject: Subject) -> str:
    """Look whether what is overwritten or deleted by mistake can be had back."""
    found = subject.client("s3").get_bucket_versioning(Bucket=_bucket(subject)).get("Status", "never enabled")
    if found != "Enabled":
        raise Failed(
            f"versioning is {found}",
            f"{_DEPLOY}; or `aws s3api put-bucket-versioning --bucket {_bucket(subject)} "
            "--versioning-configuration Status=Enabled`.",
        )
    return "enabled"


def photos(subject: Subject) -> str:
    """Look whether each prefix can be listed, and has a photo."""
    from botocore.exceptions import ClientError

    for prefix in subject.settings.prefixes:
        name, key = split(canonical_prefix(prefix))
        found, sieve = False, Sieve(subject.settings.leave_out)
        try:
            pages = subject.client("s3").get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=key)
            for page in pages:
                if found := any(
                    sieve.passes(one["Key"][len(key) :])
                    for one in page.get("Contents", ())
                    if not one["Key"].endswith("/")
                ):
                    break
        except ClientError as error:
            if error_code(error) in _GONE:
                raise Failed(f"there is no bucket {name}, of {prefix}", "Mend the setting prefixes.") from error
            raise
        if not found:
            raise Failed(
                f"no photo ({', '.join(SUFFIXES)}) is under {prefix}",
                f"Upload some, in a folder a label: `aws s3 cp --recursive photos/ {prefix.rstrip('/')}/`; "
                "or mend the setting prefixes.",
            )
    return "; ".join(
        (f"there are some under {', '.join(subject.settings.prefixes)}", *_alike(subject))  # as a prefix once took them
    )


def _alike(subject: Subject) -> Iterator[str]:
    """Name folders that begin like a prefix that is a folder beside them: who meant those, too, writes a ``*``."""
    for prefix in subject.settings.prefixes:
        name, key = split(prefix)
        if not key or key.endswith(("/", "*")):
            continue
        page = subject.client("s3").list_objects_v2(Bucket=name, Prefix=key, Delimiter="/")
        others = [one["Prefix"] for one in page.get("CommonPrefixes", ()) if one["Prefix"] != f"{key}/"]
        if others:
            yield f"not those under {', '.join(others[:3])}: if they are meant, too, the prefix is {prefix}*"


def _size(subject: Subject, address: str) -> int | None:
    """Return the bytes of an object, or None where there is none."""
    from botocore.exceptions import ClientError

    name, key = split(address)
    try:
        return int(subject.client("s3").head_object(Bucket=name, Key=key)["ContentLength"])
    except ClientError as error:
        if error_code(error) in _GONE:
            return None
        raise


def artefact(subject: Subject) -> str:
    """Look whether the extractor's artefact is on the lake's shelf."""
    address = f"{subject.settings.root}/extractors/{subject.settings.extractor}.zip"
    size = _size(subject, address)
    if size is None:
        raise Failed(f"there is no {address}", f"{_DEPLOY} exports and uploads one; or mend the setting extractor.")
    return f"{address}, {size / 1e6:.1f} MB"


def bootstrap(subject: Subject) -> str:
    """Look whether the folder that nodes start from is complete, for their architecture."""
    settings = subject.settings
    if settings.bootstrap is None:
        if settings.console is None:
            raise Failed(
                "the setting bootstrap is missing: the nodes' own Python has none of the jobs' packages",
                f"{_DEPLOY} uploads the folder and prints the setting.",
            )
        return "none: clusters of this machine run the jobs with its own Python"
    architecture = INSTANCES[settings.types[0]].architecture
    try:
        sums = read_object(subject.client("s3"), f"{settings.bootstrap}/SHA256SUMS").decode()
    except FileNotFoundError:
        raise Failed(f"there is no {settings.bootstrap}/SHA256SUMS", f"{_DEPLOY} uploads the folder.") from None
    names = [line.partition("  ")[2] for line in sums.splitlines()]
    sizes = {name: _size(subject, f"{settings.bootstrap}/{name}") for name in names}
    if missing := [name for name, size in sizes.items() if not size]:
        raise Failed(f"{', '.join(missing)} missing under {settings.bootstrap}", f"{_DEPLOY} uploads the folder.")
    if f"wheels-{architecture}.tar" not in sizes:
        raise Failed(
            f"{settings.bootstrap} has no wheels for {architecture}, which {settings.types[0]} is",
            f"{_DEPLOY} uploads them, once the environment's file has these instance types in its [settings].",
        )
    return f"{settings.bootstrap}, for {architecture}, {sum(filter(None, sizes.values())) / 1e6:.0f} MB"


def code(subject: Subject) -> str:
    """Look whether the jobs' code is where Airflow runs; a run uploads what is not in the lake."""
    try:
        _, digest = jobs.package(jobs.folder())
    except OSError as error:
        raise Failed(str(error), "Copy spark_jobs/ beside plugins/, wherever Airflow's workers run.") from error
    address = f"{subject.settings.root}/code/{jobs.folder().name}-{digest}.zip"
    return f"{address} is uploaded" if _size(subject, address) else f"a run will upload {address}"


def database(subject: Subject) -> str:
    """Look whether the Glue database is there."""
    from botocore.exceptions import ClientError

    name = subject.settings.database
    try:
        subject.client("glue").get_database(Name=name)
    except ClientError as error:
        if error_code(error) == "EntityNotFoundException":
            remedy = f"{_DEPLOY} makes it; or mend the setting database."
            raise Failed(f"Glue has no database {name}", remedy) from error
        raise
    return name


CHECKS = (
    Check("bucket", bucket, needed=True),
    Check("encryption", encryption),
    Check("public access", public_access),
    Check("versioning", versioning),
    Check("photos", photos, needed=True),
    Check("extractor", artefact, needed=True),
    Check("bootstrap", bootstrap, needed=True),
    Check("jobs' code", code, needed=True),
    Check("Glue database", database, needed=True),
)
