"""Firehose from a Kinesis stream, or DirectPut, through a Lambda function to S3. Facts: AWS_FACTS.md part 4."""

import base64
import datetime
import gzip
import io
import itertools
import json
import re
import time
import zipfile

import psutil
import pytest
from botocore.exceptions import ClientError

from helpers.localaws import LocalAws
from helpers.localaws.firehose import direct, prefix
from helpers.localaws.firehose.transform import Source, outcomes

from ..conftest import Aws
from .making import (
    FIREHOSE_LAMBDA,
    FIREHOSE_S3,
    FIREHOSE_SOURCE,
    PIPE_SOURCE,
    PIPE_TARGET,
    allow,
    client,
    drop_bucket,
    drop_role,
    function,
    objects,
    role,
    stream,
    table,
    trust,
    wait_for,
)

ALL = FIREHOSE_SOURCE + FIREHOSE_S3 + FIREHOSE_LAMBDA
numbers = itertools.count()

# A record's text says what the function does with it; what concerns the whole batch is said by any record of it.
TRANSFORM = """
import base64, json, time

def handler(event, context):
    texts = [base64.b64decode(record["data"]).decode() for record in event["records"]]
    if "raise" in texts:
        raise ValueError("told to")
    if "sleep" in texts:
        time.sleep(30)
    if "None" in texts:
        return None
    if "event" in texts:
        shown = json.dumps(event)
        return {"records": [{"recordId": r["recordId"], "result": "Ok", "data": base64.b64encode(shown.encode()).decode()}
                            for r in event["records"]]}
    answer = []
    for record, text in zip(event["records"], texts):
        data = base64.b64encode((text.upper() + "\\n").encode()).decode()
        entry = {"recordId": record["recordId"], "result": "Ok", "data": data}
        if text in ("Dropped", "ProcessingFailed", "ok"):
            entry["result"] = text
        elif text == "null":
            entry["data"] = None
        elif text == "not base64":
            entry["data"] = "***"
        elif text == "unknown":
            entry["recordId"] = "somebody else's"
        elif text == "twice":
            answer.append(entry)
        if text != "missing":
            answer.append(entry)
    return {"records": answer}
"""


@pytest.fixture(scope="module")
def work_role(aws):
    yield role(aws, "firehose-role", "firehose.amazonaws.com", ALL)
    drop_role(aws, "firehose-role")


@pytest.fixture(scope="module")
def functions(aws):
    """The transform with 20 s, and the same with 1 s, to time out."""
    lambda_role = role(aws, "firehose-function-role", "lambda.amazonaws.com", ["logs:*"])
    yield {seconds: function(aws, f"firehose-transform-{seconds}", TRANSFORM, lambda_role, timeout=seconds) for seconds in (20, 1)}
    for seconds in (20, 1):
        client(aws, "lambda").delete_function(FunctionName=f"firehose-transform-{seconds}")
    drop_role(aws, "firehose-function-role")


class Line:
    """A Kinesis stream, a bucket and, once `deliver` is called, a delivery stream between them; all with one name of their own."""

    def __init__(self, aws, role_arn: str, function_arn: str, shards: int = 1):
        self.aws, self.role_arn, self.function_arn, self.name = aws, role_arn, function_arn, f"firehose-{next(numbers)}"
        self.firehose, self.kinesis = client(aws, "firehose"), client(aws, "kinesis")
        self.source = stream(aws, self.name, shards)
        client(aws, "s3").create_bucket(Bucket=self.name)

    def create(self, *, transform: bool | dict = False, interval: int = 1, size: int = 5, request: dict | None = None,
               direct: bool = False, **destination):
        """Create the delivery stream; with `transform`, through the function, whose parameters it may hold."""
        destination = {"RoleARN": self.role_arn, "BucketARN": f"arn:aws:s3:::{self.name}",
                       "BufferingHints": {"SizeInMBs": size, "IntervalInSeconds": interval}, **destination}
        if transform is not False:
            parameters = {"LambdaArn": self.function_arn, "BufferIntervalInSeconds": "1",
                          **(transform if isinstance(transform, dict) else {})}
            destination["ProcessingConfiguration"] = {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": [
                {"ParameterName": n, "ParameterValue": v} for n, v in parameters.items()]}]}
        source = {} if direct else {
            "DeliveryStreamType": "KinesisStreamAsSource",
            "KinesisStreamSourceConfiguration": {"KinesisStreamARN": self.source, "RoleARN": self.role_arn}}
        return self.firehose.create_delivery_stream(**{
            "DeliveryStreamName": self.name, **source, "ExtendedS3DestinationConfiguration": destination, **(request or {})})

    def deliver(self, **settings) -> "Line":
        self.create(**settings)
        self.wait_status("ACTIVE")
        return self

    def update(self, version: int = 1, **destination) -> None:
        self.firehose.update_destination(
            DeliveryStreamName=self.name, CurrentDeliveryStreamVersionId=str(version),
            DestinationId="destinationId-000000000001", ExtendedS3DestinationUpdate=destination)

    def put_directly(self, *texts: str) -> dict:
        return self.firehose.put_record_batch(DeliveryStreamName=self.name, Records=[{"Data": text.encode()} for text in texts])

    def describe(self) -> dict:
        return self.firehose.describe_delivery_stream(DeliveryStreamName=self.name)["DeliveryStreamDescription"]

    def wait_status(self, status: str) -> dict:
        return wait_for(lambda: (found := self.describe())["DeliveryStreamStatus"] == status and found)

    def wait_trouble(self, *words: str) -> dict:
        def troubled():
            found = self.describe()
            details = found.get("FailureDescription", {}).get("Details", "")
            return all(word in details for word in words) and found
        return wait_for(troubled)

    def wait_no_trouble(self) -> None:
        wait_for(lambda: "FailureDescription" not in self.describe())

    def put(self, *texts: str, key: str | None = None) -> None:
        self.kinesis.put_records(StreamName=self.name, Records=[
            {"Data": text.encode(), "PartitionKey": key or text[:100]} for text in texts])

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        return objects(self.aws, self.name, prefix)

    def wait_text(self, text: str, prefix: str = "data/") -> None:
        wait_for(lambda: b"".join(self.objects(prefix).values()).decode() == text)

    def wait_errors(self, count: int, prefix: str = "failed/") -> list[dict]:
        def errors():
            return [json.loads(line) for body in self.objects(prefix).values() for line in body.decode().splitlines()]
        return wait_for(lambda: len(found := errors()) >= count and found)

    def drop(self) -> None:
        try:
            self.firehose.delete_delivery_stream(DeliveryStreamName=self.name)
            wait_for(lambda: self.name not in self.firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"])
        except self.firehose.exceptions.ResourceNotFoundException:
            pass
        self.kinesis.delete_stream(StreamName=self.name)
        drop_bucket(self.aws, self.name)


PLACES = {"Prefix": "data/!{timestamp:yyyy}/", "ErrorOutputPrefix": "failed/!{firehose:error-output-type}/"}


@pytest.fixture
def line(aws, work_role, functions):
    lines = []

    def make(**settings) -> Line:
        lines.append(Line(aws, settings.pop("role_arn", work_role), functions[settings.pop("seconds", 20)], **settings))
        return lines[-1]

    yield make
    for made in lines:
        made.drop()


@pytest.fixture
def own_role(aws):
    """The name and ARN of a role that a test may take rights from."""
    name = f"firehose-own-role-{next(numbers)}"
    yield name, role(aws, name, "firehose.amazonaws.com", ALL)
    drop_role(aws, name)


# -- what arrives ----------------------------------------------------------------------------------------------------

def test_records_are_joined_as_they_are_without_a_newline(line):
    delivery = line().deliver(**PLACES)
    delivery.put("a", "b\n", "c", key="one")
    delivery.wait_text("ab\nc")


def test_only_what_is_put_after_creation_is_read_from_every_shard(line):
    delivery = line(shards=3)
    delivery.put("before")
    delivery.deliver(**PLACES)
    delivery.put(*"abcdefgh")
    wait_for(lambda: sorted(b"".join(delivery.objects("data/").values()).decode()) == list("abcdefgh"))


def test_the_function_gets_a_batch_in_one_call_as_the_documented_event(line):
    delivery = line().deliver(transform=True, **PLACES)
    delivery.put("event", *map(str, range(9)), key="1001")
    body = wait_for(lambda: delivery.objects("data/")).popitem()[1].decode()
    event = json.loads(body[:body.index("}{") + 1])
    assert body == json.dumps(event) * 10  # one call, ten records; joined without a newline
    assert list(event) == ["invocationId", "sourceKinesisStreamArn", "deliveryStreamArn", "region", "records"]
    assert event["sourceKinesisStreamArn"] == delivery.source and event["region"] == "us-east-1"
    assert event["deliveryStreamArn"] == delivery.describe()["DeliveryStreamARN"]
    assert [base64.b64decode(record["data"]).decode() for record in event["records"]] == ["event", *"012345678"]
    record = event["records"][0]
    assert list(record) == ["recordId", "approximateArrivalTimestamp", "data", "kinesisRecordMetadata"]
    metadata = record["kinesisRecordMetadata"]
    assert metadata["partitionKey"] == "1001" and metadata["subsequenceNumber"] == 0
    assert metadata["shardId"] == "shardId-000000000000"
    moment = record["approximateArrivalTimestamp"]
    assert type(moment) is int and abs(moment / 1000 - time.time()) < 60 and metadata["approximateArrivalTimestamp"] == moment


def test_without_enabled_processing_is_off(line):
    delivery = line()
    delivery.deliver(ProcessingConfiguration={"Processors": [{"Type": "Lambda", "Parameters": [
        {"ParameterName": "LambdaArn", "ParameterValue": delivery.function_arn}]}]}, **PLACES)
    delivery.put("raw")
    delivery.wait_text("raw")
    processing = delivery.describe()["Destinations"][0]["ExtendedS3DestinationDescription"]["ProcessingConfiguration"]
    assert processing["Enabled"] is False
    assert {p["ParameterName"]: p["ParameterValue"] for p in processing["Processors"][0]["Parameters"]} == {
        "LambdaArn": delivery.function_arn, "RoleArn": delivery.role_arn, "NumberOfRetries": "3", "BufferSizeInMBs": "1",
        "BufferIntervalInSeconds": "60"}


# -- records that are put directly -----------------------------------------------------------------------------------

def test_records_that_are_put_directly_are_delivered_in_order(line):
    delivery = line().deliver(direct=True, interval=40, **PLACES)  # 2 s here, so that they are in one object
    put = delivery.firehose.put_record(DeliveryStreamName=delivery.name, Record={"Data": b"a,"})
    answer = delivery.put_directly("b,", "", "c")
    assert answer["FailedPutCount"] == 0 and answer["Encrypted"] is False
    assert len({put["RecordId"], *(entry["RecordId"] for entry in answer["RequestResponses"])}) == 4
    delivery.wait_text("a,b,c")
    description = delivery.describe()
    assert description["DeliveryStreamType"] == "DirectPut" and "Source" not in description
    assert delivery.name in delivery.firehose.list_delivery_streams(DeliveryStreamType="DirectPut")["DeliveryStreamNames"]


def test_of_records_put_directly_the_function_is_told_nothing_of_kinesis(line):
    delivery = line().deliver(direct=True, transform=True, **PLACES)
    delivery.put_directly("event")
    event = json.loads(wait_for(lambda: delivery.objects("data/")).popitem()[1])
    assert list(event) == ["invocationId", "deliveryStreamArn", "region", "records"]
    assert [list(record) for record in event["records"]] == [["recordId", "approximateArrivalTimestamp", "data"]]
    assert abs(event["records"][0]["approximateArrivalTimestamp"] / 1000 - time.time()) < 60
    delivery.put_directly("ProcessingFailed")
    error, = delivery.wait_errors(1)
    assert base64.b64decode(error["rawData"]) == b"ProcessingFailed"


def test_a_put_takes_500_records_of_1000_kib_and_4_mib_together(line):
    delivery = line().deliver(direct=True, interval=900, **PLACES)
    for records, code, word in (([b"x" * 1_024_001], "ValidationException", "1024000"), ([b"x"] * 501, "ValidationException", "500"),
                                ([b"x" * 1_024_000] * 5, "InvalidArgumentException", "Records size exceeds 4 MB limit")):
        with pytest.raises(ClientError, match=word) as refusal:
            delivery.firehose.put_record_batch(DeliveryStreamName=delivery.name, Records=[{"Data": data} for data in records])
        assert refusal.value.response["Error"]["Code"] == code
    delivery.put_directly(*["x" * 1_024_000] * 4)
    delivery.put_directly(*["y" * 1_024_000] * 2)  # and the buffer of 5 MiB is full
    assert sum(map(len, wait_for(lambda: delivery.objects("data/")).values())) >= 5 * 1024 * 1024


def test_what_was_put_directly_and_only_buffered_is_delivered_after_an_update(line):
    delivery = line().deliver(direct=True, interval=900, **PLACES)
    delivery.put_directly("buffered ")
    delivery.update(BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 20})
    delivery.put_directly("and after")
    delivery.wait_text("buffered and after")


def test_a_log_goes_on_after_a_restart_and_drops_the_segments_that_are_delivered(tmp_path, monkeypatch):
    monkeypatch.setattr(direct, "SEGMENT_BYTES", 60)
    log = direct.Log(tmp_path / "log")
    first = log.append([b"a", b"b"])
    for text in (b"c" * 30, b"d", b"e"):
        log.append([text])
    log = direct.Log(tmp_path / "log")
    last, = log.append([b"f"])

    def read(after) -> list[bytes]:
        found = []
        while page := log.read(after):
            found += [base64.b64decode(record.data) for record in page]
            after = page[-1].sequence
        return found

    assert read(None) == [b"a", b"b", b"c" * 30, b"d", b"e", b"f"] and read(first[0])[0] == b"b"
    assert read(last) == [] and len(list((tmp_path / "log").iterdir())) == 2
    log.trim(first[1])
    assert read(first[1])[0] == b"c" * 30
    log.trim(last)
    assert read(None) == [b"d", b"e", b"f"] and log.append([b"g"]) and read(last) == [b"g"]


# -- the backup of what came -----------------------------------------------------------------------------------------

def test_a_backup_holds_the_source_records_and_the_destination_the_transformed_ones(line):
    delivery = line()
    backup = {"RoleARN": delivery.role_arn, "BucketARN": f"arn:aws:s3:::{delivery.name}", "Prefix": "source/",
              "CompressionFormat": "GZIP", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}}
    delivery.deliver(transform=True, S3BackupMode="Enabled", S3BackupConfiguration=backup, **PLACES)
    delivery.put("good", "Dropped", "ProcessingFailed", key="one")
    delivery.wait_text("GOOD\n")
    delivery.wait_errors(1)
    wait_for(lambda: b"".join(map(gzip.decompress, delivery.objects("source/").values())) == b"goodDroppedProcessingFailed")
    described = delivery.describe()["Destinations"][0]["ExtendedS3DestinationDescription"]
    assert described["S3BackupMode"] == "Enabled" and described["S3BackupDescription"]["Prefix"] == "source/"
    with pytest.raises(ClientError, match="cannot be disabled"):
        delivery.update(S3BackupMode="Disabled")


def test_a_backup_that_is_enabled_later_begins_with_what_is_not_delivered_yet(line):
    delivery = line().deliver(direct=True, **PLACES)
    delivery.put_directly("before.")
    delivery.wait_text("before.")
    delivery.update(BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 900})
    delivery.put_directly("buffered.")
    delivery.update(2, S3BackupMode="Enabled", BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 1}, S3BackupUpdate={
        "RoleARN": delivery.role_arn, "BucketARN": f"arn:aws:s3:::{delivery.name}", "Prefix": "source/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}})
    delivery.put_directly("after.")
    for place, texts in (("source/", [b"", b"after", b"buffered"]), ("data/", [b"", b"after", b"before", b"buffered"])):
        wait_for(lambda p=place, t=texts: sorted(b"".join(delivery.objects(p).values()).split(b".")) == t)


def test_a_refused_backup_is_named_and_holds_up_no_delivery(aws, line, own_role):
    name, arn = own_role
    delivery = line()
    backup = {"RoleARN": arn, "BucketARN": f"arn:aws:s3:::{delivery.name}", "Prefix": "source/",
              "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}}
    allow(aws, name, ["s3:ListBucket"])
    delivery.deliver(S3BackupMode="Enabled", S3BackupConfiguration=backup, **PLACES)
    delivery.put("kept")
    delivery.wait_text("kept")
    delivery.wait_trouble("backup: ", "s3:PutObject")
    allow(aws, name, FIREHOSE_S3)
    delivery.wait_text("kept", "source/")
    delivery.wait_no_trouble()


# -- what the function does with a record ----------------------------------------------------------------------------

ROWS = {"ProcessingFailed": "Lambda.ProcessingFailedStatus", "missing": "Lambda.MissingRecordId",
        "twice": "Lambda.DuplicatedRecordId", "unknown": "Lambda.MissingRecordId", "null": "Lambda.InvalidReturnFormat",
        "not base64": "Lambda.InvalidReturnFormat", "ok": "Lambda.InvalidReturnFormat"}


def test_a_record_that_fails_fails_alone_and_a_dropped_one_leaves_no_trace(line):
    delivery = line().deliver(transform=True, **PLACES)
    delivery.put("first", *ROWS, "Dropped", "last", key="one")
    errors = delivery.wait_errors(len(ROWS))
    assert {base64.b64decode(error["rawData"]).decode(): error["errorCode"] for error in errors} == ROWS
    assert {error["attemptsMade"] for error in errors} == {1} and len(errors) == len(ROWS)
    delivery.wait_text("FIRST\nLAST\n")

    error = errors[0]  # and an error object has exactly the captured members, in their order
    assert list(error) == ["rawData", "errorCode", "errorMessage", "attemptsMade", "arrivalTimestamp", "attemptEndingTimestamp",
                           "lambdaARN"]
    assert error["errorMessage"] == "ProcessingFailed status set for record"
    assert error["lambdaARN"] == delivery.function_arn + ":$LATEST"
    assert type(error["arrivalTimestamp"]) is int and error["arrivalTimestamp"] <= error["attemptEndingTimestamp"]
    key = next(iter(delivery.objects("failed/")))
    assert re.fullmatch(rf"failed/processing-failed/{delivery.name}-1-\d{{4}}(-\d\d){{5}}-[0-9a-f-]{{36}}", key)


def test_an_answer_without_records_fails_every_record_as_missing(line):
    delivery = line().deliver(transform=True, **PLACES)
    delivery.put("None", "neighbour", key="one")
    errors = delivery.wait_errors(2)
    assert [(e["errorCode"], e["attemptsMade"]) for e in errors] == [("Lambda.MissingRecordId", 1)] * 2


def test_a_function_that_raises_is_called_four_times_and_then_skipped(line):
    delivery = line().deliver(transform=True, **PLACES)
    delivery.put("raise", "neighbour", key="one")
    errors = delivery.wait_errors(2)
    assert [(e["errorCode"], e["attemptsMade"]) for e in errors] == [("Lambda.FunctionError", 4)] * 2
    assert errors[0]["errorMessage"] == "The Lambda function was successfully invoked but it returned an error result."
    delivery.put("next")
    delivery.wait_text("NEXT\n")  # and nothing was passed through raw


def test_a_function_that_times_out_is_called_as_often_as_retries_say(line):
    delivery = line(seconds=1).deliver(transform={"NumberOfRetries": "1"}, **PLACES)
    delivery.put("sleep")
    error, = delivery.wait_errors(1)
    assert (error["errorCode"], error["attemptsMade"]) == ("Lambda.FunctionTimedOut", 2)
    assert not delivery.objects("data/")


def test_a_slow_function_holds_up_no_other_delivery_stream(line):
    slow, other = line(seconds=1).deliver(transform=True, **PLACES), line().deliver(**PLACES)  # 4 attempts of 1 s
    slow.put("sleep")
    for count in range(1, 4):  # the function is asleep before the last of these
        other.put("quick")
        wait_for(lambda count=count: len(other.objects("data/")) == count, seconds=5)
    assert not slow.objects()


# -- roles -----------------------------------------------------------------------------------------------------------

def test_a_missing_permission_to_call_the_function_fails_the_records_and_is_named(aws, line, own_role):
    name, arn = own_role
    delivery = line(role_arn=arn).deliver(transform=True, **PLACES)
    allow(aws, name, FIREHOSE_SOURCE + FIREHOSE_S3)
    delivery.put("refused")
    error, = delivery.wait_errors(1)
    assert (error["errorCode"], error["attemptsMade"]) == ("Lambda.InvokeAccessDenied", 4)
    assert base64.b64decode(error["rawData"]) == b"refused"
    assert "lambda:InvokeFunction" in delivery.describe()["FailureDescription"]["Details"]
    allow(aws, name, ALL)
    delivery.put("allowed")
    delivery.wait_text("ALLOWED\n")
    delivery.wait_no_trouble()


def test_a_refused_write_is_named_and_nothing_is_lost(aws, line, own_role):
    name, arn = own_role
    delivery = line(role_arn=arn).deliver(**PLACES)
    allow(aws, name, FIREHOSE_SOURCE)
    delivery.put("one.", key="k")
    assert delivery.wait_trouble("AccessDenied", "s3:PutObject")["DeliveryStreamStatus"] == "ACTIVE"
    delivery.put("two.", key="k")
    assert "s3:PutObject" in aws.local.tail(50)
    allow(aws, name, ALL)
    wait_for(lambda: sorted(b"".join(delivery.objects("data/").values()).split(b".")) == [b"", b"one", b"two"])
    delivery.wait_no_trouble()


def test_a_refused_read_is_named_and_nothing_is_lost(aws, line, own_role):
    name, arn = own_role
    delivery = line(role_arn=arn).deliver(**PLACES)
    allow(aws, name, FIREHOSE_S3 + ["kinesis:DescribeStream"])
    delivery.wait_trouble("AccessDenied", "kinesis:Get")
    delivery.put("late")
    allow(aws, name, ALL)
    delivery.wait_text("late")
    delivery.wait_no_trouble()


def test_a_role_that_cannot_be_assumed_is_refused_at_once(aws, line, own_role):
    name, arn = own_role
    client(aws, "iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust("lambda.amazonaws.com"))
    with pytest.raises(ClientError, match=f"Firehose is unable to assume role {arn}") as refusal:
        line(role_arn=arn).create()
    assert refusal.value.response["Error"]["Code"] == "InvalidArgumentException"


def test_a_role_that_may_not_read_fails_the_creation(aws, line, own_role):
    name, arn = own_role
    allow(aws, name, FIREHOSE_S3)
    delivery = line(role_arn=arn)
    delivery.create()
    assert "kinesis:DescribeStream" in delivery.wait_status("CREATING_FAILED")["FailureDescription"]["Details"]


# -- buffers, checkpoints --------------------------------------------------------------------------------------------

def test_an_object_is_written_when_its_interval_ends(line):
    delivery = line().deliver(interval=40, **PLACES)  # 2 s here
    delivery.put("waits")
    start = time.monotonic()
    wait_for(lambda: delivery.objects("data/"))
    assert 1.9 < time.monotonic() - start < 5


def test_an_object_is_written_when_its_size_is_reached(line):
    delivery = line().deliver(interval=900, size=1, **PLACES)  # 45 s here
    delivery.put(*("x" * 300_000 for _ in range(4)), key="one")
    assert sum(map(len, wait_for(lambda: delivery.objects("data/"), seconds=10).values())) == 1_200_000


def test_the_function_is_called_when_its_buffer_is_full(line):
    delivery = line().deliver(transform={"BufferIntervalInSeconds": "900", "BufferSizeInMBs": "0.2"}, **PLACES)
    delivery.put(*("x" * 150_000 for _ in range(2)), key="one")
    wait_for(lambda: sum(map(len, delivery.objects("data/").values())) == 300_002, seconds=10)


def test_what_was_only_buffered_is_read_again_after_an_update(line):
    delivery = line().deliver(interval=900, **PLACES)
    delivery.put("buffered ", key="one")
    time.sleep(1)  # nothing shows that a record is read and buffered: it is, with a poll every half second
    delivery.firehose.update_destination(
        DeliveryStreamName=delivery.name, CurrentDeliveryStreamVersionId="1", DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 20}})
    delivery.put("and after", key="one")
    delivery.wait_text("buffered and after")
    assert f"/{delivery.name}-2-" in next(iter(delivery.objects()))
    described = delivery.describe()
    assert described["VersionId"] == "2"
    assert described["Destinations"][0]["ExtendedS3DestinationDescription"]["Prefix"] == PLACES["Prefix"]
    with pytest.raises(delivery.firehose.exceptions.ConcurrentModificationException):
        delivery.firehose.update_destination(
            DeliveryStreamName=delivery.name, CurrentDeliveryStreamVersionId="1", DestinationId="destinationId-000000000001",
            ExtendedS3DestinationUpdate={})


def test_shards_that_come_later_are_read_too(line):
    delivery = line().deliver(**PLACES)
    delivery.put("old ")
    delivery.wait_text("old ")
    delivery.kinesis.split_shard(StreamName=delivery.name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    delivery.put("new")
    wait_for(lambda: b"new" in b"".join(delivery.objects("data/").values()))


def test_no_change_is_lost_when_the_joints_die_or_the_local_aws_is_stopped():
    with LocalAws.temporary(clock_scale=20) as local:
        own = Aws(local, local.start())
        target, orders = stream(own, "orders", 2), table(own, "orders")
        arn = role(own, "firehose-role", "firehose.amazonaws.com", ALL)
        client(own, "s3").create_bucket(Bucket="orders")
        client(own, "firehose").create_delivery_stream(
            DeliveryStreamName="orders", DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": target, "RoleARN": arn},
            ExtendedS3DestinationConfiguration={"RoleARN": arn, "BucketARN": "arn:aws:s3:::orders",
                                                "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 20}})
        client(own, "pipes").create_pipe(
            Name="orders", Source=orders, Target=target, RoleArn=role(own, "pipes-role", "pipes.amazonaws.com", PIPE_SOURCE + PIPE_TARGET),
            SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}},
            TargetParameters={"KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})
        client(own, "firehose").create_delivery_stream(DeliveryStreamName="direct", ExtendedS3DestinationConfiguration={
            "RoleARN": arn, "BucketARN": "arn:aws:s3:::orders", "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 20}})
        for name in ("orders", "direct"):
            wait_for(lambda name=name: client(own, "firehose").describe_delivery_stream(
                DeliveryStreamName=name)["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE")

        def put(*ids: int) -> None:
            for order in ids:
                client(own, "dynamodb").put_item(TableName="orders", Item={"orderid": {"S": f"order {order}"}})
            client(own, "firehose").put_record_batch(
                DeliveryStreamName="direct", Records=[{"Data": f"direct {order};".encode()} for order in ids])

        def delivered() -> set[int]:
            """Those that came both ways."""
            lake = b"".join(objects(own, "orders").values())
            return {int(order) for order in re.findall(rb'"Keys":{"orderid":{"S":"order (\d+)"', lake)} & {
                int(order) for order in re.findall(rb"direct (\d+);", lake)}

        put(*range(100))
        joints, = (p for p in psutil.Process(local.status().pid).children() if any("joints" in word for word in p.cmdline()))
        joints.kill()
        put(*range(100, 200))
        wait_for(lambda: delivered() == set(range(200)))
        put(*range(200, 250))
        local.stop()
        local.start()
        put(*range(250, 300))
        wait_for(lambda: delivered() == set(range(300)))


# -- names in S3 -----------------------------------------------------------------------------------------------------

def test_without_a_prefix_objects_go_by_the_hour_and_errors_beside_them(line):
    delivery = line().deliver(transform=True)
    delivery.put("good", "ProcessingFailed")
    found = wait_for(lambda: len(all_ := delivery.objects()) >= 2 and all_)
    name = rf"{delivery.name}-1-\d{{4}}(-\d\d){{5}}-[0-9a-f-]{{36}}"
    good, = (key for key, body in found.items() if body == b"GOOD\n")
    bad, = (key for key in found if key != good)
    assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d/\d\d/{name}", good)
    assert re.fullmatch(rf"processing-failed/\d{{4}}/\d\d/\d\d/\d\d/{name}", bad)


def test_gzip_and_a_file_extension_of_one_s_own(line):
    delivery = line().deliver(CompressionFormat="GZIP", **PLACES)
    delivery.put("small")
    key, body = wait_for(lambda: delivery.objects("data/")).popitem()
    assert key.endswith(".gz") and gzip.decompress(body) == b"small"
    delivery.firehose.update_destination(
        DeliveryStreamName=delivery.name, CurrentDeliveryStreamVersionId="1", DestinationId="destinationId-000000000001",
        ExtendedS3DestinationUpdate={"FileExtension": ".json.gz"})
    delivery.put("again")
    wait_for(lambda: any(key.endswith(".json.gz") for key in delivery.objects("data/")))


def test_zip_holds_one_file(line):
    delivery = line().deliver(direct=True, CompressionFormat="ZIP", **PLACES)
    delivery.put_directly("small")
    key, body = wait_for(lambda: delivery.objects("data/")).popitem()
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert key.endswith(".zip") and [archive.read(name) for name in archive.namelist()] == [b"small"]


def test_a_delimiter_is_appended_to_each_record_also_after_the_function(line):
    delivery = line()
    processors = [{"Type": "AppendDelimiterToRecord", "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}]},
                  {"Type": "Lambda", "Parameters": [{"ParameterName": "LambdaArn", "ParameterValue": delivery.function_arn},
                                                    {"ParameterName": "BufferIntervalInSeconds", "ParameterValue": "1"}]}]
    delivery.deliver(direct=True, ProcessingConfiguration={"Enabled": True, "Processors": processors[:1]}, **PLACES)
    delivery.put_directly("a", "b")
    delivery.wait_text("a\nb\n")
    delivery.update(ProcessingConfiguration={"Enabled": True, "Processors": processors})
    delivery.put_directly("c")
    wait_for(lambda: b"C\n\n" in b"".join(delivery.objects("data/").values()))


MOMENT = datetime.datetime(2026, 9, 3, 4, 5, 6, tzinfo=datetime.UTC)


@pytest.mark.parametrize("given, expected", [
    (None, "2026/09/03/04/"), ("orders", "orders2026/09/03/04/"), ("orders/", "orders/2026/09/03/04/"),
    ("orders/!{timestamp:'year='yyyy/'month='MM/'day='dd}/", "orders/year=2026/month=09/day=03/"),
    ("a/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "a/dt=2026-09-03/hour=04/"),
    ("!{timestamp:HH:mm:ss}", "04:05:06"), ("!{timestamp:'o''clock'}", "o'clock"),
])
def test_prefixes(given, expected):
    assert prefix.data_prefix(given, MOMENT) == expected


@pytest.mark.parametrize("given, errors, expected", [
    (None, None, "processing-failed/2026/09/03/04/"), ("orders/", None, "orders/processing-failed/2026/09/03/04/"),
    ("orders/", "errors", "errors"), ("o/", "e/!{firehose:error-output-type}/!{timestamp:yyyy}/", "e/processing-failed/2026/"),
])
def test_error_prefixes(given, errors, expected):
    assert prefix.error_prefix(given, errors, "processing-failed", MOMENT) == expected


def test_a_random_string_has_eleven_characters():
    assert re.fullmatch(r"[A-Za-z0-9]{11}/", prefix.data_prefix("!{firehose:random-string}/", MOMENT))


@pytest.mark.parametrize("given, errors, word", [
    ("a/!{timestamp:yyyy}/", None, "ErrorOutputPrefix cannot be null"), ("a/!{timestamp:YYYY}/", "e", "YYYY"),
    ("a/!{partitionKeyFromLambda:x}/", "e", "partitionKeyFromLambda"), ("a/!{timestamp:'yyyy}", "e", "quote"),
    (None, "e/!{timestamp:yyyy}/", "must contain"), ("!{firehose:error-output-type}/", "e", "error-output-type"),
    ("a/!{timestamp:yyyy", "e", "not closed"),
])
def test_wrong_and_unknown_expressions_are_refused(given, errors, word):
    with pytest.raises(prefix.PrefixError, match=word):
        prefix.check(given, errors)


# -- the control plane -----------------------------------------------------------------------------------------------

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:f"


@pytest.mark.parametrize("settings, word", [
    ({"request": {"DeliveryStreamType": "DirectPut"}}, "KinesisStreamSourceConfiguration is not allowed"),
    ({"request": {"DeliveryStreamType": "MSKAsSource"}}, "MSKAsSource"),
    ({"direct": True, "request": {"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"}}},
     "DeliveryStreamEncryptionConfigurationInput"),
    ({"CompressionFormat": "Snappy"}, "Snappy"),
    ({"S3BackupMode": "Enabled"}, "S3BackupConfiguration"),
    ({"S3BackupConfiguration": {"RoleARN": "arn:aws:iam::000000000000:role/r", "BucketARN": "arn:aws:s3:::b",
                                "CompressionFormat": "Snappy"}}, "Snappy"),
    ({"DynamicPartitioningConfiguration": {"Enabled": True}}, "DynamicPartitioningConfiguration"),
    ({"DataFormatConversionConfiguration": {"Enabled": True}}, "DataFormatConversionConfiguration"),
    ({"CloudWatchLoggingOptions": {"Enabled": True}}, "CloudWatchLoggingOptions"),
    ({"CustomTimeZone": "Europe/Berlin"}, "CustomTimeZone"),
    ({"BufferingHints": {"SizeInMBs": 5}}, "both"),
    ({"EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"}}}, "KMS"),
    ({"Prefix": "a/!{timestamp:yyyy}/"}, "ErrorOutputPrefix"),
    ({"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "RecordDeAggregation"}]}}, "RecordDeAggregation"),
    ({"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda"}]}}, "LambdaArn"),
    ({"transform": {"LambdaArn": LAMBDA, "BufferSizeInMBs": "4"}}, "BufferSizeInMBs"),
    ({"transform": {"LambdaArn": LAMBDA, "SubRecordType": "JSON"}}, "SubRecordType"),
])
def test_what_is_wrong_or_not_supported_is_refused_by_name(aws, work_role, settings, word):
    line = Line.__new__(Line)
    line.firehose, line.role_arn, line.name, line.function_arn = client(aws, "firehose"), work_role, "firehose-refused", LAMBDA
    line.source = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    with pytest.raises(ClientError, match=word) as refusal:
        line.create(**settings)
    assert refusal.value.response["Error"]["Code"] == "InvalidArgumentException"


def test_encryption_of_a_delivery_stream_is_refused_by_name(aws):
    with pytest.raises(ClientError, match="does not support firehose:StartDeliveryStreamEncryption"):
        client(aws, "firehose").start_delivery_stream_encryption(DeliveryStreamName="any")


def test_delivery_streams_are_listed_tagged_and_described(line):
    delivery = line().deliver(request={"Tags": [{"Key": "project", "Value": "orders"}]})
    description = delivery.describe()
    source = description["Source"]["KinesisStreamSourceDescription"]
    assert source["KinesisStreamARN"] == delivery.source and source["RoleARN"] == delivery.role_arn
    assert description["Destinations"][0]["ExtendedS3DestinationDescription"]["CompressionFormat"] == "UNCOMPRESSED"
    firehose, name = delivery.firehose, delivery.name
    firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": "chapter", "Value": "5"}])
    firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=["project"])
    assert firehose.list_tags_for_delivery_stream(DeliveryStreamName=name)["Tags"] == [{"Key": "chapter", "Value": "5"}]
    assert name in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"]
    with pytest.raises(firehose.exceptions.ResourceInUseException):
        delivery.create()
    with pytest.raises(firehose.exceptions.InvalidArgumentException, match="not permitted on KinesisStreamAsSource"):
        firehose.put_record(DeliveryStreamName=name, Record={"Data": b"x"})
    firehose.delete_delivery_stream(DeliveryStreamName=name)
    wait_for(lambda: name not in firehose.list_delivery_streams(Limit=100)["DeliveryStreamNames"])
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        delivery.describe()


# -- pure parts ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("payload", [b"null", b"", b"[]", b'{"records": "all"}', b'{"records": [1, {"recordId": 5}]}'])
def test_an_unusable_answer_returns_no_id(payload):
    record = Source("shard", "1", "key", 0, "eA==")
    delivered, failed = outcomes([record], payload)
    assert delivered == [] and [(r, f.code) for r, f in failed] == [(record, "Lambda.MissingRecordId")]
