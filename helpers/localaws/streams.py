"""The records of DynamoDB's and Kinesis's streams as AWS writes, keeps and gives them, where MiniStack does not."""

import base64
import json
import threading
import time
import types

from .clock import Clock

RECORDS_A_SECOND, BYTES_A_SECOND = 1000, 2**20  # what a shard takes [C, AWS_FACTS.md part 3]; real seconds, not scaled ones

_EXPIRY = "dynamodb-ttl-reaper"  # MiniStack's name for its thread that removes what has expired, once a minute
_BY_SERVICE = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}  # as SDKs read them; pollers write small letters


class TablesWithStreams:
    """MiniStack's DynamoDB, whose saved state holds the records of its tables' streams too, open and closed.

    A change that was made and not yet carried on must be there after a stop and a start, as it is on AWS for 24 hours.
    """

    _RECORDS = ("_stream_records", "_stream_trimmed", "_closed_streams")

    def __init__(self, original, clock: Clock):
        self._original = original
        write_records_as_aws(original)
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


def write_records_as_aws(dynamodb) -> None:
    """Let MiniStack write change records with eventIDs of 32 hexadecimal digits and with sizes that are counted.

    Both [C, AWS_FACTS.md part 1].
    """
    build = dynamodb._build_change_record

    def build_as_aws(*arguments) -> dict:
        record = build(*arguments)
        as_aws(record)
        return record

    dynamodb._build_change_record = build_as_aws


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


def expire_at_little_cost(kinesis) -> None:
    """Let what is too old leave Kinesis without a look at all that is not, which MiniStack takes with every request.

    Records are in the order of their arrival, so that the oldest one of a shard tells; iterators, which their use checks
    anyhow, need to go only so that they do not pile up.
    """
    everything, looked_at = kinesis._expire_iterators, float("-inf")

    def expire_records(stream: dict) -> None:
        oldest = time.time() - stream["RetentionPeriodHours"] * 3600
        for shard in stream["shards"].values():
            expired = 0
            for record in shard["records"]:
                if record["ApproximateArrivalTimestamp"] >= oldest:
                    break
                expired += 1
            if expired:
                shard["records"] = shard["records"][expired:]

    def expire_iterators() -> None:
        nonlocal looked_at
        if time.monotonic() - looked_at > 5:
            looked_at = time.monotonic()
            everything()

    kinesis._expire_records, kinesis._expire_iterators = expire_records, expire_iterators


class Allowance:
    """What a shard still takes at the moment, of records and bytes: a second's worth at most, filled up as time passes.

    How AWS measures a second is unknown [U]; like this, a shard that was idle takes a whole second's worth at once.
    """

    def __init__(self, share: float = 1.0):
        self._full = self._left = (RECORDS_A_SECOND * share, BYTES_A_SECOND * share)
        self._at = time.monotonic()

    def take(self, size: int) -> bool:
        """Whether the shard takes a record of `size` bytes, its key among them. The largest ones need a whole second's worth."""
        now = time.monotonic()
        records, octets = (min(full, left + (now - self._at) * full) for full, left in zip(self._full, self._left))
        taken = records >= 1 and octets >= min(size, self._full[1])
        self._at, self._left = now, (records - taken, octets - size * taken)
        return taken


def limit_writes(kinesis, share: float) -> None:
    """Let shards take no more than `share` of what AWS's do: the rest is throttled, record by record [C, `BC:kinesis` PutRecords].

    A refused record's message is that of the guide's example of a partly successful PutRecords [C].
    """
    put_record, put_records = kinesis._put_record, kinesis._put_records
    allowances: dict[tuple[str, str], Allowance] = {}

    def refusal(stream: dict, record: dict) -> dict | None:
        """Why `record` is not taken, as PutRecords says it."""
        key, place = record.get("PartitionKey", ""), record.get("ExplicitHashKey")
        shard = kinesis._route_to_shard(int(place) if place else kinesis._partition_key_to_hash(key), stream)
        allowance = allowances.setdefault((stream["StreamARN"], shard), Allowance(share))
        if allowance.take(len(record.get("Data", "")) * 3 // 4 + len(key.encode())):
            return None
        return {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage":
                f"Rate exceeded for shard {shard} in stream {stream['StreamName']} under account {stream['StreamARN'].split(':')[4]}."}

    def put_one(data: dict):
        _, stream = kinesis._resolve_stream(data)
        refused = refusal(stream, data) if stream else None
        return kinesis.error_response_json(refused["ErrorCode"], refused["ErrorMessage"], 400) if refused else put_record(data)

    def put_many(data: dict):
        _, stream = kinesis._resolve_stream(data)
        records = data.get("Records", [])
        if not stream or len(records) > 500:
            return put_records(data)  # which refuses the call
        refusals = [refusal(stream, record) for record in records]
        status, headers, body = put_records(data | {"Records": [record for record, no in zip(records, refusals) if not no]})
        if status == 200 and any(refusals):
            answer = json.loads(body)
            taken = iter(answer["Records"])
            answer["Records"] = [no or next(taken) for no in refusals]
            answer["FailedRecordCount"] = sum(map(bool, refusals))
            body = json.dumps(answer).encode()
        return status, headers, body

    kinesis._put_record, kinesis._put_records = put_one, put_many


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
