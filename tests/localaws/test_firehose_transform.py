"""Firehose's Lambda step: its buffer, one call a batch, retries, and each row of the failure table. AWS_FACTS.md part 4."""

import base64
import json
import re
import time
import uuid
from types import SimpleNamespace

import pytest
from botocore.exceptions import ReadTimeoutError

from helpers.localaws.firehose.transform import Function, InvocationFailed, Source, outcomes

from .delivery import (  # noqa: F401 - the fixtures are used by their names
    ALL,
    PLACES,
    TRANSFORM,
    Line,
    functions,
    line,
    own_role,
    work_role,
)
from .making import FIREHOSE_S3, FIREHOSE_SOURCE, allow, client, function, trust, wait_for

# -- the event and the batch -----------------------------------------------------------------------------------------

def test_the_function_gets_a_batch_in_one_call_as_the_documented_event(line):
    """[C] captured."""
    delivery = line().deliver(transform=True, **PLACES)
    delivery.put("event", *map(str, range(9)), key="1001")
    body = delivery.wait_object()[1].decode()
    event = json.loads(body[:body.index("}{") + 1])
    assert body == json.dumps(event) * 10  # one call, ten records; joined without a newline
    assert list(event) == ["invocationId", "sourceKinesisStreamArn", "deliveryStreamArn", "region", "records"]
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", event["invocationId"])
    assert event["sourceKinesisStreamArn"] == delivery.source and event["region"] == "us-east-1"
    assert event["deliveryStreamArn"] == delivery.describe()["DeliveryStreamARN"]
    assert [base64.b64decode(record["data"]).decode() for record in event["records"]] == ["event", *"012345678"]
    assert len({record["recordId"] for record in event["records"]}) == 10
    record = event["records"][0]
    assert list(record) == ["recordId", "approximateArrivalTimestamp", "data", "kinesisRecordMetadata"]
    metadata = record["kinesisRecordMetadata"]
    assert list(metadata) == ["sequenceNumber", "subsequenceNumber", "partitionKey", "shardId", "approximateArrivalTimestamp"]
    assert metadata["partitionKey"] == "1001" and metadata["subsequenceNumber"] == 0
    assert metadata["shardId"] == "shardId-000000000000"
    moment = record["approximateArrivalTimestamp"]
    assert type(moment) is int and abs(moment / 1000 - time.time()) < 60 and metadata["approximateArrivalTimestamp"] == moment


def test_the_function_is_called_when_its_buffer_is_full(line):
    """[C] FH data-transformation: BufferSizeInMBs from 0.2."""
    delivery = line().deliver(transform={"BufferIntervalInSeconds": "900", "BufferSizeInMBs": "0.2"}, **PLACES)
    delivery.put(*("x" * 150_000 for _ in range(2)), key="one")
    wait_for(lambda: sum(map(len, delivery.objects("data/").values())) == 300_002, seconds=10)


def test_the_function_is_called_when_its_interval_ends_and_only_then(line):
    """[C] FH data-transformation: BufferIntervalInSeconds."""
    delivery = line().deliver(transform={"BufferIntervalInSeconds": "40"}, **PLACES)  # 2 s here
    start = time.monotonic()
    delivery.put("waits")
    delivery.wait_text("WAITS\n")
    assert time.monotonic() - start > 2


def test_the_function_s_interval_begins_with_its_first_record_whatever_follows(line):
    """[C] FH data-transformation: BufferIntervalInSeconds."""
    delivery = line().deliver(direct=True, transform={"BufferIntervalInSeconds": "40"}, **PLACES)  # 2 s here
    wait_for(lambda: delivery.put_directly("drop after drop ") and delivery.body(), pause=0.2)


def test_the_function_s_buffer_is_filled_first_then_s3_s(line):
    """[L] AWS_FACTS.md part 4: the first object comes after about the function's and S3's interval together."""
    delivery = line().deliver(transform={"BufferIntervalInSeconds": "30"}, interval=30, **PLACES)  # 1.5 s each
    start = time.monotonic()
    delivery.put("waits twice")
    delivery.wait_object()
    assert time.monotonic() - start > 3


def test_intervals_of_zero_deliver_at_once(line):
    """[C] BC:firehose, IntervalInSeconds from 0; FH data-transformation for the function's."""
    delivery = line().deliver(direct=True, interval=0, transform={"BufferIntervalInSeconds": "0"}, **PLACES)
    start = time.monotonic()
    delivery.put_directly("now")
    delivery.wait_text("NOW\n")
    assert time.monotonic() - start < 10  # the default of 300 s would be 15


def test_a_batch_is_cut_where_its_request_would_pass_6_mb(line):
    """[C] FH data-transformation: a synchronous call's request takes 6 MB."""
    delivery = line().deliver(interval=20, transform={"BufferSizeInMBs": "3", "BufferIntervalInSeconds": "100"}, **PLACES)
    for _ in range(36):  # 18,000 small records: less than 100 KB of data, more than 6 MB of request; 5 s until the interval ends
        delivery.put(*["size"] * 500, key='"' * 100)
    sizes = wait_for(lambda: len(found := delivery.body().decode().split(",")) == 18_001 and found, seconds=40)
    sizes = {int(size) for size in sizes[:-1]}
    assert len(sizes) > 1 and 6_000_000 < max(sizes) <= 6 * 1024 * 1024


def test_a_processor_whose_enabled_is_omitted_is_off_and_described_with_its_defaults(line):
    """[L] FLP."""
    delivery = line()
    delivery.deliver(ProcessingConfiguration={"Processors": [{"Type": "Lambda", "Parameters": [
        {"ParameterName": "LambdaArn", "ParameterValue": delivery.function_arn}]}]}, **PLACES)
    delivery.put("raw")
    delivery.wait_text("raw")
    processing = delivery.destination()["ProcessingConfiguration"]
    assert processing["Enabled"] is False
    assert {p["ParameterName"]: p["ParameterValue"] for p in processing["Processors"][0]["Parameters"]} == {
        "LambdaArn": delivery.function_arn, "RoleArn": delivery.role_arn, "NumberOfRetries": "3", "BufferSizeInMBs": "1",
        "BufferIntervalInSeconds": "60"}


def test_a_delimiter_is_appended_to_each_record_also_after_the_function(line):
    """[C] BC:firehose, AppendDelimiterToRecord needs no parameter; [L] that it is a newline then."""
    delivery = line()
    delimiter = {"Type": "AppendDelimiterToRecord"}
    delivery.deliver(direct=True, ProcessingConfiguration={"Enabled": True, "Processors": [delimiter]}, **PLACES)
    delivery.put_directly("a", "b")
    delivery.wait_text("a\nb\n")
    delimiter["Parameters"] = [{"ParameterName": "Delimiter", "ParameterValue": ";\\n"}]
    delivery.update(ProcessingConfiguration={"Enabled": True, "Processors": [delimiter, delivery.processor()]})
    delivery.put_directly("c")
    wait_for(lambda: delivery.body().endswith(b"C\n;\n"))


# -- the failure table -----------------------------------------------------------------------------------------------

MISSING = ("Lambda.MissingRecordId", 1, "One or more record Ids were not returned.")
FORMAT = ("Lambda.InvalidReturnFormat", 1)
ERROR = ("Lambda.FunctionError", 4, "The Lambda function was successfully invoked but it returned an error result.")

# A row: the record that asks for it; code, attempts and message of its error object; whether its neighbours fail with it.
TABLE = {
    "a record that is ProcessingFailed fails alone [C] routing, [L] code":
        ("ProcessingFailed", ("Lambda.ProcessingFailedStatus", 1, "ProcessingFailed status set for record"), False),
    "a record id that is not returned fails alone, without a retry [C] captured, [L] scope": ("missing", MISSING, False),
    "a record id that is returned twice fails alone [C] code, [L] scope":
        ("twice", ("Lambda.DuplicatedRecordId", 1, "Multiple records were returned with the same record Id."), False),
    "an unknown record id is ignored, and the record's own is missing [L] FLP": ("unknown", MISSING, False),
    "Ok with data null is an invalid format [L] FLP":
        ("null", (*FORMAT, "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource and"), False),
    "a result that is none fails alone [U] with which code": ("ok", (*FORMAT, "The result 'ok' is not one of"), False),
    "data that is not base64 fails alone [U] with which code": ("not base64", (*FORMAT, "The data field is not base64 text."), False),
    "an answer of None fails every record as missing, without a retry [L] FLP": ("None", MISSING, True),
    "an answer that is no object fails every record as missing, without a retry [L] FLP": ("text", MISSING, True),
    "a function that raises fails the batch after 4 calls [C] captured": ("raise", ERROR, True),
    "an answer of more than 6 MB fails the batch after 4 calls [C] FH for the limit, [L] for the code": ("big", ERROR, True),
}


@pytest.fixture(scope="module")
def shared(aws, work_role, functions):
    """One line for the whole table: each row waits for what it put in."""
    made = Line(aws, work_role, functions[20]).deliver(transform=True, **PLACES)
    yield made
    made.drop()


@pytest.mark.parametrize("order, error, all_fail", TABLE.values(), ids=TABLE)
def test_what_the_function_answers_decides_what_becomes_of_each_record(shared, order, error, all_fail):
    """[C] and [L] as each row says."""
    texts = [f"before {order}", order, f"after {order}"]
    failing = texts if all_fail else [order]
    known = shared.objects().keys()

    def new(prefix: str) -> str:
        return b"".join(body for key, body in shared.objects(prefix).items() if key not in known).decode()

    shared.put(*texts, key="one")
    errors = [json.loads(line) for line in wait_for(lambda: new("failed/"), seconds=30).splitlines()]
    assert [base64.b64decode(e["rawData"]).decode() for e in errors] == failing
    code, attempts, message = error
    assert {(e["errorCode"], e["attemptsMade"]) for e in errors} == {(code, attempts)}
    assert all(e["errorMessage"].startswith(message) for e in errors)
    assert new("data/") == "".join(f"{text.upper()}\n" for text in texts if text not in failing)  # and nothing passed on raw


def test_a_dropped_record_leaves_no_trace(line):
    """[C] FH data-transformation-status-model: Dropped counts as success."""
    delivery = line().deliver(transform=True, **PLACES)
    delivery.put("Dropped", key="one")
    delivery.put("first", "Dropped", "last", key="one")
    delivery.wait_text("FIRST\nLAST\n")
    assert not delivery.objects("failed/")


def test_an_error_object_is_one_json_a_line_with_the_captured_members(line):
    """[C] captured 2026-09-10 (floci pull request 3393): its members, their order, the function's ARN as it was given."""
    delivery = line().deliver(transform=True, CompressionFormat="GZIP", **PLACES)
    before = time.time()
    delivery.put("ProcessingFailed", "missing", key="one")
    errors = delivery.wait_errors(2)
    body, = delivery.objects("failed/").values()
    assert body.endswith(b"}\n") and body.count(b"\n") == 2 and b": " not in body.replace(b"record Ids", b"")
    for error in errors:
        assert list(error) == ["rawData", "errorCode", "errorMessage", "attemptsMade", "arrivalTimestamp", "attemptEndingTimestamp",
                               "lambdaARN"]
        assert error["lambdaARN"] == delivery.function_arn
        assert type(error["arrivalTimestamp"]) is int and error["arrivalTimestamp"] <= error["attemptEndingTimestamp"]
        assert before - 1 < error["arrivalTimestamp"] / 1000 and error["attemptEndingTimestamp"] / 1000 < time.time() + 1
    key = next(iter(delivery.objects("failed/")))
    assert re.fullmatch(rf"failed/processing-failed/{delivery.name}-1-\d{{4}}(-\d\d){{5}}-[0-9a-f-]{{36}}", key)


def test_a_function_given_by_its_version_is_called_so_and_named_so(line):
    """[C] captured: an ARN that ends with :$LATEST stands so in the error object."""
    delivery = line()
    delivery.deliver(transform={"LambdaArn": f"{delivery.function_arn}:$LATEST"}, **PLACES)
    delivery.put("ProcessingFailed", "good")
    error, = delivery.wait_errors(1)
    assert error["lambdaARN"] == f"{delivery.function_arn}:$LATEST"
    delivery.wait_text("GOOD\n")


# -- retries ---------------------------------------------------------------------------------------------------------

def test_a_function_that_raises_is_called_four_times_and_the_stream_moves_on(line):
    """[C] captured attemptsMade 4; FH: the batch is skipped."""
    delivery, counted = line().deliver(transform=True, **PLACES), uuid.uuid4().hex
    delivery.put(f"raise:{counted}", "neighbour", key="one")
    assert {error["attemptsMade"] for error in delivery.wait_errors(2)} == {4}
    delivery.put(f"calls:{counted}")
    delivery.wait_text("4 calls")


def test_a_batch_that_succeeds_when_it_is_tried_again_is_delivered(line):
    """[C] FH data-transformation-failure-handling: retries."""
    delivery, counted = line().deliver(transform=True, **PLACES), uuid.uuid4().hex
    delivery.put(f"flaky:{counted}", "neighbour", key="one")
    delivery.wait_text(f"FLAKY:{counted.upper()}\nNEIGHBOUR\n")
    delivery.put(f"calls:{counted}")
    wait_for(lambda: b"3 calls" in delivery.body())
    assert not delivery.objects("failed/")


@pytest.mark.parametrize("retries, attempts", [("0", 1), ("1", 2), ("5", 6)])
def test_number_of_retries_says_how_often_a_call_is_made_again(line, retries, attempts):
    """[C] FH data-transformation-failure-handling; [L] FLP, that more than 3 are honoured."""
    delivery, counted = line().deliver(transform={"NumberOfRetries": retries}, **PLACES), uuid.uuid4().hex
    delivery.put(f"raise:{counted}")
    error, = delivery.wait_errors(1)
    assert error["attemptsMade"] == attempts
    delivery.put(f"calls:{counted}")
    delivery.wait_text(f"{attempts} calls")


def test_a_function_that_times_out_fails_the_batch_after_4_calls(line):
    """[C] captured: Lambda.FunctionTimedOut, attemptsMade 4, and its message."""
    delivery = line(seconds=1).deliver(transform=True, **PLACES)
    delivery.put("sleep", "neighbour", key="one")
    errors = delivery.wait_errors(2)
    assert {(e["errorCode"], e["attemptsMade"], e["errorMessage"]) for e in errors} == {(
        "Lambda.FunctionTimedOut", 4, "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function.")}
    assert not delivery.objects("data/")


def test_a_function_is_waited_for_five_minutes_at_most():
    """[C] FH data-transformation-execution-duration."""
    asked, said = {}, []

    def a_client(_, **config):
        asked.update(config)
        return SimpleNamespace(invoke=never_answers, get_function_configuration=lambda FunctionName: {"Timeout": 900})

    def never_answers(**_):
        raise ReadTimeoutError(endpoint_url="")

    function = Function(SimpleNamespace(client=a_client), "arn", said.append)
    for _ in range(2):
        with pytest.raises(InvocationFailed, match="Lambda.FunctionTimedOut"):
            function.invoke(b"{}")
    assert len(said) == 1 and "900 s" in said[0], "a longer timeout is pointed out, once"
    assert asked == {"retries": {"total_max_attempts": 1}, "read_timeout": 300}


# -- calls that are refused ------------------------------------------------------------------------------------------

def test_a_missing_permission_to_call_the_function_fails_the_records_and_is_named(aws, line, own_role):
    """[C] FH monitoring-with-cloudwatch-logs: Lambda.InvokeAccessDenied; [U] its attemptsMade."""
    name, arn = own_role
    delivery = line(role_arn=arn).deliver(transform=True, **PLACES)
    allow(aws, name, FIREHOSE_SOURCE + FIREHOSE_S3 + ["lambda:GetFunctionConfiguration"])
    delivery.put("refused")
    error, = delivery.wait_errors(1)
    assert (error["errorCode"], error["attemptsMade"]) == ("Lambda.InvokeAccessDenied", 4)
    assert base64.b64decode(error["rawData"]) == b"refused"
    assert "lambda:InvokeFunction" in delivery.describe()["FailureDescription"]["Details"]
    allow(aws, name, ALL)
    delivery.put("allowed")
    delivery.wait_text("ALLOWED\n")
    delivery.wait_no_trouble()


def test_a_processor_s_own_role_calls_the_function(aws, line, own_role):
    """[C] BC:firehose, the processor parameter RoleArn; FH: Lambda.AssumeRoleAccessDenied."""
    name, arn = own_role
    delivery = line().deliver(transform={"RoleArn": arn, "NumberOfRetries": "1"}, **PLACES)
    client(aws, "iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust("lambda.amazonaws.com"))
    delivery.put("not trusted")
    error, = delivery.wait_errors(1)
    assert error["errorCode"] == "Lambda.AssumeRoleAccessDenied"
    client(aws, "iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust("firehose.amazonaws.com"))
    delivery.put("trusted")
    delivery.wait_text("TRUSTED\n")


def test_a_function_that_is_not_there_is_named(line):
    """[C] FH monitoring-with-cloudwatch-logs: Lambda.ResourceNotFound."""
    delivery = line()
    missing = delivery.function_arn + "-gone"
    delivery.deliver(transform={"LambdaArn": missing, "NumberOfRetries": "0"}, **PLACES)
    delivery.put("nobody")
    error, = delivery.wait_errors(1)
    assert (error["errorCode"], error["attemptsMade"], error["lambdaARN"]) == ("Lambda.ResourceNotFound", 1, missing)
    delivery.wait_trouble("ResourceNotFoundException")


def test_a_function_without_concurrency_is_tried_again(aws, line):
    """[C] FH monitoring-with-cloudwatch-logs: Lambda.InvokeLimitExceeded."""
    lambda_role = client(aws, "lambda").get_function_configuration(FunctionName="firehose-transform-20")["Role"]
    arn = function(aws, "firehose-throttled", TRANSFORM, lambda_role)
    client(aws, "lambda").put_function_concurrency(FunctionName="firehose-throttled", ReservedConcurrentExecutions=0)
    delivery = line().deliver(transform={"LambdaArn": arn, "NumberOfRetries": "1"}, **PLACES)
    delivery.put("throttled")
    error, = delivery.wait_errors(1)
    assert (error["errorCode"], error["attemptsMade"]) == ("Lambda.InvokeLimitExceeded", 2)
    client(aws, "lambda").delete_function(FunctionName="firehose-throttled")


# -- one stream does not hold up another -----------------------------------------------------------------------------

@pytest.mark.parametrize("order", ["sleep", "raise"])
def test_a_slow_or_failing_function_holds_up_no_other_delivery_stream(aws, line, order):
    """[L] issue 3: streams are independent; caused here, on one function that sleeps or raises for one of two streams."""
    bad, good = line().deliver(transform=True, **PLACES), line().deliver(transform={
        "LambdaArn": function(aws, "firehose-good", TRANSFORM, client(aws, "lambda").get_function_configuration(
            FunctionName="firehose-transform-20")["Role"])}, **PLACES)
    bad.put(order)
    for count in range(1, 4):
        good.put(f"quick {count}", key="one")
        wait_for(lambda count=count: good.body().count(b"QUICK") == count, seconds=10)
    assert not bad.objects("data/")
    client(aws, "lambda").delete_function(FunctionName="firehose-good")


# -- pure parts ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("payload", [b"null", b"", b"[]", b'{"records": "all"}', b'{"records": [1, {"recordId": 5}]}'])
def test_an_unusable_answer_returns_no_id(payload):
    """[L] FLP."""
    record = Source("shard", "1", "key", 0, "eA==")
    delivered, failed = outcomes([record], payload)
    assert delivered == [] and [(r, f.code) for r, f in failed] == [(record, "Lambda.MissingRecordId")]


def test_records_are_delivered_in_their_own_order_not_the_answer_s():
    """[L] a batch's records stay in order, whatever order the function answers in."""
    records = [Source("shard", str(number), "key", 0, "") for number in range(3)]
    entries = [{"recordId": f"{number}000000", "result": "Ok", "data": base64.b64encode(b"%d" % number).decode()} for number in (2, 0, 1)]
    delivered, failed = outcomes(records, json.dumps({"records": entries}).encode())
    assert [data for _, data in delivered] == [b"0", b"1", b"2"] and not failed
