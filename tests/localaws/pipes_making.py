"""What the tests of pipes test with: a line from table to stream, a queue of dead letters, and a gate between a pipe and AWS."""

import base64
import contextlib
import functools
import http.client
import itertools
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config

from helpers.localaws.clock import Clock
from helpers.localaws.pipes import Pipes
from helpers.localaws.service import Caller, Context

from .making import PIPE_SOURCE, PIPE_TARGET, client, drop_role, records, role, stream, table, wait_for

numbers = itertools.count()


@functools.cache
def unchecked(aws, service: str):
    """A client that lets the service check its parameters."""
    return boto3.client(service, config=Config(parameter_validation=False), **aws.options)


class Line:
    """A table, a Kinesis stream and, once `pipe` is called, a pipe between them; all with one name of their own."""

    def __init__(self, aws, role_arn: str, shards: int = 1, view: str = "NEW_AND_OLD_IMAGES", pipes=None):
        self.aws, self.role_arn, self.name = aws, role_arn, f"pipes-{next(numbers)}"
        self.pipes, self.dynamodb = pipes or client(aws, "pipes"), client(aws, "dynamodb")
        self.source = table(aws, self.name, view)
        self.target = stream(aws, self.name, shards)

    def create(self, **changes) -> dict:
        source = {"StartingPosition": "TRIM_HORIZON", **changes.pop("source", {})}
        request = {"Name": self.name, "RoleArn": self.role_arn, "Source": self.source, "Target": self.target,
                   "SourceParameters": {"DynamoDBStreamParameters": source, **changes.pop("source_parameters", {})},
                   "TargetParameters": {"KinesisStreamParameters": {"PartitionKey": changes.pop("key", "$.eventID")},
                                        **changes.pop("target_parameters", {})}}
        return self.pipes.create_pipe(**{**request, **changes})

    def pipe(self, **changes) -> "Line":
        self.create(**changes)
        self.wait_state("RUNNING")
        return self

    def update(self, **changes) -> dict:
        return self.pipes.update_pipe(Name=self.name, RoleArn=self.role_arn, **changes)

    def describe(self) -> dict:
        return self.pipes.describe_pipe(Name=self.name)

    def wait_state(self, state: str) -> dict:
        """The description, once the pipe is in `state`; at once a failure if it ends in another failed one."""
        def there():
            found = self.describe()
            assert found["CurrentState"] == state or not found["CurrentState"].endswith("_FAILED"), found
            return found["CurrentState"] == state and found
        return wait_for(there)

    def wait_reason(self, *words: str) -> dict:
        return wait_for(lambda: all(w in (found := self.describe()).get("StateReason", "") for w in words) and found)

    def stop(self) -> None:
        self.pipes.stop_pipe(Name=self.name)
        self.wait_state("STOPPED")

    def put(self, *orders: str, **attributes) -> None:
        for order in orders:
            self.dynamodb.put_item(TableName=self.name, Item={"orderid": {"S": order}, **attributes})

    def delete(self, *orders: str) -> None:
        for order in orders:
            self.dynamodb.delete_item(TableName=self.name, Key={"orderid": {"S": order}})

    def records(self) -> list[dict]:
        return records(self.aws, self.name)

    def events(self) -> list[dict]:
        return [json.loads(record["Data"]) for record in self.records()]

    def orders(self) -> list[str]:
        return [event["dynamodb"]["Keys"]["orderid"]["S"] for event in self.events()]

    def wait_records(self, count: int, seconds: float = 15.0) -> list[dict]:
        return wait_for(lambda: len(found := self.records()) >= count and found, seconds)

    def wait_orders(self, *orders: str) -> None:
        wait_for(lambda: set(self.orders()) >= set(orders))
        assert sorted(self.orders()) == sorted(orders)

    def drop(self) -> None:
        with contextlib.suppress(Exception):  # it was never made, or is gone
            self.pipes.delete_pipe(Name=self.name)
        with contextlib.suppress(self.dynamodb.exceptions.ResourceNotFoundException):
            self.dynamodb.delete_table(TableName=self.name)
        client(self.aws, "kinesis").delete_stream(StreamName=self.name)


class Queue:
    """A queue, and a topic before it if one is asked for; `letters` are the messages that were in it so far."""

    def __init__(self, aws):
        self.aws, self.letters, self.name, self.topic_arn = aws, [], f"pipes-letters-{next(numbers)}", None
        self.url = client(aws, "sqs").create_queue(QueueName=self.name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{aws.region}:{aws.account}:{self.name}"

    def topic(self) -> str:
        sns = client(self.aws, "sns")
        self.topic_arn = sns.create_topic(Name=self.name)["TopicArn"]
        client(self.aws, "sqs").set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
                                                    "Action": "sqs:SendMessage", "Resource": self.arn}]})})
        sns.subscribe(TopicArn=self.topic_arn, Protocol="sqs", Endpoint=self.arn, Attributes={"RawMessageDelivery": "true"})
        return self.topic_arn

    def wait_letters(self, records: int) -> list[dict]:
        """The letters, once they tell of `records` records together."""
        def told():
            for message in client(self.aws, "sqs").receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
                client(self.aws, "sqs").delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                self.letters.append(json.loads(message["Body"]))
            return sum(letter["DDBStreamBatchInfo"]["batchSize"] for letter in self.letters) >= records
        wait_for(told)
        return self.letters

    def drop(self) -> None:
        client(self.aws, "sqs").delete_queue(QueueUrl=self.url)
        if self.topic_arn:
            client(self.aws, "sns").delete_topic(TopicArn=self.topic_arn)


class Gate(ThreadingHTTPServer):
    """Stands between a pipe and the local AWS: passes every request on, unless a fault set for its operation answers it.

    A fault gets the request's members and answers with a status and a body, or with None to let the request pass.
    `calls` are the requests with a JSON body so far: the operation and the members.
    """

    daemon_threads = True

    def __init__(self, aws):
        super().__init__(("127.0.0.1", 0), _Passing)
        self.aws, self.calls, self.faults = aws, [], {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def fault(self, operation: str, fault: Callable[[dict], tuple[int, dict] | None]) -> None:
        self.faults[operation] = fault

    def refuse(self, operation: str, code: str) -> None:
        self.fault(operation, lambda _: (400, {"__type": code, "message": "so it is, for a test"}))

    def mend(self, operation: str) -> None:
        del self.faults[operation]

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in list(self.calls))

    def puts(self) -> list[list[str]]:
        """The orders in each call of PutRecords so far."""
        return [[json.loads(base64.b64decode(record["Data"]))["dynamodb"]["Keys"]["orderid"]["S"] for record in members["Records"]]
                for operation, members in list(self.calls) if operation == "PutRecords"]


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body, gate = self.rfile.read(int(self.headers["content-length"])), self.server
        operation, answer = self.headers.get("x-amz-target", "").rpartition(".")[2], None
        if operation:
            members = json.loads(body)
            gate.calls.append((operation, members))
            answer = gate.faults[operation](members) if operation in gate.faults else None
        if answer:
            self.reply(answer[0], {"content-type": "application/x-amz-json-1.1"}, json.dumps(answer[1]).encode())
        else:
            connection = http.client.HTTPConnection(gate.aws.endpoint.removeprefix("http://"), timeout=30)
            connection.request("POST", self.path, body, dict(self.headers))  # with the Host that was signed
            response = connection.getresponse()
            self.reply(response.status, {"content-type": response.headers["content-type"]}, response.read())
            connection.close()

    def reply(self, status: int, headers: dict, body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "content-length": len(body)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Requests are no news."""


class Here:
    """Pipes in this process, whose every hop goes through `gate`; called as a boto3 client is."""

    def __init__(self, gate: Gate, directory, clock_scale: float):
        self.service = Pipes(Context(f"http://127.0.0.1:{gate.server_address[1]}", Clock(clock_scale), directory))
        self._caller = Caller(gate.aws.account, gate.aws.region)

    def __getattr__(self, operation: str):
        return lambda **params: getattr(self.service, operation)(self._caller, params)


@pytest.fixture(scope="module")
def pipe_role(aws):
    name = f"pipes-role-{next(numbers)}"
    yield role(aws, name, "pipes.amazonaws.com", PIPE_SOURCE + PIPE_TARGET + ["sqs:SendMessage", "sns:Publish"])
    drop_role(aws, name)


@pytest.fixture
def own_role(aws):
    """A role that a test may take rights from: its name and ARN."""
    name = f"pipes-own-role-{next(numbers)}"
    yield SimpleNamespace(name=name, arn=role(aws, name, "pipes.amazonaws.com", PIPE_SOURCE + PIPE_TARGET))
    drop_role(aws, name)


@pytest.fixture
def line(aws, pipe_role):
    lines = []

    def make(**settings) -> Line:
        lines.append(Line(aws, settings.pop("role_arn", pipe_role), **settings))
        return lines[-1]

    yield make
    for made in lines:
        made.drop()


@pytest.fixture
def gate(aws):
    gate = Gate(aws)
    yield gate
    gate.shutdown()
    gate.server_close()


@pytest.fixture
def here(aws, pipe_role, gate, tmp_path):
    """Makes a line whose pipe lives in this process, behind `gate`; at most one in a test."""
    made = []

    def make(clock_scale: float = 20.0, **settings) -> Line:
        made.append(Line(aws, pipe_role, pipes=Here(gate, tmp_path, clock_scale), **settings))
        return made[0]

    yield make
    gate.faults.clear()
    for one in made:
        one.pipes.service.stop()
        one.drop()


@pytest.fixture
def queue(aws):
    queue = Queue(aws)
    yield queue
    queue.drop()
