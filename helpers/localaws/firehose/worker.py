"""The two threads of one delivery stream: one reads its source, one transforms and delivers.

Between them is a queue of bounded length, so that a slow function slows the reading of its own stream and nothing else.
With S3BackupMode Enabled there are two more, which deliver what was read, as it was, to the backup's bucket.
"""

import base64
import datetime
import queue
import uuid
from collections import deque
from dataclasses import dataclass, field, replace
from zoneinfo import ZoneInfo

from botocore.exceptions import ClientError

from ..polling import HOP_ERRORS, Worker, backoff, error_code, halt_all, now, sentence, wire_records
from ..service import Caller, Context
from . import logs
from .aggregation import unpacked
from .bucket import Bucket, action_of
from .compression import FORMATS
from .direct import SHARD, Log
from .prefix import data_prefix, error_prefix
from .transform import HEAD_BYTES, REQUEST_BYTES, Failure, Function, InvocationFailed, Source, entry_of, outcomes, request_of

POLL_SECONDS = 1.0        # AWS reads a shard once a second [C, AWS_FACTS.md part 4]: scaled, but no more often than
SHORTEST_POLL = 0.5       # this, in real seconds
PAGE = 10_000             # the most that GetRecords of Kinesis answers
DIRECT_POLL = 0.1         # real seconds between two looks for records that were put directly
FULL_PAGE = 1_000         # a page of this many or more says that there is much to catch up with: read on at once
SHARDS_SECONDS = 5.0      # real seconds between two looks for new shards
QUEUED_PAGES = 4          # pages read ahead of the delivery
MEBIBYTE = 1024 * 1024
PROCESSING_FAILED = "processing-failed"


@dataclass
class Settings:
    """What a reader and a deliverer need of a stored delivery stream. Without a Kinesis stream, records are put directly."""

    arn: str
    name: str
    version: str
    started: float
    source_arn: str | None
    source_role: str | None
    destination: dict
    processor: dict | None
    delimiter: bytes
    checkpoint: str  # its key in the store of checkpoints
    label: str = ""

    @classmethod
    def all_of(cls, stream: dict) -> "list[Settings]":
        """Those of the destination and, if there is one, of the backup."""
        destination, source = stream["Destination"], stream["Source"] or {}
        processing = destination.get("ProcessingConfiguration", {})
        processors = {processor["Type"]: {p["ParameterName"]: p["ParameterValue"] for p in processor["Parameters"]}
                      for processor in processing.get("Processors", []) if processing.get("Enabled")}
        delimiter = processors.get("AppendDelimiterToRecord", {}).get("Delimiter", "")
        own = cls(arn=stream["Arn"], name=stream["Name"], version=stream["VersionId"], started=stream["Started"],
                  source_arn=source.get("KinesisStreamARN"), source_role=source.get("RoleARN"), destination=destination,
                  processor=processors.get("Lambda"), delimiter=delimiter.replace("\\n", "\n").encode(), checkpoint=stream["Arn"])
        if destination["S3BackupMode"] != "Enabled":
            return [own]
        return [own, replace(own, destination=destination["S3BackupDescription"], processor=None, delimiter=b"",
                             checkpoint=backup_checkpoint(stream["Arn"]), label="backup: ")]


def backup_checkpoint(arn: str) -> str:
    return f"{arn} backup"


class Delivery:
    """The workers of one delivery stream: a reader and a `Deliverer`, and two more for its backup, started and halted together.

    Checkpoints are the sequence number per shard up to which everything is in S3 (or dropped); they move after the write,
    so that a restart reads again what was only buffered: delivery is at least once.
    """

    def __init__(self, context: Context, stream: dict, streams, checkpoints, log: Log | None):
        self.arn, self._context, self._streams, self._log = stream["Arn"], context, streams, log
        self._troubles: dict[str, str | None] = {}
        self._readers: list[PageWorker] = []
        self._deliverers: list[Deliverer] = []
        for settings in Settings.all_of(stream):
            pages: queue.Queue = queue.Queue(QUEUED_PAGES)
            checkpoint = checkpoints.get(settings.checkpoint, {})
            self._readers.append(DirectReader(context, settings, self, pages, checkpoint, log) if log else
                                 Reader(context, settings, self, pages, checkpoint))
            self._deliverers.append(Deliverer(context, settings, self, pages, checkpoints))
        self._workers = [*self._readers, *self._deliverers]

    def prepare(self) -> None:
        """Find the source as the role; raises what AWS answers."""
        for reader in self._readers:
            reader.prepare()

    def start(self) -> None:
        for worker in self._workers:
            worker.start()

    def ask_to_halt(self) -> None:
        for worker in self._workers:
            worker.ask_to_halt()

    def halt(self, timeout: float = 5.0) -> None:
        """Stop all, within `timeout` real seconds."""
        halt_all(self._workers, timeout)

    def checkpoint_moved(self) -> None:
        """Let go of what was put directly and is delivered, and backed up if it is to be."""
        if self._log:
            self._log.trim(min(deliverer.checkpoint().get(SHARD, "") for deliverer in self._deliverers))

    def say(self, part: str, trouble: str | None) -> None:
        """Show what stops `part` of the work (None: nothing) in the stream's FailureDescription, and once in the log.

        Of several troubles the newest is shown: an older one may be over, and only the next try will tell.
        """
        with self._streams.lock:
            if self._troubles.get(part) == trouble:
                return
            self._troubles.pop(part, None)
            self._troubles[part] = trouble
            if self.arn in self._streams:
                self._streams.update_item(self.arn, Trouble=next(filter(None, reversed(self._troubles.values())), None))
        self._context.log(self.arn, trouble or f"goes on: {part} works again")


class PageWorker(Worker):
    """Reads pages of records and hands them on."""

    def __init__(self, context: Context, settings: Settings, delivery: Delivery, pages: queue.Queue):
        super().__init__(f"{settings.label}reading for {settings.name}", context.clock)
        self._settings, self._delivery, self._pages = settings, delivery, pages

    def prepare(self) -> None:
        """What must succeed before the delivery stream is ACTIVE."""

    def say(self, trouble: str | None) -> None:
        self._delivery.say(f"{self._settings.label}reading", trouble and self._settings.label + trouble)

    def hand_on(self, records: list[Source]) -> bool:
        """False if it was halted before there was room for them."""
        while not self.halted.is_set():
            try:
                self._pages.put(records, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False


class DirectReader(PageWorker):
    """Reads what was put into the delivery stream, from behind the checkpoint."""

    def __init__(self, context: Context, settings: Settings, delivery: Delivery, pages: queue.Queue,
                 checkpoint: dict[str, str], log: Log):
        super().__init__(context, settings, delivery, pages)
        self._log, self._read = log, checkpoint.get(SHARD)

    def step(self) -> float:
        records = self._log.read(self._read)
        if records and self.hand_on(records):
            self._read = records[-1].sequence
        self.say(None)
        return 0.0 if records else DIRECT_POLL

    def failed(self, error: Exception) -> None:
        self.say(sentence(error))


class Reader(PageWorker):
    """Reads every shard of the Kinesis stream, from where the checkpoint is or from when the delivery stream was created."""

    def __init__(self, context: Context, settings: Settings, delivery: Delivery, pages: queue.Queue, checkpoint: dict[str, str]):
        super().__init__(context, settings, delivery, pages)
        self._role = context.role(settings.source_role, service="firehose.amazonaws.com", source_arn=settings.arn)
        self._poll = max(SHORTEST_POLL, context.clock.real(POLL_SECONDS))
        self._read: dict[str, str] = dict(checkpoint)    # sequence number of the last record read, per shard
        self._iterators: dict[str, str | None] = {}      # None: to be taken anew
        self._finished: set[str] = set()                 # shards that were closed and are read
        self._parents: dict[str, set[str]] = {}          # of every shard there is, those it was split or merged from
        self._shards_seen_at = float("-inf")

    def step(self) -> float:
        if now() - self._shards_seen_at > SHARDS_SECONDS:
            self.look_for_shards()
        many = False
        for shard in [s for s in self._parents if s not in self._finished]:
            if self._parents[shard] & self._parents.keys() <= self._finished:  # those that are gone have no records any more
                many |= self._read_page(shard) >= FULL_PAGE
        self.say(None)
        return 0.0 if many else self._poll

    def failed(self, error: Exception) -> None:
        operation = getattr(error, "operation_name", "")
        self.say(sentence(error, f"kinesis:{operation}" if operation else ""))

    def prepare(self) -> None:
        self.look_for_shards()
        for shard in self._parents:
            self._iterators[shard] = self._iterator(shard)

    def look_for_shards(self) -> None:
        """See that the stream is there, and which shards it has.

        That the role needs both calls is confirmed [C, FH controlling-access]; when AWS makes them is unknown [U].
        """
        kinesis, request = self._kinesis(), {"StreamARN": self._settings.source_arn}
        kinesis.describe_stream(**request, Limit=1)
        shards: dict[str, set[str]] = {}
        while True:
            page = kinesis.list_shards(**request)
            for shard in page["Shards"]:
                shards[shard["ShardId"]] = {shard[name] for name in ("ParentShardId", "AdjacentParentShardId") if name in shard}
            if "NextToken" not in page:
                break
            request = {"NextToken": page["NextToken"]}
        self._parents, self._shards_seen_at = shards, now()

    def _kinesis(self):
        return wire_records(self._role.client("kinesis"))

    def _iterator(self, shard: str) -> str:
        """Behind what was read; else at the moment of creation, which is what LATEST meant then and still means after a restart."""
        start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._read[shard]} if (
            shard in self._read) else {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._settings.started}
        return self._kinesis().get_shard_iterator(StreamARN=self._settings.source_arn, ShardId=shard, **start)["ShardIterator"]

    def _read_page(self, shard: str) -> int:
        """Read one page and hand it on; how many records it held."""
        try:
            iterator = self._iterators.get(shard) or self._iterator(shard)
            page = self._kinesis().get_records(ShardIterator=iterator, Limit=PAGE)
        except ClientError as error:
            if error_code(error) == "ExpiredIteratorException":
                self._iterators[shard] = None
                return 0
            if error_code(error) == "ResourceNotFoundException":
                self._shards_seen_at = float("-inf")  # merged or split away: the next round looks, and says if all is gone
            raise
        if page["Records"]:
            records = [record for r in page["Records"] for record in unpacked(Source(
                shard, r["SequenceNumber"], r["PartitionKey"], round(r["ApproximateArrivalTimestamp"] * 1000), r["Data"]))]
            if not self.hand_on(records):
                return 0
            self._read[shard] = records[-1].sequence
        self._iterators[shard] = page.get("NextShardIterator")
        if self._iterators[shard] is None:
            self._finished.add(shard)
            self._shards_seen_at = float("-inf")  # what it was split or merged into is there
        return len(page["Records"])


@dataclass
class Output:
    """What one S3 object will hold. `oldest` is the arrival of its oldest record, in milliseconds."""

    parts: list[bytes] = field(default_factory=list)
    oldest: int | None = None
    key: str | None = None  # settled with the first attempt, so that a write that is tried again makes no second object

    def add(self, record: Source, part: bytes) -> None:
        self.parts.append(part)
        if self.oldest is None or record.arrival < self.oldest:
            self.oldest = record.arrival

    def arrival(self, zone: datetime.tzinfo) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.oldest / 1000, zone)


class Deliverer(Worker):
    """Holds the two buffers: the function's, then S3's. Each closes by size or by interval, on the scaled clock.

    Nothing leaves a buffer before the next step has it, so a round that fails is simply made again: S3 writes are tried
    for ever, as AWS does until the stream's retention ends [C]; a batch that the function failed goes to the error output.
    """

    def __init__(self, context: Context, settings: Settings, delivery: Delivery, pages: queue.Queue, checkpoints):
        super().__init__(f"{settings.label}delivering for {settings.name}", context.clock)
        self._settings, self._delivery, self._pages, self._checkpoints = settings, delivery, pages, checkpoints
        destination, real = settings.destination, context.clock.real
        self._role = context.role(destination["RoleARN"], service="firehose.amazonaws.com", source_arn=settings.arn)
        prefixes = [destination.get("Prefix") or "", destination.get("ErrorOutputPrefix") or ""]
        self._bucket = Bucket(self._role, destination["BucketARN"].removeprefix("arn:aws:s3:::"), settings.name, prefixes)
        self._kms_key = destination["EncryptionConfiguration"].get("KMSEncryptionConfig", {}).get("AWSKMSKeyARN")
        if self._kms_key:  # S3 asks KMS for a data key. MiniStack's does not, so this does, with the account's rights, not the role's
            self._kms = context.client("kms", Caller(*reversed(settings.arn.split(":")[3:5])))
        self._zone = ZoneInfo(destination.get("CustomTimeZone") or "UTC")
        hints = destination["BufferingHints"]
        self._s3_bytes, self._s3_seconds = hints["SizeInMBs"] * MEBIBYTE, real(hints["IntervalInSeconds"])
        if processor := settings.processor:
            self._lambda_bytes = float(processor["BufferSizeInMBs"]) * MEBIBYTE
            self._lambda_seconds = real(float(processor["BufferIntervalInSeconds"]))
            role = context.role(processor["RoleArn"], service="firehose.amazonaws.com", source_arn=settings.arn)
            self._function = Function(role, processor["LambdaArn"], lambda odd: context.log(settings.arn, odd))
        self._incoming: deque[Source] = deque()
        self._batch: list[Source] = []   # the function's buffer
        self._entries: list[bytes] = []  # and what the request will say of each
        self._batch_bytes, self._request_bytes = 0, HEAD_BYTES
        self._batch_opened = 0.0
        self._data, self._errors = Output(), Output()  # S3's buffer
        self._output_bytes = 0
        self._output_opened: float | None = None
        self._positions: dict[str, str] = {}  # where the checkpoints will be once it is written

    # -- one round ---------------------------------------------------------------------------------------------------

    def step(self) -> float:
        if self._output_due():
            self._flush()
        if not self._incoming:
            try:
                self._incoming.extend(self._pages.get(timeout=self._time_left()))
            except queue.Empty:
                pass
        if self._settings.processor:
            self._fill_batch()
        else:
            while self._incoming and not self._output_due():
                record = self._incoming.popleft()
                self._take([record], [(record, base64.b64decode(record.data))], [])
        return 0.0

    def failed(self, error: Exception) -> None:
        self._say("delivering", sentence(error, action_of(error) if isinstance(error, HOP_ERRORS) else ""))
        self._log_failure(*logs.s3_failure(error))

    def checkpoint(self) -> dict[str, str]:
        """The sequence number, per shard, up to which all is delivered."""
        return self._checkpoints.get(self._settings.checkpoint, {})

    def _say(self, part: str, trouble: str | None) -> None:
        self._delivery.say(self._settings.label + part, trouble and self._settings.label + trouble)

    def _log_failure(self, code: str, message: str, processor: str | None = None) -> None:
        """Tell CloudWatch Logs, if it is to be told. That it cannot be told holds up no delivery; it is shown as other troubles are."""
        destination, settings = self._settings.destination, self._settings
        if not destination["CloudWatchLoggingOptions"]["Enabled"]:
            return
        try:
            logs.write(self._role, destination["CloudWatchLoggingOptions"], arn=settings.arn, version=settings.version,
                       destination=destination["BucketARN"], code=code, message=message, processor=processor)
            self._say("logging", None)
        except HOP_ERRORS as error:
            self._say("logging", sentence(error, "logs:PutLogEvents"))

    def _time_left(self) -> float:
        """Real seconds until a buffer closes by its interval; half a second at most, to notice a halt."""
        ends = [now() + 0.5]
        if self._batch:
            ends.append(self._batch_opened + self._lambda_seconds)
        if self._output_opened is not None:
            ends.append(self._output_opened + self._s3_seconds)
        return max(0.001, min(ends) - now())

    # -- the function's buffer ---------------------------------------------------------------------------------------

    def _fill_batch(self) -> None:
        while self._incoming and not self.halted.is_set() and not self._output_due():
            record = self._incoming[0]
            entry = entry_of(record, of_kinesis=bool(self._settings.source_arn))
            if self._batch and (self._batch_bytes >= self._lambda_bytes or self._request_bytes + len(entry) >= REQUEST_BYTES):
                self._transform()
                continue
            if not self._batch:
                self._batch_opened = now()
            self._batch.append(self._incoming.popleft())
            self._entries.append(entry)
            self._batch_bytes += record.size
            self._request_bytes += len(entry) + 1
        full = self._batch_bytes >= self._lambda_bytes
        if self._batch and not self.halted.is_set() and (full or now() - self._batch_opened >= self._lambda_seconds):
            self._transform()

    def _transform(self) -> None:
        """One call for the batch, made again NumberOfRetries times while it fails; then every record of it has failed.

        AWS skips such a batch and goes on [C]; its records are in the error output, none is passed on untransformed.
        """
        processor, batch = self._settings.processor, self._batch
        request = request_of(self._entries, stream_arn=self._settings.source_arn, delivery_stream_arn=self._settings.arn)
        attempts = 1 + int(processor["NumberOfRetries"])
        for attempt in range(1, attempts + 1):
            try:
                delivered, failed = outcomes(batch, self._function.invoke(request))
                self._say("transforming", None)
                break
            except InvocationFailed as error:
                if error.reason:
                    self._say("transforming", error.reason)
                delivered, failed = [], [(record, Failure(error.code, attempt)) for record in batch]
            if attempt < attempts and self.halted.wait(backoff(self.clock, attempt)):
                return  # halted: the batch is read again by the next worker
        for failure in dict.fromkeys(failure for _, failure in failed):
            if failure.code != "Lambda.ProcessingFailedStatus":  # of that the function itself may write [C]
                self._log_failure(failure.code, failure.text, processor["LambdaArn"])
        self._take(batch, delivered, failed)
        self._batch, self._entries, self._batch_bytes, self._request_bytes = [], [], 0, HEAD_BYTES

    # -- S3's buffer -------------------------------------------------------------------------------------------------

    def _take(self, records: list[Source], delivered: list[tuple[Source, bytes]], failed: list[tuple[Source, Failure]]) -> None:
        """Into S3's buffer: what became of `records`."""
        for record, data in delivered:
            self._data.add(record, data + self._settings.delimiter)
            self._output_bytes += len(data) + len(self._settings.delimiter)
        for record, failure in failed:
            self._errors.add(record, failure.line(record, self._settings.processor["LambdaArn"]))
        if self._output_opened is None:
            self._output_opened = now()
        for record in records:
            if record.last:
                self._positions[record.shard] = record.sequence

    def _output_due(self) -> bool:
        return self._output_opened is not None and (
            self._output_bytes >= self._s3_bytes or now() - self._output_opened >= self._s3_seconds)

    def _flush(self) -> None:
        """Write the objects, then move the checkpoints. Whatever fails leaves the rest for the next attempt."""
        destination = self._settings.destination
        prefix, compression = destination.get("Prefix"), FORMATS[destination["CompressionFormat"]]
        if self._data.parts:
            arrival = self._data.arrival(self._zone)
            self._data.key = self._data.key or (
                data_prefix(prefix, arrival) + self._object_name(arrival) + (destination.get("FileExtension") or compression.extension))
            self._write(self._data.key, compression.compress(b"".join(self._data.parts)), compression.encoding)
            self._data = Output()
        if self._errors.parts:  # whether AWS compresses these, or gives them an extension, is unknown [U]: here, it does not
            arrival = self._errors.arrival(self._zone)
            self._errors.key = self._errors.key or (
                error_prefix(prefix, destination.get("ErrorOutputPrefix"), PROCESSING_FAILED, arrival) + self._object_name(arrival))
            self._write(self._errors.key, b"".join(self._errors.parts))
            self._errors = Output()
        self._checkpoints[self._settings.checkpoint] = {**self.checkpoint(), **self._positions}
        self._output_bytes, self._output_opened, self._positions = 0, None, {}
        self._delivery.checkpoint_moved()
        self._say("delivering", None)

    def _object_name(self, arrival: datetime.datetime) -> str:
        return f"{self._settings.name}-{self._settings.version}-{arrival:%Y-%m-%d-%H-%M-%S}-{uuid.uuid4()}"

    def _write(self, key: str, body: bytes, encoding: str | None = None) -> None:
        headers = {"ContentEncoding": encoding} if encoding else {}
        if self._kms_key:
            self._kms.generate_data_key(KeyId=self._kms_key, KeySpec="AES_256")
            headers |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key}
        self._bucket.write(key, body, ContentType="application/octet-stream", **headers)
