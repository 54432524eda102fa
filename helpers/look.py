"""Looking at a hop: what is in the table's stream, on the shards, in the bucket and in the function's log right now."""

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pandas as pd

from .session import Aws


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
    streams, arn = aws.client("dynamodbstreams"), table_stream_arn(aws)
    found = []
    for shard in _all_shards(streams, arn):
        iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        for answer in _pages(streams, iterator["ShardIterator"]):
            found += answer["Records"]
    found.sort(key=sequence_number)
    return [event for event in found if sequence_number(event) > int(after)]


def sequence_number(event: dict) -> int:
    """A change event's place in the order of changes: a number, though it is written as text."""
    return int(event["dynamodb"]["SequenceNumber"])


def piped(event: dict, stream_arn: str) -> dict:
    """A change event as a pipe hands it on: its time as a number, `eventSourceARN` added (AWS_FACTS.md part 1 [C])."""
    change = event["dynamodb"]
    seconds = int(change["ApproximateCreationDateTime"].timestamp())
    return event | {"dynamodb": change | {"ApproximateCreationDateTime": seconds}, "eventSourceARN": stream_arn}


def shard_records(aws: Aws, after: dict[str, str] | None = None) -> pd.DataFrame:
    """The records that the Kinesis stream holds: shard, sequence_number, partition_key, arrived, data (bytes).

    after  by shard id, the sequence number to start behind; without it, from the oldest record (TRIM_HORIZON)
    """
    kinesis, name = aws.client("kinesis"), aws.settings.stream
    rows = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        start = {"ShardIteratorType": "TRIM_HORIZON"}
        if after and shard["ShardId"] in after:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after[shard["ShardId"]]}
        iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], **start)
        for answer in _pages(kinesis, iterator["ShardIterator"]):
            rows += [(shard["ShardId"], r["SequenceNumber"], r["PartitionKey"], r["ApproximateArrivalTimestamp"], r["Data"])
                     for r in answer["Records"]]
    return pd.DataFrame(rows, columns=["shard", "sequence_number", "partition_key", "arrived", "data"])


def shard_of(partition_key: str, shards: int) -> str:
    """The id of the shard, of `shards` equal ones, that Kinesis puts `partition_key` on: by the key's MD5 as a number."""
    number = int.from_bytes(hashlib.md5(partition_key.encode()).digest())
    return f"shardId-{min(number // (2**128 // shards), shards - 1):012d}"


def on_the_way(aws: Aws) -> list[str]:
    """Ids of the change events that the table's stream holds and the Kinesis stream does not hold yet, oldest first."""
    ids = re.compile(rb'"eventID": ?"([^"]+)"')  # a record that is no JSON has one too, or none
    arrived = {found[1].decode() for data in shard_records(aws)["data"] if (found := ids.search(data))}
    return [event["eventID"] for event in change_events(aws) if event["eventID"] not in arrived]


def objects(aws: Aws, prefix: str) -> pd.DataFrame:
    """The objects under `prefix` in the bucket: key, bytes, written (UTC)."""
    pages = aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=aws.settings.bucket, Prefix=prefix)
    rows = [(item["Key"], item["Size"], item["LastModified"]) for page in pages for item in page.get("Contents", [])]
    return pd.DataFrame(rows, columns=["key", "bytes", "written"])


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


def _pages(client, iterator: str | None) -> Iterator[dict]:
    """GetRecords answers from `iterator` to the end of what is there now.

    Kinesis says how far behind the newest record an answer is; a table's stream does not, there two empty answers in a
    row, or the end of a closed shard, are the end.
    """
    empty = 0
    while iterator and empty < 2:
        answer = client.get_records(ShardIterator=iterator, Limit=1000)
        yield answer
        behind = answer.get("MillisBehindLatest")
        if behind == 0 and not answer["Records"]:
            return
        empty = 0 if answer["Records"] or behind else empty + 1
        iterator = answer.get("NextShardIterator")
