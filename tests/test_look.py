"""Looking at a hop: each function against a table, a stream, a bucket and a log that hold a known little."""

import base64
import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from helpers import drills, look
from helpers.settings import Settings

SETTINGS = Settings(prefix="look")


@pytest.fixture(scope="module")
def connected(aws):
    """Enough of a connection, with a table whose stream is on, a stream of two shards and a bucket; all of it is removed."""
    clients = {name: aws.client(name) for name in ("dynamodb", "dynamodbstreams", "kinesis", "s3", "logs")}
    dynamodb, kinesis, s3 = clients["dynamodb"], clients["kinesis"], clients["s3"]
    dynamodb.create_table(TableName=SETTINGS.table, BillingMode="PAY_PER_REQUEST",
                          KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
                          AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}],
                          StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    kinesis.create_stream(StreamName=SETTINGS.stream, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=SETTINGS.stream, WaiterConfig={"Delay": 1})
    s3.create_bucket(Bucket=SETTINGS.bucket)
    yield SimpleNamespace(settings=SETTINGS, client=clients.__getitem__)
    for item in s3.list_objects_v2(Bucket=SETTINGS.bucket).get("Contents", []):
        s3.delete_object(Bucket=SETTINGS.bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=SETTINGS.bucket)
    kinesis.delete_stream(StreamName=SETTINGS.stream)
    dynamodb.delete_table(TableName=SETTINGS.table)


def write(connected, *orderids):
    """Put an order for each id; returns the sequence number that the changes come after."""
    before = max(map(look.sequence_number, look.change_events(connected)), default=0)
    for orderid in orderids:
        connected.client("dynamodb").put_item(TableName=SETTINGS.table, Item={"orderid": {"S": orderid}})
    return before


def test_change_events_come_in_order_and_after_a_number(connected):
    before = write(connected, "a", "b", "c")
    events = look.change_events(connected, after=before)
    assert list(map(look.orderid, events)) == ["a", "b", "c"]
    middle = events[1]["dynamodb"]["SequenceNumber"]
    assert look.change_events(connected, after=middle) == events[2:]
    numbers = [look.sequence_number(event) for event in look.change_events(connected)]
    assert numbers == sorted(numbers)


def test_events_of_several_shards_and_pages_of_shards_come_in_the_order_of_their_numbers():
    """A stream's shard closes after some hours and has children [C, AWS_FACTS.md part 1]; the local AWS keeps one."""
    shards = {"a": ["9", "1000"], "b": ["10"], "c": ["8", "11"]}

    class Streams:
        def describe_stream(self, StreamArn, ExclusiveStartShardId=None):
            page = {"Shards": [{"ShardId": "c"}]} if ExclusiveStartShardId else {
                "Shards": [{"ShardId": "a"}, {"ShardId": "b"}], "LastEvaluatedShardId": "b"}
            return {"StreamDescription": page}

        def get_shard_iterator(self, ShardId, **_):
            return {"ShardIterator": ShardId}

        def get_records(self, ShardIterator, Limit):
            return {"Records": [{"dynamodb": {"SequenceNumber": number}} for number in shards[ShardIterator]]}

    described = {"Table": {"StreamSpecification": {"StreamEnabled": True}, "LatestStreamArn": "arn"}}
    clients = {"dynamodbstreams": Streams(), "dynamodb": SimpleNamespace(describe_table=lambda TableName: described)}
    found = look.change_events(SimpleNamespace(settings=SETTINGS, client=clients.__getitem__), after="8")
    assert list(map(look.sequence_number, found)) == [9, 10, 11, 1000]


def test_a_piped_event_is_json_with_its_source(connected):
    write(connected, "d")
    event, arn = look.change_events(connected)[-1], look.table_stream_arn(connected)
    piped = json.loads(json.dumps(look.piped(event, arn)))
    assert piped["eventSourceARN"] == arn and arn.startswith(f"{SETTINGS.table_arn}/stream/")
    assert piped["dynamodb"]["ApproximateCreationDateTime"] == int(event["dynamodb"]["ApproximateCreationDateTime"].timestamp())


class Athena:
    """A client whose query is in these states, one after the other."""

    def __init__(self, *states):
        self.started, self._states = [], list(states)

    def start_query_execution(self, **request):
        self.started.append(request)
        return {"QueryExecutionId": "q"}

    def get_query_execution(self, QueryExecutionId):
        return {"QueryExecution": {"QueryExecutionId": QueryExecutionId, "Status": {"State": self._states.pop(0)}}}


@pytest.mark.parametrize("states, patience, end", [
    (["QUEUED", "RUNNING", "SUCCEEDED"], 60, "SUCCEEDED"), (["RUNNING", "FAILED"], 60, "FAILED"), (["QUEUED", "SUCCEEDED"], 0, "QUEUED")])
def test_a_query_is_followed_to_its_end_or_for_as_long_as_it_may_take(states, patience, end):
    athena = Athena(*states)
    found = look.run_query(SimpleNamespace(settings=SETTINGS, client=lambda _: athena), "SELECT 1", patience)
    assert found == {"QueryExecutionId": "q", "Status": {"State": end}}
    assert athena.started == [{"QueryString": "SELECT 1", "QueryExecutionContext": {"Database": SETTINGS.database},
                               "WorkGroup": SETTINGS.workgroup}]


@pytest.mark.parametrize("status, words", [({"State": "FAILED", "StateChangeReason": "HIVE_BAD_DATA: x"}, "^HIVE_BAD_DATA: x$"),
                                           ({"State": "CANCELLED"}, "CANCELLED"), ({"State": "RUNNING"}, "is RUNNING")])
def test_a_question_without_an_answer_says_why(monkeypatch, status, words):
    monkeypatch.setattr(drills, "run_query", lambda aws, sql: {"Status": status})
    with pytest.raises(drills.QueryFailed, match=words):
        drills.ask(None, "SELECT 1")


def test_a_table_without_a_stream_is_named_with_the_chapter_that_switches_it_on(connected):
    off = SimpleNamespace(settings=SETTINGS, client=lambda _: SimpleNamespace(describe_table=lambda TableName: {
        "Table": {"TableName": TableName, "StreamSpecification": {"StreamEnabled": False}, "LatestStreamArn": "of before"}}))
    with pytest.raises(LookupError, match="stream of table look-table is off: chapter 02"):
        look.table_stream_arn(off)


def test_shard_records_lie_where_shard_of_says_and_can_be_read_after_a_mark(connected):
    kinesis = connected.client("kinesis")
    keys = [f"o-{number}" for number in range(12)]
    for key in keys[:8]:
        kinesis.put_record(StreamName=SETTINGS.stream, PartitionKey=key, Data=key.encode())
    first = look.shard_records(connected)
    assert {row.partition_key: row.shard for row in first.itertuples()} == {key: look.shard_of(key, 2) for key in keys[:8]}
    assert first["shard"].nunique() == 2
    assert list(first["data"]) == [key.encode() for key in first["partition_key"]]
    for key in keys[8:]:
        kinesis.put_record(StreamName=SETTINGS.stream, PartitionKey=key, Data=key.encode())
    marks = first.groupby("shard")["sequence_number"].last().to_dict()
    assert set(look.shard_records(connected, after=marks)["partition_key"]) == set(keys[8:])


@pytest.mark.parametrize("shards", [1, 2, 3, 64])
def test_shard_of_never_names_a_shard_that_is_not_there(shards):
    found = {look.shard_of(f"o-{number}", shards) for number in range(2000)}
    assert found == {f"shardId-{number:012d}" for number in range(shards)}


def test_what_is_on_the_way_is_what_the_stream_does_not_hold(connected):
    before = write(connected, "e", "f", "g")
    first, second, third = (event["eventID"] for event in look.change_events(connected, after=before))
    for data in (json.dumps({"eventID": first}), json.dumps({"eventID": third}, separators=(",", ":")), "no JSON"):
        connected.client("kinesis").put_record(StreamName=SETTINGS.stream, PartitionKey="k", Data=data.encode())
    left = look.on_the_way(connected)
    assert second in left and first not in left and third not in left


def put(connected, key, body):
    connected.client("s3").put_object(Bucket=SETTINGS.bucket, Key=key, Body=body)


def test_objects_are_read_packed_or_not_each_record_with_its_key(connected):
    put(connected, "orders/", b"")  # a console's "folder"
    put(connected, "orders/1", b'{"n": 1}\n{"n": "a\xe2\x80\xa8b"}\n')  # a line separator of Unicode ends no record
    put(connected, "orders/2.gz", gzip.compress(b'{"n": 3}\n'))
    put(connected, "errors/1", json.dumps({"errorCode": "x", "rawData": base64.b64encode(b"raw").decode()}).encode())
    assert look.lake_records(connected) == [("orders/1", {"n": 1}), ("orders/1", {"n": "a\u2028b"}), ("orders/2.gz", {"n": 3})]
    assert [base64.b64decode(record["rawData"]) for record in look.failed_records(connected)] == [b"raw"]
    found = look.objects(connected, "orders/")
    assert list(found.columns) == ["key", "bytes", "written"] and list(found["bytes"])[:2] == [0, 24]
    assert list(look.objects(connected, "nothing/").columns) == ["key", "bytes", "written"]


def test_the_functions_counts_are_summed_over_its_batches(connected):
    logs, group = connected.client("logs"), SETTINGS.function_log_group
    logs.create_log_group(logGroupName=group)
    try:
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        lines = ["START", '{"ok": 3, "dropped": 1, "failed": 0, "records": 4}', '{"recordId": "1", "reason": "x"}',
                 '{"ok": 2, "dropped": 0, "failed": 1, "records": 3}']
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[
            {"timestamp": int(time.time() * 1000), "message": line} for line in lines])
        assert look.function_counts(connected) == {"ok": 5, "dropped": 1, "failed": 1, "records": 7}
    finally:
        logs.delete_log_group(logGroupName=group)


class Reader:
    """A client whose GetRecords gives these answers, one after the other."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def get_records(self, **_):
        return {"NextShardIterator": "next"} | next(self._answers)


def test_reading_ends_where_kinesis_says_that_nothing_is_behind_however_many_answers_are_empty():
    behind, there, end = ({"Records": [], "MillisBehindLatest": 9}, {"Records": ["r"], "MillisBehindLatest": 0},
                          {"Records": [], "MillisBehindLatest": 0})
    assert len(list(look._pages(Reader(behind, behind, behind, there, end), "first"))) == 5


def test_reading_a_tables_stream_ends_after_two_empty_answers_or_with_its_shard():
    empty, there = {"Records": []}, {"Records": ["r"]}
    assert len(list(look._pages(Reader(empty, there, empty, empty), "first"))) == 4
    assert len(list(look._pages(Reader(there, there | {"NextShardIterator": None}), "first"))) == 2


def test_a_follower_gives_every_record_once_and_the_rest_of_a_bounded_call_with_the_next(connected):
    follower = look.Follower(connected.client("dynamodbstreams"), {"StreamArn": look.table_stream_arn(connected)})
    follower.new()
    write(connected, "f-1", "f-2")
    new = follower.new()
    assert [record["dynamodb"]["Keys"]["orderid"]["S"] for _, record in new] == ["f-1", "f-2"] and follower.caught_up
    assert follower.new() == [] and [shard for shard, _ in new] == follower.shards * 2
    kinesis = look.Follower(connected.client("kinesis"), {"StreamName": SETTINGS.stream})
    whole = kinesis.new()
    kinesis.marks.clear()
    assert kinesis.new(at_most=1) == whole and len(kinesis.shards) == 2


def test_a_bounded_call_of_a_follower_says_whether_it_left_something():
    pages = {"start": ([1, 2], "more", 7), "more": ([3], "end", 0), "end": ([], "end", 0)}

    class Kinesis:
        def list_shards(self, StreamName):
            return {"Shards": [{"ShardId": "s"}]}

        def get_shard_iterator(self, StartingSequenceNumber=None, **_):
            return {"ShardIterator": {None: "start", "2": "more", "3": "end"}[StartingSequenceNumber]}

        def get_records(self, ShardIterator, Limit):
            numbers, following, behind = pages[ShardIterator]
            return {"Records": [{"SequenceNumber": str(n)} for n in numbers], "NextShardIterator": following, "MillisBehindLatest": behind}

    follower = look.Follower(Kinesis(), {"StreamName": "x"})
    seen = [(len(follower.new(at_most=1)), follower.caught_up) for _ in range(3)]
    assert seen == [(2, False), (1, True), (0, True)]


def test_a_bounded_call_does_not_run_after_a_stream_that_flows():
    class Streams:
        written = 0

        def describe_stream(self, StreamArn):
            return {"StreamDescription": {"Shards": [{"ShardId": "s"}]}}

        def get_shard_iterator(self, **_):
            return {"ShardIterator": "next"}

        def get_records(self, **_):
            self.written += 1
            later = datetime.now(UTC) + timedelta(seconds=1)
            return {"Records": [{"dynamodb": {"SequenceNumber": str(self.written), "ApproximateCreationDateTime": later}}],
                    "NextShardIterator": "next"}

    follower = look.Follower(Streams(), {"StreamArn": "arn"})
    assert len(follower.new(at_most=40)) == 1 and follower.caught_up


def test_a_follower_whose_last_record_is_too_old_begins_with_the_oldest_there_is(connected):
    arn = look.table_stream_arn(connected)
    [shard] = connected.client("dynamodbstreams").describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    follower = look.Follower(connected.client("dynamodbstreams"), {"StreamArn": arn}, {shard["ShardId"]: "100000000000000000001"})
    assert [record["eventID"] for _, record in follower.new()] == [event["eventID"] for event in look.change_events(connected)]


def test_a_closed_shard_is_read_to_its_end_and_not_asked_again():
    asked = []

    class Streams:
        def describe_stream(self, StreamArn):
            return {"StreamDescription": {"Shards": [{"ShardId": "closed"}]}}

        def get_shard_iterator(self, **request):
            asked.append(request)
            return {"ShardIterator": "first"}

        def get_records(self, **_):
            return {"Records": [{"dynamodb": {"SequenceNumber": "1"}}]}

    follower = look.Follower(Streams(), {"StreamArn": "arn"})
    assert [len(follower.new()), len(follower.new()), len(asked)] == [1, 0, 1]


def test_a_folder_reads_an_object_once_the_newest_first_and_again_when_it_is_new_and_forgets_what_is_gone(connected):
    read = []
    connected.client("s3").meta.events.register("before-call.s3.GetObject", lambda **_: read.append(1))
    for number in range(3):
        put(connected, f"folder/{number}", json.dumps({"n": number}))
    folder = look.Folder(connected, "folder/")
    assert folder.refresh(at_most=2) == 1 and len(folder.lines) == 2
    assert folder.refresh() == 0 and folder.lines == {f"folder/{n}": [json.dumps({"n": n})] for n in range(3)}
    assert folder.refresh() == 0 and len(read) == 3
    put(connected, "folder/1", "written anew")
    assert folder.refresh() == 0 and folder.lines["folder/1"] == ["written anew"] and len(read) == 4
    lengths = look.Folder(connected, "folder/", len)
    assert lengths.refresh() == 0 and lengths.lines["folder/1"] == [12]
    connected.client("s3").delete_object(Bucket=SETTINGS.bucket, Key="folder/0")
    assert folder.refresh() == 0 and sorted(folder.lines) == ["folder/1", "folder/2"]


def test_records_are_told_apart_by_their_event_or_their_bytes():
    assert look.record_id(b'{"eventID": "e1", "x": 1}') == look.record_id(b'{"x":2,"eventID":"e1"}') == "e1"
    assert look.record_id(b"no JSON") == look.record_id(b"no JSON") != look.record_id(b"no json")
