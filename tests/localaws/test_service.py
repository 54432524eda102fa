"""What all control planes share: a request is parsed and checked by AWS's own model, and refused in AWS's shape."""

import json

import pytest

from helpers.localaws.clock import Clock
from helpers.localaws.service import AwsError, Caller, Context, Service
from helpers.localaws.state import Store

CALLER = Caller("000000000000", "us-east-1")


class Echo(Service):
    """A service of the pipes' model that answers what it was asked."""

    name = "pipes"

    def describe_pipe(self, caller, params):
        return {"Name": params["Name"], "CurrentState": "RUNNING", "CreationTime": 1.5}

    def list_pipes(self, caller, params):
        raise AwsError("ThrottlingException", "slow down", status=429, serviceCode="pipes")

    def create_pipe(self, caller, params):
        return {"Name": params["Name"], "Arn": params["RoleArn"]}

    def untag_resource(self, caller, params):
        self.seen = params
        return {}


@pytest.fixture
def echo(tmp_path):
    return Echo(Context("http://127.0.0.1:1", Clock(), tmp_path))


def ask(service, method, target, body=b""):
    status, answer = service.handle(CALLER, method, target, {}, body)
    return status, json.loads(answer or b"{}")


def create(service, **members):
    return ask(service, "POST", "/v1/pipes/" + members.pop("Name", "p"), json.dumps(members).encode())


VALID = {"Source": "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000",
         "Target": "arn:aws:kinesis:us-east-1:000000000000:stream/s", "RoleArn": "arn:aws:iam::000000000000:role/r"}


def test_path_query_and_body_arrive_as_the_members_of_the_model(echo):
    assert ask(echo, "GET", "/v1/pipes/orders-pipe") == (200, {"Name": "orders-pipe", "CurrentState": "RUNNING", "CreationTime": 1.5})
    assert ask(echo, "GET", "/v1/pipes/a%2Eb")[1]["Name"] == "a.b"
    assert create(echo, **VALID)[0] == 200
    arn = "arn:aws:pipes:us-east-1:000000000000:pipe/p"
    assert ask(echo, "DELETE", f"/tags/{arn}?tagKeys=a&tagKeys=b")[0] == 200
    assert echo.seen == {"resourceArn": arn, "tagKeys": ["a", "b"]}


@pytest.mark.parametrize("change, sentence", [
    ({"RoleArn": None}, "Value null at 'roleArn'"),
    ({"DesiredState": "WALKING"}, "enum value set: [RUNNING, STOPPED]"),
    ({"RoleArn": 7}, "Invalid type for roleArn"),
    ({"Name": "no spaces allowed".replace(" ", "%20")}, "regular expression pattern"),
    ({"Description": "x" * 513}, "length between 0 and 512"),
    ({"SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "BatchSize": 0}}},
     "Value '0' at 'sourceParameters.dynamoDBStreamParameters.batchSize' failed to satisfy constraint: Member must have value between 1"),
    ({"SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "BatchSize": 10_001}}}, "between 1 and 10000"),
    ({"SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", "BatchSize": True}}}, "Invalid type for"),
    ({"RoleArn": ""}, "length between 1 and"),
    ({"SourceParameters": {"FilterCriteria": {"Filters": [{}, {"Pattern": 7}]}}}, "sourceParameters.filterCriteria.filters.2.member.pattern"),
    ({"Tags": {"stage": 7}}, "Invalid type for tags.stage"),
    ({"SourceParameters": {"DynamoDBStreamParameters": {}}}, "'sourceParameters.dynamoDBStreamParameters.startingPosition'"),
], ids=lambda value: str(value)[:40])
def test_what_breaks_the_model_is_refused_with_the_member_and_the_rule(echo, change, sentence):
    status, answer = create(echo, **{**VALID, **change})
    assert status == 400 and answer["__type"] == "ValidationException"
    assert sentence in answer["message"]


def test_errors_carry_code_status_and_members(echo):
    assert ask(echo, "GET", "/v1/pipes") == (429, {"__type": "ThrottlingException", "message": "slow down", "serviceCode": "pipes"})


def test_an_operation_that_is_not_there_is_refused_by_name(echo):
    status, answer = ask(echo, "POST", "/v1/pipes/p/start")
    assert status == 400 and "pipes:StartPipe" in answer["message"]
    assert ask(echo, "GET", "/v2/nothing")[1]["__type"] == "UnknownOperationException"


def test_a_body_that_is_no_json_is_refused(echo):
    for body in (b"{", b"[1]", b"\xff"):
        assert ask(echo, "POST", "/v1/pipes/p", body)[1]["__type"] == "SerializationException"


def test_a_number_in_the_query_that_is_none_is_refused_with_its_name(echo):
    status, answer = ask(echo, "GET", "/v1/pipes?Limit=many")
    assert status == 400 and "Invalid type for limit: expected integer" in answer["message"]


def test_a_blob_that_is_not_base64_is_refused(tmp_path):
    class Streams(Service):
        name = "firehose"

        def put_record(self, caller, params):
            return {"RecordId": params["Record"]["Data"].decode()}

    def put(data):
        body = json.dumps({"DeliveryStreamName": "s", "Record": {"Data": data}}).encode()
        status, answer = streams.handle(CALLER, "POST", "/", {"x-amz-target": "Firehose_20150804.PutRecord"}, body)
        return status, json.loads(answer)

    streams = Streams(Context("http://127.0.0.1:1", Clock(), tmp_path))
    assert put("aGk=") == (200, {"RecordId": "hi"})
    assert put("a")[0] == 400 and put("a")[1]["__type"] == "SerializationException"


def test_a_failure_inside_is_an_internal_error_that_names_the_log(echo, monkeypatch):
    monkeypatch.setattr(echo, "describe_pipe", lambda *_: 1 / 0)
    status, answer = ask(echo, "GET", "/v1/pipes/p")
    assert status == 500 and "logs" in answer["message"]


def test_a_store_keeps_what_was_written_and_gives_copies(tmp_path):
    store = Store(tmp_path / "things.json")
    store["a"] = {"list": [1]}
    store["a"]["list"].append(2)
    assert store["a"] == {"list": [1]}
    assert store.update_item("a", more=True) == {"list": [1], "more": True}
    assert dict(Store(tmp_path / "things.json")) == {"a": {"list": [1], "more": True}}
    del store["a"]
    assert len(Store(tmp_path / "things.json")) == 0


def test_the_clock_scales_waits():
    assert Clock(20).real(60) == 3 and Clock(1).real(60) == 60
    for scale in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            Clock(scale)
