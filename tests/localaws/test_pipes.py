"""EventBridge pipes from a DynamoDB stream to a Kinesis stream. Facts: AWS_FACTS.md parts 1 and 2."""

import itertools
import json
import re
import time
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from helpers.localaws.pipes.event import event_of, parse_path, select
from helpers.localaws.pipes.patterns import Pattern
from helpers.localaws.pipes.template import Template
from helpers.localaws.pipes.worker import Entry, Lane, PipeWorker, Shard

from .making import PIPE_SOURCE, PIPE_TARGET, allow, client, drop_role, records, role, stream, table, trust, wait_for

numbers = itertools.count()


@pytest.fixture(scope="module")
def pipe_role(aws):
    yield role(aws, "pipes-role", "pipes.amazonaws.com", PIPE_SOURCE + PIPE_TARGET)
    drop_role(aws, "pipes-role")


class Line:
    """A table, a Kinesis stream and, once `pipe` is called, a pipe between them; all with one name of their own."""

    def __init__(self, aws, role_arn: str, shards: int = 1, view: str = "NEW_AND_OLD_IMAGES"):
        self.aws, self.role_arn, self.name = aws, role_arn, f"pipes-{next(numbers)}"
        self.pipes, self.dynamodb = client(aws, "pipes"), client(aws, "dynamodb")
        self.source = table(aws, self.name, view)
        self.target = stream(aws, self.name, shards)

    def create(self, **changes) -> dict:
        source = {"StartingPosition": "TRIM_HORIZON", **changes.pop("source", {})}
        request = {"Name": self.name, "RoleArn": self.role_arn, "Source": self.source, "Target": self.target,
                   "SourceParameters": {"DynamoDBStreamParameters": source, **changes.pop("filters", {})},
                   "TargetParameters": {"KinesisStreamParameters": {"PartitionKey": changes.pop("key", "$.eventID")},
                                        **changes.pop("target_parameters", {})}}
        return self.pipes.create_pipe(**{**request, **changes})

    def pipe(self, **changes) -> "Line":
        self.create(**changes)
        self.wait_state("RUNNING")
        return self

    def describe(self) -> dict:
        return self.pipes.describe_pipe(Name=self.name)

    def wait_state(self, state: str) -> dict:
        return wait_for(lambda: (found := self.describe())["CurrentState"] == state and found)

    def wait_reason(self, *words: str) -> dict:
        return wait_for(lambda: all(w in (found := self.describe()).get("StateReason", "") for w in words) and found)

    def put(self, *orders: str, **attributes) -> None:
        for order in orders:
            self.dynamodb.put_item(TableName=self.name, Item={"orderid": {"S": order}, **attributes})

    def records(self) -> list[dict]:
        return records(self.aws, self.name)

    def events(self) -> list[dict]:
        return [json.loads(record["Data"]) for record in self.records()]

    def orders(self) -> list[str]:
        return [event["dynamodb"]["Keys"]["orderid"]["S"] for event in self.events()]

    def wait_records(self, count: int) -> list[dict]:
        return wait_for(lambda: len(found := self.records()) >= count and found)

    def wait_orders(self, *orders: str) -> None:
        wait_for(lambda: set(self.orders()) >= set(orders))
        assert sorted(self.orders()) == sorted(orders)

    def drop(self) -> None:
        try:
            self.pipes.delete_pipe(Name=self.name)
        except self.pipes.exceptions.NotFoundException:
            pass
        self.dynamodb.delete_table(TableName=self.name)
        client(self.aws, "kinesis").delete_stream(StreamName=self.name)


@pytest.fixture
def line(aws, pipe_role):
    lines = []

    def make(**settings) -> Line:
        lines.append(Line(aws, settings.pop("role_arn", pipe_role), **settings))
        return lines[-1]

    yield make
    for made in lines:
        made.drop()


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


@pytest.fixture
def queue(aws):
    queue = Queue(aws)
    yield queue
    queue.drop()


@pytest.fixture
def own_role(aws):
    """A role that a test may take rights from: its name and ARN."""
    name = f"pipes-own-role-{next(numbers)}"
    yield SimpleNamespace(name=name, arn=role(aws, name, "pipes.amazonaws.com", PIPE_SOURCE + PIPE_TARGET))
    drop_role(aws, name)


# -- what arrives ----------------------------------------------------------------------------------------------------

def test_an_event_arrives_with_exactly_the_documented_members_in_order(line):
    pipe = line().pipe()
    pipe.put("1001", quantity={"N": "2"}, image={"B": b"\x00\xff"})
    data = pipe.wait_records(1)[0]["Data"].decode()
    event = json.loads(data)
    assert list(event) == ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"]
    assert list(event["dynamodb"]) == ["ApproximateCreationDateTime", "Keys", "NewImage", "SequenceNumber", "SizeBytes",
                                       "StreamViewType"]
    assert (event["eventName"], event["eventVersion"], event["eventSource"]) == ("INSERT", "1.1", "aws:dynamodb")
    assert event["eventSourceARN"] == pipe.source and event["awsRegion"] == "us-east-1"
    assert len(event["eventID"]) == 32 and set(event["eventID"]) <= set("0123456789abcdef")
    moment = event["dynamodb"]["ApproximateCreationDateTime"]
    assert type(moment) is int and abs(moment - time.time()) < 60
    assert event["dynamodb"]["NewImage"] == {"orderid": {"S": "1001"}, "quantity": {"N": "2"}, "image": {"B": "AP8="}}
    assert event["dynamodb"]["SizeBytes"] == 2 * len("orderid1001") + len("quantity2") + len("image") + 2
    assert data.startswith("{") and data.endswith("}")  # the object itself: no array, no newline


def test_a_modify_has_both_images_and_a_remove_only_the_old_one(line):
    pipe = line().pipe()
    pipe.put("1", quantity={"N": "1"})
    pipe.put("1", quantity={"N": "2"})
    pipe.dynamodb.delete_item(TableName=pipe.name, Key={"orderid": {"S": "1"}})
    pipe.wait_records(3)
    insert, modify, remove = pipe.events()
    assert [e["eventName"] for e in (insert, modify, remove)] == ["INSERT", "MODIFY", "REMOVE"]
    assert list(modify["dynamodb"])[1:4] == ["Keys", "NewImage", "OldImage"]
    assert modify["dynamodb"]["OldImage"]["quantity"] == {"N": "1"}
    assert "NewImage" not in remove["dynamodb"] and remove["dynamodb"]["OldImage"]["quantity"] == {"N": "2"}


def test_keys_only_gives_no_image(line):
    pipe = line(view="KEYS_ONLY").pipe()
    pipe.put("1", quantity={"N": "1"})
    pipe.wait_records(1)
    assert not {"NewImage", "OldImage"} & set(pipe.events()[0]["dynamodb"])


def test_a_time_to_live_delete_names_the_service_that_made_it():
    record = {"eventID": "a", "eventName": "REMOVE", "awsRegion": "us-east-1", "eventSource": "aws:dynamodb", "eventVersion": "1.1",
              "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
              "dynamodb": {"Keys": {}, "ApproximateCreationDateTime": 1.7e9, "SequenceNumber": "1", "SizeBytes": 3}}
    assert event_of(record, "arn")["userIdentity"] == record["userIdentity"]


def test_changes_of_one_key_arrive_in_order_on_one_shard(line):
    pipe = line(shards=3).pipe(key="$.dynamodb.Keys.orderid.S", source={"BatchSize": 7})
    for version in range(30):
        pipe.put("a", "b", "c", version={"N": str(version)})
    found = pipe.wait_records(90)
    assert len(found) == 90
    for key in "abc":
        mine = [record for record in found if record["PartitionKey"] == key]
        assert len({record["ShardId"] for record in mine}) == 1
        assert [json.loads(r["Data"])["dynamodb"]["NewImage"]["version"]["N"] for r in mine] == [str(v) for v in range(30)]


def test_a_partition_key_without_a_path_is_a_constant(line):
    pipe = line(shards=3).pipe(key="eventID")
    pipe.put("1", "2", "3", "4")
    found = pipe.wait_records(4)
    assert {record["PartitionKey"] for record in found} == {"eventID"} and len({r["ShardId"] for r in found}) == 1


def test_a_partition_key_path_that_selects_nothing_is_said_and_mended_by_an_update(line):
    pipe = line().pipe(key="$.dynamodb.Keys.order_id.S")
    pipe.put("1")
    assert pipe.wait_reason("$.dynamodb.Keys.order_id.S")["CurrentState"] == "RUNNING"
    pipe.pipes.update_pipe(Name=pipe.name, RoleArn=pipe.role_arn, TargetParameters={
        "KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})
    pipe.wait_orders("1")
    assert pipe.wait_state("RUNNING").get("StateReason") is None


def test_a_batch_closes_by_size_before_its_window_ends(line):
    pipe = line().pipe(source={"BatchSize": 3, "MaximumBatchingWindowInSeconds": 40})  # 2 s here
    pipe.put(*"1234567")
    assert len(pipe.wait_records(3)) == 6  # two full batches; the seventh order waits for the window
    pipe.wait_orders(*"1234567")


def test_filters_let_matching_events_through(line):
    patterns = [{"eventName": ["INSERT"], "dynamodb": {"NewImage": {"status": {"S": ["PENDING"]}}}}, {"eventName": ["REMOVE"]}]
    pipe = line().pipe(filters={"FilterCriteria": {"Filters": [{"Pattern": json.dumps(p)} for p in patterns]}})
    pipe.put("no", status={"S": "SHIPPED"})
    pipe.put("yes", status={"S": "PENDING"})
    pipe.dynamodb.delete_item(TableName=pipe.name, Key={"orderid": {"S": "no"}})
    pipe.wait_orders("yes", "no")
    assert [event["eventName"] for event in pipe.events()] == ["INSERT", "REMOVE"]


def test_an_input_template_makes_the_record_and_the_partition_key_sees_the_source_event(line):
    template = '{"order": <$.dynamodb.Keys.orderid.S>, "was": "<$.eventName>", "by": <aws.pipes.pipe-name>}\n'
    pipe = line().pipe(key="$.dynamodb.Keys.orderid.S", target_parameters={"InputTemplate": template})
    pipe.put("1001")
    record, = pipe.wait_records(1)
    assert record["Data"].decode() == f'{{"order": "1001", "was": "INSERT", "by": "{pipe.name}"}}\n'
    assert record["PartitionKey"] == "1001"
    pipe.pipes.update_pipe(Name=pipe.name, RoleArn=pipe.role_arn, TargetParameters={"InputTemplate": ""})
    pipe.wait_state("RUNNING")
    pipe.put("1002")
    assert [pipe.describe()["TargetParameters"].get("InputTemplate"), len(pipe.wait_records(2))] == [None, 2]
    assert pipe.events()[1]["dynamodb"]["Keys"] == {"orderid": {"S": "1002"}}


# -- where it starts and goes on -------------------------------------------------------------------------------------

def test_trim_horizon_reads_what_was_there_and_latest_does_not(line):
    pipe = line()
    pipe.put("before")
    pipe.pipe(source={"StartingPosition": "LATEST"})
    pipe.put("after")
    pipe.wait_orders("after")
    pipe.pipes.delete_pipe(Name=pipe.name)
    wait_for(lambda: pipe.name not in [p["Name"] for p in pipe.pipes.list_pipes()["Pipes"]])
    pipe.pipe()
    wait_for(lambda: sorted(pipe.orders()) == ["after", "after", "before"])


def test_a_stopped_pipe_goes_on_where_it_was(line):
    pipe = line().pipe()
    pipe.put("1")
    pipe.wait_orders("1")
    assert pipe.pipes.stop_pipe(Name=pipe.name)["CurrentState"] == "STOPPING"
    assert pipe.wait_state("STOPPED")["DesiredState"] == "STOPPED"
    pipe.put("2", "3")
    assert pipe.pipes.start_pipe(Name=pipe.name)["CurrentState"] == "STARTING"
    pipe.wait_orders("1", "2", "3")


def test_latest_holds_over_a_stop_before_the_first_change(line):
    pipe = line()
    pipe.put("before")
    pipe.pipe(source={"StartingPosition": "LATEST"})
    pipe.pipes.stop_pipe(Name=pipe.name)
    pipe.wait_state("STOPPED")
    pipe.put("meanwhile")
    pipe.pipes.start_pipe(Name=pipe.name)
    pipe.wait_orders("meanwhile")


def test_a_pipe_created_stopped_waits_to_be_started(line):
    pipe = line()
    pipe.create(DesiredState="STOPPED")
    pipe.wait_state("STOPPED")
    pipe.put("1")
    pipe.pipes.start_pipe(Name=pipe.name)
    pipe.wait_orders("1")


# -- when a hop fails ------------------------------------------------------------------------------------------------

def test_a_refused_target_is_named_and_loses_nothing(aws, line, own_role):
    pipe = line(role_arn=own_role.arn).pipe()
    pipe.put("1")
    pipe.wait_orders("1")
    allow(aws, own_role.name, PIPE_SOURCE)
    pipe.put("2", "3")
    refused = pipe.wait_reason("AccessDenied", "kinesis:PutRecords")
    assert refused["CurrentState"] == "RUNNING" and refused["DesiredState"] == "RUNNING"
    allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET)
    pipe.wait_orders("1", "2", "3")
    wait_for(lambda: "StateReason" not in pipe.describe())


def test_a_refused_source_is_named_and_loses_nothing(aws, line, own_role):
    pipe = line(role_arn=own_role.arn).pipe()
    allow(aws, own_role.name, [action for action in PIPE_SOURCE if "GetRecords" not in action] + PIPE_TARGET)
    pipe.wait_reason("AccessDenied", "dynamodb:GetRecords")
    pipe.put("1", "2")
    allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET)
    pipe.wait_orders("1", "2")
    wait_for(lambda: "StateReason" not in pipe.describe())


@pytest.mark.parametrize("policy", [
    trust("lambda.amazonaws.com"),
    trust("pipes.amazonaws.com", StringEquals={"aws:SourceAccount": "111122223333"}),
    trust("pipes.amazonaws.com", ArnEquals={"aws:SourceArn": "arn:aws:pipes:us-east-1:000000000000:pipe/another"}),
], ids=["another service", "another account", "another pipe"])
def test_a_trust_policy_that_does_not_hold_fails_the_creation(aws, line, own_role, policy):
    client(aws, "iam").update_assume_role_policy(RoleName=own_role.name, PolicyDocument=policy)
    pipe = line(role_arn=own_role.arn)
    pipe.create()
    assert "sts:AssumeRole" in pipe.wait_state("CREATE_FAILED")["StateReason"]


def test_the_documented_trust_policy_holds(aws, line, own_role):
    pipe = line(role_arn=own_role.arn)
    client(aws, "iam").update_assume_role_policy(RoleName=own_role.name, PolicyDocument=trust(
        "pipes.amazonaws.com", StringEquals={"aws:SourceAccount": aws.account,
                                             "aws:SourceArn": f"arn:aws:pipes:{aws.region}:{aws.account}:pipe/{pipe.name}"}))
    pipe.pipe()


def test_a_role_that_may_not_read_fails_the_creation(aws, line, own_role):
    allow(aws, own_role.name, PIPE_TARGET)
    pipe = line(role_arn=own_role.arn)
    pipe.create()
    assert "dynamodb:DescribeStream" in pipe.wait_state("CREATE_FAILED")["StateReason"]


def test_a_missing_stream_fails_the_creation(line):
    pipe = line()
    pipe.create(Source=pipe.source[:-1] + "x")
    assert "Stream not found" in pipe.wait_state("CREATE_FAILED")["StateReason"]


def test_a_missing_target_is_said_and_waited_for(aws, line):
    pipe = line()
    pipe.pipe(Target=pipe.target + "-later")
    pipe.put("1")
    pipe.wait_reason("ResourceNotFoundException", "kinesis:PutRecords")
    stream(aws, pipe.name + "-later")
    try:
        wait_for(lambda: records(aws, pipe.name + "-later"))
    finally:
        client(aws, "kinesis").delete_stream(StreamName=pipe.name + "-later")


def test_exhausted_retries_discard_the_batch_and_go_on(aws, line, own_role):
    pipe = line(role_arn=own_role.arn).pipe(source={"MaximumRetryAttempts": 1})
    allow(aws, own_role.name, PIPE_SOURCE)
    pipe.put("lost")
    wait_for(lambda: "RetryAttemptsExhausted" in aws.local.tail(2000))
    allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET)
    pipe.put("kept")
    pipe.wait_orders("kept")


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_what_is_discarded_is_told_to_a_dead_letter_queue_or_topic_as_metadata(aws, line, own_role, queue, service):
    pipe = line(role_arn=own_role.arn).pipe(source={
        "MaximumRetryAttempts": 1, "DeadLetterConfig": {"Arn": queue.arn if service == "sqs" else queue.topic()}})
    allow(aws, own_role.name, PIPE_SOURCE + ["sqs:SendMessage" if service == "sqs" else "sns:Publish"])
    pipe.put("1")
    letter, = queue.wait_letters(1)
    assert list(letter) == ["context", "version", "timestamp", "DDBStreamBatchInfo"] and letter["version"] == "1.0"
    assert letter["context"] == {"partnerResourceArn": pipe.describe()["Arn"], "condition": "RetryAttemptsExhausted"}
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", letter["timestamp"])
    info = letter["DDBStreamBatchInfo"]
    assert list(info) == ["shardId", "startSequenceNumber", "endSequenceNumber", "approximateArrivalOfFirstRecord",
                          "approximateArrivalOfLastRecord", "batchSize", "streamArn"]
    assert info["batchSize"] == 1 and info["streamArn"] == pipe.source and info["startSequenceNumber"] == info["endSequenceNumber"]
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}Z", info["approximateArrivalOfFirstRecord"])


def test_a_change_that_grew_too_old_is_told_as_such(aws, line, own_role, queue):
    pipe = line(role_arn=own_role.arn).pipe(source={  # 3 s here
        "MaximumRecordAgeInSeconds": 60, "DeadLetterConfig": {"Arn": queue.arn}})
    allow(aws, own_role.name, PIPE_SOURCE + ["sqs:SendMessage"])
    pipe.put("1")
    letter, = queue.wait_letters(1)
    assert letter["context"]["condition"] == "RecordAgeExceeded"


def test_nothing_is_discarded_while_the_dead_letter_queue_refuses(aws, line, own_role, queue):
    pipe = line(role_arn=own_role.arn).pipe(source={"MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": queue.arn}})
    allow(aws, own_role.name, PIPE_SOURCE)
    pipe.put("1")
    pipe.wait_reason("AccessDenied", "sqs:SendMessage")
    allow(aws, own_role.name, PIPE_SOURCE + ["sqs:SendMessage"])
    queue.wait_letters(1)
    wait_for(lambda: "StateReason" not in pipe.describe())


@pytest.mark.parametrize("bisect, discarded", [({"OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}, 1), ({}, 8)])
def test_automatic_bisect_halves_a_batch_until_only_the_bad_record_is_left(aws, line, own_role, queue, bisect, discarded):
    allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET + ["sqs:SendMessage"])
    pipe = line(role_arn=own_role.arn)
    for order in "12345678":
        pipe.put(order, **({} if order == "6" else {"customer": {"S": "c"}}))  # of which 6 has no partition key
    pipe.pipe(key="$.dynamodb.NewImage.customer.S",
              source={"MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": queue.arn}, **bisect})
    assert [letter["DDBStreamBatchInfo"]["batchSize"] for letter in queue.wait_letters(discarded)] == [discarded]
    pipe.put("9", customer={"S": "c"})
    wait_for(lambda: pipe.orders() == [*"1234578"[:8 - discarded], "9"])


def test_lanes_of_a_shard_keep_the_order_of_each_item(line):
    pipe = line(shards=2).pipe(key="$.dynamodb.Keys.orderid.S", source={"BatchSize": 3, "ParallelizationFactor": 10})
    for version in range(20):
        pipe.put(*"abcde", version={"N": str(version)})
    found = [json.loads(record["Data"])["dynamodb"] for record in pipe.wait_records(100)]
    assert len(found) == 100
    for key in "abcde":
        assert [change["NewImage"]["version"]["N"] for change in found if change["Keys"]["orderid"]["S"] == key] == [
            str(version) for version in range(20)]


def test_a_blocked_lane_holds_up_its_own_items_only_and_loses_nothing_over_a_restart(line):
    pipe = line().pipe(key="$.dynamodb.NewImage.customer.S", source={"ParallelizationFactor": 10})
    pipe.put("bad")
    pipe.wait_reason("$.dynamodb.NewImage.customer.S")
    orders = [f"order {number}" for number in range(30)]
    pipe.put(*orders, customer={"S": "c"})
    wait_for(lambda: len(set(pipe.orders())) >= 20)
    assert "bad" not in pipe.orders()
    pipe.pipes.stop_pipe(Name=pipe.name)
    pipe.wait_state("STOPPED")
    pipe.pipes.update_pipe(Name=pipe.name, RoleArn=pipe.role_arn, DesiredState="RUNNING", TargetParameters={
        "KinesisStreamParameters": {"PartitionKey": "$.eventID"}})
    wait_for(lambda: set(pipe.orders()) == {"bad", *orders})


def test_a_disabled_stream_is_read_to_its_end_and_then_said_to_be_gone(line):
    pipe = line().pipe()
    pipe.put("1")
    pipe.dynamodb.update_table(TableName=pipe.name, StreamSpecification={"StreamEnabled": False})
    stopped = pipe.wait_state("STOPPED")
    assert stopped["StateReason"] == "Stream not found. To resume processing please delete the pipe and create a new one."
    pipe.wait_orders("1")
    pipe.pipes.start_pipe(Name=pipe.name)
    assert "Stream not found" in pipe.wait_state("START_FAILED")["StateReason"]


def test_of_a_partly_failed_put_only_the_remainder_is_put_again():
    calls = []

    def put_records(StreamARN, Records):
        calls.append([record["Data"] for record in Records])
        failed = [i for i in (1, 3) if len(calls) == 1]
        return {"FailedRecordCount": len(failed), "Records": [
            {"ErrorCode": "ProvisionedThroughputExceededException"} if i in failed else {} for i in range(len(Records))]}

    worker = SimpleNamespace(_role=SimpleNamespace(client=lambda *_, **__: SimpleNamespace(put_records=put_records)),
                             _target="arn", _partition_key=lambda event: "key")
    lane = Lane(batch=[Entry(str(i), None, 0, {}, bytes([i])) for i in range(5)])
    PipeWorker._put(worker, lane)
    assert [entry.sequence for entry in lane.batch] == ["1", "3"]
    PipeWorker._put(worker, lane)
    assert lane.batch == [] and calls[1] == [b"\x01", b"\x03"]


def test_a_checkpoint_stays_behind_the_oldest_change_that_is_not_delivered():
    shard = Shard("shard", None, read="12", lanes=[Lane(), Lane(), Lane()])
    assert shard.delivered == "12"
    shard.lanes[0].waiting = [Entry("10", "9", 0, {}, b"")]
    shard.lanes[1].batch = [Entry("9", "8", 0, {}, b"")]
    assert shard.delivered == "8"


# -- the control plane -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("setting, word", [
    ({"source": {"BatchSize": 501}}, "BatchSize 501"),
    ({"source": {"DeadLetterConfig": {"Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}}}, "DeadLetterConfig"),
    ({"source": {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q.fifo"}}}, "FIFO"),
    ({"target_parameters": {"InputTemplate": "<aws.pipes.event.color>"}}, "aws.pipes.event.color"),
    ({"target_parameters": {"InputTemplate": '{"a": <$.dynamodb.*>}'}}, "InputTemplate"),
    ({"target_parameters": {"InputTemplate": '{"a": <$.eventID>'}}, "InputTemplate"),
    ({"Enrichment": "arn:aws:lambda:us-east-1:000000000000:function:f"}, "Enrichment"),
    ({"LogConfiguration": {"Level": "INFO"}}, "LogConfiguration"),
    ({"Source": "arn:aws:sqs:us-east-1:000000000000:q"}, "arn:aws:sqs"),
    ({"Target": "arn:aws:sqs:us-east-1:000000000000:q"}, "arn:aws:sqs"),
    ({"key": "order-$.eventID"}, "PartitionKey"),
    ({"key": "$.a..b"}, "PartitionKey"),
    ({"key": ""}, "PartitionKey"),
    ({"filters": {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}}, "not valid JSON"),
    ({"filters": {"FilterCriteria": {"Filters": [{"Pattern": '{"a":[{"like":1}]}'}]}}}, "like"),
])
def test_what_is_wrong_or_not_supported_is_refused_by_name(aws, pipe_role, setting, word):
    line = Line.__new__(Line)
    line.pipes, line.role_arn, line.name = client(aws, "pipes"), pipe_role, "pipes-refused"
    line.source = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
    line.target = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    with pytest.raises(ClientError, match=word) as refusal:
        line.create(**setting)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


def test_pipes_are_listed_tagged_and_described_with_defaults(line):
    pipe = line().pipe(Tags={"project": "orders"}, Description="changes")
    described = pipe.describe()
    assert described["SourceParameters"]["DynamoDBStreamParameters"] == {
        "StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 0,
        "MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": -1, "ParallelizationFactor": 1}
    assert described["Tags"] == {"project": "orders"} and described["Description"] == "changes"
    pipe.pipes.tag_resource(resourceArn=described["Arn"], tags={"chapter": "4"})
    pipe.pipes.untag_resource(resourceArn=described["Arn"], tagKeys=["project"])
    assert pipe.pipes.list_tags_for_resource(resourceArn=described["Arn"])["tags"] == {"chapter": "4"}
    listed = pipe.pipes.list_pipes(NamePrefix=pipe.name)["Pipes"]
    assert [(p["Name"], p["CurrentState"], p["Source"]) for p in listed] == [(pipe.name, "RUNNING", pipe.source)]
    with pytest.raises(pipe.pipes.exceptions.ConflictException):
        pipe.create()
    with pytest.raises(pipe.pipes.exceptions.ConflictException):
        pipe.pipes.start_pipe(Name=pipe.name)
    pipe.pipes.delete_pipe(Name=pipe.name)
    wait_for(lambda: not pipe.pipes.list_pipes(NamePrefix=pipe.name)["Pipes"])
    with pytest.raises(pipe.pipes.exceptions.NotFoundException):
        pipe.describe()


def test_a_name_has_only_letters_digits_and_dots_dashes_underscores(line, aws):
    with pytest.raises(ClientError, match="orders!pipe"):
        line().create(Name="orders!pipe")


# -- pure parts ------------------------------------------------------------------------------------------------------

def test_paths_select_members_and_elements():
    event = {"a": {"b c": [{"S": "x"}]}}
    assert select(event, parse_path("$.a['b c'][0].S")) == "x"
    assert select(event, parse_path("$.a.d.S")) is None
    for wrong in ("a", "$a", "$.", "$.a b"):
        with pytest.raises(ValueError):
            parse_path(wrong)


EVENT = {"text": 'a "b"', "number": 5, "object": {"k": ["v"]}, "eventID": "e"}


@pytest.mark.parametrize("template, expected", [
    ('{"a": <$.text>, "b": "<$.text>"}', '{"a": "a \\"b\\"", "b": "a \\"b\\""}'),       # quotes are allowed and not needed
    ('{"a": <$.number>, "b": "<$.number>"}', '{"a": 5, "b": "5"}'),
    ('{"a": <$.object>, "b": "is <$.object>"}', '{"a": {"k":["v"]}, "b": "is {k:[v]}"}'),  # inside quotes it loses its own
    ('{"a": <$.object.k[0]>, "b": "\\"<$.eventID>"}', '{"a": "v", "b": "\\"e"}'),
    ('{"a": <$.none>, "b": "<$.none>!"}', '{"a": "", "b": "!"}'),
    ("<$.eventID>", '"e"'), ('"Hello, <$.eventID>"', '"Hello, e"'), ("Hello, <$.eventID> <b>", "Hello, e <b>"),
    ("[<aws.pipes.pipe-arn>, <aws.pipes.source-arn>, <aws.pipes.target-arn>]", '["arn", "s", "t"]'),
    ("<aws.pipes.event.json>", json.dumps(EVENT, separators=(",", ":"))),
])
def test_input_templates(template, expected):
    assert Template(template, {"Arn": "arn", "Name": "n", "Source": "s", "Target": "t"}).body_of(EVENT).decode() == expected


def test_the_ingestion_time_is_in_iso_8601():
    body = Template('"<aws.pipes.event.ingestion-time>"', {}).body_of(EVENT).decode()
    assert re.fullmatch(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', body)


@pytest.mark.parametrize("rule, value, expected", [
    (["a", "b"], "b", True), (["a"], ["c", "a"], True), ([1], "1", False), ([True], 1, False), ([None], None, True),
    ([{"prefix": "or"}], "order", True), ([{"suffix": "er"}], "order", True), ([{"equals-ignore-case": "ORDER"}], "order", True),
    ([{"wildcard": "o*[r"}], "ord[r", True), ([{"anything-but": ["a", "b"]}], "c", True), ([{"anything-but": "c"}], "c", False),
    ([{"anything-but": {"prefix": "c"}}], "cat", False), ([{"numeric": [">", 1, "<=", 5]}], 5, True),
    ([{"numeric": ["=", 5]}], "5", False), ([{"exists": True}], "x", True), ([{"exists": False}], "x", False),
    ([{"cidr": "10.0.0.0/24"}], "10.0.0.7", True),
])
def test_event_pattern_rules(rule, value, expected):
    assert Pattern(json.dumps({"field": rule})).matches({"field": value}) is expected


def test_event_patterns_know_or_and_absence():
    assert Pattern('{"$or": [{"a": [1]}, {"b": [2]}]}').matches({"b": 2})
    assert Pattern('{"a": {"b": [{"exists": false}]}}').matches({"a": {}})
    assert not Pattern('{"a": ["x"]}').matches({})
