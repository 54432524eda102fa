"""Who may do what in the local AWS: services assume roles by their trust policies, and requests name the resource they are about."""

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError

from helpers.localaws import iam
from helpers.localaws.clock import Clock
from helpers.localaws.service import Context
from helpers.localaws.streams import as_aws

ROLE = "gateway-role"
SOURCE = "arn:aws:pipes:us-east-1:000000000000:pipe/gateway-pipe"


@pytest.fixture
def role(aws):
    """A function that makes the role with a trust statement's principal and condition, and permission statements."""
    iam = aws.client("iam")

    def make(principal, condition=None, permissions=()):
        statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        if condition:
            statement["Condition"] = condition
        arn = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [statement]}))["Role"]["Arn"]
        if permissions:
            iam.put_role_policy(RoleName=ROLE, PolicyName="permissions", PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in permissions]}))
        return arn

    yield make
    for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
        iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
    iam.delete_role(RoleName=ROLE)


def session(aws, arn, service="pipes.amazonaws.com", source=SOURCE):
    return Context(aws.endpoint, Clock(), Path("unused")).role(arn, service=service, source_arn=source)


def caller(aws, arn, **how):
    return session(aws, arn, **how).client("sts").get_caller_identity()["Arn"]


@pytest.mark.parametrize("condition", [
    None,
    {"StringEquals": {"aws:SourceAccount": "000000000000"}},
    {"StringEquals": {"aws:SourceAccount": "000000000000", "aws:SourceArn": SOURCE}},
    {"ArnLike": {"aws:SourceArn": "arn:aws:pipes:us-east-1:000000000000:pipe/*"}},
], ids=["no condition", "account", "account and ARN", "ARN pattern"])
def test_a_service_assumes_a_role_whose_trust_policy_fits(aws, role, condition):
    assert caller(aws, role({"Service": "pipes.amazonaws.com"}, condition)) == f"arn:aws:sts::000000000000:assumed-role/{ROLE}/pipes"


@pytest.mark.parametrize("principal, condition", [
    ({"Service": "firehose.amazonaws.com"}, None),
    ({"AWS": "arn:aws:iam::000000000000:root"}, None),
    ({"Service": "pipes.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": "111111111111"}}),
    ({"Service": "pipes.amazonaws.com"}, {"StringEquals": {"aws:SourceArn": SOURCE + "-of-another"}}),
], ids=["another service", "the account, no service", "another account", "another pipe"])
def test_a_trust_policy_that_does_not_fit_refuses_the_service(aws, role, principal, condition):
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole") as refused:
        caller(aws, role(principal, condition))
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_nobody_but_root_can_claim_to_be_a_service(aws, role):
    arn, iam = role({"Service": "pipes.amazonaws.com"}), aws.client("iam")
    iam.create_user(UserName="gateway-user")
    iam.put_user_policy(UserName="gateway-user", PolicyName="p", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}))
    key = iam.create_access_key(UserName="gateway-user")["AccessKey"]
    sts = boto3.client("sts", endpoint_url=aws.endpoint, region_name=aws.region, aws_access_key_id=key["AccessKeyId"],
                       aws_secret_access_key=key["SecretAccessKey"])
    sts.meta.events.register("before-sign.sts.AssumeRole",
                             lambda request, **_: request.headers.add_header("x-localaws-service", "pipes.amazonaws.com"))
    try:
        with pytest.raises(ClientError, match="AccessDenied"):
            sts.assume_role(RoleArn=arn, RoleSessionName="me")
    finally:
        iam.delete_access_key(UserName="gateway-user", AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName="gateway-user", PolicyName="p")
        iam.delete_user(UserName="gateway-user")


def test_policies_that_name_a_stream_a_database_or_a_log_stream_fit_the_requests_about_them(aws, role):
    dynamodb, kinesis, glue = aws.client("dynamodb"), aws.client("kinesis"), aws.client("glue")
    stream = dynamodb.create_table(
        TableName="gateway-table", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})["TableDescription"]["LatestStreamArn"]
    kinesis.create_stream(StreamName="gateway-stream", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="gateway-stream", WaiterConfig={"Delay": 1})
    glue.create_database(DatabaseInput={"Name": "gateway_database"})
    account = "000000000000"
    try:
        assumed = session(aws, role({"Service": "pipes.amazonaws.com"}, permissions=[
            (["dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"], stream),
            (["kinesis:GetRecords", "kinesis:GetShardIterator"], f"arn:aws:kinesis:us-east-1:{account}:stream/gateway-stream"),
            (["glue:GetDatabase"], [f"arn:aws:glue:us-east-1:{account}:{of}" for of in ("catalog", "database/gateway_database")]),
            (["logs:CreateLogGroup"], f"arn:aws:logs:us-east-1:{account}:log-group:gateway-logs"),
            (["logs:CreateLogStream", "logs:PutLogEvents"], f"arn:aws:logs:us-east-1:{account}:log-group:gateway-logs:log-stream:mine")]))
        streams, shards = assumed.client("dynamodbstreams"), assumed.client("kinesis")
        shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        assert streams.get_records(ShardIterator=iterator)["Records"] == []
        iterator = shards.get_shard_iterator(StreamName="gateway-stream", ShardId="shardId-000000000000",
                                             ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        assert shards.get_records(ShardIterator=iterator)["Records"] == []
        assert assumed.client("glue").get_database(Name="gateway_database")["Database"]["Name"] == "gateway_database"
        logs, mine = assumed.client("logs"), {"logGroupName": "gateway-logs", "logStreamName": "mine"}
        logs.create_log_group(logGroupName="gateway-logs")
        logs.create_log_stream(**mine)
        logs.put_log_events(**mine, logEvents=[{"timestamp": int(time.time() * 1000), "message": "a line"}])
        with pytest.raises(ClientError, match="AccessDenied"):
            logs.create_log_stream(**mine | {"logStreamName": "another"})
        with pytest.raises(ClientError, match="AccessDenied"):
            assumed.client("glue").get_database(Name="default")
        with pytest.raises(ClientError, match="AccessDenied"):
            shards.describe_stream(StreamName="gateway-stream")
    finally:
        dynamodb.delete_table(TableName="gateway-table")
        kinesis.delete_stream(StreamName="gateway-stream")
        glue.delete_database(Name="gateway_database")
        aws.client("logs").delete_log_group(logGroupName="gateway-logs")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null", b"\xff"])
def test_a_body_that_is_no_object_is_refused_not_stumbled_over(body):
    asked = []
    actions = SimpleNamespace(extract_resource_arn=lambda *request: asked.append(request))
    iam.name_resources(actions, SimpleNamespace(_decode_iterator=lambda _: None), SimpleNamespace(_shard_iterators={}))
    for service in ("dynamodbstreams", "kinesis", "glue", "logs"):
        actions.extract_resource_arn(service, "POST", "/", {"x-amz-target": "X.GetRecords"}, body, {}, "us-east-1", "000000000000")
    assert len(asked) == 4, "MiniStack is asked instead"


def test_a_roles_clients_are_in_the_region_of_its_resource_and_use_no_proxy(aws, role, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    arn = role({"Service": "pipes.amazonaws.com"})
    there = session(aws, arn, source=SOURCE.replace("us-east-1", "eu-west-1")).client("sts")
    assert there.get_caller_identity()["Account"] == "000000000000"
    assert there.meta.region_name == "eu-west-1"


def test_sizes_count_every_kind_of_attribute_and_the_keys_once_more():
    values = {"s": {"S": "\u00e4"}, "n": {"N": "12.5"}, "b": {"B": "MTIzNA=="}, "m": {"M": {"xy": {"S": "abc"}}}, "t": {"BOOL": False},
              "l": {"L": [{"S": "ab"}, {"NULL": True}]}, "S": {"SS": ["a", "bc"]}, "N": {"NS": ["1", "22"]}, "B": {"BS": ["MTI="]}}
    sizes = [2, 4, 4, 2 + 3, 1, 2 + 1, 3, 3, 2]
    for (name, value), size in zip(values.items(), sizes):
        record = {"eventID": "0-1", "dynamodb": {"Keys": {"id": {"S": "abc"}}, "NewImage": {name: value}}}
        as_aws(record)
        assert record == {"eventID": "01", "dynamodb": record["dynamodb"] | {"SizeBytes": (2 + 3) + (1 + size)}}, name


def test_a_streams_records_have_event_ids_and_sizes_as_aws_gives_them(aws):
    """32 hexadecimal digits; bytes of keys and images, names and values [C, AWS_FACTS.md part 1]."""
    dynamodb, streams = aws.client("dynamodb"), aws.client("dynamodbstreams")
    stream = dynamodb.create_table(
        TableName="gateway-sizes", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})["TableDescription"]["LatestStreamArn"]
    try:
        dynamodb.put_item(TableName="gateway-sizes", Item={"id": {"S": "abc"}, "flag": {"BOOL": True}, "blob": {"B": b"1234"}})
        shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        [record] = streams.get_records(ShardIterator=iterator)["Records"]
        assert re.fullmatch("[0-9a-f]{32}", record["eventID"])
        assert record["dynamodb"]["SizeBytes"] == (2 + 3) + (2 + 3) + (4 + 1) + (4 + 4)
    finally:
        dynamodb.delete_table(TableName="gateway-sizes")
