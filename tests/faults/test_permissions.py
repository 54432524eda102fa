"""Taking one needed permission from a hop's role stops that hop, says which, and loses nothing once it is given back.

On the pipeline that the chapters build, with the policies of data/policies/.
"""

import contextlib
import json

import pytest

from helpers.localaws import LocalAws
from helpers.look import change_events, lake_records, objects, sequence_number, table_stream_arn
from helpers.orders import OrderSource, empty_table, plan, read_products
from helpers.policies import POLICY_NAME, permissions
from helpers.waits import wait_until

from .making import built, delivery_says, pipe_says

pytestmark = pytest.mark.xdist_group("faults")  # they share one pipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The pipeline as chapters 01 to 06 leave it."""
    with LocalAws.temporary(clock_scale=60) as local, built(local, "faults", tmp_path_factory.mktemp("runs")) as aws:
        yield aws


@contextlib.contextmanager
def without(aws, hop, action):
    """The role of `hop` without `action`, for the length of the block."""
    iam, role = aws.client("iam"), getattr(aws.settings, f"{hop}_role")
    values = {"table_stream_arn": table_stream_arn(aws)} if hop == "pipe" else {}
    whole = permissions(aws.settings, hop, **values)
    less = json.loads(json.dumps(whole))
    less["Statement"] = [{**s, "Action": [a for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"]) if a != action]}
                         for s in less["Statement"]]
    less["Statement"] = [s for s in less["Statement"] if s["Action"]]
    assert less != whole, f"{hop} has no {action}"
    iam.put_role_policy(RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(less))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(whole))


@pytest.mark.parametrize("hop, action, says", [
    ("pipe", "kinesis:PutRecords", pipe_says), ("pipe", "dynamodb:GetRecords", pipe_says),
    ("delivery", "kinesis:GetRecords", delivery_says), ("delivery", "s3:PutObject", delivery_says),
])
def test_the_hop_stops_names_the_action_and_delivers_all_when_it_is_given_back(pipeline, hop, action, says):
    aws = pipeline
    empty_table(aws.table(), progress=False)
    start = max(map(sequence_number, change_events(aws)), default=0)
    with without(aws, hop, action):
        ledger = OrderSource(aws.table(), plan(5, 40, read_products())).publish(progress=False)
        wait_until(f"the {hop} names {action}", lambda: "AccessDenied" in says(aws) and action in says(aws), show=lambda: says(aws))
        assert arrived(aws, start) == set(), "it delivered without the permission"
    expected = {event["eventID"] for event in change_events(aws, after=str(start))}
    assert len(expected) == ledger.changes
    wait_until("every change is in the lake", lambda: arrived(aws, start) == expected)
    wait_until(f"the {hop} says that all is well", lambda: not says(aws), show=lambda: says(aws))


def arrived(aws, start):
    return {record["event_id"] for _, record in lake_records(aws) if int(record["sequence_number"]) > start}


def new_object(aws):
    """One more object in the lake."""
    before = len(objects(aws, aws.settings.lake_prefix))
    aws.table().put_item(Item={"orderid": f"new-{before}", "product_name": "Mug", "quantity": 1, "price": 1})
    wait_until("there is a new object", lambda: len(objects(aws, aws.settings.lake_prefix)) > before)


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:ListBucket", "glue:CreateTable"])
def test_the_crawl_fails_names_the_action_and_the_next_one_succeeds(pipeline, action):
    aws, glue = pipeline, pipeline.client("glue")

    def crawl():
        glue.start_crawler(Name=aws.settings.crawler)
        wait_until("the crawl is over", lambda: glue.get_crawler(Name=aws.settings.crawler)["Crawler"]["State"] == "READY")
        return glue.get_crawler(Name=aws.settings.crawler)["Crawler"]["LastCrawl"]

    new_object(aws)  # a crawler does not read again what it has read
    glue.delete_table(DatabaseName=aws.settings.database, Name=aws.settings.lake_table)
    with without(aws, "crawler", action):
        last = crawl()
        assert last["Status"] == "FAILED" and "AccessDenied" in last["ErrorMessage"] and action in last["ErrorMessage"]
    assert crawl()["Status"] == "SUCCEEDED"
    assert glue.get_partitions(DatabaseName=aws.settings.database, TableName=aws.settings.lake_table)["Partitions"]
