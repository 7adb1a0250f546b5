"""Events: what CloudFormation tells of a stack, and the reason of a failure in it."""

from collections.abc import Mapping, Sequence
from typing import Any


def newest(client: Any, stack: str) -> str | None:
    """Return the id of a stack's newest event."""
    found = client.describe_stack_events(StackName=stack)["StackEvents"][:1]
    return found[0]["EventId"] if found else None


def since(client: Any, stack: str, before: str | None) -> list[dict[str, Any]]:
    """Return the events after one, oldest first."""
    events: list[dict[str, Any]] = []
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in page["StackEvents"]:  # newest first
            if event["EventId"] == before:
                return events[::-1]
            events.append(event)
    return events[::-1]


def why(client: Any, stack: str) -> str:
    """Find the reason of the newest failure of all."""
    events: list[dict[str, Any]] = []
    for event in reversed(since(client, stack, None)):
        events.insert(0, event)
        # An operation begins with an event of the stack itself.
        if event["PhysicalResourceId"] == stack and event["ResourceStatus"] in (
            "CREATE_IN_PROGRESS",
            "UPDATE_IN_PROGRESS",
            "DELETE_IN_PROGRESS",
        ):
            break
    return first_failure(events)


def line(event: Mapping[str, Any]) -> str:
    """Say what happened in a line."""
    reason = event.get("ResourceStatusReason", "")
    told = f"  {event['ResourceStatus']:28} {event['LogicalResourceId']}"
    return f"{told}  {reason}" if reason and "FAILED" in event["ResourceStatus"] else told


def first_failure(events: Sequence[Mapping[str, Any]]) -> str:
    """Say which resource failed first, and why; those that were only cancelled follow it."""
    for event in events:
        reason = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason.lower():
            return f"\nThe first failure: {event['LogicalResourceId']} ({event['ResourceType']}): {reason}"
    return ""
