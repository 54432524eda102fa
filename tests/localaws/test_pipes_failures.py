"""EventBridge pipes when a hop fails: permissions, throttling, retries, dead letters, streams that go. Facts: AWS_FACTS.md part 2."""

import base64
import json
import re
import threading
import time

import pytest

from .making import PIPE_SOURCE, PIPE_TARGET, allow, client, records, stream, table, trust, wait_for
from .pipes_making import gate, here, line, own_role, pipe_role, queue  # noqa: F401 - fixtures

STREAM_GONE = "Stream not found. To resume processing please delete the pipe and create a new one."

# -- roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [
    trust("lambda.amazonaws.com"),
    trust("pipes.amazonaws.com", StringEquals={"aws:SourceAccount": "111122223333"}),
    trust("pipes.amazonaws.com", ArnEquals={"aws:SourceArn": "arn:aws:pipes:us-east-1:000000000000:pipe/another"}),
], ids=["another service", "another account", "another pipe"])
def test_a_trust_policy_that_does_not_hold_fails_the_creation(aws, line, own_role, policy):
    """[C] EB permissions, the trust policy's conditions."""
    client(aws, "iam").update_assume_role_policy(RoleName=own_role.name, PolicyDocument=policy)
    pipe = line(role_arn=own_role.arn)
    pipe.create()
    assert wait_for(lambda: (found := pipe.describe())["CurrentState"] == "CREATE_FAILED" and "sts:AssumeRole" in found["StateReason"])


def test_the_documented_trust_policy_and_permissions_are_enough(aws, line, own_role):
    """[C] EB permissions, `LSP`: these four actions, ListStreams on no stream of its own; PutRecord and PutRecords on the target [L]."""
    pipe = line(role_arn=own_role.arn)
    client(aws, "iam").update_assume_role_policy(RoleName=own_role.name, PolicyDocument=trust(
        "pipes.amazonaws.com", StringEquals={"aws:SourceAccount": aws.account,
                                             "aws:SourceArn": f"arn:aws:pipes:{aws.region}:{aws.account}:pipe/{pipe.name}"}))
    client(aws, "iam").put_role_policy(RoleName=own_role.name, PolicyName="work", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": pipe.source,
                                                "Action": [a for a in PIPE_SOURCE if a != "dynamodb:ListStreams"]},
                                               {"Effect": "Allow", "Action": "dynamodb:ListStreams", "Resource": "*"},
                                               {"Effect": "Allow", "Action": PIPE_TARGET, "Resource": pipe.target}]}))
    pipe.pipe()
    pipe.put("1")
    pipe.wait_orders("1")


def test_a_refused_target_is_named_and_loses_nothing(aws, line, own_role):
    """[C] EventBridge user guide, error handling: with the default of retries nothing gets lost; the reason is in StateReason."""
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
    """[C] EB error-troubleshooting: polling backs off, with an explanatory StateReason."""
    pipe = line(role_arn=own_role.arn).pipe()
    allow(aws, own_role.name, [action for action in PIPE_SOURCE if "GetRecords" not in action] + PIPE_TARGET)
    pipe.wait_reason("AccessDenied", "dynamodb:GetRecords")
    pipe.put("1", "2")
    allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET)
    pipe.wait_orders("1", "2")
    wait_for(lambda: "StateReason" not in pipe.describe())


def test_a_missing_target_is_said_and_waited_for(aws, line):
    """[C] EB error-troubleshooting: a missing resource is a lasting 4xx error; that the pipe comes back is the safe reading of "may"."""
    pipe = line()
    pipe.pipe(Target=pipe.target + "-later")
    pipe.put("1")
    pipe.wait_reason("ResourceNotFoundException", "kinesis:PutRecords")
    stream(aws, pipe.name + "-later")
    try:
        wait_for(lambda: records(aws, pipe.name + "-later"))
    finally:
        client(aws, "kinesis").delete_stream(StreamName=pipe.name + "-later")


# -- puts that fail wholly or in part --------------------------------------------------------------------------------

def order_of(record: dict) -> str:
    return json.loads(base64.b64decode(record["Data"]))["dynamodb"]["Keys"]["orderid"]["S"]


def take_all_but(gate, *failing: str, code: str = "ProvisionedThroughputExceededException") -> None:
    """Let Kinesis take the records of every put except those of the orders `failing`, as a throttled shard does."""
    def fault(members: dict):
        taken = [record for record in members["Records"] if order_of(record) not in failing]
        if taken:
            client(gate.aws, "kinesis").put_records(StreamARN=members["StreamARN"], Records=[
                {"Data": base64.b64decode(record["Data"]), "PartitionKey": record["PartitionKey"]} for record in taken])
        return 200, {"FailedRecordCount": len(members["Records"]) - len(taken), "Records": [
            {"ErrorCode": code, "ErrorMessage": "for a test"} if order_of(record) in failing
            else {"SequenceNumber": "1", "ShardId": "shardId-000000000000"} for record in members["Records"]]}
    gate.fault("PutRecords", fault)


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "InternalFailure"])
def test_a_partly_failed_put_is_retried_for_the_remainder_only(here, gate, code):
    """[C] EB batching, partial batch failure; BC:kinesis, PutRecords: HTTP 200 with FailedRecordCount and a code for each record."""
    pipe = here()
    pipe.put(*"12345")
    take_all_but(gate, "2", "4", code=code)
    pipe.pipe(source={"BatchSize": 5})
    wait_for(lambda: len(gate.puts()) >= 3)
    assert gate.puts()[0] == list("12345") and all(put == ["2", "4"] for put in gate.puts()[1:])
    assert "StateReason" not in pipe.describe()  # it passes by itself
    pipe.put("6")
    gate.mend("PutRecords")
    pipe.wait_orders(*"123456")


def test_a_restart_in_the_middle_of_a_failing_batch_loses_nothing_and_may_repeat(here, gate):
    """[C] EB dynamodb: the checkpoint moves only after complete success, and a successful record may be retried."""
    pipe = here()
    pipe.put(*"12345")
    take_all_but(gate, "2", "4")
    pipe.pipe()
    pipe.wait_records(3)
    pipe.stop()
    gate.mend("PutRecords")
    pipe.pipes.start_pipe(Name=pipe.name)
    wait_for(lambda: set(pipe.orders()) == set("12345"))
    assert max(map(pipe.orders().count, "24")) == 1 and max(map(pipe.orders().count, "135")) <= 2


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "InternalFailure", "LimitExceededException"])
def test_a_failed_batch_blocks_its_shard_until_it_is_taken(here, gate, code):
    """[C] EB dynamodb: the batch is retried and the shard blocked. A StateReason is for what does not pass by itself [L]."""
    pipe = here()
    pipe.put(*"12345")
    gate.refuse("PutRecords", code)
    pipe.pipe(source={"BatchSize": 2})
    wait_for(lambda: len(gate.puts()) >= 4)
    assert all(put == ["1", "2"] for put in gate.puts()) and pipe.records() == []
    assert ("StateReason" in pipe.describe()) == (code == "InternalFailure")
    gate.mend("PutRecords")
    pipe.wait_orders(*"12345")
    assert pipe.orders() == list("12345")
    wait_for(lambda: "StateReason" not in pipe.describe())


def test_a_throttled_source_is_polled_again_and_gives_no_reason(here, gate):
    """[C] EB error-troubleshooting: retryable failures of the source are retried."""
    pipe = here().pipe()
    gate.refuse("GetRecords", "LimitExceededException")
    polls = gate.count("GetRecords")
    wait_for(lambda: gate.count("GetRecords") >= polls + 3)
    pipe.put("1")
    assert "StateReason" not in pipe.describe()
    gate.mend("GetRecords")
    pipe.wait_orders("1")


@pytest.mark.parametrize("code", ["ExpiredIteratorException", "InternalServerError"])
def test_an_iterator_that_expired_is_renewed_where_it_was(here, gate, code):
    """[C] BC:dynamodbstreams: an iterator expires after 15 minutes; each change is delivered all the same, once."""
    pipe = here().pipe()
    pipe.put("1")
    pipe.wait_orders("1")
    gate.refuse("GetRecords", code)
    polls = gate.count("GetRecords")
    wait_for(lambda: gate.count("GetRecords") > polls)
    pipe.put("2")
    gate.mend("GetRecords")
    pipe.wait_orders("1", "2")


def test_a_checkpoint_older_than_the_stream_goes_on_at_its_horizon(here, gate):
    """[C] BC:dynamodbstreams, TrimmedDataAccessException: 24 hours; that a pipe goes on with what is left is unknown, and safe."""
    pipe = here().pipe()
    pipe.put("1")
    pipe.wait_orders("1")
    pipe.stop()
    pipe.put("2")
    gate.fault("GetShardIterator", lambda members: (400, {"__type": "TrimmedDataAccessException", "message": "for a test"})
               if members["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER" else None)
    pipe.pipes.start_pipe(Name=pipe.name)
    wait_for(lambda: pipe.orders() == ["1", "1", "2"])


# -- lanes -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("factor", [1, 3])
def test_as_many_batches_of_a_shard_are_under_way_as_the_parallelization_factor_says(here, gate, factor):
    """[C] EB batching, concurrency; BC:pipes, ParallelizationFactor: how many batches of each shard are processed at the same time."""
    pipe, together, most, lock = here(), threading.Barrier(factor), [0, 0], threading.Lock()

    def fault(_) -> None:
        with lock:
            most[0] += 1
            most[1] = max(most)
        if not together.broken and gate.count("PutRecords") <= factor:
            together.wait(10)  # passed only if as many calls are under way
        time.sleep(0.05)
        with lock:
            most[0] -= 1

    gate.fault("PutRecords", fault)
    orders = [f"order {number}" for number in range(40)]
    pipe.put(*orders)
    pipe.pipe(source={"ParallelizationFactor": factor, "BatchSize": 4})
    wait_for(lambda: len(pipe.records()) >= 40)
    assert most[1] == factor and not together.broken and set(pipe.orders()) == set(orders)


def test_lanes_of_a_shard_keep_the_order_of_each_item(line):
    """[C] EB batching: order is guaranteed within the concurrency of a source: for one item, always."""
    pipe = line(shards=2).pipe(key="$.dynamodb.Keys.orderid.S", source={"BatchSize": 3, "ParallelizationFactor": 10})
    for version in range(20):
        pipe.put(*"abcde", version={"N": str(version)})
    found = [json.loads(record["Data"])["dynamodb"] for record in pipe.wait_records(100)]
    assert len(found) == 100
    for key in "abcde":
        assert [change["NewImage"]["version"]["N"] for change in found if change["Keys"]["orderid"]["S"] == key] == [
            str(version) for version in range(20)]


def test_a_blocked_lane_holds_up_its_own_items_only_and_loses_nothing_over_a_restart(line):
    """[C] EB dynamodb: retried until it succeeds; that other batches of the shard go on is what the factor is for [L]."""
    pipe = line().pipe(key="$.dynamodb.NewImage.customer.S", source={"ParallelizationFactor": 10})
    pipe.put("bad")
    pipe.wait_reason("$.dynamodb.NewImage.customer.S")
    orders = [f"order {number}" for number in range(30)]
    pipe.put(*orders, customer={"S": "c"})
    wait_for(lambda: len(set(pipe.orders())) >= 20)
    assert "bad" not in pipe.orders()
    pipe.stop()
    pipe.update(DesiredState="RUNNING", TargetParameters={"KinesisStreamParameters": {"PartitionKey": "$.eventID"}})
    wait_for(lambda: set(pipe.orders()) == {"bad", *orders})


# -- retries, age and dead letters -----------------------------------------------------------------------------------

@pytest.mark.parametrize("attempts", [0, 1, 3])
def test_a_batch_is_discarded_after_its_retries_and_the_next_one_goes_on(here, gate, attempts):
    """[C] LSP: MaximumRetryAttempts 1 makes two deliveries; BC:pipes: records are discarded after that many retries."""
    pipe = here()
    pipe.put("1", "2", "3")
    gate.refuse("PutRecords", "AccessDeniedException")
    pipe.pipe(source={"BatchSize": 2, "MaximumRetryAttempts": attempts})
    wait_for(lambda: ["3"] in gate.puts())
    gate.mend("PutRecords")
    assert [put for put in gate.puts() if put != ["3"]] == [["1", "2"]] * (attempts + 1)
    pipe.put("4")
    wait_for(lambda: "4" in pipe.orders())
    assert not {"1", "2"} & set(pipe.orders())


@pytest.mark.parametrize("service", ["sqs", "sns"])
def test_what_is_discarded_is_told_to_a_dead_letter_queue_or_topic_as_metadata(here, gate, queue, service):
    """[C] captured body; EB error-troubleshooting: metadata of the batch, not its data."""
    pipe = here()
    pipe.put("1", "2", "3")
    gate.refuse("PutRecords", "AccessDeniedException")
    pipe.pipe(source={"MaximumRetryAttempts": 1, "DeadLetterConfig": {"Arn": queue.arn if service == "sqs" else queue.topic()}})
    letter, = queue.wait_letters(3)
    assert list(letter) == ["context", "version", "timestamp", "DDBStreamBatchInfo"] and letter["version"] == "1.0"
    assert letter["context"] == {"partnerResourceArn": pipe.describe()["Arn"], "condition": "RetryAttemptsExhausted"}
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{3}Z", letter["timestamp"])
    info, = [letter["DDBStreamBatchInfo"]]
    assert list(info) == ["shardId", "startSequenceNumber", "endSequenceNumber", "approximateArrivalOfFirstRecord",
                          "approximateArrivalOfLastRecord", "batchSize", "streamArn"]
    assert info["batchSize"] == 3 and info["streamArn"] == pipe.source and info["shardId"].startswith("shardId-")
    streams = client(gate.aws, "dynamodbstreams")
    iterator = streams.get_shard_iterator(StreamArn=pipe.source, ShardId=info["shardId"], ShardIteratorType="AT_SEQUENCE_NUMBER",
                                          SequenceNumber=info["startSequenceNumber"])["ShardIterator"]  # how to get the data back
    found = streams.get_records(ShardIterator=iterator)["Records"]
    assert [change["dynamodb"]["Keys"]["orderid"]["S"] for change in found] == ["1", "2", "3"]
    assert found[-1]["dynamodb"]["SequenceNumber"] == info["endSequenceNumber"]
    for name, change in (("First", found[0]), ("Last", found[-1])):
        assert info[f"approximateArrivalOf{name}Record"] == f"{change['dynamodb']['ApproximateCreationDateTime']:%Y-%m-%dT%H:%M:%SZ}"


def test_only_what_is_left_of_a_batch_is_told_and_the_rest_was_delivered(here, gate, queue):
    """[C] EB batching, partial batch failure; captured body, batchSize."""
    pipe = here()
    pipe.put(*"12345")
    take_all_but(gate, "3", "4")
    pipe.pipe(source={"MaximumRetryAttempts": 1, "DeadLetterConfig": {"Arn": queue.arn}})
    letter, = queue.wait_letters(2)
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 2 and pipe.orders() == ["1", "2", "5"]
    assert gate.puts() == [list("12345"), ["3", "4"]]


def test_a_change_that_grew_too_old_is_told_as_such(here, gate, queue):
    """[C] BC:pipes, MaximumRecordAgeInSeconds; the condition's name [L]. Younger changes are delivered."""
    pipe = here()
    gate.refuse("PutRecords", "AccessDeniedException")
    pipe.put("old")
    pipe.pipe(source={"MaximumRecordAgeInSeconds": 60, "DeadLetterConfig": {"Arn": queue.arn}})  # 3 s here
    letter, = queue.wait_letters(1)
    assert letter["context"]["condition"] == "RecordAgeExceeded"
    gate.mend("PutRecords")
    pipe.put("young")
    pipe.wait_orders("young")


def test_a_dead_letter_queue_that_the_role_may_not_use_fails_the_creation(aws, line, own_role, queue):
    """[C] aws-samples/serverless-patterns issue 1857, the StateReason of a creation on AWS; a topic likewise [L]. No letter is sent."""
    for arn, kind, action in ((queue.arn, "SQS queue", "sqs:SendMessage"), (queue.topic(), "SNS topic", "sns:Publish"),
                              (queue.arn + "-none", "SQS queue", "sqs:SendMessage")):
        allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET + ([action] if arn.endswith("-none") else []))
        pipe = line(role_arn=own_role.arn)
        pipe.create(source={"DeadLetterConfig": {"Arn": arn}})
        failed = wait_for(lambda pipe=pipe: (found := pipe.describe())["CurrentState"] == "CREATE_FAILED" and found)
        assert failed["StateReason"].startswith("Input parameter is invalid from the request due to : "
                                                f"Error occurred while sending message to {kind}: {arn}")
        assert action in failed["StateReason"]
    allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET + ["sqs:SendMessage", "sns:Publish"])
    line(role_arn=own_role.arn).pipe(source={"DeadLetterConfig": {"Arn": queue.arn}})
    line(role_arn=own_role.arn).pipe(source={"DeadLetterConfig": {"Arn": queue.topic_arn}})
    messages = client(aws, "sqs").get_queue_attributes(QueueUrl=queue.url, AttributeNames=["ApproximateNumberOfMessages"])
    assert messages["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_nothing_is_discarded_while_the_dead_letter_queue_refuses(here, gate, queue):
    """[C] EB error-troubleshooting for the queue; what AWS does when it refuses is unknown: here nothing gets lost untold."""
    pipe = here()
    pipe.put("1")
    gate.refuse("PutRecords", "AccessDeniedException")
    gate.fault("SendMessage", lambda members: (403, {"__type": "AccessDeniedException"}) if len(members["MessageBody"]) < 9999 else None)
    pipe.pipe(source={"MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": queue.arn}})
    pipe.wait_reason("AccessDenied", "sqs:SendMessage")
    gate.mend("SendMessage")
    queue.wait_letters(1)
    wait_for(lambda: "StateReason" not in pipe.describe())


@pytest.mark.parametrize("bisect, discarded", [({"OnPartialBatchItemFailure": "AUTOMATIC_BISECT"}, 1), ({}, 8)])
def test_automatic_bisect_halves_a_batch_until_only_the_bad_record_is_left(line, queue, bisect, discarded):
    """[C] BC:pipes, OnPartialBatchItemFailure: halves and retries each half until one failed record is left."""
    pipe = line()
    for order in "12345678":
        pipe.put(order, **({} if order == "6" else {"customer": {"S": "c"}}))  # of which 6 has no partition key
    pipe.pipe(key="$.dynamodb.NewImage.customer.S",
              source={"MaximumRetryAttempts": 0, "DeadLetterConfig": {"Arn": queue.arn}, **bisect})
    assert [letter["DDBStreamBatchInfo"]["batchSize"] for letter in queue.wait_letters(discarded)] == [discarded]
    pipe.put("9", customer={"S": "c"})
    wait_for(lambda: pipe.orders() == [*"1234578"[:8 - discarded], "9"])


def test_halving_follows_the_order_and_retries_each_half(here, gate):
    """[C] BC:pipes, OnPartialBatchItemFailure; that a halving is no retry of its own is unknown, as with Lambda's pollers."""
    pipe = here()
    pipe.put(*"1234")
    gate.fault("PutRecords", lambda members: (400, {"__type": "InternalFailure"})
               if "3" in map(order_of, members["Records"]) else None)
    pipe.pipe(source={"MaximumRetryAttempts": 1, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT"})
    pipe.wait_orders("1", "2", "4")
    tries = [put for position, put in enumerate(gate.puts()) if put != gate.puts()[position - 1] or not position]  # without botocore's own
    assert tries == [list("1234"), ["1", "2"], ["3", "4"], ["3"], ["4"]]


def test_a_record_above_the_limit_of_kinesis_is_given_up_alone_when_bisecting(line, queue):
    """[C] BC:kinesis, 1 MiB a record by default: a whole put is refused for one record; BC:pipes, AUTOMATIC_BISECT."""
    pipe = line()
    pipe.put("1")
    pipe.put("2", image={"B": b"\x00" * 395_000})
    pipe.put("2", image={"B": b"\x01" * 395_000})  # with both images in base64 more than 1 MiB
    pipe.put("3")
    pipe.pipe(source={"MaximumRetryAttempts": 0, "OnPartialBatchItemFailure": "AUTOMATIC_BISECT", "MaximumBatchingWindowInSeconds": 40,
                      "DeadLetterConfig": {"Arn": queue.arn}})
    letter, = queue.wait_letters(1)
    pipe.wait_records(3)
    assert pipe.orders() == ["1", "2", "3"] and letter["DDBStreamBatchInfo"]["batchSize"] == 1


# -- streams that go -------------------------------------------------------------------------------------------------

def test_a_missing_stream_fails_the_creation(line):
    """[L] the sentence of AWS's list of StateReasons, EB error-troubleshooting."""
    pipe = line()
    pipe.create(Source=pipe.source[:-1] + "x")
    assert wait_for(lambda: (found := pipe.describe())["CurrentState"] == "CREATE_FAILED" and found["StateReason"]) == STREAM_GONE


def test_a_disabled_stream_is_read_to_its_end_and_makes_its_pipe_unusable_even_if_enabled_again(line):
    """[C] EB dynamodb: a pipe whose source is disabled cannot be stopped, started or updated; enabled again it has another ARN."""
    pipe = line().pipe()
    pipe.put("1")
    pipe.dynamodb.update_table(TableName=pipe.name, StreamSpecification={"StreamEnabled": False})
    assert pipe.wait_state("STOPPED")["StateReason"] == STREAM_GONE
    pipe.wait_orders("1")
    again = pipe.dynamodb.update_table(TableName=pipe.name, StreamSpecification={
        "StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})["TableDescription"]["LatestStreamArn"]
    assert again != pipe.source
    pipe.put("2")
    with pytest.raises(pipe.pipes.exceptions.ConflictException):
        pipe.pipes.stop_pipe(Name=pipe.name)
    for change, state in ((lambda: pipe.pipes.start_pipe(Name=pipe.name), "START_FAILED"), (pipe.update, "UPDATE_FAILED")):
        change()
        assert wait_for(lambda state=state: (found := pipe.describe())["CurrentState"] == state and found["StateReason"]) == STREAM_GONE
    pipe.pipes.delete_pipe(Name=pipe.name)
    wait_for(lambda: not pipe.pipes.list_pipes(NamePrefix=pipe.name)["Pipes"])
    pipe.source = again
    pipe.pipe()
    pipe.wait_orders("1", "2")


def test_what_waits_when_its_stream_is_disabled_is_delivered_before_the_pipe_stops(here, gate):
    """[C] awsdocs Streams: a closed stream stays readable for 24 hours; EB dynamodb: a batch is retried until it is taken."""
    pipe = here()
    pipe.put("1", "2", "3")
    gate.refuse("PutRecords", "ProvisionedThroughputExceededException")
    pipe.pipe(source={"BatchSize": 1})
    pipe.dynamodb.update_table(TableName=pipe.name, StreamSpecification={"StreamEnabled": False})
    looks = gate.count("DescribeStream")
    wait_for(lambda: gate.count("DescribeStream") > looks + 1)
    assert pipe.describe()["CurrentState"] == "RUNNING" and pipe.records() == []
    gate.mend("PutRecords")
    assert pipe.wait_state("STOPPED")["StateReason"] == STREAM_GONE
    assert pipe.orders() == ["1", "2", "3"]


def test_a_shard_waits_until_its_parent_is_read_to_the_end(here, gate):
    """[C] awsdocs/amazon-dynamodb-developer-guide, Streams: a parent shard before its children. MiniStack's streams have one shard."""
    pipe, closed = here(), threading.Event()

    def page(members: dict) -> tuple[int, dict]:
        shard = members["ShardIterator"]
        last = closed.is_set() or shard == "child"
        change = {"eventID": shard, "eventName": "INSERT", "dynamodb": {
            "ApproximateCreationDateTime": 1.7e9, "Keys": {"orderid": {"S": shard}}, "SequenceNumber": "1" + "0" * 20}}
        return 200, {"Records": [change]} if last else {"Records": [], "NextShardIterator": shard}

    gate.fault("DescribeStream", lambda _: (200, {"StreamDescription": {"StreamStatus": "ENABLED", "Shards": [
        {"ShardId": "shardId-00000000000000000002", "ParentShardId": "shardId-00000000000000000001"},
        {"ShardId": "shardId-00000000000000000001"}]}}))
    gate.fault("GetShardIterator", lambda members: (200, {"ShardIterator": "child" if members["ShardId"].endswith("2") else "parent"}))
    gate.fault("GetRecords", page)
    pipe.pipe()
    wait_for(lambda: gate.count("GetRecords") >= 3)
    assert pipe.records() == []
    closed.set()
    pipe.wait_records(2)
    assert gate.puts() == [["parent"], ["child"]]


def test_a_deleted_table_stops_its_pipe_after_what_can_still_be_read(aws, line):
    """[C] EB error-troubleshooting, the sentence; a stream that is closed stays readable: awsdocs Streams."""
    pipe = line().pipe()
    pipe.put("1", "2")
    pipe.dynamodb.delete_table(TableName=pipe.name)
    assert pipe.wait_state("STOPPED")["StateReason"] == STREAM_GONE
    pipe.wait_orders("1", "2")
    table(aws, pipe.name)  # a namesake is another table with another stream
    pipe.put("3")
    pipe.pipes.start_pipe(Name=pipe.name)
    wait_for(lambda: pipe.describe()["CurrentState"] == "START_FAILED")
    assert pipe.orders() == ["1", "2"]
