"""Looking at a hop: what is in the table's stream, on the shards, in the bucket, in the function's log and in Athena right now."""

import base64
import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

import pandas as pd
from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from .session import Aws

_EVENT_ID = re.compile(rb'"eventID": ?"([^"]+)"')


def run_query(aws: Aws, sql: str, patience: float = 120) -> dict:
    """Have Athena run a query in the workbook's database; the QueryExecution at its end, or as it is after `patience` seconds."""
    athena = aws.client("athena")
    query = athena.start_query_execution(QueryString=sql, QueryExecutionContext={"Database": aws.settings.database},
                                         WorkGroup=aws.settings.workgroup)["QueryExecutionId"]
    poll = Retrying(retry=retry_if_result(lambda found: found["Status"]["State"] in ("QUEUED", "RUNNING")), wait=wait_fixed(0.1),
                    stop=stop_after_delay(patience), retry_error_callback=lambda state: state.outcome.result())
    return poll(lambda: athena.get_query_execution(QueryExecutionId=query)["QueryExecution"])


def table_stream_arn(aws: Aws) -> str:
    """ARN of the table's stream; LookupError if it is off."""
    table = aws.client("dynamodb").describe_table(TableName=aws.settings.table)["Table"]
    if not table.get("StreamSpecification", {}).get("StreamEnabled"):
        raise LookupError(f"The stream of table {table['TableName']} is off: chapter 02 switches it on.")
    return table["LatestStreamArn"]


def _switched_on(arn: str) -> datetime:
    """When a table's stream was switched on, by its ARN: that ends in the stream's label, "a timestamp, in ISO 8601 format"
    (DynamoDB's API reference, StreamDescription [C]); that it is in UTC is likely [L]."""
    return datetime.fromisoformat(arn.rpartition("/")[2]).replace(tzinfo=UTC)


def change_events(aws: Aws, after: str | int = 0) -> list[dict]:
    """The change events that the table's stream holds (24 hours' worth), oldest first, as GetRecords gives them.

    after  only events whose sequence number is greater
    """
    found = [event for _, event in Follower(aws.client("dynamodbstreams"), {"StreamArn": table_stream_arn(aws)}).new()]
    return sorted((event for event in found if sequence_number(event) > int(after)), key=sequence_number)


def sequence_number(event: dict) -> int:
    """A change event's place in the order of changes: a number, though it is written as text."""
    return int(event["dynamodb"]["SequenceNumber"])


def orderid(event: dict) -> str:
    """The number of the order that a change event is about."""
    return event["dynamodb"]["Keys"]["orderid"]["S"]


def piped(event: dict, stream_arn: str) -> dict:
    """A change event as a pipe hands it on: its time as a number, `eventSourceARN` added (AWS_FACTS.md part 1 [C])."""
    change = event["dynamodb"]
    seconds = int(change["ApproximateCreationDateTime"].timestamp())
    return event | {"dynamodb": change | {"ApproximateCreationDateTime": seconds}, "eventSourceARN": stream_arn}


def shard_records(aws: Aws, after: dict[str, str] | None = None, since: datetime | None = None) -> pd.DataFrame:
    """The records that the Kinesis stream holds: shard, sequence_number, partition_key, arrived, data (bytes).

    after  by shard id, the sequence number to start behind; without it, from the oldest record (TRIM_HORIZON)
    since  where `after` names no start, only records that arrived then or later
    """
    follower = Follower(aws.client("kinesis"), {"StreamName": aws.settings.stream}, dict(after or {}), since)
    rows = [(shard, r["SequenceNumber"], r["PartitionKey"], r["ApproximateArrivalTimestamp"], r["Data"]) for shard, r in follower.new()]
    return pd.DataFrame(rows, columns=["shard", "sequence_number", "partition_key", "arrived", "data"])


def shard_of(partition_key: str, shards: int) -> str:
    """The id of the shard, of `shards` equal ones, that Kinesis puts `partition_key` on: by the key's MD5 as a number."""
    number = int.from_bytes(hashlib.md5(partition_key.encode()).digest())
    return f"shardId-{min(number // (2**128 // shards), shards - 1):012d}"


def record_id(data: bytes) -> str:
    """What tells a record from all others: the eventID of its change event; for one without, a hash of its bytes."""
    found = _EVENT_ID.search(data)  # a record that is no JSON may have one too
    return found[1].decode() if found else hashlib.sha256(data).hexdigest()


def on_the_way(aws: Aws) -> list[str]:
    """Ids of the change events that the table's stream holds and the Kinesis stream does not hold yet, oldest first."""
    arrived = set(map(record_id, shard_records(aws)["data"]))
    return [event["eventID"] for event in change_events(aws) if event["eventID"] not in arrived]


@dataclass
class Follower:
    """Reads the records of a stream, the table's or the Kinesis stream, each once.

    client  boto3's for dynamodbstreams or kinesis
    stream  {"StreamArn": of the table's stream} or {"StreamName": of the Kinesis stream}
    marks   by shard id, the sequence number of the last record read; kept instead of an iterator, which expires
    since   of the Kinesis stream: where there is no mark, start with what arrived then, not with the oldest record
    shards     the ids of its shards, closed ones too, as the last call found them
    caught_up  whether the last call left nothing to read
    """

    client: object
    stream: dict[str, str]
    marks: dict[str, str] = field(default_factory=dict)
    since: datetime | None = None
    shards: list[str] = field(default_factory=list)
    caught_up: bool = False
    _finished: set[str] = field(default_factory=set, repr=False)

    def new(self, at_most: int | None = None) -> list[tuple[str, dict]]:
        """The records since the last call, each with its shard's id, in the order of each shard.

        at_most  GetRecords calls a shard; what they leave comes with the next call, and so does what is written meanwhile. AWS
                 allows 5 a second and shard of a Kinesis stream, for all readers together (AWS_FACTS.md part 3 [C])
        """
        found, self.caught_up, began = [], True, datetime.now(UTC)
        self.shards = self._list_shards()
        for shard in self.shards:
            if shard in self._finished:
                continue
            pages = _pages(self.client, self._iterator(shard), 1000 if self._is_tables else 10_000)
            for number, answer in enumerate(islice(pages, at_most), start=1):
                if answer["Records"]:
                    found += [(shard, record) for record in answer["Records"]]
                    last = answer["Records"][-1]
                    self.marks[shard] = (last["dynamodb"] if self._is_tables else last)["SequenceNumber"]
                if not answer.get("NextShardIterator"):  # a closed shard, read to its end
                    self._finished.add(shard)
                if at_most and self._is_of_now(answer, began):
                    break
                self.caught_up &= number != at_most or not answer["Records"]
        return found

    def _is_of_now(self, answer: dict, began: datetime) -> bool:
        """Whether an answer reaches what was written after we `began`: a reader of a stream that flows would never end."""
        if not self._is_tables:
            return answer["MillisBehindLatest"] == 0
        return bool(answer["Records"]) and answer["Records"][-1]["dynamodb"]["ApproximateCreationDateTime"] > began

    def _list_shards(self) -> list[str]:
        listed = _all_shards(self.client, self.stream["StreamArn"]) if self._is_tables else self.client.list_shards(**self.stream)["Shards"]
        return [shard["ShardId"] for shard in listed]

    @property
    def _is_tables(self) -> bool:
        return "StreamArn" in self.stream

    def _iterator(self, shard: str) -> str:
        oldest = {**self.stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        if shard not in self.marks:
            if self.since:
                oldest |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self.since}
            return self.client.get_shard_iterator(**oldest)["ShardIterator"]
        number = {"SequenceNumber" if self._is_tables else "StartingSequenceNumber": self.marks[shard]}
        try:
            return self.client.get_shard_iterator(**oldest | {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}, **number)["ShardIterator"]
        except ClientError as error:  # the last record that was read is older than what the stream still has
            if error.response["Error"]["Code"] != "TrimmedDataAccessException":
                raise
            return self.client.get_shard_iterator(**oldest)["ShardIterator"]


@dataclass
class Folder:
    """The objects under a prefix of the bucket, each read once, and again when it was written anew.

    `lines` are, by key, the lines of those that are there now, each as `parse` gives it.
    """

    aws: Aws
    prefix: str
    parse: Callable[[str], object] = str
    lines: dict[str, list] = field(default_factory=dict)
    _etags: dict[str, str] = field(default_factory=dict)

    def refresh(self, at_most: int | None = None) -> int:
        """Read the newest objects that were not read yet, `at_most` so many; returns how many are left to read."""
        found = sorted(_listing(self.aws, self.prefix), key=lambda item: item["LastModified"], reverse=True)
        unread = [item for item in found if self._etags.get(item["Key"]) != item["ETag"]]
        for item in unread[:at_most]:
            self.lines[item["Key"]] = list(map(self.parse, _lines(self.aws, item["Key"])))
            self._etags[item["Key"]] = item["ETag"]
        self.lines = {item["Key"]: self.lines[item["Key"]] for item in found if item["Key"] in self.lines}
        self._etags = {key: self._etags[key] for key in self.lines}
        return len(unread) - len(unread[:at_most])


def objects(aws: Aws, prefix: str) -> pd.DataFrame:
    """The objects under `prefix` in the bucket: key, bytes, written (UTC)."""
    rows = [(item["Key"], item["Size"], item["LastModified"]) for item in _listing(aws, prefix)]
    return pd.DataFrame(rows, columns=["key", "bytes", "written"])


def _listing(aws: Aws, prefix: str) -> list[dict]:
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=aws.settings.bucket, Prefix=prefix)
    return [item for page in pages for item in page.get("Contents", [])]


def read_object(aws: Aws, key: str) -> str:
    """The text of one object of the bucket, unpacked if its name ends in .gz."""
    body = aws.client("s3").get_object(Bucket=aws.settings.bucket, Key=key)["Body"].read()
    return (gzip.decompress(body) if key.endswith(".gz") else body).decode()


def lake_records(aws: Aws) -> list[tuple[str, dict]]:
    """Every record delivered to the lake so far, each with the key of its object, read from S3 itself."""
    return [(key, json.loads(line)) for key in objects(aws, aws.settings.lake_prefix)["key"]
            for line in _lines(aws, key)]


def stale_pipe(aws: Aws) -> str:
    """Why the pipe cannot go on and has to be made anew, which makes it begin again at the oldest change event; "" if it can.

    Raises ClientError if pipe, table or stream are not there, LookupError if the table's stream is off.
    """
    pipe = aws.client("pipes").describe_pipe(Name=aws.settings.pipe)
    if pipe["Source"] != table_stream_arn(aws):
        return "reads a stream of the table that was switched off"  # a new one has a new ARN (FAILURES.md, row 14)
    if pipe["Target"] != aws.settings.stream_arn:
        return f"writes to {pipe['Target']}"
    stream = aws.client("kinesis").describe_stream_summary(StreamName=aws.settings.stream)["StreamDescriptionSummary"]
    if pipe["CreationTime"] < stream["StreamCreationTimestamp"]:
        return "has carried its events into an earlier stream"
    return "is CREATE_FAILED" if pipe["CurrentState"] == "CREATE_FAILED" else ""


def gap_in_lake(aws: Aws) -> str:
    """Why the lake cannot hold every change of the table since its delivery stream was made; "" if it can.

    A delivery stream starts at LATEST, so a lake is whole only if it began with its delivery stream, and that after the two
    streams before it. Raises ClientError if table, stream or bucket are not there.
    """
    try:
        described = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=aws.settings.delivery_stream)
    except aws.client("firehose").exceptions.ResourceNotFoundException:
        return "has no delivery stream"
    began = described["DeliveryStreamDescription"]["CreateTimestamp"]
    stream = aws.client("kinesis").describe_stream_summary(StreamName=aws.settings.stream)["StreamDescriptionSummary"]
    if began < _switched_on(table_stream_arn(aws)):
        return "began with an earlier stream of the table"
    if began < stream["StreamCreationTimestamp"]:
        return "began with an earlier stream"
    written = objects(aws, aws.settings.lake_prefix)["written"]
    if written.empty:
        return "is empty"
    return "has objects from before its delivery stream was made" if written.min() < began else ""


def failed_records(aws: Aws) -> list[dict]:
    """What Firehose wrote under the error prefix: one dict a record, its data still in base64 under `rawData`."""
    return [json.loads(line) for key in objects(aws, aws.settings.error_prefix)["key"] for line in _lines(aws, key)]


def failed_data(line: str) -> bytes | None:
    """The record in a line under the error prefix, as it came; None if the line is none that Firehose wrote."""
    try:
        return base64.b64decode(json.loads(line)["rawData"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _lines(aws: Aws, key: str) -> list[str]:
    """One JSON text a line; none in an object without content, such as a console's "folder"."""
    return [line for line in read_object(aws, key).split("\n") if line]


def function_counts(aws: Aws) -> Counter:
    """What the transform counted of itself in its log, summed over all its batches: ok, dropped, failed, records."""
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=aws.settings.function_log_group)
    total: Counter = Counter(ok=0, dropped=0, failed=0, records=0)
    for event in (event for page in pages for event in page["events"]):
        if event["message"].startswith('{"ok"'):
            total.update(json.loads(event["message"]))
    return total


def _all_shards(streams, arn: str) -> Iterator[dict]:
    start = {}
    while True:
        stream = streams.describe_stream(StreamArn=arn, **start)["StreamDescription"]
        yield from stream["Shards"]
        if "LastEvaluatedShardId" not in stream:
            return
        start = {"ExclusiveStartShardId": stream["LastEvaluatedShardId"]}


def _pages(client, iterator: str | None, limit: int = 1000) -> Iterator[dict]:
    """GetRecords answers from `iterator` to the end of what is there now.

    Kinesis says how far behind the newest record an answer is; a table's stream does not, there two empty answers in a
    row, or the end of a closed shard, are the end.
    """
    empty = 0
    while iterator and empty < 2:
        answer = client.get_records(ShardIterator=iterator, Limit=limit)
        yield answer
        behind = answer.get("MillisBehindLatest")
        if behind == 0 and not answer["Records"]:
            return
        empty = 0 if answer["Records"] or behind else empty + 1
        iterator = answer.get("NextShardIterator")
