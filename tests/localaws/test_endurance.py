"""What a pipeline lives through: stops, kills, slow functions, much of everything, and doing nothing for a while."""

import collections
import concurrent.futures
import functools
import json
import os
import threading
import time
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from helpers.localaws import LocalAws, gateway, streams
from helpers.localaws.clock import Clock
from helpers.localaws.polling import Worker
from tests.conftest import Aws, joints_of
from tests.localaws.making import (FIREHOSE_LAMBDA, FIREHOSE_S3, FIREHOSE_SOURCE, PIPE_SOURCE, PIPE_TARGET, allow, client, drop_bucket,
                                   drop_role, function, records, role, stream, table, wait_for)

# Each record becomes a line, with the number of records of its call.
TRANSFORM = """
import base64, json, time
def handler(event, context):
    time.sleep(SECONDS)
    size = len(event['records'])
    line = lambda data: base64.b64encode(json.dumps({'size': size, 'of': json.loads(base64.b64decode(data))}).encode() + b'\\n').decode()
    return {'records': [{'recordId': r['recordId'], 'result': 'Ok', 'data': line(r['data'])} for r in event['records']]}
"""


class Flow:
    """A pipeline from a table, by pipe, Kinesis stream, function and delivery stream, to a bucket; all under one name."""

    def __init__(self, aws: Aws, name: str, shards: int = 2, slow: float = 0, buffer: dict | None = None):
        self.aws, self.name, self.bucket = aws, name, f"{name[:58]}-lake"
        self.client = functools.partial(client, aws)
        pipe_role = role(aws, f"{name}-p", "pipes.amazonaws.com", [*PIPE_SOURCE, *PIPE_TARGET])
        delivery_role = role(aws, f"{name}-d", "firehose.amazonaws.com", [*FIREHOSE_SOURCE, *FIREHOSE_S3, *FIREHOSE_LAMBDA])
        function_role = role(aws, f"{name}-f", "lambda.amazonaws.com", ["logs:*"])
        self.source, self.target = table(aws, name), stream(aws, name, shards)
        self.client("s3").create_bucket(Bucket=self.bucket)
        self.client("pipes").create_pipe(
            Name=name, Source=self.source, Target=self.target, RoleArn=pipe_role,
            SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON", "BatchSize": 500}},
            TargetParameters={"KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})
        parameters = {"LambdaArn": function(aws, name, TRANSFORM.replace("SECONDS", str(slow)), function_role), "RoleArn": delivery_role,
                      **(buffer or {"BufferIntervalInSeconds": "20"})}
        self.client("firehose").create_delivery_stream(
            DeliveryStreamName=name, DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": self.target, "RoleARN": delivery_role},
            ExtendedS3DestinationConfiguration={
                "RoleARN": delivery_role, "BucketARN": f"arn:aws:s3:::{self.bucket}", "Prefix": "lake/", "ErrorOutputPrefix": "errors/",
                "BufferingHints": {"SizeInMBs": 128, "IntervalInSeconds": 20}, "ProcessingConfiguration": {"Enabled": True, "Processors": [
                    {"Type": "Lambda", "Parameters": [{"ParameterName": key, "ParameterValue": value}
                                                      for key, value in parameters.items()]}]}})
        wait_for(lambda: self.client("pipes").describe_pipe(Name=name)["CurrentState"] == "RUNNING")
        wait_for(lambda: self.client("firehose").describe_delivery_stream(
            DeliveryStreamName=name)["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE")

    def drop(self) -> None:
        self.client("pipes").delete_pipe(Name=self.name)
        self.client("firehose").delete_delivery_stream(DeliveryStreamName=self.name)
        self.client("lambda").delete_function(FunctionName=self.name)
        self.client("dynamodb").delete_table(TableName=self.name)
        self.client("kinesis").delete_stream(StreamName=self.name)
        drop_bucket(self.aws, self.bucket)
        for end in "pdf":
            drop_role(self.aws, f"{self.name}-{end}")

    def write(self, numbers: range) -> None:
        """An order each, patiently: while the local AWS is away the call is made again, and a put that is repeated changes nothing."""
        dynamodb = self.aws.client("dynamodb")
        for start in numbers[::25]:
            puts = [{"PutRequest": {"Item": {"orderid": {"S": f"order-{number}"}, "quantity": {"N": str(number)}}}}
                    for number in range(start, min(start + 25, numbers.stop))]
            while puts:
                try:
                    puts = dynamodb.batch_write_item(RequestItems={self.name: puts})["UnprocessedItems"].get(self.name)
                except (BotoCoreError, ClientError):
                    time.sleep(0.2)

    def written(self, at_least: int) -> bool:
        return self.client("dynamodb").scan(TableName=self.name, Select="COUNT")["Count"] >= at_least

    def lines(self) -> list[dict]:
        """What the lake holds: with each line the `size` of the call that made it."""
        s3 = self.client("s3")
        keys = [item["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="lake/")
                for item in page.get("Contents", [])]
        return [json.loads(line) for key in keys
                for line in s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode().split("\n") if line]

    def delivered(self) -> collections.Counter:
        """How often each change is in the lake, by event id."""
        return collections.Counter(line["of"]["eventID"] for line in self.lines())

    def account(self, changes: int, seconds: float = 60) -> int:
        """Wait until all changes are in the lake, and one interval more; how many came again. None is under the error prefix."""
        def all_there():
            try:
                return len(self.delivered()) >= changes
            except (BotoCoreError, ClientError):
                return False

        wait_for(all_there, seconds, pause=0.5)
        time.sleep(2)
        times = self.delivered()
        orders = {line["of"]["dynamodb"]["Keys"]["orderid"]["S"] for line in self.lines()}
        assert len(times) == changes == len(orders), "each change is one event, and none was lost"
        assert not self.client("s3").list_objects_v2(Bucket=self.bucket, Prefix="errors/").get("Contents")
        again = sum(times.values()) - changes
        print(f"{changes} changes: lost 0, delivered again {again}")
        return again


@pytest.fixture
def alone():
    """A local AWS of its own: what happens to it must not happen to the others' tests."""
    with LocalAws.temporary(clock_scale=20) as local:
        yield Aws(local, local.start())


def test_stops_and_starts_while_changes_flow_lose_nothing_and_repeat_nothing(alone):
    """[C] EB dynamodb, FH retry: at least once. What was acknowledged downstream before an orderly stop does not come again."""
    flow = Flow(alone, "endure-stop")
    writer = threading.Thread(target=flow.write, args=(range(20_000),))
    writer.start()
    for wanted in (2000, 6000, 12_000):  # faster than the pipe, so that each stop meets it at work
        wait_for(functools.partial(flow.written, wanted), 60)
        assert alone.local.stop()
        alone.local.start()
    writer.join(120)
    assert flow.account(20_000) == 0
    assert alone.local.status().joint_restarts == 0


def test_buffers_that_were_not_sent_yet_are_sent_after_a_start(alone):
    """[L] FH: what a buffer holds is in the stream until it is in S3."""
    flow = Flow(alone, "endure-buffer", buffer={"BufferIntervalInSeconds": "240"})  # 12 s here
    flow.write(range(50))
    time.sleep(1.5)  # on its way: read by the delivery stream, in no object yet
    assert not flow.lines()
    alone.local.stop()
    alone.local.start()
    assert flow.account(50) == 0


@pytest.mark.skipif(os.name != "posix", reason="ends processes by POSIX signals")
def test_joints_killed_in_the_middle_of_2000_changes_lose_none(alone):
    """[C] EB dynamodb: checkpoints move after success, so delivered records may repeat and none is lost."""
    flow = Flow(alone, "endure-kill")
    for restarts in (1, 2):
        flow.write(range(1000 * (restarts - 1), 1000 * restarts))
        joints_of(alone.local).kill()
        wait_for(lambda restarts=restarts: alone.local.status().joint_restarts == restarts, 30)
    assert flow.account(2000) < 2000, "a kill repeats what was under way, not everything"
    assert alone.local.tail(50).count("joints ended with code -9; starting them again") == 2


@pytest.mark.skipif(os.name != "posix", reason="ends processes by POSIX signals")
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_end_while_the_function_is_slow_loses_nothing(alone, end):
    """[C] FH data-transformation: the call is synchronous; a batch whose answer nobody got is transformed again."""
    flow = Flow(alone, "endure-slow", slow=3, buffer={"BufferIntervalInSeconds": "0"})
    flow.write(range(20))
    time.sleep(2)  # the call is under way
    if end == "kill":
        joints_of(alone.local).kill()
        wait_for(lambda: alone.local.status().joint_restarts == 1)
    else:
        started = time.monotonic()
        alone.local.stop()
        assert time.monotonic() - started < 15
        alone.local.start()
    flow.account(20)


def test_a_slow_function_on_one_delivery_stream_does_not_hold_up_another(aws):
    """[C] FH: each delivery stream is its own."""
    slow, quick = Flow(aws, "endure-slow", slow=8, buffer={"BufferIntervalInSeconds": "0"}), Flow(aws, "endure-quick")
    try:
        slow.write(range(5))
        time.sleep(1)
        quick.write(range(5))
        wait_for(lambda: len(quick.delivered()) == 5, 15)
        assert not slow.delivered(), "it is still at work"
        wait_for(lambda: len(slow.delivered()) == 5, 40)
    finally:
        slow.drop()
        quick.drop()


# -- processes and threads that end ----------------------------------------------------------------------------------------


def test_joints_that_die_at_once_are_started_again_after_growing_pauses(tmp_path, monkeypatch, caplog):
    joints = gateway.Joints(SimpleNamespace(port=1, clock_scale=20.0, directory=tmp_path))
    joints._command = ["python", "-c", "raise SystemExit(3)"]
    pauses = []
    monkeypatch.setattr(joints._stopping, "wait", lambda pause: pauses.append(pause) or (len(pauses) == 9 and joints._stopping.set()))
    joints._watch()
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30] and joints.restarts == 8
    assert "joints ended with code 3; starting them again in 4 s" in caplog.text
    joints._stopping.clear()
    pauses.clear()
    joints._command = ["/nonexistent/python"]
    joints._watch()
    assert len(pauses) == 9 and "could not be started" in caplog.text, "the watcher outlives that"


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(1), KeyboardInterrupt(), MemoryError()], ids=lambda error: type(error).__name__)
def test_nothing_that_a_step_raises_ends_a_workers_thread(error):
    rounds = []

    class Odd(Worker):
        def step(self):
            rounds.append("step")
            if len(rounds) == 1:
                raise error
            self.ask_to_halt()
            return 0.0

        def failed(self, problem):
            rounds.append(problem)
            raise SystemExit(2)

    worker = Odd("odd", Clock(1000))
    worker.start()
    worker.join(10)
    assert rounds == ["step", error, "step"]


# -- much of everything ----------------------------------------------------------------------------------------------------


def test_64_shards_work_end_to_end(aws):
    """[C] BC:kinesis: a stream has as many shards as it is given; each is read and each key keeps to one."""
    flow = Flow(aws, "endure-shards", shards=64)
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(flow.write, (range(start, start + 250) for start in range(0, 1000, 250))))
        flow.account(1000)
        shards = flow.client("kinesis").list_shards(StreamName=flow.name)["Shards"]
        assert len(shards) == 64
        kinesis, filled = flow.client("kinesis"), 0
        for shard in shards:
            start = kinesis.get_shard_iterator(StreamName=flow.name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
            filled += bool(kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"])
        assert filled == 64, "a thousand keys miss none of 64 shards"
    finally:
        flow.drop()


def test_a_page_of_10000_records_is_read_at_once_and_transformed_in_one_call(aws):
    """[C] BC:kinesis GetRecords Limit 10,000; FH data-transformation: a batch is bounded by its buffer and by 6 MB, not by number."""
    flow = Flow(aws, "endure-page", shards=1, buffer={"BufferIntervalInSeconds": "60", "BufferSizeInMBs": "3"})
    try:
        allow(aws, "endure-page-d", [*FIREHOSE_S3, *FIREHOSE_LAMBDA])  # it may not read while they are put
        wait_for(lambda: "FailureDescription" in flow.client("firehose").describe_delivery_stream(
            DeliveryStreamName=flow.name)["DeliveryStreamDescription"])
        for start in range(0, 10_000, 500):
            flow.client("kinesis").put_records(StreamName=flow.name, Records=[
                {"PartitionKey": "k", "Data": b'{"eventID": %d}' % number} for number in range(start, start + 500)])
        allow(aws, "endure-page-d", [*FIREHOSE_SOURCE, *FIREHOSE_S3, *FIREHOSE_LAMBDA])
        wait_for(lambda: len(flow.delivered()) == 10_000, 60, pause=0.5)
        assert {line["size"] for line in flow.lines()} == {10_000}
        assert [line["of"]["eventID"] for line in flow.lines()] == list(range(10_000)), "in the order of the shard"
    finally:
        flow.drop()


def test_records_of_a_mebibyte_and_items_of_400_kilobytes_pass(aws):
    """[C] BC:kinesis: 1 MiB a record by default; DynamoDB items have 400 KB at most, so an event with both images is below it."""
    flow = Flow(aws, "endure-large", buffer={"BufferIntervalInSeconds": "20", "BufferSizeInMBs": "3"})
    try:
        for filler in ("a", "b"):
            flow.client("dynamodb").put_item(TableName=flow.name, Item={"orderid": {"S": "large"}, "text": {"S": filler * 390_000}})
        empty = len(json.dumps({"eventID": "0", "text": ""}))
        for number in range(5):
            data = json.dumps({"eventID": str(number), "text": "\\" * ((2**20 - empty) // 2)}).encode()
            assert 2**20 - 2 < len(data) <= 2**20
            flow.client("kinesis").put_record(StreamName=flow.name, PartitionKey=str(number), Data=data)
        with pytest.raises(ClientError):
            flow.client("kinesis").put_record(StreamName=flow.name, PartitionKey="k", Data=b"x" * (2**20 + 1))
        wait_for(lambda: len(flow.delivered()) == 7, 30, pause=0.5)
        both = [line["of"]["dynamodb"] for line in flow.lines() if "OldImage" in line["of"].get("dynamodb", {})]
        assert [(len(change["OldImage"]["text"]["S"]), change["NewImage"]["text"]["S"][0]) for change in both] == [(390_000, "b")]
    finally:
        flow.drop()


def test_shards_that_are_limited_throttle_record_by_record():
    """[C] `BC:kinesis` PutRecords: a shard takes 1 MB a second; what is above it fails alone, in an answer with status 200."""
    with LocalAws.temporary(shard_limits=1) as local:
        aws = Aws(local, local.start())
        kinesis = boto3.client("kinesis", config=Config(retries={"total_max_attempts": 1}), **aws.options)
        target = stream(aws, "endure-limits", shards=2)
        busy, idle = "0", str(2**128 - 1)

        def put(*records: tuple[str, int]) -> list[str]:
            """Of each record, the shard that took it or why none did."""
            answer = kinesis.put_records(StreamARN=target, Records=[
                {"Data": b"x" * size, "PartitionKey": "k", "ExplicitHashKey": shard} for shard, size in records])
            assert answer["FailedRecordCount"] == sum("ErrorCode" in record for record in answer["Records"])
            return [record.get("ErrorMessage", record.get("ShardId")) for record in answer["Records"]]

        first, second = "shardId-000000000000", "shardId-000000000001"
        refused = f"Rate exceeded for shard {first} in stream endure-limits under account {aws.account}."
        much = 600 * 1024
        assert put((busy, 2**20), (busy, much), (idle, 1), (busy, much), (idle, much)) == [first, refused, second, refused, second]
        assert [len(record["Data"]) for record in records(aws, "endure-limits")] == [2**20, 1, much], "what was refused is not there"
        wait_for(lambda: put((busy, 2**20)) == [first])
        with pytest.raises(kinesis.exceptions.ProvisionedThroughputExceededException, match=refused):
            for _ in range(20):
                kinesis.put_record(StreamARN=target, PartitionKey="k", ExplicitHashKey=busy, Data=b"x" * 2**20)
        with pytest.raises(ClientError, match="500"):
            put(*[(busy, 1)] * 501)


@pytest.mark.parametrize("share", [1, 0.01])
def test_a_limited_shard_takes_a_thousand_records_a_second(monkeypatch, share):
    """[C] `BC:kinesis` PutRecords; or a share of it."""
    clock = [0.0]
    monkeypatch.setattr(streams, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    allowance, taken = streams.Allowance(share), []
    for clock[0] in (0.0, 0.5, 3600.0):
        taken.append(sum(allowance.take(10) for _ in range(2000)))
    assert taken == [1000 * share, 500 * share, 1000 * share]


def test_the_longest_names_and_every_alphabet_pass(aws):
    """[C] BC:pipes, BC:firehose: names of 64 characters; BC:kinesis: partition keys of 256 characters, of any alphabet."""
    name = "endure-" + "n" * 55  # a role's name has two more, and 64 at most
    flow = Flow(aws, name)
    try:
        ids = ["order Größe 注文 🛒 \u202eright", "é" * 256, "\u0001\ttab \"quotes\" \\ and\nlines", "𝔘" * 100, "a/b?c=d&e%20+"]
        for orderid in ids:
            flow.client("dynamodb").put_item(TableName=name, Item={"orderid": {"S": orderid}, "Straße 🛣": {"S": orderid}})
        wait_for(lambda: len(flow.delivered()) == len(ids), 30, pause=0.5)
        images = [line["of"]["dynamodb"]["NewImage"] for line in flow.lines()]
        assert sorted(image["orderid"]["S"] for image in images) == sorted(ids)
        assert all(image["Straße 🛣"] == image["orderid"] for image in images)
    finally:
        flow.drop()


def test_10000_objects_are_listed_crawled_and_queried(aws):
    """[C] BC:s3 ListObjectsV2: a thousand a page. One table, one count, no object left out."""
    s3, glue, athena = client(aws, "s3"), client(aws, "glue"), client(aws, "athena")
    bucket, role_arn = "endure-objects", role(aws, "endure-objects", "glue.amazonaws.com", ["s3:*", "glue:*", "logs:*"])
    s3.create_bucket(Bucket=bucket)
    putting = aws.client("s3")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: putting.put_object(Bucket=bucket, Key=f"lake/{n:05d}.json", Body=b'{"n": %d}\n' % n), range(10_000)))
    try:
        pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="lake/"))
        assert [page["KeyCount"] for page in pages] == [1000] * 10
        glue.create_database(DatabaseInput={"Name": "endure_objects"})
        glue.create_crawler(Name=bucket, Role=role_arn, DatabaseName="endure_objects", Targets={"S3Targets": [{"Path": f"s3://{bucket}/lake/"}]})
        glue.start_crawler(Name=bucket)
        wait_for(lambda: glue.get_crawler(Name=bucket)["Crawler"]["State"] == "READY", 120, pause=0.5)
        found = glue.get_table(DatabaseName="endure_objects", Name="lake")["Table"]
        assert found["Parameters"]["objectCount"] == "10000"
        query = athena.start_query_execution(QueryString="SELECT count(*), sum(n), count(DISTINCT \"$path\") FROM endure_objects.lake",
                                             ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"})["QueryExecutionId"]
        wait_for(lambda: athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"] in ("SUCCEEDED", "FAILED"), 120)
        rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
        assert [cell["VarCharValue"] for cell in rows[1]["Data"]] == ["10000", "49995000", "10000"]
    finally:
        glue.delete_crawler(Name=bucket)
        glue.delete_database(Name="endure_objects")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": item["Key"]} for item in page["Contents"]]})
        s3.delete_bucket(Bucket=bucket)
        drop_role(aws, "endure-objects")


# -- doing nothing ---------------------------------------------------------------------------------------------------------


def test_idle_time_takes_no_memory(alone):
    """A pipe and a delivery stream poll on while nothing happens: what that takes must be given back."""
    flow = Flow(alone, "endure-idle", shards=8)
    flow.write(range(50))
    flow.account(50)
    time.sleep(10)  # what is made once, such as pools of connections, is made
    before = alone.local.status().memory()
    time.sleep(20)
    grown = (alone.local.status().memory() - before) / 2**20
    assert grown < 4, f"{grown:.1f} MiB in 20 s"


def kinesis_with(*records_and_iterators):
    records, iterators = records_and_iterators
    calls = []
    kinesis = SimpleNamespace(_expire_iterators=lambda: calls.append(1), _expire_records=None)
    streams.expire_at_little_cost(kinesis)
    stream_ = {"RetentionPeriodHours": 24, "shards": {"s": {"records": records}}}
    kinesis._expire_records(stream_)
    for _ in range(iterators):
        kinesis._expire_iterators()
    return stream_["shards"]["s"]["records"], len(calls)


@pytest.mark.parametrize("ages, kept", [([], 0), ([25, 24.1, 23.9, 0], 2), ([1, 0], 2), ([30, 29], 0)], ids=str)
def test_what_is_older_than_the_retention_leaves_a_kinesis_stream(ages, kept):
    """[C] AWS_FACTS.md part 3: 24 h by default."""
    now = time.time()
    records = [{"ApproximateArrivalTimestamp": now - hours * 3600} for hours in ages]
    assert kinesis_with(records, 3) == (records[len(records) - kept:], 1), "iterators are looked through once in a while only"
