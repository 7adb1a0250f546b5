"""The queue that tells of new photos, where there is one, and whether the buckets tell it."""

from orchard.aws import split
from orchard.commands.checks import Check, Failed, Subject, Unknown, error_code

_NONE = "none: photos wait for the daily run"
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


def queue(subject: Subject) -> str:
    """Look whether the queue is there, and how much waits in it."""
    if subject.settings.events_queue is None:
        return _NONE
    found = _attributes(subject)
    return f"{found['QueueArn']}, about {found['ApproximateNumberOfMessages']} messages wait"


def bucket(subject: Subject) -> str:
    """Look whether each bucket with photos tells the queue of new objects."""
    if subject.settings.events_queue is None:
        return _NONE
    arn = _attributes(subject)["QueueArn"]
    told, by_others = [], []
    for name in dict.fromkeys(split(prefix)[0] for prefix in subject.settings.prefixes):
        found = subject.client("s3").get_bucket_notification_configuration(Bucket=name)
        if any(
            one["QueueArn"] == arn and any(event.startswith("s3:ObjectCreated:") for event in one["Events"])
            for one in found.get("QueueConfigurations", ())
        ):
            told.append(name)
        elif "TopicConfigurations" in found or "EventBridgeConfiguration" in found:
            by_others.append(name)
        else:
            raise Failed(
                f"{name} does not tell {arn} of new objects: they wait for the daily run",
                "`make deploy ENV=<env>`, where the environment has WithEvents: it sees to the stack's own bucket, and "
                "prints the command for another one.",
            )
    if by_others:
        raise Unknown(f"{', '.join(by_others)}: by SNS or EventBridge, if so")
    return f"told by {', '.join(told)}"


def _attributes(subject: Subject) -> dict[str, str]:
    from botocore.exceptions import ClientError

    url, names = subject.settings.events_queue, ["QueueArn", "ApproximateNumberOfMessages"]
    try:
        answer = subject.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    except ClientError as error:
        if error_code(error) in _NO_QUEUE:
            raise Failed(
                f"there is no queue {url} in {subject.settings.region}",
                "`make deploy ENV=<env>` makes one where the environment has WithEvents; or mend the setting "
                "events_queue, or leave it out.",
            ) from error
        raise
    return dict(answer["Attributes"])


CHECKS = (Check("events queue", queue), Check("events", bucket))
