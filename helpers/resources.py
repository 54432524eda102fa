"""What each chapter builds, resource by resource, and what is found of it right now.

The cloud is the state: whether a chapter is done is never remembered, it is asked. A resource is in order when later chapters can
build on it; otherwise a finding says in words what is wrong, and which chapter mends it by running again.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from .clean_up import says_gone
from .look import gap_in_lake, stale_pipe
from .policies import POLICY_NAME, needed, trust
from .session import Aws

_MOVING = re.compile("is (CREATING|DELETING|UPDATING|STARTING|STOPPING|Pending)$")


@dataclass(frozen=True)
class Finding:
    """What was found of one resource: the chapter that builds it, its name, and what is `amiss`, "" if nothing is."""

    chapter: str
    resource: str
    amiss: str

    ok = property(lambda finding: not finding.amiss)
    moving = property(lambda finding: bool(_MOVING.search(finding.amiss)))  # it will be in another state soon, by itself

    def __str__(self) -> str:
        return f"{self.resource} {self.amiss or 'is as it should be'}"


def _is(state: str, wanted: str) -> str:
    return "" if state == wanted else f"is {state}"


def _lost(probe: Callable[[], str]) -> str:
    """What `probe` says of a resource that is there; it may have lost what it depends on."""
    try:
        return probe()
    except LookupError:
        return "has lost the table's stream"
    except ClientError as error:
        if not says_gone(error):
            raise
        return "has lost the stream or the table"


def _table(aws: Aws) -> str:
    return _is(aws.client("dynamodb").describe_table(TableName=aws.settings.table)["Table"]["TableStatus"], "ACTIVE")


def _table_stream(aws: Aws) -> str:
    table = aws.client("dynamodb").describe_table(TableName=aws.settings.table)["Table"]
    stream = table.get("StreamSpecification", {})
    if not stream.get("StreamEnabled"):
        return "is off"
    return "" if stream["StreamViewType"] == "NEW_AND_OLD_IMAGES" else f"carries {stream['StreamViewType']}, not both images"


def _stream(aws: Aws) -> str:
    stream = aws.client("kinesis").describe_stream_summary(StreamName=aws.settings.stream)["StreamDescriptionSummary"]
    return _is(stream["StreamStatus"], "ACTIVE")


def _role(hop: str) -> Callable[[Aws], str]:
    """A probe of a hop's role: is it there, who may take it on, and may it do what it needs, no more and no less?"""
    def probe(aws: Aws) -> str:
        iam, name = aws.client("iam"), getattr(aws.settings, f"{hop}_role")
        found = iam.get_role_policy(RoleName=name, PolicyName=POLICY_NAME)
        if iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] != trust(aws.settings, hop):
            return "is trusted to another than it should be"
        return _lost(lambda: "" if found["PolicyDocument"] == needed(aws, hop) else "has other permissions than it needs")
    return probe


def _pipe(aws: Aws) -> str:
    pipe = aws.client("pipes").describe_pipe(Name=aws.settings.pipe)
    key = pipe.get("TargetParameters", {}).get("KinesisStreamParameters", {}).get("PartitionKey", "")
    return _lost(lambda: stale_pipe(aws)) or _is(pipe["CurrentState"], "RUNNING") or (
        "" if key.startswith("$.") else f"has a constant as partition key, {key!r}")


def _function(aws: Aws) -> str:
    found = aws.client("lambda").get_function_configuration(FunctionName=aws.settings.function)
    return _is(found.get("State", "Active"), "Active")


def _bucket(aws: Aws) -> str:
    aws.client("s3").head_bucket(Bucket=aws.settings.bucket)
    return ""


def _delivery_stream(aws: Aws) -> str:
    found = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=aws.settings.delivery_stream)
    return _is(found["DeliveryStreamDescription"]["DeliveryStreamStatus"], "ACTIVE")


def _lake(aws: Aws) -> str:
    _bucket(aws)
    return _lost(lambda: gap_in_lake(aws))


def _database(aws: Aws) -> str:
    aws.client("glue").get_database(Name=aws.settings.database)
    return ""


def _classifier(aws: Aws) -> str:
    aws.client("glue").get_classifier(Name=aws.settings.classifier)
    return ""


def _crawler(aws: Aws) -> str:
    aws.client("glue").get_crawler(Name=aws.settings.crawler)
    return ""  # READY, RUNNING and STOPPING are all a crawler's daily life


def _lake_table(aws: Aws) -> str:
    aws.client("glue").get_table(DatabaseName=aws.settings.database, Name=aws.settings.lake_table)
    return ""


def _workgroup(aws: Aws) -> str:
    return _is(aws.client("athena").get_work_group(WorkGroup=aws.settings.workgroup)["WorkGroup"]["State"], "ENABLED")


def _view(name: str) -> Callable[[Aws], str]:
    def probe(aws: Aws) -> str:
        aws.client("glue").get_table(DatabaseName=aws.settings.database, Name=name)
        return ""
    return probe


# By chapter, in the order in which they are built. A probe returns what is amiss, "" if nothing is; what is not there raises.
RESOURCES: list[tuple[str, str, Callable[[Aws], str]]] = [
    ("01", "the table", _table),
    ("02", "the table's stream", _table_stream),
    ("03", "the stream", _stream),
    ("04", "the pipe's role", _role("pipe")),
    ("04", "the pipe", _pipe),
    ("05", "the function's role", _role("function")),
    ("05", "the function", _function),
    ("05", "the bucket", _bucket),
    ("05", "the delivery stream's role", _role("delivery")),
    ("05", "the delivery stream", _delivery_stream),
    ("05", "the lake", _lake),
    ("06", "the catalogue's database", _database),
    ("06", "the classifier", _classifier),
    ("06", "the crawler's role", _role("crawler")),
    ("06", "the crawler", _crawler),
    ("06", "the lake's table", _lake_table),
    ("07", "the workgroup", _workgroup),
    ("07", "the view distinct_events", _view("distinct_events")),
    ("07", "the view current_orders", _view("current_orders")),
]


def look_at(aws: Aws, chapters: Iterable[str]) -> list[Finding]:
    """What is found of every resource that `chapters` (numbers such as "04") build. Raises ClientError if AWS refuses to tell."""
    wanted = set(chapters)
    return [Finding(chapter, name, _amiss(aws, probe)) for chapter, name, probe in RESOURCES if chapter in wanted]


def _amiss(aws: Aws, probe: Callable[[Aws], str]) -> str:
    try:
        return probe(aws)
    except ClientError as error:
        if not says_gone(error):
            raise
        return "is not there"
