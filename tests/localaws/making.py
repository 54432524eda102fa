"""What the tests of pipes and Firehose make to test with: roles, tables, streams, functions; and bounded waits."""

import functools
import io
import json
import time
import zipfile

PIPE_SOURCE = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
PIPE_TARGET = ["kinesis:PutRecord", "kinesis:PutRecords"]
FIREHOSE_SOURCE = ["kinesis:DescribeStream", "kinesis:GetShardIterator", "kinesis:GetRecords", "kinesis:ListShards"]
FIREHOSE_S3 = ["s3:AbortMultipartUpload", "s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket",
               "s3:ListBucketMultipartUploads", "s3:PutObject"]
FIREHOSE_LAMBDA = ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"]


@functools.cache
def client(aws, service: str):
    """One client a service: making one costs more than most calls."""
    return aws.client(service)


def wait_for(what, seconds: float = 15.0, pause: float = 0.1):
    """The first true answer of `what()`, within `seconds`; otherwise the test fails with the last one."""
    end, answer = time.monotonic() + seconds, None
    while time.monotonic() < end:
        answer = what()
        if answer:
            return answer
        time.sleep(pause)
    raise AssertionError(f"not within {seconds} s; last seen: {answer!r}")


def allow(aws, role: str, actions: list[str]) -> None:
    """Set the role's one inline policy: these actions on everything."""
    client(aws, "iam").put_role_policy(RoleName=role, PolicyName="work", PolicyDocument=json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}))


def trust(service: str, **conditions) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | ({"Condition": conditions} if conditions else {})]})


def role(aws, name: str, service: str, actions: list[str]) -> str:
    """The ARN of a new role that `service` may assume."""
    arn = client(aws, "iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))["Role"]["Arn"]
    allow(aws, name, actions)
    return arn


def drop_role(aws, name: str) -> None:
    iam = client(aws, "iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def table(aws, name: str, view: str = "NEW_AND_OLD_IMAGES") -> str:
    """The ARN of the stream of a new table with the key `orderid`."""
    return client(aws, "dynamodb").create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": view})["TableDescription"]["LatestStreamArn"]


def stream(aws, name: str, shards: int = 1) -> str:
    """The ARN of a new Kinesis stream, ACTIVE."""
    kinesis = client(aws, "kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 0.2})
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]


def records(aws, name: str) -> list[dict]:
    """All records of a Kinesis stream, each with the id of its shard."""
    kinesis, found = client(aws, "kinesis"), []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        page = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
        found += [record | {"ShardId": shard["ShardId"]} for record in page["Records"]]
    return found


def function(aws, name: str, source: str, role_arn: str, timeout: int = 20) -> str:
    """The ARN of a new function whose module is `source`, with `handler(event, context)`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("module.py", source)
    functions = client(aws, "lambda")
    arn = functions.create_function(FunctionName=name, Runtime="python3.12", Role=role_arn, Handler="module.handler",
                                 Timeout=timeout, Code={"ZipFile": archive.getvalue()})["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.2})
    return arn


def objects(aws, bucket: str, prefix: str = "") -> dict[str, bytes]:
    """The objects under `prefix`, by key."""
    s3 = client(aws, "s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]
    return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def drop_bucket(aws, bucket: str) -> None:
    s3 = client(aws, "s3")
    for key in objects(aws, bucket):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)
