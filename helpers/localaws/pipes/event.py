"""The event a pipe makes of one record of a DynamoDB stream, and the paths that select a value in it."""

import json
import re

# In this order, both as captured from AWS (AWS_FACTS.md part 2); a member that a record has not is left out, never null.
_MEMBERS = ("eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "userIdentity")
_CHANGE_MEMBERS = ("ApproximateCreationDateTime", "Keys", "NewImage", "OldImage", "SequenceNumber", "SizeBytes", "StreamViewType")

ALL = "*"  # the step `[*]` of a path: no name, since a name's characters are letters, digits, `_`, `-` and `/`
_STEP = re.compile(r"\.([\w/-]+)|(?<!\$)\[(\d+|\*)\]", re.ASCII)


def event_of(record: dict) -> dict:
    """The event of `record` (as it is on the wire of GetRecords), as filters see it: the poller adds `eventSourceARN` later.

    The time is a number of whole seconds [C, AWS_FACTS.md part 1].
    """
    event = {name: record[name] for name in _MEMBERS if name in record}
    change = event["dynamodb"] = {name: record["dynamodb"][name] for name in _CHANGE_MEMBERS if name in record["dynamodb"]}
    change["ApproximateCreationDateTime"] = int(change["ApproximateCreationDateTime"])
    if "userIdentity" in event:  # of what expired: {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        event["userIdentity"] = {name[0].lower() + name[1:]: value for name, value in event["userIdentity"].items()}
    return event


def body_of(event: dict) -> bytes:
    """The Kinesis record's data: the event object itself, no array, no newline after it."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def parse_path(path: str) -> list[str | int]:
    """The steps of `$.dynamodb.Keys.orderid.S`; ValueError if it is not such a path. `$` alone has no steps.

    A step is `.name` (ASCII letters, digits, `_`, `-`, `/`), `[0]` or `[*]` [C, botocore model pipes, PathParameter; EventBridge user
    guide, "Pipes input transformation"]. The guide's list may not be whole; what is not in it is refused, because AWS may not take it.
    """
    if not path.startswith("$"):
        raise ValueError(f"{path!r} does not start with $")
    steps, position = [], 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(f"{path!r} is not a path at character {position + 1}")
        steps.append(step[1] or (ALL if step[2] == ALL else int(step[2])))
        position = step.end()
    return steps


def select(event, steps: list[str | int]):
    """The value at `steps`, a list of what there is where a step is `[*]`; None if there is none."""
    value = event
    for position, step in enumerate(steps):
        if step == ALL:
            found = [select(element, steps[position + 1:]) for element in value] if isinstance(value, list) else []
            return [element for element in found if element is not None] or None
        if not isinstance(value, list if isinstance(step, int) else dict):
            return None  # a text has no elements
        try:
            value = value[step]
        except (KeyError, IndexError):
            return None
    return value
