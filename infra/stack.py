"""Stack: previews as change sets, waits that show events, and the reasons of failures, of CloudFormation."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra import events
from infra.changes import Change, Preview, read_change
from infra.errors import InfraError

# CreateChangeSet's limits: of a template that is sent with the request, and of one in S3.
DIRECT_BYTES, S3_BYTES = 51_200, 1_000_000
_NOTHING = ("didn't contain changes", "No updates are to be performed")
_TIRED_SECONDS = 5.0  # between two looks, once something takes long
# What nobody can update; with what to do.
_STUCK = {
    "ROLLBACK_COMPLETE": "its creation failed and was undone. `make undeploy ENV={env}` removes what is left of it; "
    "then deploy again.",
    "ROLLBACK_FAILED": "its creation failed, and so did undoing it. `make undeploy ENV={env}` removes what is left.",
    "CREATE_FAILED": "its creation failed. `make undeploy ENV={env}` removes what is left of it; then deploy again.",
    "DELETE_FAILED": "its deletion failed. `make undeploy ENV={env}` goes on with it.",
    "UPDATE_ROLLBACK_FAILED": "an update failed, and so did undoing it. Mend the reason below; then "
    "`aws cloudformation continue-update-rollback --stack-name {name} --region {region}`, and deploy again.",
    "UPDATE_FAILED": "an update failed and was not undone. "
    "`aws cloudformation rollback-stack --stack-name {name} --region {region}`, and deploy again.",
}

Tell = Callable[[str], None]


class Stack:
    """A stack by its name, whether it is there or not.

    Parameters
    ----------
    client : boto3 client of CloudFormation
    environment : str
        For what messages say.
    pause : float
        Seconds between the first looks at something that goes on.
    """

    def __init__(self, client: Any, name: str, environment: str, pause: float = 0.5) -> None:
        self.client = client
        self.name = name
        self.environment = environment
        self.pause = pause

    def describe(self) -> dict[str, Any] | None:
        """Describe it, or None; one that only a change set waits for, is not there."""
        try:
            (found,) = self.client.describe_stacks(StackName=self.name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise
        return None if found["StackStatus"] == "REVIEW_IN_PROGRESS" else dict(found)

    def outputs(self) -> dict[str, str]:
        """Return its outputs."""
        found = self.describe() or {}
        return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())}

    def check_usable(self) -> bool:
        """Say whether it is there.

        Raises
        ------
        InfraError
            Nobody can update it as it is; with the reason, and what to do.
        """
        found = self.describe()
        if found is None:
            return False
        status = found["StackStatus"]
        if status.endswith("_IN_PROGRESS"):
            raise InfraError(
                f"Stack {self.name} is {status}: somebody else, or an earlier command, is at work. Wait until it ends: "
                f"`aws cloudformation describe-stack-events --stack-name {self.name} --region {self._region}` shows it."
            )
        if status in _STUCK:
            what = _STUCK[status].format(env=self.environment, name=self.name, region=self._region)
            raise InfraError(f"Stack {self.name} is {status}: {what}{events.why(self.client, found['StackId'])}")
        return True

    def preview(
        self, template: Mapping[str, str], parameters: Mapping[str, str] | None, tags: Mapping[str, str]
    ) -> Preview:
        """Ask CloudFormation what it would do; nothing is done.

        Parameters
        ----------
        template : Mapping
            ``TemplateBody`` or ``TemplateURL``.
        parameters : Mapping, optional
            Default: as they are. One that is not named has the template's default.

        Raises
        ------
        InfraError
            The stack cannot be updated as it is, or the template or a parameter is refused.
        """
        new = not self.check_usable()
        try:
            made = self.client.create_change_set(
                StackName=self.name,
                ChangeSetName=f"orchard-{time.time_ns()}",
                ChangeSetType="CREATE" if new else "UPDATE",
                Parameters=self._parameters(parameters),
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                Capabilities=["CAPABILITY_NAMED_IAM"],
                **({"OnStackFailure": "DELETE"} if new else {}),  # nothing is left that could only be deleted
                **template,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError":
                raise InfraError(f"CloudFormation refuses it: {error.response['Error']['Message']}") from error
            raise
        for pause in self._pauses():
            found = self.client.describe_change_set(ChangeSetName=made["Id"])
            if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                break
            time.sleep(pause)
        if found["Status"] == "CREATE_COMPLETE":
            return Preview(made["Id"], made["StackId"], new, tuple(self._changes(made["Id"])))
        self._discard(made["Id"], new)
        if any(words in found.get("StatusReason", "") for words in _NOTHING):
            return Preview(None, made["StackId"], new)
        raise InfraError(f"CloudFormation refuses it: {found.get('StatusReason', found['Status'])}")

    def discard(self, preview: Preview) -> None:
        """Forget a preview that is not wanted, and the empty stack that CloudFormation made for it."""
        if preview.id is not None:
            self._discard(preview.id, preview.new)

    def execute(self, preview: Preview, tell: Tell) -> None:
        """Do what was previewed, and wait.

        Raises
        ------
        InfraError
            It failed and was undone; with the reason of the first resource that failed.
        """
        before = events.newest(self.client, preview.stack)
        # What a failed creation has made is empty: it goes, also where the template would keep it.
        self.client.execute_change_set(ChangeSetName=preview.id, RetainExceptOnCreate=True)
        seen = self._wait(preview.stack, before, tell, ("CREATE_COMPLETE", "UPDATE_COMPLETE"))
        # CloudFormation calls an update complete also when it could not remove what the template no longer holds.
        if left := [event for event in seen if event["ResourceStatus"] == "DELETE_FAILED"]:
            raise InfraError(
                f"{self.name} was brought up to date, but these could not be removed, and are the stack's no more: "
                + "; ".join(f"{one['PhysicalResourceId']}: {one.get('ResourceStatusReason', '')}" for one in left)
                + "\nRemove them by hand, or the next deployment finds their names taken."
            )

    def delete(self, tell: Tell) -> None:
        """Delete it, and wait; what its template retains stays.

        Raises
        ------
        InfraError
            It failed; with the reason.
        """
        found = self.describe()
        assert found is not None
        before = events.newest(self.client, found["StackId"])
        self.client.delete_stack(StackName=found["StackId"])
        # By its id: one that is gone has no name.
        self._wait(found["StackId"], before, tell, ("DELETE_COMPLETE",))

    def template(self) -> str:
        """Return the template that it was last brought to."""
        body = self.client.get_template(StackName=self.name, TemplateStage="Original")["TemplateBody"]
        if isinstance(body, str):
            return body
        import json  # boto3 parses templates that are JSON

        return json.dumps(body)

    def resources(self) -> list[dict[str, Any]]:
        """List what it holds, as ``ListStackResources`` does."""
        pages = self.client.get_paginator("list_stack_resources").paginate(StackName=self.name)
        found = [dict(one) for page in pages for one in page["StackResourceSummaries"]]
        return [one for one in found if not one["ResourceStatus"].startswith("DELETE_")]

    @property
    def _region(self) -> str:
        return str(self.client.meta.region_name)

    def _parameters(self, given: Mapping[str, str] | None) -> list[dict[str, Any]]:
        if given is not None:
            return [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        has = (self.describe() or {}).get("Parameters", ())
        return [{"ParameterKey": one["ParameterKey"], "UsePreviousValue": True} for one in has]

    def _pauses(self) -> Iterator[float]:
        pause = self.pause
        while True:
            yield pause
            pause = min(1.3 * pause, _TIRED_SECONDS)

    def _changes(self, change_set: str) -> Iterator[Change]:
        for page in self.client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
            for one in page.get("Changes", ()):
                yield read_change(one["ResourceChange"])

    def _discard(self, change_set: str, new: bool) -> None:
        self.client.delete_change_set(ChangeSetName=change_set)
        if new:  # it exists by the change set alone, in REVIEW_IN_PROGRESS
            self.client.delete_stack(StackName=self.name)

    def _wait(self, stack: str, before: str | None, tell: Tell, good: Sequence[str]) -> list[dict[str, Any]]:
        """Tell the events after one until the stack is at rest; return them."""
        told: set[str] = set()
        for pause in self._pauses():
            (found,) = self.client.describe_stacks(StackName=stack)["Stacks"]
            new = events.since(self.client, stack, before)
            for event in new:
                if event["EventId"] not in told:
                    told.add(event["EventId"])
                    tell(events.line(event))
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                break
            time.sleep(pause)
        if found["StackStatus"] not in good:
            raise InfraError(
                f"Stack {self.name} is {found['StackStatus']}: it failed, and was undone.{events.first_failure(new)}"
            )
        return new
        return new
