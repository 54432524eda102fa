"""Sending what failed through again: from the error prefix back into the Kinesis stream, with an account kept in the bucket.

Beside each object under `errors/`, an object under `replayed/` notes which of its records were sent again, which were left
behind and why, and who is at work on it. It is only ever written on a condition (nobody else has written it since it was
read: If-None-Match, If-Match), and of several writers S3 lets one win [C, S3 user guide, conditional writes]. Hence

- called twice, or by several people at once, every record is sent once;
- killed in the middle, only the batch that was on its way (500 records at most) may be sent again, once the lease of the one
  who was killed has run out: at least once, never not at all. The lake counts each `event_id` once, so no number changes.

A record that fails again after a replay comes back as a new record in a new error object, to be found by the next replay.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_random_exponential

from .look import failed_data, objects, orderid, read_object
from .session import Aws
from .transform import Unreadable, transform_event

LEASE = 120.0                  # seconds that one who notes nothing any more is taken to be at work: longer than the retries of a batch
BATCH_RECORDS = 500            # of one PutRecords call [C, AWS_FACTS.md part 3]
BATCH_BYTES = 5 * 1024 * 1024  # the older of the two documented limits, partition keys included [C]
ATTEMPTS = 8                   # at putting what Kinesis refuses, up to 5 s apart


class ReplayError(RuntimeError):
    """A replay had to stop; what it sent until then is noted, so the next one goes on from there."""


@dataclass
class Account:
    """What a replay found under the error prefix, in records: found = replayed + already_replayed + left + busy."""

    replayed: int = 0          # sent by this call
    already_replayed: int = 0  # sent by an earlier call
    left: int = 0              # left where they are; `reasons` says why
    busy: int = 0              # in the hands of another replay at this moment
    reasons: Counter = field(default_factory=Counter)

    @property
    def found(self) -> int:
        return self.replayed + self.already_replayed + self.left + self.busy

    def __str__(self) -> str:
        why = ", ".join(f"{reason}: {count}" for reason, count in sorted(self.reasons.items()))
        return (f"{self.found} found: {self.replayed} replayed, {self.already_replayed} replayed before, {self.left} left"
                f"{f' ({why})' if why else ''}{f', {self.busy} in the hands of another replay' if self.busy else ''}")


@dataclass
class _Note:
    """What is noted of one error object. Lines count from 0; `holder` is who works on it, "" for nobody."""

    lines: int = 0
    sent: list[int] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)  # why, by line (text, as JSON's keys are)
    holder: str = ""


class _Overtaken(Exception):
    """Somebody else has written the note since it was read."""


def unreadable(data: bytes) -> str | None:
    """Why the transform, as it is in this checkout, could not read a record either, or None if it can: a reason to leave it."""
    try:
        transform_event(json.loads(data.decode()))
    except Exception as error:  # as the transform itself does
        return str(error) if isinstance(error, Unreadable) else type(error).__name__
    return None


def replay(aws: Aws, *, leave: Callable[[bytes], str | None] = unreadable, lease: float = LEASE) -> Account:
    """Send every record under the error prefix that was not sent yet into the Kinesis stream again. Returns the account.

    leave  by a record's data, why to leave it behind (poison comes back for ever), or None to send it. What is left is marked
           as left, and looked at again by the next replay: by then the transform may be able to read it.
    lease  seconds after which one who was killed is no longer waited for

    Raises ReplayError if Kinesis keeps refusing a record.
    """
    account = Account()
    for key in objects(aws, aws.settings.error_prefix)["key"]:
        note, etag, age = _read_note(aws, key)
        if note.holder and age < lease:
            _count(account, note, busy=note.lines - len(note.sent) - len(note.left))
        elif etag and not note.holder and len(note.sent) == note.lines:
            _count(account, note)
        else:
            _replay_object(aws, key, note, etag, leave, account)
    return account


def partition_key(data: bytes) -> str:
    """The key that the pipe gave the record: its order's number. A record without one had another key, which Firehose does not
    keep: any that varies will do, so it is a hash of the record."""
    try:
        key = orderid(json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError):
        key = None
    return key if isinstance(key, str) and 0 < len(key) <= 256 else hashlib.md5(data).hexdigest()


def _replay_object(aws: Aws, key: str, note: _Note, etag: str | None, leave: Callable, account: Account) -> None:
    records = [failed_data(line) for line in read_object(aws, key).split("\n") if line]
    left_before, sent = note.left, set(note.sent)
    waiting = [number for number in range(len(records)) if number not in sent]
    reasons = {number: leave(records[number]) if records[number] is not None else "no rawData" for number in waiting}
    note.lines, note.holder = len(records), ""
    note.left = {str(number): reason for number, reason in reasons.items() if reason}
    todo = [number for number in waiting if not reasons[number]]
    if not todo and note.left == left_before:
        return _count(account, note)
    started = len(note.sent)
    try:
        with _held(aws, key, note, etag) as save:
            for batch in _batches(todo, records):
                _send(aws, batch, records, note)
                save()
    except _Overtaken:
        _count(account, note, replayed=len(note.sent) - started, busy=note.lines - len(note.sent) - len(note.left))
    else:
        _count(account, note, replayed=len(note.sent) - started)


@contextmanager
def _held(aws: Aws, key: str, note: _Note, etag: str | None) -> Iterator[Callable[[], None]]:
    """Hold an error object for the length of the block, by its note; yields a call that saves the note as it is now.

    Whatever ends the block, an interrupt of the cell too, the object is let go, so that the next replay need not wait.
    """
    def save() -> None:
        nonlocal etag
        etag = _write_note(aws, key, note, etag)

    note.holder = uuid.uuid4().hex
    save()
    try:
        yield save
    except _Overtaken:
        raise
    except BaseException:
        note.holder = ""
        with suppress(_Overtaken):
            save()
        raise
    note.holder = ""
    save()


def _count(account: Account, note: _Note, replayed: int = 0, busy: int = 0) -> None:
    account.replayed += replayed
    account.already_replayed += len(note.sent) - replayed
    account.left += len(note.left)
    account.busy += busy
    account.reasons.update(note.left.values())


def _batches(numbers: list[int], records: list[bytes]) -> Iterator[list[int]]:
    batch, size = [], 0
    for number in numbers:
        bytes_ = len(records[number]) + 256
        if batch and (len(batch) == BATCH_RECORDS or size + bytes_ > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(number)
        size += bytes_
    if batch:
        yield batch


def _send(aws: Aws, batch: list[int], records: list[bytes], note: _Note) -> None:
    """Put the records into the stream, those that were refused again and again; notes each that was taken."""
    waiting = batch

    def put() -> list[str]:
        nonlocal waiting
        answer = aws.client("kinesis").put_records(StreamName=aws.settings.stream, Records=[
            {"Data": records[number], "PartitionKey": partition_key(records[number])} for number in waiting])["Records"]
        note.sent += [number for number, result in zip(waiting, answer) if "ErrorCode" not in result]
        waiting = [number for number, result in zip(waiting, answer) if "ErrorCode" in result]
        return [result["ErrorCode"] for result in answer if "ErrorCode" in result]

    retrying = Retrying(retry=retry_if_result(bool), stop=stop_after_attempt(ATTEMPTS), wait=wait_random_exponential(0.2, max=5),
                        retry_error_callback=lambda state: state.outcome.result())
    if refused := retrying(put):
        raise ReplayError(f"The stream {aws.settings.stream} keeps refusing {len(refused)} records ({refused[0]}). What was sent is "
                          "noted: call replay(aws) again when the stream takes records.")


def _read_note(aws: Aws, key: str) -> tuple[_Note, str | None, float]:
    """The note about an error object, its ETag (None: there is none), and its age in seconds, both times by S3's own clock."""
    s3 = aws.client("s3")
    try:
        answer = s3.get_object(Bucket=aws.settings.bucket, Key=aws.settings.replayed_prefix + key)
    except s3.exceptions.NoSuchKey:
        return _Note(), None, 0.0
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return _Note(**json.loads(answer["Body"].read())), answer["ETag"], (now - answer["LastModified"]).total_seconds()


def _write_note(aws: Aws, key: str, note: _Note, etag: str | None) -> str:
    """Write the note on the condition that it is as it was when `etag` was read. Returns its new ETag, or raises _Overtaken."""
    condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    body = json.dumps(asdict(note)).encode()
    try:
        return aws.client("s3").put_object(Bucket=aws.settings.bucket, Key=aws.settings.replayed_prefix + key, Body=body,
                                           ContentType="application/json", **condition)["ETag"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
            raise
        # boto3 tries again when an answer is lost on its way; then it is our own write that is in the way.
        found, found_etag, _ = _read_note(aws, key)
        if found_etag and found == note:
            return found_etag
        raise _Overtaken from None
