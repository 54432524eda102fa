"""The records of a table's stream as AWS writes, keeps and gives them, where MiniStack does not."""

import base64
import json
import threading
import time
import types

from .clock import Clock

_EXPIRY = "dynamodb-ttl-reaper"  # MiniStack's name for its thread that removes what has expired, once a minute
_BY_SERVICE = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}  # as SDKs read them; pollers write small letters


class StreamRecords:
    """MiniStack's DynamoDB Streams, whose GetRecords answers eventIDs of 32 hexadecimal digits and sizes that are counted.

    Both [C, AWS_FACTS.md part 1].
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

    def __init__(self, original, clock: Clock):
        self._original = original
        number_changes(original)
        record_expiry(original, clock)

    def __getattr__(self, member):
        return getattr(self._original, member)

    def get_state(self) -> dict:
        return self._original.get_state() | {name: getattr(self._original, name) for name in self._RECORDS}

    def load_persisted_state(self, data: dict) -> None:
        for name in self._RECORDS:
            getattr(self._original, name).update(data.pop(name, {}))
        self._original.load_persisted_state(data)


def number_changes(dynamodb) -> None:
    """Let changes have sequence numbers of 21 digits, each above the one before [C, AWS_FACTS.md part 1]."""
    lock, last = threading.Lock(), 0

    def following() -> str:
        nonlocal last
        with lock:
            last = max(last + 1, int(time.time() * 1000) * 10**8)
            return str(last)

    dynamodb._next_stream_seq = following


def record_expiry(dynamodb, clock: Clock) -> None:
    """Let items that expire (time to live) leave a record that names the service [C, AWS_FACTS.md part 1], and a minute be scaled.

    AWS removes them within days of their time; a minute, as MiniStack has it, is sooner than anybody may rely on.
    """
    from ministack.core.responses import request_scope

    remove, build = dynamodb._remove_item, dynamodb._build_change_record

    def remove_item(table, *key):
        item = remove(table, *key)
        if item is not None and threading.current_thread().name == _EXPIRY:
            region, account = table["TableArn"].split(":")[3:5]
            with request_scope(account, region):
                dynamodb._emit_stream_event(table["TableName"], "REMOVE", item, None)
        return item

    def change_record(*change) -> dict:
        record = build(*change)
        return record | {"userIdentity": _BY_SERVICE} if threading.current_thread().name == _EXPIRY else record

    dynamodb._remove_item, dynamodb._build_change_record = remove_item, change_record
    dynamodb.time = types.SimpleNamespace(**{**vars(time), "sleep": lambda seconds: time.sleep(clock.real(seconds))})
    # Its own thread is in its first, unscaled minute.
    threading.Thread(target=dynamodb._ttl_reaper, name=_EXPIRY, daemon=True).start()


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
