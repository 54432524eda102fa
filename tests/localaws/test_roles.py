"""Every hop works with nothing but its role: who may assume it, for how long, and what it may do at this moment."""

import contextlib
import datetime
import functools
import io
import json
import time
import zipfile
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from helpers.localaws import roles
from helpers.localaws.clock import Clock
from helpers.localaws.service import Caller, Context
from tests.localaws import making
from tests.localaws.making import (FIREHOSE_LAMBDA, FIREHOSE_S3, FIREHOSE_SOURCE, PIPE_SOURCE, PIPE_TARGET, client, drop_bucket,
                                   drop_role, function, objects, role, stream, table, trust, wait_for)

SOURCE = "arn:aws:pipes:us-east-1:000000000000:pipe/roles-trust"
TRANSFORM = ("def handler(event, context):\n"
             "    print('called')\n"
             "    return {'records': [{'recordId': r['recordId'], 'result': 'Ok', 'data': r['data']} for r in event['records']]}\n")
ROLES = {  # by name: the service that assumes it, and what it may do
    "roles-pipe": ("pipes.amazonaws.com", [*PIPE_SOURCE, *PIPE_TARGET, "sqs:SendMessage"]),
    "roles-source": ("firehose.amazonaws.com", FIREHOSE_SOURCE),
    "roles-invoke": ("firehose.amazonaws.com", FIREHOSE_LAMBDA),
    "roles-s3": ("firehose.amazonaws.com", FIREHOSE_S3),
    "roles-backup": ("firehose.amazonaws.com", FIREHOSE_S3),
    "roles-crawler": ("glue.amazonaws.com", ["s3:*", "glue:*", "logs:*"]),
    "roles-function": ("lambda.amazonaws.com", ["logs:*"]),
}


def statement(effect, action, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": "*", **more}]})


# -- who may assume a role -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trusting(aws):
    """A function that gives one role this trust statement (or these) and says which ARN a service then becomes with it."""
    iam = aws.client("iam")
    arn = iam.create_role(RoleName="roles-trust", AssumeRolePolicyDocument=trust("pipes.amazonaws.com"))["Role"]["Arn"]

    def become(*statements, service="pipes.amazonaws.com", source=SOURCE):
        statements = [{"Effect": "Allow", "Action": "sts:AssumeRole", **given} for given in statements]
        iam.update_assume_role_policy(RoleName="roles-trust", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        assumed = Context(aws.endpoint, Clock(), Path("unused")).role(arn, service=service, source_arn=source)
        return assumed.client("sts").get_caller_identity()["Arn"]

    yield become
    drop_role(aws, "roles-trust")


PIPES, FIREHOSE = {"Service": "pipes.amazonaws.com"}, {"Service": "firehose.amazonaws.com"}
OWN = "arn:aws:pipes:us-east-1:000000000000:pipe/roles-trust"


@pytest.mark.parametrize("statements", [
    [{"Principal": {"Service": ["lambda.amazonaws.com", "pipes.amazonaws.com"]}}],
    [{"Principal": {"AWS": "arn:aws:iam::000000000000:user/nobody", **PIPES}}],
    [{"Principal": FIREHOSE}, {"Principal": PIPES}],
    [{"Principal": PIPES, "Action": ["sts:TagSession", "sts:AssumeRole"]}],
    [{"Principal": PIPES, "Condition": {"StringLike": {"aws:SourceArn": OWN[:-5] + "*", "aws:SourceAccount": "0000*"}}}],
    [{"Principal": PIPES, "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:pipes:*:000000000000:pipe/roles-*"}}}],
    [{"Principal": PIPES, "Condition": {"ArnEquals": {"AWS:sourcearn": OWN}}}],
    [{"Principal": PIPES, "Condition": {"StringNotEquals": {"aws:SourceAccount": "111111111111"}}}],
    [{"Principal": PIPES}, {"Effect": "Deny", "Principal": PIPES, "Condition": {"StringNotEquals": {"aws:SourceArn": OWN}}}],
    [{"Principal": PIPES}, {"Effect": "Deny", "Principal": FIREHOSE}],
    [{"Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": "000000000000"}}}],
], ids=["several services", "a user and the service", "several statements", "several actions", "StringLike", "ArnLike", "ArnEquals",
        "StringNotEquals", "a Deny whose condition does not hold", "a Deny of another service", "everybody"])
def test_a_service_assumes_a_role_whose_trust_policy_lets_it(trusting, statements):
    """[C] docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal"""
    assert trusting(*statements) == "arn:aws:sts::000000000000:assumed-role/roles-trust/pipes"


@pytest.mark.parametrize("statements", [
    [{"Principal": {"Service": ["lambda.amazonaws.com", "firehose.amazonaws.com"]}}],
    [{"Principal": PIPES, "Action": "sts:TagSession"}],
    [{"Principal": PIPES, "Condition": {"StringLike": {"aws:SourceArn": "arn:aws:pipes:*:*:pipe/other-*"}}}],
    [{"Principal": PIPES, "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:pipes:eu-west-1:*:pipe/*"}}}],
    [{"Principal": PIPES, "Condition": {"ArnEquals": {"aws:SourceArn": OWN + "2"}}}],
    [{"Principal": PIPES, "Condition": {"StringEquals": {"aws:SourceAccount": ["111111111111", "222222222222"]}}}],
    [{"Principal": PIPES, "Condition": {"StringEquals": {"sts:ExternalId": "000000000000"}}}],
    [{"Principal": PIPES}, {"Effect": "Deny", "Principal": PIPES}],
    [{"Principal": PIPES}, {"Effect": "Deny", "Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": "000000000000"}}}],
    [{"Principal": PIPES}, {"Effect": "Deny", "Principal": {"AWS": "*"}}],
], ids=["other services", "another action", "StringLike", "ArnLike", "ArnEquals", "accounts", "an external id, which pipes give none",
        "a Deny", "a Deny of everybody in the account", "a Deny of everybody"])
def test_a_service_is_refused_a_role_whose_trust_policy_does_not_let_it(trusting, statements):
    """[C] docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic"""
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        trusting(*statements)


@pytest.mark.parametrize("external_id, allowed", [("000000000000", True), ("111111111111", False)])
def test_firehose_gives_the_account_as_external_id(trusting, external_id, allowed):
    """[L] AWS_FACTS.md part 4: trust policies of Firehose's older console ask for it."""
    def ask():
        return trusting({"Principal": FIREHOSE, "Condition": {"StringEquals": {"sts:ExternalId": external_id}}},
                        service="firehose.amazonaws.com", source=SOURCE.replace("pipes", "firehose"))

    with contextlib.nullcontext() if allowed else pytest.raises(ClientError, match="sts:AssumeRole"):
        assert ask().endswith("assumed-role/roles-trust/firehose")


# -- how long a session lasts ----------------------------------------------------------------------------------------------


@pytest.fixture
def short(aws, trusting, monkeypatch):
    """The role, with sessions of two seconds: AWS gives none below 15 minutes, so the client's own check is left out."""
    trusting({"Principal": PIPES})
    monkeypatch.setattr(roles, "SESSION_SECONDS", 2)
    context, caller = Context(aws.endpoint, Clock(), Path("unused")), Caller(aws.account, aws.region)
    return roles.Role("arn:aws:iam::000000000000:role/roles-trust", service="pipes.amazonaws.com", source_arn=SOURCE,
                      endpoint=aws.endpoint, sts=lambda: context.client("sts", caller, parameter_validation=False))


def test_sessions_end_and_are_renewed(aws, short):
    """[C] BC:sts, AssumeRole DurationSeconds: a session ends when its time is over; its keys are good for nothing then."""
    first = short.client("sts")
    keys = short._session.get_credentials().get_frozen_credentials()
    frozen = boto3.client("sts", endpoint_url=aws.endpoint, region_name=aws.region, aws_access_key_id=keys.access_key,
                          aws_secret_access_key=keys.secret_key, aws_session_token=keys.token)
    assert frozen.get_caller_identity()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert first.get_caller_identity(), "the client that was made first goes on"
        time.sleep(0.5)
    with pytest.raises(ClientError, match="ExpiredToken|InvalidClientTokenId"):  # MiniStack forgets it when another session is made
        frozen.get_caller_identity()


def test_a_session_that_ended_unseen_costs_one_refused_call(short, monkeypatch):
    """[C] the same. A machine that slept: the session is over although nobody saw its end come."""
    far = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=9)).isoformat()
    honest = short._credentials
    monkeypatch.setattr(short, "_credentials", lambda: honest() | {"expiry_time": far})
    assert short.client("sts").get_caller_identity()
    time.sleep(2.5)
    with pytest.raises(ClientError, match="ExpiredToken"):
        short.client("sts").get_caller_identity()
    assert short.client("sts").get_caller_identity()


# -- what running hops may do ----------------------------------------------------------------------------------------------


class Chain:
    """A pipeline whose every hop has a role of its own."""

    def __init__(self, aws):
        self.aws, self.arns, self.count = aws, {}, 0
        self.client = functools.partial(client, aws)

    def build(self):
        for name, (service, actions) in ROLES.items():
            self.arns[name] = role(self.aws, name, service, actions)
        self.source, self.target = table(self.aws, "roles-table"), stream(self.aws, "roles-stream")
        self.client("s3").create_bucket(Bucket="roles-bucket")
        self.queue = self.client("sqs").create_queue(QueueName="roles-dead")["QueueUrl"]
        dead = self.client("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.pipe("roles-living", "$.dynamodb.Keys.orderid.S", '{"dynamodb":{"NewImage":{"dead":{"S":[{"exists":false}]}}}}')
        self.pipe("roles-dead", "$.dynamodb.NewImage.nothing.S", '{"dynamodb":{"NewImage":{"dead":{"S":[{"exists":true}]}}}}',
                  MaximumRetryAttempts=0, DeadLetterConfig={"Arn": dead})
        self.function = function(self.aws, "roles-transform", TRANSFORM, self.arns["roles-function"])
        s3 = {"BucketARN": "arn:aws:s3:::roles-bucket", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}}
        parameters = {"LambdaArn": self.function, "RoleArn": self.arns["roles-invoke"], "BufferIntervalInSeconds": "0",
                      "NumberOfRetries": "0"}
        self.client("firehose").create_delivery_stream(
            DeliveryStreamName="roles-delivery", DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": self.target, "RoleARN": self.arns["roles-source"]},
            ExtendedS3DestinationConfiguration={
                **s3, "RoleARN": self.arns["roles-s3"], "Prefix": "lake/", "ErrorOutputPrefix": "errors/", "S3BackupMode": "Enabled",
                "S3BackupConfiguration": {**s3, "RoleARN": self.arns["roles-backup"], "Prefix": "backup/"},
                "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": [
                    {"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]}]}})
        for name in ("roles-living", "roles-dead"):
            wait_for(lambda name=name: self.client("pipes").describe_pipe(Name=name)["CurrentState"] == "RUNNING")
        wait_for(lambda: self.delivery()["DeliveryStreamStatus"] == "ACTIVE")

    def pipe(self, name, key, pattern, **parameters):
        self.client("pipes").create_pipe(
            Name=name, Source=self.source, Target=self.target, RoleArn=self.arns["roles-pipe"],
            SourceParameters={"FilterCriteria": {"Filters": [{"Pattern": pattern}]}, "DynamoDBStreamParameters": {
                "StartingPosition": "TRIM_HORIZON", "BatchSize": 100, **parameters}},
            TargetParameters={"KinesisStreamParameters": {"PartitionKey": key}})

    def drop(self):
        for name in ("roles-living", "roles-dead"):
            self.client("pipes").delete_pipe(Name=name)
        self.client("firehose").delete_delivery_stream(DeliveryStreamName="roles-delivery")
        self.client("lambda").delete_function(FunctionName="roles-transform")
        self.client("dynamodb").delete_table(TableName="roles-table")
        self.client("kinesis").delete_stream(StreamName="roles-stream")
        self.client("sqs").delete_queue(QueueUrl=self.queue)
        drop_bucket(self.aws, "roles-bucket")
        for name in self.arns:
            drop_role(self.aws, name)

    def delivery(self):
        return self.client("firehose").describe_delivery_stream(DeliveryStreamName="roles-delivery")["DeliveryStreamDescription"]

    def change(self, **attributes):
        """The id of a new order."""
        self.count += 1
        self.client("dynamodb").put_item(TableName="roles-table", Item={"orderid": {"S": f"order-{self.count}-"}, **attributes})
        return f"order-{self.count}-"

    def reason(self):
        """All that pipes and delivery stream say of what stops them."""
        pipes = [self.client("pipes").describe_pipe(Name=name).get("StateReason", "") for name in ("roles-living", "roles-dead")]
        return "; ".join([*pipes, json.dumps(self.delivery().get("FailureDescription", {}))])

    def arrived(self, order, folder):
        return any(order.encode() in body for body in objects(self.aws, "roles-bucket", folder).values())

    def told(self):
        """Whether the dead-letter queue has a message; it is taken off."""
        messages = self.client("sqs").receive_message(QueueUrl=self.queue).get("Messages", [])
        for message in messages:
            self.client("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return bool(messages)


@pytest.fixture(scope="module")
def chain(aws):
    chain = Chain(aws)
    chain.build()
    yield chain
    chain.drop()


HOPS = {  # the role, the call it is refused, and where the change that meets the refusal must arrive in the end
    "pipe source": ("roles-pipe", "dynamodb:GetRecords", "lake/"),
    "pipe target": ("roles-pipe", "kinesis:PutRecords", "lake/"),
    "dead-letter queue": ("roles-pipe", "sqs:SendMessage", "queue"),
    "delivery source": ("roles-source", "kinesis:GetRecords", "lake/"),
    "transform": ("roles-invoke", "lambda:InvokeFunction", "errors/"),  # AWS skips a batch that it cannot transform
    "lake": ("roles-s3", "s3:PutObject", "lake/"),
    "backup": ("roles-backup", "s3:PutObject", "backup/"),
}


@pytest.mark.parametrize("hop", HOPS)
def test_a_permission_taken_from_a_running_hop_stops_it_and_given_back_lets_it_go_on(chain, hop):
    """[C] EB error-troubleshooting; FH retry: what is refused is said, tried again, and goes on once it may; nothing is lost."""
    name, action, place = HOPS[hop]
    chain.client("iam").put_role_policy(RoleName=name, PolicyName="taken", PolicyDocument=statement("Deny", action))
    try:
        order = chain.change(**({"dead": {"S": "yes"}} if place == "queue" else {}))
        said = wait_for(lambda: action in chain.reason() and chain.reason())
        assert "denied" in said.lower() or "not authorized" in said
        assert not chain.arrived(order, "lake/" if place == "errors/" else place), "it was refused"
    finally:
        chain.client("iam").delete_role_policy(RoleName=name, PolicyName="taken")
    if place == "queue":
        wait_for(chain.told)
    elif place == "errors/":
        wait_for(lambda: any(b"Lambda.InvokeAccessDenied" in body for body in objects(chain.aws, "roles-bucket", "errors/").values()))
        order = chain.change()
        wait_for(lambda: chain.arrived(order, "lake/"))
    else:
        wait_for(lambda: chain.arrived(order, place))
    wait_for(lambda: action not in chain.reason())


def no_policy(chain, name):
    chain.client("iam").delete_role_policy(RoleName=name, PolicyName="work")
    yield
    making.allow(chain.aws, name, ROLES[name][1])


def boundary(chain, name):
    """[C] docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries"""
    iam = chain.client("iam")
    arn = iam.create_policy(PolicyName="roles-boundary", PolicyDocument=statement("Allow", ["s3:ListBucket"]))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=arn)
    yield
    iam.delete_role_permissions_boundary(RoleName=name)
    iam.delete_policy(PolicyArn=arn)


def trust_withdrawn(chain, name):
    """A session goes on until it ends, whatever becomes of the trust policy; so those there are, are revoked as well."""
    iam = chain.client("iam")
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("ec2.amazonaws.com"))
    revoke_sessions(chain, name)
    yield
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust(ROLES[name][0]))
    iam.delete_role_policy(RoleName=name, PolicyName="revoked")


def deleted(chain, name):
    drop_role(chain.aws, name)
    yield
    role(chain.aws, name, *ROLES[name])


def revoke_sessions(chain, name):
    """[C] docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions"""
    time.sleep(1.1)  # the moment a session began is known in whole seconds
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    chain.client("iam").put_role_policy(RoleName=name, PolicyName="revoked", PolicyDocument=statement(
        "Deny", "*", Condition={"DateLessThan": {"aws:TokenIssueTime": now}}))


@pytest.mark.parametrize("way, name, said", [
    (no_policy, "roles-s3", "s3:PutObject"), (boundary, "roles-s3", "s3:PutObject"), (trust_withdrawn, "roles-s3", "sts:AssumeRole"),
    (deleted, "roles-s3", "sts:AssumeRole"), (deleted, "roles-pipe", "sts:AssumeRole"), (deleted, "roles-source", "sts:AssumeRole")],
    ids=lambda value: getattr(value, "__name__", value))
def test_whatever_takes_a_roles_rights_stops_the_running_hop_until_they_are_back(chain, way, name, said):
    """[C] docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic"""
    steps = way(chain, name)
    next(steps)
    try:
        order = chain.change()
        wait_for(lambda: said in chain.reason())
        assert not chain.arrived(order, "lake/")
    finally:
        next(steps, None)
    wait_for(lambda: chain.arrived(order, "lake/"))
    wait_for(lambda: said not in chain.reason())


def test_revoked_sessions_are_renewed_and_the_hops_go_on(chain):
    """[C] docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions: who may assume the role gets a new session."""
    before = chain.change()
    wait_for(lambda: chain.arrived(before, "lake/"))
    names = ("roles-pipe", "roles-source", "roles-invoke", "roles-s3", "roles-backup")
    for name in names:
        revoke_sessions(chain, name)
    try:
        tried = []  # the first may meet the error output: AWS skips what it cannot transform
        wait_for(lambda: tried.append(chain.change()) or any(chain.arrived(order, "lake/") for order in tried), pause=0.5)
        order = chain.change()
        wait_for(lambda: chain.arrived(order, "lake/") and chain.arrived(order, "backup/"))
    finally:
        for name in names:
            chain.client("iam").delete_role_policy(RoleName=name, PolicyName="revoked")


def test_a_crawl_is_refused_what_its_role_may_not_and_runs_when_it_may(chain):
    """[C] GL/crawler-prereqs: S3 and the catalogue are reached with the crawler's role. [U] a crawl whose log is refused; here it succeeds."""
    glue, logs, iam = chain.client("glue"), chain.client("logs"), chain.client("iam")
    order = chain.change()
    wait_for(lambda: chain.arrived(order, "lake/"))
    glue.create_database(DatabaseInput={"Name": "roles_database"})
    glue.create_crawler(Name="roles-crawler", Role="roles-crawler", DatabaseName="roles_database",
                        Targets={"S3Targets": [{"Path": "s3://roles-bucket/lake/"}]})

    def crawl(*refused):
        iam.put_role_policy(RoleName="roles-crawler", PolicyName="taken", PolicyDocument=statement("Deny", list(refused) or ["ec2:*"]))
        glue.start_crawler(Name="roles-crawler")
        wait_for(lambda: glue.get_crawler(Name="roles-crawler")["Crawler"]["State"] == "READY", 30)
        return glue.get_crawler(Name="roles-crawler")["Crawler"]["LastCrawl"]

    def lines():
        try:
            return len(logs.get_log_events(logGroupName="/aws-glue/crawlers", logStreamName="roles-crawler")["events"])
        except logs.exceptions.ResourceNotFoundException:
            return 0

    try:
        for action in ("s3:ListBucket", "s3:GetObject", "glue:CreateTable"):
            last = crawl(action)
            assert last["Status"] == "FAILED" and "denied" in last["ErrorMessage"].lower() + action.lower(), action
        written = lines()
        assert crawl("logs:PutLogEvents")["Status"] == "SUCCEEDED" and lines() == written > 0
        assert crawl()["Status"] == "SUCCEEDED" and lines() > written
    finally:
        glue.delete_crawler(Name="roles-crawler")
        glue.delete_database(Name="roles_database")


@pytest.fixture
def reader(aws):
    """A function that makes a client of a service whose role may do `actions` on `resources`."""
    iam = client(aws, "iam")
    root = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"}, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName="roles-reader", AssumeRolePolicyDocument=json.dumps(root))["Role"]["Arn"]
    keys = client(aws, "sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]

    def reads(service, actions, resources):
        iam.put_role_policy(RoleName="roles-reader", PolicyName="work", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resources}]}))
        return boto3.client(service, endpoint_url=aws.endpoint, region_name=aws.region, aws_access_key_id=keys["AccessKeyId"],
                            aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])

    yield reads
    drop_role(aws, "roles-reader")


def test_the_catalogue_is_read_by_who_may_read_catalogue_database_and_table(aws, reader):
    """[C] docs.aws.amazon.com/service-authorization/latest/reference/list_awsglue: required resource types."""
    glue, here = client(aws, "glue"), "arn:aws:glue:us-east-1:000000000000"
    glue.create_database(DatabaseInput={"Name": "roles_three"})
    glue.create_table(DatabaseName="roles_three", TableInput={"Name": "t"})
    needed = [f"{here}:catalog", f"{here}:database/roles_three", f"{here}:table/roles_three/t"]
    try:
        assert reader("glue", "glue:GetTable", needed).get_table(DatabaseName="Roles_Three", Name="T")["Table"]["Name"] == "t"
        for missing in needed:
            fewer = reader("glue", "glue:GetTable", [each for each in needed if each != missing])
            with pytest.raises(ClientError, match="not authorized to perform: glue:GetTable") as refused:
                fewer.get_table(DatabaseName="roles_three", Name="t")
            assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
        assert reader("glue", "glue:GetDatabase", needed[:2]).get_database(Name="roles_three")
        with pytest.raises(ClientError, match="glue:GetTables on resource"):  # one table is not all
            reader("glue", "glue:GetTables", needed).get_tables(DatabaseName="roles_three")
    finally:
        glue.delete_database(Name="roles_three")


def test_streams_are_listed_by_who_may_list_all(aws, reader):
    """[C] docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb: ListStreams has no resource type."""
    assert reader("dynamodbstreams", "dynamodb:ListStreams", "*").list_streams()["Streams"] is not None
    with pytest.raises(ClientError, match="dynamodb:ListStreams"):
        reader("dynamodbstreams", "dynamodb:ListStreams", "arn:aws:dynamodb:us-east-1:000000000000:*").list_streams(TableName="roles-table")


# -- the function's own role -----------------------------------------------------------------------------------------------


def lines_of(aws, function_name):
    logs = client(aws, "logs")
    try:
        return [event["message"] for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{function_name}")["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return []


GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/roles-lines"


@pytest.mark.parametrize("allowed, resources, written", [
    (["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], ["*"], True),
    (["logs:CreateLogStream", "logs:PutLogEvents"], [f"{GROUP}:*"], True),
    (["logs:CreateLogStream"], ["*"], False),
    (["logs:PutLogEvents"], ["*"], False),
    (["logs:CreateLogStream", "logs:PutLogEvents"], [f"{GROUP}-of-another:*"], False),
    ([], ["*"], False),
], ids=["all", "the group is there", "no lines", "no stream", "another group", "nothing"])
def test_a_functions_lines_are_written_as_far_as_its_own_role_allows(aws, allowed, resources, written):
    """[C] docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role: AWSLambdaBasicExecutionRole is what logging needs."""
    iam, functions = client(aws, "iam"), client(aws, "lambda")
    arn = role(aws, "roles-lines", "lambda.amazonaws.com", ["logs:*"])
    try:
        function(aws, "roles-lines", "def handler(event, context):\n    print('a line')\n    return 'done'\n", arn)
        if "logs:CreateLogGroup" not in allowed:
            functions.invoke(FunctionName="roles-lines")
            wait_for(lambda: lines_of(aws, "roles-lines"))
        before = len(lines_of(aws, "roles-lines"))
        iam.put_role_policy(RoleName="roles-lines", PolicyName="work", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": allowed or ["ec2:*"], "Resource": resources}]}))
        assert functions.invoke(FunctionName="roles-lines")["Payload"].read() == b'"done"', "the function works without its log"
        if written:
            wait_for(lambda: len(lines_of(aws, "roles-lines")) > before)
        else:
            time.sleep(0.3)
            assert len(lines_of(aws, "roles-lines")) == before
    finally:
        functions.delete_function(FunctionName="roles-lines")
        drop_role(aws, "roles-lines")
        client(aws, "logs").delete_log_group(logGroupName="/aws/lambda/roles-lines") if lines_of(aws, "roles-lines") else None


def test_a_functions_lines_stop_when_its_role_has_a_boundary_or_lambda_may_not_assume_it(aws):
    """[C] docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role: Lambda assumes it; [U] whether AWS calls the function then."""
    iam, functions = client(aws, "iam"), client(aws, "lambda")
    arn = role(aws, "roles-stopped", "lambda.amazonaws.com", ["logs:*"])
    function(aws, "roles-stopped", "def handler(event, context):\n    return 1\n", arn)
    boundary_arn = iam.create_policy(PolicyName="roles-stopped", PolicyDocument=statement("Allow", ["s3:*"]))["Policy"]["Arn"]

    def lines_of_a_call():
        before = len(lines_of(aws, "roles-stopped"))
        functions.invoke(FunctionName="roles-stopped")
        time.sleep(0.5)
        return len(lines_of(aws, "roles-stopped")) - before

    try:
        assert lines_of_a_call()
        iam.put_role_permissions_boundary(RoleName="roles-stopped", PermissionsBoundary=boundary_arn)
        assert not lines_of_a_call()
        iam.delete_role_permissions_boundary(RoleName="roles-stopped")
        assert lines_of_a_call()
        iam.update_assume_role_policy(RoleName="roles-stopped", PolicyDocument=trust("firehose.amazonaws.com"))
        assert not lines_of_a_call()
        iam.update_assume_role_policy(RoleName="roles-stopped", PolicyDocument=trust("lambda.amazonaws.com"))
        assert lines_of_a_call()
    finally:
        functions.delete_function(FunctionName="roles-stopped")
        iam.delete_policy(PolicyArn=boundary_arn)
        drop_role(aws, "roles-stopped")
        client(aws, "logs").delete_log_group(logGroupName="/aws/lambda/roles-stopped")


def test_a_log_group_that_is_missing_is_made_only_if_the_role_may(aws):
    """[C] the same: logs:CreateLogGroup is what makes the group of a new function."""
    arn = role(aws, "roles-group", "lambda.amazonaws.com", ["logs:CreateLogStream", "logs:PutLogEvents"])
    functions = client(aws, "lambda")
    function(aws, "roles-group", "def handler(event, context):\n    return 1\n", arn)
    try:
        functions.invoke(FunctionName="roles-group")
        time.sleep(0.3)
        assert lines_of(aws, "roles-group") == []
        making.allow(aws, "roles-group", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"])
        functions.invoke(FunctionName="roles-group")
        wait_for(lambda: lines_of(aws, "roles-group"))
    finally:
        functions.delete_function(FunctionName="roles-group")
        drop_role(aws, "roles-group")
        client(aws, "logs").delete_log_group(logGroupName="/aws/lambda/roles-group")


@pytest.mark.parametrize("trusted", [
    trust("firehose.amazonaws.com"), trust("lambda.amazonaws.com", StringEquals={"aws:SourceAccount": "111111111111"}), None],
    ids=["another service", "another account", "no role at all"])
def test_a_function_is_not_made_with_a_role_that_lambda_may_not_assume(aws, trusted):
    """[C] captured message, widely published: the role is tried when a function is made."""
    if trusted:
        client(aws, "iam").create_role(RoleName="roles-wrong", AssumeRolePolicyDocument=trusted)
    try:
        with pytest.raises(ClientError, match="cannot be assumed by Lambda") as refused:
            function(aws, "roles-wrong", "", "arn:aws:iam::000000000000:role/roles-wrong")
        assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    finally:
        if trusted:
            drop_role(aws, "roles-wrong")


# -- passing a role --------------------------------------------------------------------------------------------------------


def pass_to(service, clients, role_arn):
    """Hand `role_arn` to a service, in a request that is refused afterwards at the latest, for a resource that is not there."""
    if service == "pipes":
        clients("pipes").update_pipe(Name="roles-nothing", RoleArn=role_arn)
    elif service == "firehose":
        clients("firehose").create_delivery_stream(DeliveryStreamName="roles-nothing", DeliveryStreamType="DirectPut",
            ExtendedS3DestinationConfiguration={"BucketARN": "arn:aws:s3:::roles-nothing", "RoleARN": role_arn,
                                                "CompressionFormat": "HADOOP_SNAPPY"})
    elif service == "glue":
        clients("glue").update_crawler(Name="roles-nothing", Role=role_arn)
    else:
        archive = io.BytesIO()
        zipfile.ZipFile(archive, "w").close()
        clients("lambda").create_function(FunctionName="roles-nothing", Runtime="python3.12", Role=role_arn, Handler="a.b",
                                          Code={"ZipFile": archive.getvalue()})


SERVICES = ["pipes", "firehose", "glue", "lambda"]


@pytest.fixture(scope="module")
def user(aws):
    """Clients of a user, and a function that sets what the user may do beside everything but IAM."""
    iam = client(aws, "iam")
    iam.create_user(UserName="roles-user")
    keys = iam.create_access_key(UserName="roles-user")["AccessKey"]

    def may(*statements):
        iam.put_user_policy(UserName="roles-user", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, *statements]}))

    @functools.cache
    def clients(service):
        return boto3.client(service, endpoint_url=aws.endpoint, region_name=aws.region, aws_access_key_id=keys["AccessKeyId"],
                            aws_secret_access_key=keys["SecretAccessKey"])

    yield clients, may
    iam.delete_access_key(UserName="roles-user", AccessKeyId=keys["AccessKeyId"])
    iam.delete_user_policy(UserName="roles-user", PolicyName="p")
    iam.delete_user(UserName="roles-user")


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_is_handed_to_a_service_only_by_who_may_pass_it(user, service):
    """[C] docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole"""
    clients, may = user
    arn = "arn:aws:iam::000000000000:role/roles-passed"
    allow = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": arn}

    def refusal():
        with pytest.raises(ClientError) as refused:
            pass_to(service, clients, arn)
        return refused.value.response["Error"]

    for statements in ([], [{**allow, "Resource": arn + "-not"}], [allow, {**allow, "Effect": "Deny"}],
                       [{**allow, "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}}]):
        may(*statements)
        assert refusal()["Code"] == "AccessDeniedException" and f"iam:PassRole on resource: {arn}" in refusal()["Message"], statements
    for statements in ([allow], [{**allow, "Condition": {"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}}}]):
        may(*statements)
        assert "PassRole" not in refusal()["Message"], "it is refused for what is wrong with it otherwise"


def test_a_role_in_a_processors_parameter_and_a_role_by_its_name_are_passed_too(user):
    clients, may = user
    may()
    with pytest.raises(ClientError, match="iam:PassRole on resource: arn:aws:iam::000000000000:role/roles-by-name"):
        clients("glue").update_crawler(Name="roles-nothing", Role="roles-by-name")
    may({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*/roles-s3-only"})
    with pytest.raises(ClientError, match="iam:PassRole on resource: arn:aws:iam::000000000000:role/roles-of-lambda"):
        clients("firehose").create_delivery_stream(DeliveryStreamName="roles-nothing", ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::roles-nothing", "RoleARN": "arn:aws:iam::000000000000:role/roles-s3-only",
            "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": [
                {"ParameterName": "RoleArn", "ParameterValue": "arn:aws:iam::000000000000:role/roles-of-lambda"}]}]}})


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_of_another_account_is_refused_even_to_root(aws, service):
    """[C] captured: aws-toolkit-azure-devops issue 546, 'Cross-account pass role is not allowed.'"""
    with pytest.raises(ClientError, match="Cross-account pass role is not allowed") as refused:
        pass_to(service, functools.partial(client, aws), "arn:aws:iam::111111111111:role/roles-there")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
