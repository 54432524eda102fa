"""EventBridge pipes from a DynamoDB stream to a Kinesis stream: what arrives, settings, states. Facts: AWS_FACTS.md parts 1 to 3."""

import hashlib
import json
import re
import threading
import time

import pytest
from botocore.exceptions import ClientError

from .making import PIPE_SOURCE, PIPE_TARGET, allow, client, wait_for
from .pipes_making import Line, gate, here, line, own_role, pipe_role, unchecked  # noqa: F401 - most are fixtures

# -- what arrives ----------------------------------------------------------------------------------------------------


def test_an_event_arrives_with_exactly_the_documented_members_in_order(line):
    """[C] capture (dynamodb-eventbridge-pipes-to-sqs), `LS` dynamodb/test_dynamodb, `LSP`; no newline [L]."""
    pipe = line().pipe()
    pipe.put("1001", quantity={"N": "2"}, image={"B": b"\x00\xff"})
    data = pipe.wait_records(1)[0]["Data"].decode()
    event = json.loads(data)
    assert list(event) == ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"]
    assert list(event["dynamodb"]) == ["ApproximateCreationDateTime", "Keys", "NewImage", "SequenceNumber", "SizeBytes",
                                       "StreamViewType"]
    assert (event["eventName"], event["eventVersion"], event["eventSource"]) == ("INSERT", "1.1", "aws:dynamodb")
    assert event["eventSourceARN"] == pipe.source and event["awsRegion"] == "us-east-1"
    assert re.fullmatch("[0-9a-f]{32}", event["eventID"])
    moment = event["dynamodb"]["ApproximateCreationDateTime"]
    assert type(moment) is int and abs(moment - time.time()) < 60
    assert event["dynamodb"]["NewImage"] == {"orderid": {"S": "1001"}, "quantity": {"N": "2"}, "image": {"B": "AP8="}}
    assert event["dynamodb"]["SizeBytes"] == 2 * len("orderid1001") + len("quantity2") + len("image") + 2
    assert data.startswith("{") and data.endswith("}")  # the object itself: no array, no newline


def test_sequence_numbers_have_21_digits_and_grow(line):
    """[C] capture, `LSP`."""
    pipe = line().pipe()
    pipe.put(*map(str, range(20)))
    pipe.wait_records(20)
    found = [event["dynamodb"]["SequenceNumber"] for event in pipe.events()]
    assert all(re.fullmatch("[1-9][0-9]{20}", number) for number in found) and found == sorted(set(found), key=int)


@pytest.mark.parametrize("view, images", [
    ("KEYS_ONLY", [[], [], []]),
    ("NEW_IMAGE", [["NewImage"], ["NewImage"], []]),
    ("OLD_IMAGE", [[], ["OldImage"], ["OldImage"]]),
    ("NEW_AND_OLD_IMAGES", [["NewImage"], ["NewImage", "OldImage"], ["OldImage"]]),
])
def test_the_view_type_says_which_images_an_event_has(line, view, images):
    """[C] `LS` dynamodb/test_dynamodb; that a REMOVE has none with NEW_IMAGE [L]. SizeBytes counts keys and the images there are."""
    pipe = line(view=view).pipe()
    pipe.put("1", paid={"BOOL": False})
    pipe.put("1", paid={"BOOL": True})
    pipe.delete("1")
    pipe.wait_records(3)
    events = pipe.events()
    assert [event["eventName"] for event in events] == ["INSERT", "MODIFY", "REMOVE"]
    changes = [event["dynamodb"] for event in events]
    assert [[name for name in change if name.endswith("Image")] for change in changes] == images
    assert [change["SizeBytes"] for change in changes] == [8 + 13 * len(of_one) for of_one in images]  # orderid 1, paid and a BOOL
    assert {change["StreamViewType"] for change in changes} == {view}
    for change, before, after in zip(changes, (None, False, True), (False, True, None)):
        assert change.get("OldImage", {"paid": {"BOOL": before}})["paid"] == {"BOOL": before}
        assert change.get("NewImage", {"paid": {"BOOL": after}})["paid"] == {"BOOL": after}


def test_a_write_that_changes_nothing_makes_no_event(line):
    """[C] awsdocs/amazon-dynamodb-developer-guide, Streams."""
    pipe = line().pipe()
    pipe.put("1", quantity={"N": "1"})
    pipe.put("1", quantity={"N": "1"})
    pipe.dynamodb.update_item(TableName=pipe.name, Key={"orderid": {"S": "1"}}, UpdateExpression="SET quantity = :q",
                              ExpressionAttributeValues={":q": {"N": "1"}})
    pipe.delete("none")
    pipe.put("2")
    pipe.wait_orders("1", "2")


def test_what_expires_is_removed_in_the_name_of_dynamodb(line):
    """[C] `BC:dynamodbstreams`, userIdentity; every other event has no such member."""
    pipe = line().pipe()
    pipe.dynamodb.update_time_to_live(TableName=pipe.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    pipe.put("lasting")
    pipe.put("expired", until={"N": str(int(time.time()) - 60)})
    pipe.wait_records(3)
    *others, removal = pipe.events()
    assert (removal["eventName"], removal["dynamodb"]["Keys"]) == ("REMOVE", {"orderid": {"S": "expired"}})
    assert removal["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert list(removal)[-2:] == ["userIdentity", "eventSourceARN"] and all("userIdentity" not in event for event in others)


def test_changes_of_one_key_arrive_once_and_in_order_on_the_shard_of_its_md5(line):
    """[C] awsdocs/amazon-dynamodb-developer-guide, Streams; `BC:kinesis`, partition keys."""
    pipe = line(shards=3).pipe(key="$.dynamodb.Keys.orderid.S", source={"BatchSize": 7})
    for version in range(30):
        pipe.put("a", "b", "c", "é", version={"N": str(version)})
    found = pipe.wait_records(120)
    assert len(found) == 120
    for key in "abcé":
        mine = [record for record in found if record["PartitionKey"] == key]
        shard = int(hashlib.md5(key.encode()).hexdigest(), 16) // (2**128 // 3)
        assert {record["ShardId"] for record in mine} == {f"shardId-{shard:012d}"}
        assert [json.loads(r["Data"])["dynamodb"]["NewImage"]["version"]["N"] for r in mine] == [str(v) for v in range(30)]


def test_items_of_400_kb_and_keys_in_any_script_arrive_whole(line):
    """[C] DynamoDB's limit of an item, with which an event stays below 1 MiB unless it is binary and has both images."""
    pipe = line().pipe(key="$.dynamodb.Keys.orderid.S")
    names, note = ["Größe 🙂", "注文/1", "'\"\\"], "ü" * 199_000
    pipe.put(*names, **{"注記": {"S": note}})
    found = pipe.wait_records(3)
    assert [record["PartitionKey"] for record in found] == names == pipe.orders()
    assert [json.loads(record["Data"])["dynamodb"]["NewImage"]["注記"]["S"] == note for record in found] == [True] * 3


# -- the partition key -----------------------------------------------------------------------------------------------

def test_a_partition_key_without_a_path_is_a_constant(line):
    """[L] inference from EB event-target: the whole value is a path, or it is static."""
    pipe = line(shards=3).pipe(key="eventID")
    pipe.put("1", "2", "3", "4")
    found = pipe.wait_records(4)
    assert {record["PartitionKey"] for record in found} == {"eventID"} and len({r["ShardId"] for r in found}) == 1


def test_a_partition_key_path_may_select_a_number(line):
    """[L] a path is replaced by what is at it, EB event-target; a partition key is text, so a number is written as text."""
    pipe = line().pipe(key="$.dynamodb.SizeBytes")
    pipe.put("1")
    assert pipe.wait_records(1)[0]["PartitionKey"] == "16"


@pytest.mark.parametrize("path", ["$.dynamodb.Keys.order_id.S", "$.dynamodb.Keys", "$.dynamodb.NewImage.paid.BOOL",
                                  "$.dynamodb.NewImage.note.S"])
def test_a_partition_key_path_that_selects_no_text_is_said_and_mended_by_an_update(line, path):
    """[C] EB event-target for paths; what happens where one selects nothing is unknown: here nothing is lost, and the reason is said."""
    pipe = line().pipe(key=path)
    pipe.put("1", paid={"BOOL": True}, note={"S": ""})
    assert pipe.wait_reason(path)["CurrentState"] == "RUNNING"
    pipe.update(TargetParameters={"KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})
    pipe.wait_orders("1")
    assert pipe.wait_state("RUNNING").get("StateReason") is None


# -- batches ---------------------------------------------------------------------------------------------------------

def test_a_batch_has_at_most_batch_size_records(here, gate):
    """[C] BC:pipes, BatchSize: the maximum number of records in each batch."""
    pipe = here()
    pipe.put(*"1234567")
    pipe.pipe(source={"BatchSize": 3})
    pipe.wait_records(7)
    assert gate.puts() == [["1", "2", "3"], ["4", "5", "6"], ["7"]]


def test_a_batch_waits_for_its_window_unless_it_is_full(here, gate):
    """[C] EB dynamodb: a batch closes when it is full or when its window ends."""
    pipe = here(clock_scale=1)
    pipe.pipe(source={"BatchSize": 3, "MaximumBatchingWindowInSeconds": 300})
    pipe.put(*"1234567")
    assert len(pipe.wait_records(6)) == 6  # two full batches; the seventh order waits for the window
    time.sleep(1)
    assert gate.puts() == [["1", "2", "3"], ["4", "5", "6"]]
    pipe.update(SourceParameters={"DynamoDBStreamParameters": {"BatchSize": 3, "MaximumBatchingWindowInSeconds": 1}})
    pipe.wait_orders(*"1234567")


def test_records_of_one_window_travel_together(here, gate):
    """[C] EB dynamodb: records are gathered until the window ends."""
    pipe = here()
    pipe.pipe(source={"MaximumBatchingWindowInSeconds": 80})  # 4 s here
    pipe.put("1")
    polls = gate.count("GetRecords")
    wait_for(lambda: gate.count("GetRecords") > polls + 1)  # so that the first is read alone
    pipe.put("2")
    pipe.wait_records(2)
    assert gate.puts() == [["1", "2"]]


def test_a_batch_closes_at_six_megabytes(here, gate):
    """[C] EB dynamodb: a batch closes at the payload limit of 6 MB."""
    pipe = here(clock_scale=1)
    pipe.put(*[f"{number:02d}" for number in range(17)], note={"S": "x" * 399_000})
    pipe.pipe(source={"MaximumBatchingWindowInSeconds": 300})
    pipe.wait_records(15, seconds=60)
    assert sum(map(len, gate.puts())) == 15  # 15 of them are below 6 MiB, 16 are not


def test_a_batch_may_be_500_records_large_and_is_put_in_one_call(here, gate):
    """[C] EB batching: a Kinesis stream takes 500 records in a batch."""
    pipe = here()
    pipe.put(*(f"{number:03d}" for number in range(510)))
    pipe.pipe(source={"BatchSize": 500})
    wait_for(lambda: sum(map(len, gate.puts())) == 510)
    assert [len(put) for put in gate.puts()] == [500, 10]


# -- filters and templates -------------------------------------------------------------------------------------------

def filters(*patterns) -> dict:
    return {"FilterCriteria": {"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]}}


def test_events_that_match_any_filter_go_through_and_others_are_skipped(line):
    """[C] EB filtering; eventName [C `LS` of the same poller], against the user guide's list of fields."""
    pipe = line().pipe(source_parameters=filters({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"status": {"S": ["PENDING"]}}}},
                                                 {"eventName": ["REMOVE"]}))
    pipe.put("no", status={"S": "SHIPPED"})
    pipe.put("yes", status={"S": "PENDING"})
    pipe.delete("no")
    pipe.wait_orders("yes", "no")
    assert [event["eventName"] for event in pipe.events()] == ["INSERT", "REMOVE"]
    pipe.stop()
    pipe.put("later", status={"S": "PENDING"})
    pipe.pipes.start_pipe(Name=pipe.name)  # what was skipped is behind it
    pipe.wait_orders("yes", "no", "later")


def test_a_filter_sees_typed_attributes_and_numbers_as_strings(line):
    """[C] EB filtering: the type letter is required; `LS`: numeric never matches an N, which is a string."""
    pipe = line().pipe(source_parameters=filters(
        {"dynamodb": {"NewImage": {"status": ["PENDING"]}}}, {"dynamodb": {"NewImage": {"quantity": {"N": [{"numeric": [">", 0]}]}}}},
        {"dynamodb": {"NewImage": {"quantity": {"N": [7]}}}}, {"dynamodb": {"NewImage": {"quantity": {"N": ["7"]}}}},
        {"dynamodb": {"SizeBytes": [{"numeric": [">", 100]}]}}))
    pipe.put("type", status={"S": "PENDING"}, quantity={"N": "5"})
    pipe.put("seven", quantity={"N": "7"})
    pipe.put("long", note={"S": "x" * 100})
    pipe.wait_orders("seven", "long")


def test_a_filter_does_not_see_what_the_poller_adds(line):
    """[C] EB filtering: fields sent by the source, not those added by polling; the event that arrives has eventSourceARN all the same."""
    pipe = line().pipe(source_parameters=filters({"eventSourceARN": [{"exists": False}]}))
    pipe.put("1")
    pipe.wait_orders("1")
    assert pipe.events()[0]["eventSourceARN"] == pipe.source


def test_filters_change_by_an_update_and_go_with_an_empty_list(line):
    """[C] BC:pipes, FilterCriteria: an empty array of filters removes them; UpdatePipe: what is not given stays."""
    pipe = line().pipe(source_parameters=filters({"dynamodb": {"Keys": {"orderid": {"S": [{"prefix": "a"}]}}}}))
    pipe.put("a1", "b1")
    pipe.wait_orders("a1")
    pipe.update(Description="the filter stays")
    pipe.wait_state("RUNNING")
    pipe.put("a2", "b2")
    pipe.wait_orders("a1", "a2")
    pipe.update(SourceParameters=filters())
    pipe.wait_state("RUNNING")
    pipe.put("b3")
    pipe.wait_orders("a1", "a2", "b3")


def test_an_input_template_makes_the_record_and_the_partition_key_sees_the_source_event(line):
    """[C] EB input transformation, EB event-target; an empty string removes the template: BC:pipes, InputTemplate."""
    template = '{"order": <$.dynamodb.Keys.orderid.S>, "was": "<$.eventName>", "by": <aws.pipes.pipe-name>, "of": <aws.pipes.source-arn>}\n'
    pipe = line().pipe(key="$.dynamodb.Keys.orderid.S", target_parameters={"InputTemplate": template})
    pipe.put("1001")
    record, = pipe.wait_records(1)
    assert record["Data"].decode() == f'{{"order": "1001", "was": "INSERT", "by": "{pipe.name}", "of": "{pipe.source}"}}\n'
    assert record["PartitionKey"] == "1001" and pipe.describe()["TargetParameters"]["InputTemplate"] == template
    pipe.update(TargetParameters={"InputTemplate": ""})
    pipe.wait_state("RUNNING")
    pipe.put("1002")
    assert [pipe.describe()["TargetParameters"].get("InputTemplate"), len(pipe.wait_records(2))] == [None, 2]
    assert pipe.events()[1]["dynamodb"]["Keys"] == {"orderid": {"S": "1002"}}


# -- where it starts and goes on -------------------------------------------------------------------------------------

def test_trim_horizon_reads_what_was_there_and_latest_does_not(line):
    """[C] BC:pipes, StartingPosition; a pipe made anew under an old name starts anew."""
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
    """[C] EB dynamodb: it checkpoints."""
    pipe = line().pipe()
    pipe.put("1")
    pipe.wait_orders("1")
    pipe.stop()
    pipe.put("2", "3")
    pipe.pipes.start_pipe(Name=pipe.name)
    pipe.wait_orders("1", "2", "3")


def test_latest_holds_over_a_stop_before_the_first_change(line):
    """[C] BC:pipes, StartingPosition: the position from which to start, once."""
    pipe = line()
    pipe.put("before")
    pipe.pipe(source={"StartingPosition": "LATEST"})
    pipe.stop()
    pipe.put("meanwhile")
    pipe.pipes.start_pipe(Name=pipe.name)
    pipe.wait_orders("meanwhile")


def test_a_pipe_created_stopped_waits_to_be_started(line):
    """[C] BC:pipes, DesiredState."""
    pipe = line()
    pipe.create(DesiredState="STOPPED")
    assert pipe.wait_state("STOPPED")["DesiredState"] == "STOPPED"
    pipe.put("1")
    pipe.pipes.start_pipe(Name=pipe.name)
    pipe.wait_orders("1")


def test_updates_while_changes_flow_lose_nothing_and_keep_the_order(line):
    """[C] EB dynamodb: the checkpoint is behind what is delivered."""
    pipe, orders = line().pipe(source={"BatchSize": 5}), [f"{number:02d}" for number in range(60)]
    for position in range(0, 60, 10):
        pipe.put(*orders[position:position + 10])
        pipe.update(Description=f"at {position}")
        pipe.wait_state("RUNNING")
    wait_for(lambda: set(pipe.orders()) == set(orders))
    assert list(dict.fromkeys(pipe.orders())) == orders


# -- states ----------------------------------------------------------------------------------------------------------

def test_each_passing_state_is_seen_and_no_other_change_is_taken_in_it(here, gate):
    """[C] BC:pipes, PipeState, RequestedPipeStateDescribeResponse and ConflictException."""
    pipe, steps = here(), []

    def hold(operation: str, call, under_way: bool = False) -> None:
        """Look at the pipe after `call`, while `operation` is held up (and has been before, if `under_way`); then let it pass."""
        arrived = threading.Event()
        gate.fault(operation, lambda _: arrived.set() or wait_for(lambda: operation not in gate.faults) and None)
        assert not under_way or arrived.wait(15)
        answer, held = call(), pipe.describe()
        assert (answer["CurrentState"], answer["DesiredState"]) == (held["CurrentState"], held["DesiredState"])
        for other in (pipe.create, pipe.update, *(lambda name=name: getattr(pipe.pipes, name)(Name=pipe.name)
                                                  for name in ("start_pipe", "stop_pipe", "delete_pipe"))):
            with pytest.raises(Exception, match=f"{pipe.name} (already exists|is in state {held['CurrentState']})"):
                other()
        assert pipe.describe() == held
        gate.mend(operation)
        steps.append((held["CurrentState"], held["DesiredState"]))

    hold("DescribeStream", pipe.create)
    pipe.wait_state("RUNNING")
    hold("DescribeStream", pipe.update)
    pipe.wait_state("RUNNING")
    hold("GetRecords", lambda: pipe.pipes.stop_pipe(Name=pipe.name), under_way=True)
    pipe.wait_state("STOPPED")
    hold("DescribeStream", lambda: pipe.pipes.start_pipe(Name=pipe.name))
    pipe.wait_state("RUNNING")
    hold("GetRecords", lambda: pipe.pipes.delete_pipe(Name=pipe.name), under_way=True)
    wait_for(lambda: not pipe.pipes.list_pipes()["Pipes"])
    assert steps == [("CREATING", "RUNNING"), ("UPDATING", "RUNNING"), ("STOPPING", "STOPPED"), ("STARTING", "RUNNING"),
                     ("DELETING", "DELETED")]


def test_what_a_settled_state_does_not_allow_is_a_conflict(line):
    """[C] BC:pipes: ConflictException names the resource; that starting what runs is one is [L]."""
    pipe = line().pipe()
    with pytest.raises(pipe.pipes.exceptions.ConflictException) as conflict:
        pipe.pipes.start_pipe(Name=pipe.name)
    assert (conflict.value.response["resourceId"], conflict.value.response["resourceType"]) == (pipe.name, "Pipe")
    with pytest.raises(pipe.pipes.exceptions.ConflictException):
        pipe.create()
    pipe.stop()
    with pytest.raises(pipe.pipes.exceptions.ConflictException):
        pipe.pipes.stop_pipe(Name=pipe.name)
    pipe.update(Description="a stopped pipe is updated and stays stopped")
    pipe.wait_state("STOPPED")


def test_a_failed_creation_update_and_start_say_why_and_can_be_mended(aws, line, own_role):
    """[C] BC:pipes, PipeState; the sentence: terraform-provider-aws issue 40572. Mending by StartPipe or UpdatePipe is [L]."""
    allow(aws, own_role.name, PIPE_TARGET)
    pipe = line(role_arn=own_role.arn)
    sentence = ("Input parameter is invalid from the request due to : "
                f"Cannot access stream {pipe.source}. Please ensure the customer role can perform actions on source stream")

    def wait_failed(state: str) -> None:
        reason = wait_for(lambda: (found := pipe.describe())["CurrentState"] == state and found["StateReason"])
        assert reason.startswith(sentence) and "dynamodb:ListStreams" in reason and len(reason) <= 512

    pipe.create()
    wait_failed("CREATE_FAILED")
    pipe.pipes.start_pipe(Name=pipe.name)
    wait_failed("START_FAILED")
    pipe.update()
    wait_failed("UPDATE_FAILED")
    allow(aws, own_role.name, PIPE_SOURCE + PIPE_TARGET)
    pipe.update()
    assert "StateReason" not in wait_for(lambda: (found := pipe.describe())["CurrentState"] == "RUNNING" and found)
    pipe.put("1")
    pipe.wait_orders("1")


# -- the control plane -----------------------------------------------------------------------------------------------

def test_a_description_shows_what_was_given_and_the_default_batch_size_only(line):
    """[C] Terraform's acceptance tests of aws_pipes_pipe, run on AWS: BatchSize 100, the other source parameters absent."""
    pipe = line().pipe(Tags={"project": "orders"}, Description="changes", source={"MaximumRetryAttempts": 3})
    described = pipe.describe()
    assert described.pop("CreationTime") <= described.pop("LastModifiedTime")
    del described["ResponseMetadata"]
    assert described == {
        "Arn": f"arn:aws:pipes:us-east-1:000000000000:pipe/{pipe.name}", "Name": pipe.name, "Description": "changes",
        "DesiredState": "RUNNING", "CurrentState": "RUNNING", "Source": pipe.source, "Target": pipe.target,
        "RoleArn": pipe.role_arn, "Tags": {"project": "orders"},
        "SourceParameters": {"DynamoDBStreamParameters": {
            "StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "MaximumRetryAttempts": 3}},
        "TargetParameters": {"KinesisStreamParameters": {"PartitionKey": "$.eventID"}}}


def test_an_update_replaces_the_parameters_of_a_service_as_a_whole(line):
    """[C] BC:pipes, UpdatePipe: what is not given falls back to its default; StartingPosition cannot be updated and stays."""
    pipe = line().pipe(source={"BatchSize": 10, "MaximumRetryAttempts": 3}, target_parameters={"InputTemplate": "<$.eventID>"})
    before = pipe.describe()
    pipe.update(SourceParameters={"DynamoDBStreamParameters": {"MaximumBatchingWindowInSeconds": 2}}, Description="new")
    after = pipe.wait_state("RUNNING")
    assert after["SourceParameters"]["DynamoDBStreamParameters"] == {
        "StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 2}
    assert after["TargetParameters"] == before["TargetParameters"] and after["Description"] == "new"
    assert after["LastModifiedTime"] > before["LastModifiedTime"] and after["CreationTime"] == before["CreationTime"]


def test_an_update_can_change_the_target(line):
    """[C] BC:pipes, UpdatePipe, Target."""
    pipe, other = line().pipe(), line()
    pipe.put("1")
    pipe.wait_orders("1")
    pipe.update(Target=other.target)
    pipe.wait_state("RUNNING")
    pipe.put("2")
    other.wait_orders("2")
    pipe.wait_orders("1")


def test_pipes_are_listed_by_prefixes_and_states_in_pages(line):
    """[C] BC:pipes, ListPipes."""
    first, second = line().pipe(), line()
    second.create(DesiredState="STOPPED", Name=f"{first.name}.other")
    try:
        wait_for(lambda: first.pipes.describe_pipe(Name=f"{first.name}.other")["CurrentState"] == "STOPPED")

        def listed(**by) -> list[str]:
            return [pipe["Name"] for pipe in first.pipes.list_pipes(**{"NamePrefix": first.name, **by})["Pipes"]]

        both = [first.name, f"{first.name}.other"]
        assert listed() == both and listed(NamePrefix=both[1]) == both[1:] and listed(NamePrefix="x") == []
        assert listed(DesiredState="RUNNING") == both[:1] and listed(CurrentState="STOPPED") == both[1:]
        assert listed(SourcePrefix=first.source) == both[:1] and listed(SourcePrefix="arn:aws:dynamodb:") == both
        assert listed(TargetPrefix=second.target) == both[1:]
        pages = list(first.pipes.get_paginator("list_pipes").paginate(NamePrefix=first.name, PaginationConfig={"PageSize": 1}))
        assert [[pipe["Name"] for pipe in page["Pipes"]] for page in pages] == [both[:1], both[1:]]
        entry = first.pipes.list_pipes(NamePrefix=first.name, Limit=1)["Pipes"][0]
        described = first.describe()
        assert entry == {name: described[name] for name in (
            "Name", "Arn", "DesiredState", "CurrentState", "CreationTime", "LastModifiedTime", "Source", "Target")}
    finally:
        first.pipes.delete_pipe(Name=f"{first.name}.other")


def test_tags_are_added_replaced_and_removed(line):
    """[C] BC:pipes, TagResource: a key that is there already gets the new value; 50 tags at most."""
    pipe = line().pipe(Tags={"project": "orders", "chapter": "3"})
    arn, pipes = pipe.describe()["Arn"], pipe.pipes
    pipes.tag_resource(resourceArn=arn, tags={"chapter": "4"})
    assert pipes.list_tags_for_resource(resourceArn=arn)["tags"] == {"project": "orders", "chapter": "4"}
    pipes.untag_resource(resourceArn=arn, tagKeys=["project", "none"])
    assert pipes.list_tags_for_resource(resourceArn=arn)["tags"] == pipe.describe()["Tags"] == {"chapter": "4"}
    with pytest.raises(ClientError, match="50"):
        pipes.tag_resource(resourceArn=arn, tags={str(number): "" for number in range(50)})
    assert pipes.list_tags_for_resource(resourceArn=arn)["tags"] == {"chapter": "4"}


@pytest.mark.parametrize("operation, params", [
    ("describe_pipe", {}), ("start_pipe", {}), ("stop_pipe", {}), ("delete_pipe", {}),
    ("update_pipe", {"RoleArn": "arn:aws:iam::000000000000:role/r"}),
    ("list_tags_for_resource", None), ("tag_resource", {"tags": {"a": "b"}}), ("untag_resource", {"tagKeys": ["a"]}),
])
def test_a_pipe_that_does_not_exist_is_not_found(aws, operation, params):
    """[C] BC:pipes, NotFoundException."""
    pipes = client(aws, "pipes")
    named = {"resourceArn": "arn:aws:pipes:us-east-1:000000000000:pipe/none"} if "tag" in operation else {"Name": "none"}
    with pytest.raises(pipes.exceptions.NotFoundException, match="none") as error:
        getattr(pipes, operation)(**named, **(params or {}))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


# -- what is refused -------------------------------------------------------------------------------------------------

# What AWS takes and the local AWS does not: the feature, what asks for it, and how the refusal names it.
REFUSED = {
    "a source other than a DynamoDB stream": ({"Source": "arn:aws:sqs:us-east-1:000000000000:q"}, "arn:aws:sqs"),
    "a target other than a Kinesis stream": ({"Target": "arn:aws:sqs:us-east-1:000000000000:q"}, "arn:aws:sqs"),
    "Enrichment": ({"Enrichment": "arn:aws:lambda:us-east-1:000000000000:function:f"}, "Enrichment"),
    "EnrichmentParameters": ({"EnrichmentParameters": {"InputTemplate": "x"}}, "EnrichmentParameters"),
    "LogConfiguration at a level other than OFF": ({"LogConfiguration": {"Level": "INFO"}}, "LogConfiguration"),
    "KmsKeyIdentifier": ({"KmsKeyIdentifier": "alias/key"}, "KmsKeyIdentifier"),
    "DeadLetterConfig with a FIFO queue or topic": (
        {"source": {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q.fifo"}}}, "FIFO"),
}

# What AWS refuses too: what is wrong, and how the refusal names it.
WRONG = [
    ({"source": {"BatchSize": 501}}, "BatchSize 501"),
    ({"source": {"BatchSize": 0}}, "batchSize"), ({"source": {"BatchSize": 10_001}}, "batchSize"),
    ({"source": {"MaximumBatchingWindowInSeconds": -1}}, "maximumBatchingWindowInSeconds"),
    ({"source": {"MaximumBatchingWindowInSeconds": 301}}, "maximumBatchingWindowInSeconds"),
    ({"source": {"ParallelizationFactor": 0}}, "parallelizationFactor"),
    ({"source": {"ParallelizationFactor": 11}}, "parallelizationFactor"),
    ({"source": {"MaximumRecordAgeInSeconds": -2}}, "maximumRecordAgeInSeconds"),
    ({"source": {"MaximumRecordAgeInSeconds": 604_801}}, "maximumRecordAgeInSeconds"),
    ({"source": {"MaximumRetryAttempts": -2}}, "maximumRetryAttempts"),
    ({"source": {"MaximumRetryAttempts": 10_001}}, "maximumRetryAttempts"),
    ({"source": {"OnPartialBatchItemFailure": "MANUAL"}}, "AUTOMATIC_BISECT"),
    ({"source": {"StartingPosition": "AT_TIMESTAMP"}}, "startingPosition"), ({"source": {"StartingPosition": None}}, "startingPosition"),
    ({"source": {"DeadLetterConfig": {"Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}}}, "DeadLetterConfig"),
    ({"SourceParameters": {}}, "DynamoDBStreamParameters is required"),
    ({"source_parameters": {"SqsQueueParameters": {"BatchSize": 1}}}, "SqsQueueParameters"),
    ({"source_parameters": filters(*[{"a": [1]}] * 6)}, "filters"), ({"source_parameters": filters({"a": ["x" * 4090]})}, "pattern"),
    ({"source_parameters": {"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}}, "not valid JSON"),
    ({"source_parameters": {"FilterCriteria": {"Filters": [{}]}}}, "not valid JSON"),
    ({"source_parameters": filters({"a": [{"like": 1}]})}, "like"),
    ({"source_parameters": filters({"a": [{"wildcard": "a*"}]})}, "pipes do not support wildcard"),
    ({"TargetParameters": {}}, "KinesisStreamParameters is required"),
    ({"target_parameters": {"SqsQueueParameters": {}}}, "SqsQueueParameters"),
    ({"target_parameters": {"InputTemplate": "<aws.pipes.event.color>"}}, "aws.pipes.event.color"),
    ({"target_parameters": {"InputTemplate": '{"a": <$.dynamodb.*>}'}}, "InputTemplate"),
    ({"target_parameters": {"InputTemplate": '{"a": <$.eventID>'}}, "InputTemplate"),
    ({"target_parameters": {"InputTemplate": "x" * 8193}}, "inputTemplate"),
    ({"key": "order-$.eventID"}, "PartitionKey"), ({"key": "$.eventID-$.eventName"}, "PartitionKey"), ({"key": "$.a..b"}, "PartitionKey"),
    ({"key": ""}, "PartitionKey"), ({"key": "x" * 257}, "partitionKey"),
    ({"Source": "arn:aws:dynamodb:eu-west-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"}, "eu-west-1"),
    ({"Target": "arn:aws:kinesis:eu-west-1:000000000000:stream/s"}, "eu-west-1"),
    ({"Source": "orders"}, "source"), ({"Target": "orders"}, "target"), ({"RoleArn": "role"}, "roleArn"),
    ({"DesiredState": "DELETED"}, "desiredState"), ({"Description": "x" * 513}, "description"),
    ({"Tags": {str(number): "" for number in range(51)}}, "tags"), ({"Name": "orders!pipe"}, "orders!pipe"), ({"Name": "x" * 65}, "name"),
]


@pytest.mark.parametrize("setting, word", [pytest.param(*case, id=feature) for feature, case in REFUSED.items()]
                         + [pytest.param(*case, id=str(number)) for number, case in enumerate(WRONG)])
def test_what_is_wrong_or_not_supported_is_refused_by_name_at_creation(aws, pipe_role, setting, word):
    """[C] BC:pipes for lengths, ranges and enumerations; EB batching, event-target, filtering for the others; the words are ours."""
    nothing = Line.__new__(Line)
    nothing.pipes, nothing.role_arn, nothing.name = unchecked(aws, "pipes"), pipe_role, "pipes-refused"
    nothing.source = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"
    nothing.target = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    with pytest.raises(ClientError, match=word) as refusal:
        nothing.create(**setting)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert not nothing.pipes.list_pipes(NamePrefix="pipes-refused")["Pipes"]


@pytest.mark.parametrize("setting, word", [
    ({"SourceParameters": filters({"a": [{"like": 1}]})}, "like"),
    ({"SourceParameters": {"DynamoDBStreamParameters": {"BatchSize": 501}}}, "501"),
    ({"TargetParameters": {"InputTemplate": "<aws.pipes.none>"}}, "aws.pipes.none"),
    ({"TargetParameters": {"KinesisStreamParameters": {"PartitionKey": "a$.b"}}}, "PartitionKey"),
    ({"Enrichment": "arn:aws:lambda:us-east-1:000000000000:function:f"}, "Enrichment"),
    ({"Target": "arn:aws:sqs:us-east-1:000000000000:q"}, "sqs"),
])
def test_what_is_refused_at_creation_is_refused_at_an_update_which_changes_nothing(line, setting, word):
    """[C] EB filtering: an exception when the pipe is made or updated."""
    pipe = line()
    pipe.create(DesiredState="STOPPED")
    before = pipe.wait_state("STOPPED")
    with pytest.raises(ClientError, match=word) as refusal:
        pipe.update(**setting)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    after = pipe.describe()
    assert {**after, "ResponseMetadata": 0} == {**before, "ResponseMetadata": 0}


def test_logs_that_are_off_and_no_enrichment_are_taken(line):
    """[C] BC:pipes, LogLevel OFF and OptionalArn: what is off or empty asks for nothing."""
    assert line().pipe(LogConfiguration={"Level": "OFF"}, Enrichment="").describe()["LogConfiguration"] == {"Level": "OFF"}
