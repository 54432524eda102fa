"""The poller of one pipe: reads the shards of a DynamoDB stream, closes batches, puts them into a Kinesis stream.

A shard's changes go through as many lanes as ParallelizationFactor says, those of one item always through the same one.
"""

import json
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NoReturn

from botocore.exceptions import ClientError

from ..polling import HOP_ERRORS, Worker, backoff, error_code, now, sentence, wire_records
from ..service import Context
from .dead_letters import DeadLetters
from .event import body_of, event_of, parse_path, select
from .patterns import Pattern
from .template import Template

POLL_SECONDS = 0.25            # AWS polls a shard about four times a second [C, AWS_FACTS.md part 2]; real, not scaled
PAGE = 1000                    # the most GetRecords of a stream answers
HELD = 5 * PAGE                # changes of a shard that are held while one of its lanes is blocked and others go on
FULL_PAGE = 250                # a page of this many or more says that there is much to catch up with: read on at once
SHARDS_SECONDS = 5.0           # how often the list of shards, and whether the stream is still there, is looked up
BATCH_BYTES = 6 * 1024 * 1024  # a batch closes at this size [C]
PUT_RECORDS, PUT_BYTES = 500, 4 * 1024 * 1024  # one PutRecords call; below the older, stricter 5 MiB

THROTTLED = frozenset({"ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException"})

INVALID = "Input parameter is invalid from the request due to : "
STREAM_GONE = "Stream not found. To resume processing please delete the pipe and create a new one."


class CannotStart(Exception):
    """What a pipe needs is not there or refuses its role; the text is its StateReason."""


class StreamGone(Exception):
    """The source stream was disabled, replaced or deleted with its table, and all that could be read of it is delivered."""


class TargetRefused(Exception):
    """A batch could not be delivered, or only a part of it; `reason` is None for what passes by itself (throttling)."""

    def __init__(self, reason: str | None):
        super().__init__(reason)
        self.reason = reason


class NoPartitionKey(Exception):
    """The partition key's path selects nothing that can be a key."""


@dataclass(slots=True)
class Entry:
    """One change on its way. `before` is the sequence number that was read before it, None if it was the first."""

    sequence: str
    before: str | None
    created: float
    event: dict
    data: bytes


@dataclass
class Lane:
    """The batches of a shard that are delivered one after the other."""

    waiting: list[Entry] = field(default_factory=list)      # read, in no batch yet
    opened: float = 0.0                                     # when the first of them came
    batch: list[Entry] = field(default_factory=list)        # what is left of the batch, or the half, that is being delivered
    later: list[list[Entry]] = field(default_factory=list)  # the other parts of a batch that was halved
    attempts: int = 0                                       # failed deliveries of `batch`
    retry_at: float = 0.0

    @property
    def oldest(self) -> Entry | None:
        return next(iter(self.batch or self.waiting), None)


@dataclass
class Shard:
    """Where a pipe stands in one shard."""

    id: str
    parent: str | None
    read: str | None = None                               # the sequence number of the last record read
    iterator: str | None = None
    exhausted: bool = False                               # closed, and read to its end
    lanes: list[Lane] = field(default_factory=lambda: [Lane()])

    @property
    def delivered(self) -> str | None:
        """The checkpoint: the sequence number up to which all is done (None: nothing yet, start at the horizon)."""
        pending = [lane.oldest for lane in self.lanes if lane.oldest]
        return min(pending, key=lambda entry: int(entry.sequence)).before if pending else self.read

    @property
    def finished(self) -> bool:
        return self.exhausted and not any(lane.oldest for lane in self.lanes)

    @property
    def takes_more(self) -> bool:
        """Whether there is a lane that is not blocked, and room for what the blocked ones would hold."""
        return not self.exhausted and not all(lane.batch for lane in self.lanes) and (
            sum(len(lane.waiting) for lane in self.lanes) < HELD)

    def lane_of(self, event: dict) -> Lane:
        """The lane of the event's item: what happens to one item stays in order."""
        if len(self.lanes) == 1:
            return self.lanes[0]
        return self.lanes[zlib.crc32(json.dumps(event["dynamodb"]["Keys"], sort_keys=True).encode()) % len(self.lanes)]


class PipeWorker(Worker):
    """Moves the changes of one pipe. Delivery is at least once, and in order within a lane: so always for one item.

    The checkpoint of a shard is behind everything that is not delivered or discarded yet. While source or target are refused,
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
        self._lanes = source.get("ParallelizationFactor", 1)
        self._pool = ThreadPoolExecutor(self._lanes, "lane") if self._lanes > 1 else None
        self._bisect = source.get("OnPartialBatchItemFailure") == "AUTOMATIC_BISECT"
        dead_letters = source.get("DeadLetterConfig", {}).get("Arn")
        self._dead_letters = DeadLetters(self._role, dead_letters, context.endpoint, pipe) if dead_letters else None
        self._batch_size = source["BatchSize"]
        self._window = context.clock.real(source.get("MaximumBatchingWindowInSeconds", 0))
        self._retries = source.get("MaximumRetryAttempts", -1)  # -1, for both: until the record expires in the stream
        age = source.get("MaximumRecordAgeInSeconds", -1)
        self._longest_age = context.clock.real(age) if age >= 0 else None
        self._filters = [Pattern(f["Pattern"]) for f in pipe["SourceParameters"].get("FilterCriteria", {}).get("Filters", [])]
        key = pipe["TargetParameters"]["KinesisStreamParameters"]["PartitionKey"]
        self._key, self._key_path = key, parse_path(key) if key.startswith("$") else None
        template = pipe["TargetParameters"].get("InputTemplate")
        self._body = Template(template, pipe).body_of if template else body_of
        self._shards: dict[str, Shard] = {}
        self._saved: dict[str, str | None] | None = None
        self._shards_seen_at = float("-inf")
        self._stream_open = True
        self._reason: str | None = pipe.get("StateReason")

    # -- before it runs ----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Find the stream among those of its table, see whether dead letters could be sent, settle where to start; or CannotStart.

        The sentences about stream and queue are those that creations on AWS ended with [C, terraform-provider-aws issue 40572,
        aws-samples/serverless-patterns issue 1857]; what was refused to whom is added.
        That a pipe's role needs dynamodb:ListStreams is confirmed [C, EventBridge user guide, eb-pipes-permissions]; that it lists
        streams when it is brought up, and not at another moment, is unknown [U].
        LATEST is settled once: "after the newest record there is now". So a pipe that is stopped and started again, or a
        local AWS that is, goes on where it was, and loses nothing written meanwhile.
        """
        try:
            if not self._is_listed():
                raise CannotStart(STREAM_GONE)
            self._look_for_shards()
            if not self._stream_open:
                raise CannotStart(STREAM_GONE)
            source = self._source()
            for shard in self._shards.values():
                source.get_shard_iterator(StreamArn=self._stream, ShardId=shard.id, ShardIteratorType="TRIM_HORIZON")
            if self.arn not in self._checkpoints:
                if self._latest:
                    for shard in self._shards.values():
                        shard.read = self._newest(shard)
                self._save()
        except HOP_ERRORS as error:
            what = f"Cannot access stream {self._stream}. Please ensure the customer role can perform actions on source stream"
            raise CannotStart(f"{INVALID}{what} ({self._source_refusal(error)})") from error
        if self._dead_letters:
            try:
                self._dead_letters.check()
            except HOP_ERRORS as error:
                what = f"Error occurred while sending message to {self._dead_letters.kind}: {self._dead_letters.arn}"
                raise CannotStart(f"{INVALID}{what} ({sentence(error, self._dead_letters.action)})") from error

    def _is_listed(self) -> bool:
        """Whether the stream is one of its table's."""
        request = {"TableName": self._stream.split(":", 5)[5].split("/")[1]}
        while True:
            page = self._source().list_streams(**request)
            if any(stream["StreamArn"] == self._stream for stream in page["Streams"]):
                return True
            if "LastEvaluatedStreamArn" not in page:
                return False
            request["ExclusiveStartStreamArn"] = page["LastEvaluatedStreamArn"]

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
        try:
            for shard in [s for s in self._shards.values() if not s.finished and not self._waits_for_parent(s)]:
                if shard.takes_more:
                    read += self._read(shard)
                deliver = self._pool.map if self._pool else map
                refusals = list(deliver(lambda lane, shard=shard: self._deliver_due(shard, lane), shard.lanes))
                refusal = refusal or next(filter(None, refusals), None)
        finally:
            self._save()
        if refusal:
            self._say(refusal)
        elif not any(lane.batch for shard in self._shards.values() for lane in shard.lanes):
            self._say(None)
        return 0.0 if read >= FULL_PAGE else POLL_SECONDS

    def run(self) -> None:
        super().run()
        if self._pool:
            self._pool.shutdown(wait=False)

    def failed(self, error: Exception) -> None:
        if isinstance(error, StreamGone):
            self.halted.set()
            self._set(CurrentState="STOPPED", StateReason=STREAM_GONE)
            self._context.log(self.arn, STREAM_GONE)
            return
        if error_code(error) not in THROTTLED:
            self._say(self._source_refusal(error))

    # -- source ------------------------------------------------------------------------------------------------------

    def _source_refusal(self, error: Exception) -> str:
        operation = getattr(error, "operation_name", "")
        return sentence(error, f"dynamodb:{operation}" if operation else "")

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
                self._shards[shard_id] = Shard(shard_id, parent, read=checkpoints.get(shard_id),
                                               lanes=[Lane() for _ in range(self._lanes)])
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
            event = event_of(record)
            before, shard.read = shard.read, event["dynamodb"]["SequenceNumber"]
            if not self._filters or any(pattern.matches(event) for pattern in self._filters):
                event["eventSourceARN"] = self._stream  # by the poller, after filtering [C, EventBridge user guide, filtering]
                lane = shard.lane_of(event)
                if not lane.waiting:
                    lane.opened = now()
                created = event["dynamodb"]["ApproximateCreationDateTime"]
                lane.waiting.append(Entry(shard.read, before, created, event, self._body(event)))
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

    def _close_batch(self, shard: Shard, lane: Lane) -> bool:
        """Make a batch of what waits if it is due: by size, by 6 MB, or by the window; True if there is one."""
        taken = size = 0
        for entry in lane.waiting[:self._batch_size]:
            if taken and size + len(entry.data) > BATCH_BYTES:
                break
            size += len(entry.data)
            taken += 1
        full = taken == self._batch_size or taken < len(lane.waiting)
        if not taken or not (full or shard.exhausted or now() - lane.opened >= self._window):
            return False
        lane.batch, lane.waiting, lane.opened = lane.waiting[:taken], lane.waiting[taken:], now()
        return True

    def _deliver_due(self, shard: Shard, lane: Lane) -> str | None:
        """Deliver the lane's batches that are due until one is not taken; the reason, if somebody must act."""
        try:
            while not self.halted.is_set() and lane.retry_at <= now() and (lane.batch or self._close_batch(shard, lane)):
                self._deliver(shard, lane)
        except TargetRefused as error:
            return error.reason
        return None

    def _deliver(self, shard: Shard, lane: Lane) -> None:
        """Put what is left of the batch; TargetRefused if something still is.

        AUTOMATIC_BISECT halves what was not taken instead of trying it again as it is, down to one record. Whether AWS
        counts a halving as one of the attempts is unknown [U]; Lambda's pollers do not, and here it does not count.
        """
        if self._longest_age is not None:
            oldest = time.time() - self._longest_age
            self._discard(shard, lane, [entry for entry in lane.batch if entry.created < oldest], "RecordAgeExceeded")
        reason: str | None = None
        try:
            self._put(lane)
        except NoPartitionKey as error:
            reason = str(error)
        except HOP_ERRORS as error:
            if error_code(error) not in THROTTLED:
                reason = sentence(error, "kinesis:PutRecords")
        if self._bisect and len(lane.batch) > 1:
            middle = len(lane.batch) // 2
            lane.later.insert(0, lane.batch[middle:])
            lane.batch, lane.attempts = lane.batch[:middle], 0
            self._try_later(lane, reason)
        if lane.batch:
            lane.attempts += 1
            if self._retries < 0 or lane.attempts <= self._retries:
                self._try_later(lane, reason)
            self._discard(shard, lane, lane.batch, "RetryAttemptsExhausted")
        lane.batch, lane.attempts, lane.retry_at = lane.later.pop(0) if lane.later else [], 0, 0.0

    def _try_later(self, lane: Lane, reason: str | None) -> NoReturn:
        lane.retry_at = now() + backoff(self.clock, max(1, lane.attempts))
        raise TargetRefused(reason)

    def _put(self, lane: Lane) -> None:
        """PutRecords in as many calls as it takes; what was not taken stays in the batch."""
        kinesis = self._role.client("kinesis", parameter_validation=False)
        entries, left, position = lane.batch, [], 0
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
            lane.batch = left + entries[position:]

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

    def _discard(self, shard: Shard, lane: Lane, entries: list[Entry], condition: str) -> None:
        """Give `entries` of the batch up, and tell the dead-letter queue.

        What AWS does when that queue takes nothing is unknown [U]; here nothing is given up then, and the reason is said.
        """
        if not entries:
            return
        first, last = entries[0], entries[-1]
        if self._dead_letters:
            try:
                self._dead_letters.tell(condition, shard.id, len(entries), (first.sequence, last.sequence), (first.created, last.created))
            except HOP_ERRORS as error:
                self._try_later(lane, sentence(error, self._dead_letters.action))
        gone = {entry.sequence for entry in entries}
        lane.batch = [entry for entry in lane.batch if entry.sequence not in gone]
        self._context.log(self.arn, f"{condition}: {len(entries)} records of {shard.id} discarded, "
                                    f"{first.sequence} to {last.sequence}")

    # -- state -------------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Write the checkpoints if one has moved."""
        positions = {shard.id: shard.delivered for shard in self._shards.values()}
        if positions != self._saved:
            self._checkpoints[self.arn] = {**self._checkpoints.get(self.arn, {}), **positions}
            self._saved = positions

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
