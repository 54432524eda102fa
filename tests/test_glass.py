"""The glass pipeline: its figures agree with what was made, trouble shows in words, and the picture can be read without colour."""

import base64
import contextlib
import io
import itertools
import json
import zipfile
from collections import Counter
from datetime import timedelta

import boto3
import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from PIL import Image

from helpers import glass, look, transform
from helpers.localaws import LocalAws
from helpers.orders import Change, OrderSource, plan, read_products
from helpers.plots import use_style
from helpers.policies import ensure_role, permissions, trust
from helpers.session import Aws
from helpers.settings import Settings
from helpers.waits import wait_until

from . import conftest
from .pipelines import crawl

PRACTICE, DAY = 4, 60
_KEYS = {"orderid": {"S": "o-1"}}
NO_CHANGE = json.dumps({"eventSource": "aws:dynamodb", "eventName": "MODIFY",
                        "dynamodb": {"Keys": _KEYS, "NewImage": _KEYS, "OldImage": _KEYS}}).encode()
UNREADABLE = b"no JSON", b"\xef\xbb\xbf" + NO_CHANGE, NO_CHANGE.decode().encode("utf-16"), b"[" * 200_000


@pytest.fixture(scope="module")
def aws():
    with LocalAws.temporary(clock_scale=60) as local:
        yield conftest.Aws(local, local.start())


class Connected(Aws):
    """A connection to the tests' local AWS that counts its calls by name."""

    def __init__(self, aws, settings, **credentials):
        super().__init__(settings, boto3.Session(), aws.clock_scale)
        self.options, self.calls = aws.options | credentials, Counter()

    def client(self, service):
        if service not in self._clients:
            self._clients[service] = boto3.client(service, **self.options)
            self._clients[service].meta.events.register("before-call", lambda model, **_: self.calls.update([model.name]))
        return self._clients[service]

    def table(self):
        return boto3.resource("dynamodb", **self.options).Table(self.settings.table)


def make_table(aws, stream):
    aws.client("dynamodb").create_table(
        TableName=aws.settings.table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}],
        **({"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}} if stream else {}))


def make_role(aws, hop, **values):
    settings = aws.settings
    name = getattr(settings, f"{hop}_role")
    return ensure_role(aws.client("iam"), name, trust(settings, hop), permissions(settings, hop, **values), settings.tags)


def make_stream_and_pipe(aws, shards=2):
    settings = aws.settings
    aws.client("kinesis").create_stream(StreamName=settings.stream, ShardCount=shards)
    aws.client("kinesis").get_waiter("stream_exists").wait(StreamName=settings.stream, WaiterConfig={"Delay": 1})
    arn = look.table_stream_arn(aws)
    aws.client("pipes").create_pipe(
        Name=settings.pipe, RoleArn=make_role(aws, "pipe", table_stream_arn=arn), Source=arn, Target=settings.stream_arn,
        SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}},
        TargetParameters={"KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})
    wait_until("the pipe runs", lambda: state(aws, "EventBridge") in ("ready", "flowing"))


def make_lake(aws):
    settings, firehose = aws.settings, aws.client("firehose")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(transform.__file__, "transform.py")
    aws.client("logs").create_log_group(logGroupName=settings.function_log_group)
    aws.client("lambda").create_function(FunctionName=settings.function, Runtime="python3.12", Handler="transform.handler",
                                         Role=make_role(aws, "function"), Code={"ZipFile": file.getvalue()}, Timeout=60)
    aws.client("s3").create_bucket(Bucket=settings.bucket)
    parameters = {"LambdaArn": f"{settings.function_arn}:$LATEST", "BufferIntervalInSeconds": "0", "BufferSizeInMBs": "1"}
    firehose.create_delivery_stream(
        DeliveryStreamName=settings.delivery_stream, DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": settings.stream_arn, "RoleARN": make_role(aws, "delivery")},
        ExtendedS3DestinationConfiguration={
            "RoleARN": settings.role_arn(settings.delivery_role), "BucketARN": settings.bucket_arn,
            "BufferingHints": {"IntervalInSeconds": 0, "SizeInMBs": 5}, "Prefix": settings.lake_prefix + "hour=!{timestamp:HH}/",
            "ErrorOutputPrefix": settings.error_prefix + "!{firehose:error-output-type}/",
            "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": [
                {"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]}]}})
    wait_until("the delivery stream is ACTIVE", lambda: state(aws, "Firehose") in ("ready", "flowing"))


def make_crawler(aws):
    settings, glue = aws.settings, aws.client("glue")
    glue.create_database(DatabaseInput={"Name": settings.database})
    glue.create_crawler(Name=settings.crawler, Role=make_role(aws, "crawler"), DatabaseName=settings.database,
                        Targets={"S3Targets": [{"Path": f"s3://{settings.bucket}/{settings.lake_prefix}"}]})
    aws.client("athena").create_work_group(Name=settings.workgroup)


def state(aws, hop):
    return glass.measure(aws).at[hop, "state"]


def publish(aws, changes, seed=1, prefix="o"):
    """Make changes in the table, with orders of their own by `prefix`; returns them."""
    def renamed(change):
        before, after = (item and item | {"orderid": prefix + item["orderid"]} for item in (change.before, change.after))
        return Change(change.kind, prefix + change.orderid, before, after)

    made = list(map(renamed, plan(seed, changes, read_products())))
    OrderSource(aws.table(), made).publish(progress=False)
    return made


def settled(aws):
    """The figures once nothing is behind at the pipe and Firehose."""
    def nothing_behind():
        frame = glass.measure(aws)
        return frame.loc[["EventBridge", "Firehose"], "behind"].eq(0).all()
    wait_until("nothing is behind", nothing_behind, show=lambda: glass.words(glass.measure(aws)))
    return glass.measure(aws)


@pytest.fixture(scope="module")
def pipeline(aws):
    """The whole pipeline, with practice orders from before the delivery stream and a day of orders that went through."""
    connected = Connected(aws, Settings(prefix="glass"))
    make_table(connected, stream=True)
    make_stream_and_pipe(connected)
    practice = publish(connected, PRACTICE, prefix="practice-")
    wait_until("practice orders are on the stream", lambda: glass.measure(connected).at["Kinesis", "passed"] == PRACTICE)
    make_lake(connected)
    connected.made = practice + publish(connected, DAY, seed=2, prefix="day-")
    settled(connected)
    return connected


# Figures

def test_of_a_pipeline_that_is_half_built_the_rest_is_not_built_yet(aws):
    half = Connected(aws, Settings(prefix="half"))
    dynamodb, table = half.client("dynamodb"), half.settings.table
    assert set(glass.measure(half)["state"]) == {"not built yet"}
    make_table(half, stream=False)
    assert glass.measure(half).query("state != 'not built yet'").index.tolist() == ["DynamoDB"]
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    publish(half, 1)
    frame = glass.measure(half)
    assert frame["state"].tolist() == ["ready"] * 2 + ["not built yet"] * 6
    assert frame["holds"].tolist()[:2] == [1, 1] and frame["holds"][2:].isna().all()
    assert list(texts(frame)).count("○ not built yet") == 6
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    assert state(half, "DynamoDB Streams") == "STOPPED"
    dynamodb.delete_table(TableName=table)
    assert set(glass.measure(half)["state"]) == {"not built yet"}


def test_the_figures_agree_with_what_was_made(pipeline):
    frame, made = settled(pipeline), pipeline.made
    assert list(frame.index) == glass.NAMES and list(frame.columns) == glass.COLUMNS
    kept = {change.orderid: change.after for change in made}
    assert frame.at["DynamoDB", "holds"] == sum(item is not None for item in kept.values())
    assert frame.loc[["DynamoDB Streams", "EventBridge", "Kinesis"], "passed"].tolist() == [len(made)] * 3
    assert frame.loc[["Firehose", "S3"], "passed"].tolist() == [len(made) - PRACTICE] * 2
    shards = Counter(look.shard_of(change.orderid, 2) for change in made)
    assert frame.at["Kinesis", "by_shard"] == shards and len(shards) == 2
    assert frame.loc[["EventBridge", "Firehose"], "skipped"].tolist() == [0, PRACTICE]
    assert frame.loc[["EventBridge", "Firehose"], "lag_s"].tolist() == [0, 0]
    last = f"{ {'insert': 'INSERT', 'delete': 'REMOVE'}.get(made[-1].kind, 'MODIFY')} {made[-1].orderid}"
    assert frame.loc[["DynamoDB Streams", "S3"], "last"].tolist() == [last] * 2
    assert frame.loc[["DynamoDB", "DynamoDB Streams", "EventBridge", "Kinesis", "Firehose", "S3"], "state"].eq("ready").all()


def test_a_new_connection_sees_the_same_and_an_old_one_reads_nothing_twice(pipeline, aws):
    frame, fresh = settled(pipeline).drop(columns="at"), Connected(aws, pipeline.settings)
    assert glass.measure(fresh).drop(columns="at").equals(frame)
    assert fresh.calls["GetObject"] == frame.at["S3", "holds"]
    fresh.calls.clear()
    assert glass.measure(fresh).drop(columns="at").equals(frame)
    assert fresh.calls["GetObject"] == 0
    assert fresh.calls["GetRecords"] <= 2 + 2, "two that tell that the table's stream has no more, and one for each shard"


def test_a_stopped_pipe_shows_with_what_waits_for_it_and_goes_on(pipeline):
    pipes, name = pipeline.client("pipes"), pipeline.settings.pipe
    pipes.stop_pipe(Name=name)
    wait_until("the pipe is stopped", lambda: pipes.describe_pipe(Name=name)["CurrentState"] == "STOPPED")
    pipeline.made += publish(pipeline, 5, prefix="stopped-")
    wait_until("the oldest waits for more than a second", lambda: glass.measure(pipeline).at["EventBridge", "lag_s"] > 1)
    hop = glass.measure(pipeline).loc["EventBridge"]
    assert (hop["state"], hop["behind"]) == ("STOPPED", 5)
    assert glass.summary(glass.measure(pipeline)) == "EventBridge is STOPPED"
    pipes.start_pipe(Name=name)
    frame = settled(pipeline)
    assert frame.loc["EventBridge", ["state", "behind", "lag_s"]].tolist() == ["ready", 0, 0]
    assert frame.at["S3", "passed"] == len(pipeline.made) - PRACTICE


@pytest.mark.parametrize("hop, role, action", [("EventBridge", "pipe", "kinesis:PutRecords"), ("Firehose", "delivery", "s3:PutObject")])
def test_a_broken_hop_shows_and_names_what_its_role_may_not(pipeline, hop, role, action):
    iam, name = pipeline.client("iam"), getattr(pipeline.settings, f"{role}_role")
    iam.put_role_policy(RoleName=name, PolicyName="never", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": action, "Resource": "*"}]}))
    try:
        pipeline.made += publish(pipeline, 3, prefix=f"{role}-")
        wait_until(f"{hop} is BROKEN", lambda: state(pipeline, hop) == "BROKEN", show=lambda: glass.words(glass.measure(pipeline)))
        frame = glass.measure(pipeline)
        assert action in frame.at[hop, "says"] and frame.at[hop, "behind"] > 0
        assert f"{name} may not {action}" in glass.words(frame)
        assert any(action in text for text in texts(frame)) and "✖ BROKEN" in texts(frame)
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="never")
    assert settled(pipeline).at[hop, "state"] == "ready"


def test_what_failed_what_was_dropped_and_what_came_twice_are_told_apart_and_are_not_behind(pipeline):
    kept = publish(pipeline, 1, prefix="noted-")
    pipeline.made += kept
    before, kinesis, stream = settled(pipeline), pipeline.client("kinesis"), pipeline.settings.stream
    pipeline.table().update_item(Key={"orderid": kept[0].orderid}, UpdateExpression="SET note = :note",
                                 ExpressionAttributeValues={":note": "gift"})
    for number, poison in enumerate(UNREADABLE):
        kinesis.put_record(StreamName=stream, PartitionKey=f"poison-{number}", Data=poison)
    twice = look.shard_records(pipeline)["data"].iloc[-1]
    there = before.at["Kinesis", "passed"] + 1 + len(UNREADABLE)
    wait_until("note and poison are on the stream", lambda: glass.measure(pipeline).at["Kinesis", "passed"] == there)
    kinesis.put_record(StreamName=stream, PartitionKey="twice", Data=twice)
    wait_until("the poison is under the error prefix", lambda: glass.measure(pipeline).at["S3", "failed"] == len(UNREADABLE))
    frame = settled(pipeline)
    assert (frame["passed"] - before["passed"])[["DynamoDB Streams", "Kinesis", "Firehose", "S3"]].tolist() == [
        1, 1 + len(UNREADABLE), 1 + len(UNREADABLE), 0]
    arrived = list(map(look.record_id, look.shard_records(pipeline)["data"]))
    assert frame.at["Kinesis", "repeated"] == len(arrived) - len(set(arrived))
    assert Counter(arrived)[look.record_id(twice)] >= 2
    assert f"{len(UNREADABLE)} under errors/: Lambda.ProcessingFailedStatus" in frame.at["S3", "says"]


@pytest.mark.parametrize("data", UNREADABLE, ids=["no JSON", "BOM", "UTF-16", "nested"])
def test_a_record_that_the_function_cannot_read_is_no_change_event_and_not_dropped(pipeline, data):
    assert glass._words_of(data) == "no change event" and not glass._Memory(pipeline)._is_dropped("it", data)
    assert glass._row(data.decode("latin-1")) is glass._failure(data.decode("latin-1")) is None


def test_a_change_that_no_column_shows_is_dropped(pipeline):
    assert glass._words_of(NO_CHANGE) == "MODIFY o-1" and glass._Memory(pipeline)._is_dropped("it", NO_CHANGE)


def test_rows_in_a_folder_that_no_crawl_has_seen_wait_for_one(pipeline):
    before = settled(pipeline)
    make_crawler(pipeline)
    frame = glass.measure(pipeline)
    assert (frame.at["Glue", "state"], frame.at["Glue", "says"]) == ("waiting", "the crawler has not run yet")
    assert frame.at["Glue", "behind"] == before.at["S3", "passed"] and frame.at["Athena", "passed"] == 0
    crawl(pipeline)
    frame = glass.measure(pipeline)
    assert frame.loc[["Glue", "Athena"], "state"].tolist() == ["ready", "ready"] and frame.at["Glue", "behind"] == 0
    assert frame.at["Athena", "passed"] == frame.at["S3", "passed"] and frame.at["Glue", "last"] == "crawl SUCCEEDED"
    row = {"event_id": "new", "event_name": "INSERT", "orderid": "o-new", "sequence_number": "1", "event_time": "2026-01-02T03:04:05Z"}
    late = {"Bucket": pipeline.settings.bucket, "Key": f"{pipeline.settings.lake_prefix}hour=99/late"}
    pipeline.client("s3").put_object(**late, Body=json.dumps(row))
    try:
        frame = glass.measure(pipeline)
        assert (frame.at["Glue", "state"], frame.at["Glue", "behind"]) == ("waiting", 1) and frame.at["Glue", "lag_s"] > 3600
        assert frame.at["Athena", "passed"] == frame.at["S3", "passed"] - 1
    finally:
        pipeline.client("s3").delete_object(**late)
    assert state(pipeline, "Glue") == "ready"


def test_a_crawl_that_fails_is_broken_and_says_why(pipeline):
    """On the crawler of the test before, or on its own."""
    with contextlib.suppress(pipeline.client("glue").exceptions.AlreadyExistsException):
        make_crawler(pipeline)
    iam, role = pipeline.client("iam"), pipeline.settings.crawler_role
    iam.put_role_policy(RoleName=role, PolicyName="never", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:ListBucket", "Resource": "*"}]}))
    try:
        crawl(pipeline)
        hop = glass.measure(pipeline).loc["Glue"]
        assert hop["state"] == "BROKEN" and "s3:ListBucket" in hop["says"] and hop["last"] == "crawl FAILED"
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="never")
    crawl(pipeline)
    assert state(pipeline, "Glue") == "ready"


def test_a_hop_that_we_may_not_look_at_is_hidden_and_the_rest_is_not(pipeline, aws):
    iam = pipeline.client("iam")
    iam.create_user(UserName="watcher")
    iam.put_user_policy(UserName="watcher", PolicyName="all-but-pipes", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "pipes:*", "Resource": "*"}]}))
    key = iam.create_access_key(UserName="watcher")["AccessKey"]
    watcher = Connected(aws, pipeline.settings, aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    frame = glass.measure(watcher)
    assert frame.at["EventBridge", "state"] == "hidden" and "pipes:DescribePipe" in frame.at["EventBridge", "says"]
    assert frame["state"].tolist().count("hidden") == 1


class Pipes:
    """A pipes client that describes a pipe in ways the local AWS does not."""

    def __init__(self, **described):
        self._described = {"CurrentState": "RUNNING", "DesiredState": "RUNNING", **described}

    def describe_pipe(self, Name):
        return self._described


@pytest.mark.parametrize("described, state", [
    ({"StateReason": "User initiated"}, "ready"),  # how AWS's own example describes a healthy pipe [C: AWS CLI, describe-pipe]
    ({"StateReason": "AccessDenied"}, "ready"),  # nothing waits for it: no proof that it is broken
    ({"CurrentState": "CREATE_FAILED"}, "BROKEN"),
    ({"CurrentState": "STOPPED", "StateReason": "Disabled after errors"}, "BROKEN"),  # it should be RUNNING: AWS did that
    ({"CurrentState": "STOPPED", "DesiredState": "STOPPED"}, "STOPPED"), ({"CurrentState": "STARTING"}, "getting ready"),
    ({"Source": "arn of before"}, "BROKEN"),
])
def test_a_pipes_own_words_decide_its_state(pipeline, aws, described, state):
    connected = Connected(aws, pipeline.settings)
    source = pipeline.client("pipes").describe_pipe(Name=pipeline.settings.pipe)["Source"]
    connected._clients["pipes"] = Pipes(**{"Source": source} | described)
    settled(pipeline)
    hop = glass.measure(connected).loc["EventBridge"]
    assert (hop["state"], hop["behind"]) == (state, 0) and (hop["says"] or described.get("StateReason") in (None, "User initiated"))


@pytest.mark.parametrize("reason, state", [("User initiated", "flowing"), ("AccessDenied", "BROKEN")])
def test_a_running_pipe_with_a_reason_is_broken_if_it_holds_something_back(pipeline, aws, reason, state):
    connected = Connected(aws, pipeline.settings)
    described = pipeline.client("pipes").describe_pipe(Name=pipeline.settings.pipe)
    connected._clients["pipes"] = Pipes(**described | {"StateReason": reason})
    [last] = look.Follower(pipeline.client("dynamodbstreams"), {"StreamArn": described["Source"]}).new()[-1:]
    memory = connected.memory["glass"] = glass._Memory(connected)
    glass.measure(connected)
    del memory._records[last[1]["eventID"]]  # one event waits
    hop = glass.measure(connected).loc["EventBridge"]
    assert (hop["state"], hop["behind"], hop["says"]) == (state, 1, "" if state == "flowing" else reason)


def test_what_a_pipe_that_starts_at_latest_never_carries_is_skipped_and_not_behind(pipeline, aws):
    connected = Connected(aws, pipeline.settings)
    described = pipeline.client("pipes").describe_pipe(Name=pipeline.settings.pipe)
    described["SourceParameters"]["DynamoDBStreamParameters"]["StartingPosition"] = "LATEST"
    described["CreationTime"] += timedelta(days=1)
    connected._clients["pipes"] = Pipes(**described)
    connected._clients["kinesis"] = boto3.client("kinesis", **connected.options | {"region_name": "eu-west-1"})  # nothing arrived there
    hop = glass.measure(connected).loc["EventBridge"]
    assert (hop["skipped"], hop["behind"], hop["passed"]) == (len(look.change_events(pipeline)), 0, 0)


# The picture

def flowing(**changes):
    """The figures of a whole pipeline at work, with `changes` by hop and column."""
    at = pd.Timestamp("2026-11-27 18:00:03", tz="UTC")
    rows = {"DynamoDB": {"holds": 984, "unit": "orders"},
            "DynamoDB Streams": {"holds": 2378, "unit": "change events", "passed": 2378, "last": "MODIFY o-000008", "last_at": at},
            "EventBridge": {"state": "flowing", "passed": 2200, "behind": 178, "lag_s": 1.4, "skipped": 0},
            "Kinesis": {"holds": 2225, "unit": "records", "passed": 2200, "repeated": 25, "last": "INSERT o-000205", "last_at": at,
                        "by_shard": {"shardId-000000000000": 1180, "shardId-000000000001": 1045}},
            "Firehose": {"state": "flowing", "passed": 1600, "behind": 225, "lag_s": 3.2, "skipped": 375},
            "S3": {"holds": 11, "unit": "objects", "passed": 1599, "failed": 1, "repeated": 0, "last": "INSERT o-000199", "last_at": at,
                   "says": "1 under errors/: Lambda.ProcessingFailedStatus"},
            "Glue": {"holds": 1, "unit": "partitions", "behind": 0, "lag_s": 0, "last": "crawl SUCCEEDED", "last_at": at},
            "Athena": {"holds": 1599, "unit": "rows to query", "passed": 1599, "last": "query SUCCEEDED", "last_at": at}}
    for hop, columns in changes.items():
        rows[hop.replace("_", " ")] |= columns
    return glass.as_frame(rows, at)


LONG = "AccessDeniedException: " + "the service " * 40
FRAMES = {
    "flowing": flowing(),
    "broken": flowing(EventBridge={"state": "BROKEN", "says": LONG}, S3={"failed": 900, "says": LONG},
                      Firehose={"state": "STOPPED", "says": LONG}),
    "large": flowing(DynamoDB={"holds": 12_345_678, "says": "10 pages are counted, there are more"},
                     DynamoDB_Streams={"holds": 12_345_678, "passed": 12_345_678},
                     EventBridge={"behind": 12_345_678, "lag_s": 86_400, "skipped": 12_345_678},
                     Kinesis={"by_shard": {f"shardId-{n:012}": 190_000 + n for n in range(64)}, "last": "MODIFY " + "o" * 80}),
    "three shards": flowing(Kinesis={"by_shard": {"shardId-000000000000": 2200, "shardId-000000000001": 25, "shardId-000000000002": 0}}),
    "everything broken": flowing(**{name.replace(" ", "_"): {"state": "BROKEN", "says": LONG} for name in glass.NAMES}),
    "nothing built": glass.as_frame({name: {"state": "not built yet"} for name in glass.NAMES}, pd.Timestamp.now("UTC")),
}


def drawn_texts(frame):
    """The texts of the picture, with the boxes they take up in it, in pixels."""
    figure = glass.draw(frame)
    renderer = FigureCanvasAgg(figure).get_renderer()
    return figure, [(text, text.get_window_extent(renderer)) for axes in figure.axes for text in axes.texts if text.get_text()]


def texts(frame):
    return [text.get_text() for text in glass.draw(frame).axes[0].texts]


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_no_word_is_small_or_clipped_and_none_lies_on_another(frame):
    figure, drawn = drawn_texts(frame)
    width, height = figure.canvas.get_width_height()
    for text, box in drawn:
        assert text.get_fontsize() * 1000 / width >= 12.5 * 1000 / 1300, text
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, f"{text} is clipped"
    for (one, box), (other, its) in itertools.combinations(drawn, 2):
        assert box.x1 <= its.x0 or its.x1 <= box.x0 or box.y1 <= its.y0 or its.y1 <= box.y0, f"{one} lies on {other}"


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_nothing_runs_out_of_its_tube(frame):
    parts = [patch for patch in glass.draw(frame).axes[0].patches if isinstance(patch, Rectangle) and patch.get_height() == glass.TUBE]
    assert bool(parts) == frame["state"].ne("not built yet").any(), "what is not there holds nothing"
    assert max((part.get_x() + part.get_width() for part in parts), default=0) <= glass.TUBE_LEFT + glass.TUBE_WIDTH + 1e-6


def test_a_chapters_own_style_of_charts_changes_nothing_of_the_picture():
    before = glass.png(flowing())
    with rc_context():
        use_style()  # its hatches have the paper's colour
        assert glass.png(flowing()) == before


def grey(frame):
    """The picture without colour: a row of 0 (black) to 255 (white) for each of its lines."""
    return np.asarray(Image.open(io.BytesIO(glass.png(frame))).convert("L"), dtype=int)


def test_no_two_states_differ_by_colour_alone():
    """Black and white suffice, of a hop that carries and of one that holds: marks, lines and words are not the same."""
    names = ["EventBridge", "Kinesis"]
    frames = {state: flowing(**{name: {"state": state} for name in names}) for state in glass.MARKS}
    pictures = {state: grey(frame) > 127 for state, frame in frames.items()}
    begin = 100 * (glass.TITLE + glass._height("DynamoDB") + glass._height("DynamoDB Streams"))
    middle, end = begin + 100 * glass._height("EventBridge"), begin + 100 * (glass._height("EventBridge") + glass._height("Kinesis"))
    for one, other in itertools.combinations(glass.MARKS, 2):
        differs = pictures[one] != pictures[other]
        assert differs[int(begin):int(middle)].sum() > 300 and differs[int(middle):int(end)].sum() > 300, (one, other)
    for state, frame in frames.items():
        assert texts(frame).count(f"{glass.MARKS[state]} {state}") == 2 + 5 * (state == "ready") + (state == "flowing")
        assert all(f"{name}: {state}" in glass.words(frame) for name in names)
    assert len(set(glass.MARKS.values())) == len(glass.MARKS)


def test_what_fills_a_tube_differs_without_colour():
    """Passed, failed, skipped and not here yet: each a hatch or a shade of grey of its own."""
    looks = [*glass.PASSED, glass.FAILED, glass.SKIPPED, {"facecolor": "#ffffff"}]
    assert len({look.get("hatch", look["facecolor"]) for look in looks}) == len(looks)
    full, less = grey(flowing()), grey(flowing(S3={"passed": 800}))
    assert (abs(full - less) > 80).sum() > 5000, "half a tube is missing, and one sees it"


def test_the_words_say_all_that_the_picture_shows():
    said = glass.words(FRAMES["flowing"])
    for fact in ("2,378 changes captured, 403 on the way", "984 orders", "178 behind, the oldest by 1 s", "by shard: 1,180 / 1,045",
                 "375 came before it: never carried", "1 under errors/", "last: MODIFY o-000008 at 18:00:03", "1 partition;"):
        assert fact in said
    assert len(said.splitlines()) == 1 + len(glass.NAMES)


def test_the_same_figures_give_the_same_file():
    assert glass.png(FRAMES["flowing"]) == glass.png(flowing())


# In a notebook

@pytest.fixture
def run_cells(aws, tmp_path, monkeypatch):
    """Runs cells under papermill, connected to the pipeline; gives the outputs of each."""
    monkeypatch.setenv("LOCALAWS_PORT", str(aws.local.port))
    monkeypatch.setenv("LOCALAWS_DIR", str(aws.local.directory))

    def run(*sources):
        first = "from helpers import Settings, connect, glass\naws = connect(Settings(prefix='glass'))"
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (first, *sources)],
                                        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        nbformat.write(book, tmp_path / "in.ipynb")
        papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", kernel_name="python3", progress_bar=False, cwd=tmp_path)
        return [cell.outputs for cell in nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[1:]]

    return run


def test_live_leaves_one_picture_of_the_end_and_never_disturbs_its_block(pipeline, run_cells):
    flowing, shown, failing, raising = run_cells("""
from threading import Event
from helpers.orders import OrderSource, plan, read_products
drawn, draw = [], glass.draw
glass.draw = lambda frame: drawn.append(frame) or draw(frame)
with glass.live(aws, every=0.1):
    while len(drawn) < 4:
        Event().wait(0.1)
print(len(drawn) >= 5, drawn[-1] is not drawn[0])""", "glass.show(aws)", """
measure, glass.measure = glass.measure, lambda aws: 1 / 0
with glass.live(aws, every=0.1):
    Event().wait(0.5)
    print("the block went on")
glass.measure = measure""", """
try:
    with glass.live(aws):
        raise KeyError("of the block")
except KeyError as error:
    print("its own error:", error)""")
    for outputs in (flowing, shown, raising):
        [picture] = [output for output in outputs if output.output_type != "stream"]
        said = picture.data["text/plain"]
        assert said.startswith("The glass pipeline. ") and "Kinesis: ready" in said
        assert picture.metadata["image/png"]["alt"] == said
        assert Image.open(io.BytesIO(base64.b64decode(picture.data["image/png"]))).width >= 1200
    assert said_in(flowing) == "True True\n" and "its own error: 'of the block'" in said_in(raising)
    assert "the block went on" in said_in(failing) and "the last time: ZeroDivisionError: division by zero" in said_in(failing)


def said_in(outputs):
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_live_without_a_notebook_says_the_end_once(pipeline, capsys):
    with glass.live(pipeline, every=0.1):
        pass
    assert capsys.readouterr().out.count("The glass pipeline. ") == 1
