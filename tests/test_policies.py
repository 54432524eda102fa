"""The roles' documents: nothing but named actions on named resources, for services that act for this account."""

import json
import re
import uuid

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError

from helpers.policies import HOPS, POLICY_NAME, ensure_role, lacking, lets_in, permissions, trust
from helpers.settings import Settings

SETTINGS = Settings(prefix="shop", region="eu-west-1", account="123456789012")
TABLE_STREAM = SETTINGS.table_arn + "/stream/2024-07-30T17:20:48.118"
SERVICES = {"pipe": "pipes", "delivery": "firehose", "function": "lambda", "crawler": "glue"}
# IAM's names of actions are those of API operations, but for these.
OPERATIONS = {"lambda:InvokeFunction": "Invoke", "s3:ListBucket": "ListObjectsV2",
              "s3:ListBucketMultipartUploads": "ListMultipartUploads"}


def filled(hop: str) -> dict:
    return permissions(SETTINGS, hop, **{"table_stream_arn": TABLE_STREAM} if hop == "pipe" else {})


def several(value) -> list:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("hop", HOPS)
def test_every_statement_allows_named_actions_on_resources_of_this_project(hop):
    document = filled(hop)
    assert document["Version"] == "2012-10-17"
    assert "$" not in json.dumps(document)
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert all(re.fullmatch("[a-z0-9]+:[A-Z][A-Za-z]+", action) for action in several(statement["Action"]))
        for resource in several(statement["Resource"]):
            service, region, account, name = resource.split(":", 5)[2:]
            if service != "s3":
                assert (region, account) == ("eu-west-1", "123456789012")
            assert name == "catalog" or "shop" in name or "/aws-glue/crawlers" in name
            # A star stands only at the end, for what lies inside one folder, database, log group or function.
            assert "*" not in name.removesuffix("/*").removesuffix(":*")


@pytest.mark.parametrize("hop", HOPS)
def test_every_action_is_one_that_aws_has(hop):
    session = botocore.session.get_session()
    for statement in filled(hop)["Statement"]:
        for action in several(statement["Action"]):
            service, name = action.split(":")
            models = [service] + (["dynamodbstreams"] if service == "dynamodb" else [])
            operations = [each for model in models for each in session.get_service_model(model).operation_names]
            assert OPERATIONS.get(action, name) in operations, action


@pytest.mark.parametrize("hop", HOPS)
def test_only_the_hops_own_service_is_trusted_and_only_for_this_account(hop):
    [statement] = trust(SETTINGS, hop)["Statement"]
    assert statement["Principal"] == {"Service": f"{SERVICES[hop]}.amazonaws.com"}
    assert statement["Action"] == "sts:AssumeRole"
    conditions = statement.get("Condition", {}).get("StringEquals", {})
    if hop == "crawler":  # no source says that Glue sends an account, and a condition on a missing key never holds
        assert conditions == {}
    else:
        assert conditions["aws:SourceAccount"] == "123456789012"
    if hop == "pipe":
        assert conditions["aws:SourceArn"] == SETTINGS.pipe_arn


def test_the_crawler_cannot_see_what_failed_and_the_delivery_cannot_write_elsewhere():
    opened = {hop: [name for statement in filled(hop)["Statement"] for name in several(statement["Resource"])
                    if name.startswith(SETTINGS.bucket_arn + "/")] for hop in ("crawler", "delivery")}
    assert opened == {"crawler": [f"{SETTINGS.bucket_arn}/orders/*", f"{SETTINGS.bucket_arn}/experiments/*"],
                      "delivery": [f"{SETTINGS.bucket_arn}/orders/*", f"{SETTINGS.bucket_arn}/errors/*"]}


def test_a_wrong_hop_or_value_is_refused_by_name():
    with pytest.raises(ValueError, match="no hop 'athena': choose one of pipe, delivery, function, crawler"):
        permissions(SETTINGS, "athena")
    with pytest.raises(ValueError, match="pipe.json needs table_stream_arn"):
        permissions(SETTINGS, "pipe")
    with pytest.raises(ValueError, match="crawler.json has no place for table_stream_arn"):
        permissions(SETTINGS, "crawler", table_stream_arn=TABLE_STREAM)


@pytest.fixture
def role(aws):
    """Makes roles that the account itself may take on, and removes them."""
    iam, made = aws.client("iam"), []
    root = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"}, "Action": "sts:AssumeRole"}]}

    def make(permissions: dict, trust: dict = root, name: str | None = None) -> str:
        made.append(name or f"policies-{uuid.uuid4().hex[:8]}")
        return ensure_role(iam, made[-1], trust, permissions, {"project": "policies"})

    yield make
    for name in set(made):
        iam.delete_role_policy(RoleName=name, PolicyName=POLICY_NAME)
        iam.delete_role(RoleName=name)


def test_ensure_role_brings_an_existing_role_up_to_date(aws, role):
    settings, iam, name = Settings(), aws.client("iam"), f"policies-{uuid.uuid4().hex[:8]}"
    arn = role(permissions(settings, "function"), trust(settings, "function"), name)
    assert role(permissions(settings, "crawler"), trust(settings, "crawler"), name) == arn
    found = iam.get_role(RoleName=name)["Role"]
    assert found["AssumeRolePolicyDocument"] == trust(settings, "crawler")
    assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "project", "Value": "policies"}]
    inline = iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)["PolicyDocument"]
    assert inline == permissions(settings, "crawler")


def test_the_delivery_role_writes_the_lake_and_the_errors_and_nothing_else(aws, role):
    settings = Settings(prefix=f"policies-{uuid.uuid4().hex[:8]}")
    keys = aws.client("sts").assume_role(RoleArn=role(permissions(settings, "delivery")),
                                         RoleSessionName="test")["Credentials"]
    s3 = boto3.client("s3", endpoint_url=aws.endpoint, region_name=aws.region, aws_access_key_id=keys["AccessKeyId"],
                      aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
    aws.client("s3").create_bucket(Bucket=settings.bucket)
    try:
        for prefix in (settings.lake_prefix, settings.error_prefix):
            s3.put_object(Bucket=settings.bucket, Key=f"{prefix}x", Body=b"x")
        for key in (f"{settings.results_prefix}x", "x"):
            with pytest.raises(ClientError, match="AccessDenied"):
                s3.put_object(Bucket=settings.bucket, Key=key, Body=b"x")
    finally:
        for prefix in (settings.lake_prefix, settings.error_prefix):
            aws.client("s3").delete_object(Bucket=settings.bucket, Key=f"{prefix}x")
        aws.client("s3").delete_bucket(Bucket=settings.bucket)


@pytest.mark.parametrize("hop", HOPS)
def test_each_trust_document_lets_in_its_own_service_for_this_account_and_no_other(hop):
    arn, service = getattr(SETTINGS, f"{hop}_stream_arn" if hop == "delivery" else f"{hop}_arn"), f"{SERVICES[hop]}.amazonaws.com"
    assert lets_in(trust(SETTINGS, hop), service, SETTINGS.account, arn)
    assert not lets_in(trust(SETTINGS, hop), "ec2.amazonaws.com", SETTINGS.account, arn)
    if "Condition" in trust(SETTINGS, hop)["Statement"][0]:
        assert not lets_in(trust(SETTINGS, hop), service, "999999999999", arn)


@pytest.mark.parametrize("condition, holds", [
    ({"ArnLike": {"aws:SourceArn": "arn:aws:pipes:*:123456789012:pipe/*"}}, True),
    ({"ArnLike": {"aws:SourceArn": ["arn:aws:pipes:*:999999999999:pipe/*", "arn:aws:pipes:eu-west-1:123456789012:pipe/shop-pipe"]}}, True),
    ({"StringEquals": {"aws:SourceArn": "arn:aws:pipes:eu-west-1:123456789012:pipe/other"}}, False),
    ({"StringEquals": {"aws:SourceAccount": "123456789012"}, "ArnEquals": {"aws:SourceArn": "arn:aws:pipes:eu-west-1:1:pipe/x"}}, False),
    ({"StringEquals": {"sts:ExternalId": "123456789012"}}, True),
    ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),  # not to be judged from here
])
def test_conditions_on_account_and_resource_are_judged_as_aws_judges_them(condition, holds):
    document = trust(SETTINGS, "pipe")
    document["Statement"][0]["Condition"] = condition
    assert lets_in(document, "pipes.amazonaws.com", SETTINGS.account, SETTINGS.pipe_arn) is holds


def test_what_a_role_lacks_is_told_action_by_action_and_resource_by_resource(aws):
    iam, name = aws.client("iam"), f"lacking-{uuid.uuid4().hex[:8]}"
    whole = filled("delivery")
    arn = ensure_role(iam, name, trust(SETTINGS, "delivery"), whole, {})
    assert lacking(iam, arn, whole) == []
    less = json.loads(json.dumps(whole))
    less["Statement"][0]["Action"].remove("kinesis:GetRecords")
    less["Statement"][3]["Resource"].pop()
    iam.put_role_policy(RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(less))
    lost = [f"s3:{action} on {SETTINGS.bucket_arn}/errors/*" for action in ("AbortMultipartUpload", "GetObject", "PutObject")]
    assert lacking(iam, arn, whole) == [f"kinesis:GetRecords on {SETTINGS.stream_arn}", *lost]
