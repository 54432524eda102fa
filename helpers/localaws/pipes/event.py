"""The event a pipe makes of one record of a DynamoDB stream, and the paths that select a value in it."""

import json
import re

# In this order, both as captured from AWS (AWS_FACTS.md part 2); a member that a record has not is left out, never null.
_MEMBERS = ("eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "userIdentity")
_CHANGE_MEMBERS = ("ApproximateCreationDateTime", "Keys", "NewImage", "OldImage", "SequenceNumber", "SizeBytes", "StreamViewType")

_STEP = re.compile(r"\.([\w/-]+)|\[(\d+)\]|\['([^']+)'\]")


def event_of(record: dict, stream_arn: str) -> dict:
    """The event of `record` (as it is on the wire of GetRecords) from the stream `stream_arn`.

    `eventSourceARN` is added by the poller; the time is a number of whole seconds [C, AWS_FACTS.md part 1].
    """
    event = {name: record[name] for name in _MEMBERS if name in record}
    change = event["dynamodb"] = {name: record["dynamodb"][name] for name in _CHANGE_MEMBERS if name in record["dynamodb"]}
    change["ApproximateCreationDateTime"] = int(change["ApproximateCreationDateTime"])
    event["eventSourceARN"] = stream_arn
    return event


def body_of(event: dict) -> bytes:
    """The Kinesis record's data: the event object itself, no array, no newline after it."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def parse_path(path: str) -> list[str | int]:
    """The steps of `$.dynamodb.Keys.orderid.S`; ValueError if it is not such a path. `$` alone has no steps."""
    if not path.startswith("$"):
        raise ValueError(f"{path!r} does not start with $")
    steps, position = [], 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise ValueError(f"{path!r} is not a path at character {position + 1}")
        steps.append(int(step[2]) if step[2] else step[1] or step[3])
        position = step.end()
    return steps


def select(event: dict, steps: list[str | int]):
    """The value at `steps`; None if there is none."""
    value = event
    try:
        for step in steps:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        return None
    return value
