"""The records of a table's stream as AWS keeps and gives them, where MiniStack does not."""

import base64
import json


class StreamRecords:
    """MiniStack's DynamoDB Streams, whose GetRecords answers eventIDs of 32 hexadecimal digits and sizes that are counted.

    Both [C, AWS_FACTS.md part 1]. What is left as MiniStack has it: sequence numbers of 30 digits, AWS's have 21.
    """

    def __init__(self, original):
        self._original = original

    def __getattr__(self, member):
        return getattr(self._original, member)

    async def handle_request(self, method, path, headers, body, query_params):
        status, reply, answer = await self._original.handle_request(method, path, headers, body, query_params)
        if status == 200 and headers.get("x-amz-target", "").endswith(".GetRecords"):
            page = json.loads(answer)
            for record in page["Records"]:
                as_aws(record)
            answer = json.dumps(page).encode()
        return status, {k: v for k, v in reply.items() if k.lower() != "content-length"}, answer


class TablesWithStreams:
    """MiniStack's DynamoDB, whose saved state holds the records of its tables' streams too, open and closed.

    A change that was made and not yet carried on must be there after a stop and a start, as it is on AWS for 24 hours.
    """

    _RECORDS = ("_stream_records", "_stream_trimmed", "_closed_streams")

    def __init__(self, original):
        self._original = original

    def __getattr__(self, member):
        return getattr(self._original, member)

    def get_state(self) -> dict:
        return self._original.get_state() | {name: getattr(self._original, name) for name in self._RECORDS}

    def load_persisted_state(self, data: dict) -> None:
        for name in self._RECORDS:
            getattr(self._original, name).update(data.pop(name, {}))
        self._original.load_persisted_state(data)


def as_aws(record: dict) -> None:
    """Set right, in place, what MiniStack writes otherwise."""
    change = record["dynamodb"]
    record["eventID"] = record["eventID"].replace("-", "")
    change["SizeBytes"] = sum(_size(change[image]) for image in ("Keys", "NewImage", "OldImage") if image in change)


def _size(item: dict[str, dict]) -> int:
    """Bytes of an item: attribute names and values [C for S, B and BOOL, by analogy for the rest]."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: dict) -> int:
    (kind, content), = value.items()
    if kind in ("S", "N"):
        return len(content.encode())
    if kind == "B":
        return len(base64.b64decode(content))
    if kind == "M":
        return _size(content)
    if kind == "L":
        return sum(map(_value_size, content))
    if kind in ("SS", "NS", "BS"):
        return sum(_value_size({kind[0]: member}) for member in content)
    return 1  # BOOL, NULL
