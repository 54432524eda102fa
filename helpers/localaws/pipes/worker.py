"""The poller of one pipe: reads the shards of a DynamoDB stream, closes batches, puts them into a Kinesis stream."""

import time
from dataclasses import dataclass, field

from botocore.exceptions import ClientError

from ..polling import DENIED, HOP_ERRORS, Worker, backoff, error_code, now, sentence, wire_records
from ..service import Context
from .event import body_of, event_of, parse_path, select
from .patterns import Pattern

POLL_SECONDS = 0.25            # AWS polls a shard about four times a second [C, AWS_FACTS.md part 2]; real, not scaled
PAGE = 1000                    # the most GetRecords of a stream answers
FULL_PAGE = 250                # a page of this many or more says that there is much to catch up with: read on at once
SHARDS_SECONDS = 5.0           # how often the list of shards, and whether the stream is still there, is looked up
BATCH_BYTES = 6 * 1024 * 1024  # a batch closes at this size [C]
PUT_RECORDS, PUT_BYTES = 500, 4 * 1024 * 1024  # one PutRecords call; below the older, stricter 5 MiB

STREAM_GONE = "Stream not found. To resume processing please delete the pipe and create a new one."


class StreamGone(Exception):
    """The source stream was disabled, replaced or deleted with its table, and all that could be read of it is delivered."""

    def __init__(self):
        super().__init__(STREAM_GONE)


class TargetRefused(Exception):
    """A batch could not be delivered, or only a part of it; `reason` is None for what passes by itself (throttling)."""

    def __init__(self, reason: str | None):
        super().__init__(reason)
        self.reason = reason


class NoPartitionKey(Exception):
    """The partition key's path selects nothing that can be a key."""


@dataclass(slots=True)
class Entry:
    """One change on its way."""

    sequence: str
    created: float
    event: dict
    data: bytes


@dataclass
class Shard:
    """Where a pipe stands in one shard.

    `delivered` is the checkpoint: the sequence number up to which all is done (None: nothing yet, start at the horizon).
    """

    id: str
    parent: str | None
    delivered: str | None = None
    read: str | None = None
    iterator: str | None = None
    exhausted: bool = False                               # closed, and read to its end
    waiting: list[Entry] = field(default_factory=list)    # read, in no batch yet
    opened: float = 0.0                                   # when the first of them came
    batch: list[Entry] = field(default_factory=list)      # what is left of the batch that is being delivered
    batch_end: str | None = None
    attempts: int = 0                                     # failed deliveries of that batch
    retry_at: float = 0.0

    @property
    def finished(self) -> bool:
        return self.exhausted and not self.waiting and not self.batch


class PipeWorker(Worker):
    """Moves the changes of one pipe. Delivery is at least once, and in order within a shard.

    The checkpoint of a shard moves only when a whole batch is delivered or discarded. While source or target are refused,
    the pipe stays RUNNING, says why in StateReason and goes on by itself once it may again: AWS backs off polling and
    *may* disable such a pipe [C]; a pipe that comes back is the reading that loses nothing.
    """

    def __init__(self, context: Context, pipe: dict, pipes, checkpoints):
        super().__init__(f"pipe {pipe['Name']}", context.clock)
        self.arn, self._context, self._pipes, self._checkpoints = pipe["Arn"], context, pipes, checkpoints
        self._stream, self._target = pipe["Source"], pipe["Target"]
        self._role = context.role(pipe["RoleArn"], service="pipes.amazonaws.com", source_arn=self.arn)
        source = pipe["SourceParameters"]["DynamoDBStreamParameters"]
        self._latest = source["StartingPosition"] == "LATEST"
        self._batch_size = source["BatchSize"]
        self._window = context.clock.real(source["MaximumBatchingWindowInSeconds"])
        self._retries = source["MaximumRetryAttempts"]
        age = source["MaximumRecordAgeInSeconds"]
        self._longest_age = context.clock.real(age) if age >= 0 else None
        self._filters = [Pattern(f["Pattern"]) for f in pipe["SourceParameters"].get("FilterCriteria", {}).get("Filters", [])]
        key = pipe["TargetParameters"]["KinesisStreamParameters"]["PartitionKey"]
        self._key, self._key_path = key, parse_path(key) if key.startswith("$") else None
        self._shards: dict[str, Shard] = {}
        self._shards_seen_at = float("-inf")
        self._stream_open = True
        self._reason: str | None = pipe.get("StateReason")

    # -- before it runs ----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Assume the role, find the stream and settle where to start. Raises what AWS answers, or StreamGone.

        LATEST is settled once: "after the newest record there is now". So a pipe that is stopped and started again, or a
        local AWS that is, goes on where it was, and loses nothing written meanwhile.
        """
        self._look_for_shards()
        if not self._stream_open:
            raise StreamGone
        source = self._source()
        for shard in self._shards.values():
            source.get_shard_iterator(StreamArn=self._stream, ShardId=shard.id, ShardIteratorType="TRIM_HORIZON")
        if self.arn not in self._checkpoints:
            if self._latest:
                for shard in self._shards.values():
                    shard.delivered = shard.read = self._newest(shard)
            self._save()

    def _newest(self, shard: Shard) -> str | None:
        """The sequence number of the newest record of `shard`; None if it holds none."""
        while page := self._page(shard):
            shard.read = page[-1]["dynamodb"]["SequenceNumber"]
        shard.iterator = None
        return shard.read

    # -- one round ---------------------------------------------------------------------------------------------------

    def step(self) -> float:
        if now() - self._shards_seen_at > SHARDS_SECONDS:
            self._look_for_shards()
        if not self._stream_open and all(shard.finished for shard in self._shards.values()):
            raise StreamGone
        read, refusal = 0, None
        for shard in [s for s in self._shards.values() if not s.finished and not self._waits_for_parent(s)]:
            if not shard.batch and not shard.exhausted:
                read += self._read(shard)
            try:
                self._deliver_due(shard)
            except TargetRefused as error:
                refusal = refusal or error.reason
        if refusal:
            self._say(refusal)
        elif not any(shard.attempts for shard in self._shards.values()):
            self._say(None)
        return 0.0 if read >= FULL_PAGE else POLL_SECONDS

    def failed(self, error: Exception) -> None:
        if isinstance(error, StreamGone):
            self.halted.set()
            self._set(CurrentState="STOPPED", StateReason=STREAM_GONE)
            self._context.log(self.arn, STREAM_GONE)
            return
        if error_code(error) in DENIED:
            self._role.forget()  # the trust policy may be what is mended
        operation = getattr(error, "operation_name", "")
        self._say(sentence(error, f"dynamodb:{operation}" if operation else ""))

    # -- source ------------------------------------------------------------------------------------------------------

    def _source(self):
        return wire_records(self._role.client("dynamodbstreams"))

    def _look_for_shards(self) -> None:
        """Learn of new shards, and of the end of the stream."""
        checkpoints, known = self._checkpoints.get(self.arn, {}), {}
        request = {"StreamArn": self._stream}
        try:
            while True:
                stream = self._source().describe_stream(**request)["StreamDescription"]
                for shard in stream["Shards"]:
                    known[shard["ShardId"]] = shard.get("ParentShardId")
                if "LastEvaluatedShardId" not in stream:
                    break
                request["ExclusiveStartShardId"] = stream["LastEvaluatedShardId"]
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            for shard in self._shards.values():
                shard.exhausted = True
            self._stream_open = False
            return
        self._stream_open = stream["StreamStatus"] in ("ENABLED", "ENABLING")
        for shard_id, parent in known.items():
            if shard_id not in self._shards:
                position = checkpoints.get(shard_id)
                self._shards[shard_id] = Shard(shard_id, parent, delivered=position, read=position)
        for shard_id in [s.id for s in self._shards.values() if s.finished and s.id not in known]:
            del self._shards[shard_id]
        self._shards_seen_at = now()

    def _waits_for_parent(self, shard: Shard) -> bool:
        parent = self._shards.get(shard.parent)
        return parent is not None and not parent.finished

    def _read(self, shard: Shard) -> int:
        """Read one page; how many records it held."""
        records = self._page(shard)
        for record in records:
            event = event_of(record, self._stream)
            shard.read = event["dynamodb"]["SequenceNumber"]
            if not self._filters or any(pattern.matches(event) for pattern in self._filters):
                if not shard.waiting:
                    shard.opened = now()
                created = event["dynamodb"]["ApproximateCreationDateTime"]
                shard.waiting.append(Entry(shard.read, created, event, body_of(event)))
        if records and not shard.waiting:  # all filtered out: done with
            shard.delivered = shard.read
            self._save()
        return len(records)

    def _page(self, shard: Shard) -> list[dict]:
        source = self._source()
        try:
            if shard.iterator is None:
                start = {"ShardIteratorType": "TRIM_HORIZON"} if shard.read is None else {
                    "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": shard.read}
                shard.iterator = source.get_shard_iterator(StreamArn=self._stream, ShardId=shard.id, **start)["ShardIterator"]
            page = source.get_records(ShardIterator=shard.iterator, Limit=PAGE)
        except ClientError as error:
            if error_code(error) == "TrimmedDataAccessException":
                self._context.log(self.arn, f"the last record read, {shard.read}, is no longer in the stream (24 hours have passed, or the "
                                            "local AWS was stopped): going on with the oldest record there is")
                shard.read = None
            elif error_code(error) != "ExpiredIteratorException":
                raise
            shard.iterator = None
            return []
        shard.iterator = page.get("NextShardIterator")
        if shard.iterator is None:
            shard.exhausted = True
            self._shards_seen_at = float("-inf")  # it has children now, or the stream has ended
        return page["Records"]

    # -- batches and target ------------------------------------------------------------------------------------------

    def _close_batch(self, shard: Shard) -> bool:
        """Make a batch of what waits if it is due: by size, by 6 MB, or by the window; True if there is one."""
        taken = size = 0
        for entry in shard.waiting[:self._batch_size]:
            if taken and size + len(entry.data) > BATCH_BYTES:
                break
            size += len(entry.data)
            taken += 1
        full = taken == self._batch_size or taken < len(shard.waiting)
        if not taken or not (full or shard.exhausted or now() - shard.opened >= self._window):
            return False
        shard.batch, shard.waiting = shard.waiting[:taken], shard.waiting[taken:]
        shard.batch_end, shard.attempts, shard.opened = shard.batch[-1].sequence, 0, now()
        return True

    def _deliver_due(self, shard: Shard) -> None:
        """Deliver the batches that are due; TargetRefused as soon as one is not taken."""
        before = shard.delivered
        try:
            while not self.halted.is_set() and (shard.batch or self._close_batch(shard)) and shard.retry_at <= now():
                self._deliver(shard)
        finally:
            if shard.delivered != before:
                self._save()

    def _deliver(self, shard: Shard) -> None:
        """Put what is left of the batch; TargetRefused if something still is."""
        if self._longest_age is not None:
            oldest = time.time() - self._longest_age
            self._discard(shard, [entry for entry in shard.batch if entry.created < oldest], "RecordAgeExceeded")
        reason: str | None = None
        try:
            self._put(shard)
        except NoPartitionKey as error:
            reason = str(error)
        except HOP_ERRORS as error:
            if error_code(error) in DENIED:
                self._role.forget()
            reason = sentence(error, "kinesis:PutRecords")
        if shard.batch:
            shard.attempts += 1
            if self._retries < 0 or shard.attempts <= self._retries:
                shard.retry_at = now() + backoff(self.clock, shard.attempts)
                raise TargetRefused(reason)
            self._discard(shard, shard.batch, "RetryAttemptsExhausted")
        shard.delivered, shard.attempts, shard.retry_at = shard.batch_end, 0, 0.0

    def _put(self, shard: Shard) -> None:
        """PutRecords in as many calls as it takes; what was not taken stays in the batch."""
        kinesis = self._role.client("kinesis", parameter_validation=False)
        entries, left, position = shard.batch, [], 0
        try:
            while position < len(entries):
                part, size = [], 0
                for entry in entries[position:position + PUT_RECORDS]:
                    if part and size + len(entry.data) > PUT_BYTES:
                        break
                    size += len(entry.data)
                    part.append(entry)
                answer = kinesis.put_records(StreamARN=self._target, Records=[
                    {"Data": entry.data, "PartitionKey": self._partition_key(entry.event)} for entry in part])
                if answer["FailedRecordCount"]:
                    left += [entry for entry, result in zip(part, answer["Records"]) if "ErrorCode" in result]
                position += len(part)
        finally:
            shard.batch = left + entries[position:]

    def _partition_key(self, event: dict) -> str:
        """The static text, or what the path selects in the source event: text, or a number as text.

        What AWS does with a path that selects nothing is unknown [U]; here the delivery fails with a reason, and is retried,
        rather than that records travel under a key nobody asked for.
        """
        if self._key_path is None:
            return self._key
        value = select(event, self._key_path)
        if not isinstance(value, (str, int, float)) or isinstance(value, bool) or value == "":
            raise NoPartitionKey(f"The partition key path {self._key} selects no text or number in event {event['eventID']}.")
        return str(value)

    def _discard(self, shard: Shard, entries: list[Entry], condition: str) -> None:
        if entries:
            gone = {entry.sequence for entry in entries}
            shard.batch = [entry for entry in shard.batch if entry.sequence not in gone]
            self._context.log(self.arn, f"{condition}: {len(entries)} records of {shard.id} discarded, "
                                        f"{entries[0].sequence} to {entries[-1].sequence}")

    # -- state -------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        positions = {**self._checkpoints.get(self.arn, {}), **{s.id: s.delivered for s in self._shards.values()}}
        self._checkpoints[self.arn] = positions

    def _say(self, reason: str | None) -> None:
        """Show `reason` (None: all is well) in the pipe's StateReason, once."""
        if reason != self._reason:
            self._set(StateReason=reason and reason[:512])
            self._context.log(self.arn, reason or "goes on: what was refused is allowed again")
            self._reason = reason

    def _set(self, **members) -> None:
        with self._pipes.lock:
            if self.arn in self._pipes:
                self._pipes.update_item(self.arn, **members)
