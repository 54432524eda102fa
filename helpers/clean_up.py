"""Taking the pipeline down: deletes that are safe to repeat, and a listing of everything that is still there."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator

import jmespath
import pandas as pd
from botocore.exceptions import ClientError

from .session import Aws

# What can carry the prefix: the service, its call that lists all there are, and where the names stand in the answer (JMESPath).
_LISTED = {
    "pipes": ("pipes", "list_pipes", "Pipes[].Name"),
    "delivery streams": ("firehose", "list_delivery_streams", "DeliveryStreamNames[]"),
    "functions": ("lambda", "list_functions", "Functions[].FunctionName"),
    "streams": ("kinesis", "list_streams", "StreamNames[]"),
    "tables": ("dynamodb", "list_tables", "TableNames[]"),
    "crawlers": ("glue", "get_crawlers", "Crawlers[].Name"),
    "classifiers": ("glue", "get_classifiers", "Classifiers[].*.Name[]"),
    "catalogue databases": ("glue", "get_databases", "DatabaseList[].Name"),
    "workgroups": ("athena", "list_work_groups", "WorkGroups[].Name"),
    "buckets": ("s3", "list_buckets", "Buckets[].Name"),
    "roles": ("iam", "list_roles", "Roles[].RoleName"),
    "log groups": ("logs", "describe_log_groups", "logGroups[].logGroupName"),
}


def delete(call: Callable[..., dict], **arguments) -> str:
    """Make a delete call of boto3. Returns "deleted" or "was not there"; any other refusal is raised as it came."""
    return "was not there" if is_gone(call, **arguments) else "deleted"


def is_gone(call: Callable[..., dict], **arguments) -> bool:
    """Whether a boto3 call about one resource answers that there is no such resource. Raises any other ClientError."""
    try:
        call(**arguments)
    except ClientError as error:
        if not says_gone(error):
            raise
        return True
    return False


def says_gone(error: ClientError) -> bool:
    """Whether AWS refused a call because there is no such resource."""
    said = f"{error.response['Error']['Code']} {error.response['Error'].get('Message', '')}"
    return bool(re.search("NotFound|NoSuch|404|is not found", said))  # Athena: InvalidRequestException, "... is not found"


def leftovers(aws: Aws) -> pd.DataFrame:
    """What still carries the prefix or the tag `project`: by kind of resource its service, how many were found, and a list of their names.

    What carries a longer prefix that is in use too ("orders-cdc" where the prefix is "orders") is not ours. AWS's index of
    tags may name a resource for some time after it is gone.
    """
    projects = _tagged(aws)
    longer = tuple(f"{project}-" for project in projects if project.startswith(f"{aws.settings.prefix}-"))

    def ours(name: str) -> bool:
        own = name.rpartition("/")[2]  # a log group's name is a path
        return own == aws.settings.database or own.startswith(f"{aws.settings.prefix}-") and not own.startswith(longer)

    rows = []
    for kind, (service, operation, path) in _LISTED.items():
        names = [name for page in _pages(aws.client(service), operation) for name in jmespath.search(path, page)]
        rows.append((kind, service, list(filter(ours, names))))
    rows.append(("log streams of crawlers", "logs", list(filter(ours, _crawler_log_streams(aws)))))
    rows.append(("anything with the tag", "tagging", projects.get(aws.settings.prefix, [])))
    return pd.DataFrame([{"kind": kind, "service": service, "found": len(names), "names": sorted(names)}
                         for kind, service, names in rows]).set_index("kind")


def _tagged(aws: Aws) -> dict[str, list[str]]:
    """By project tag, the resources of this workbook that AWS's index of tags knows."""
    found = defaultdict(list)
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(
        TagFilters=[{"Key": "workbook", "Values": [aws.settings.tags["workbook"]]}])
    for resource in (resource for page in pages for resource in page["ResourceTagMappingList"]):
        project = next((tag["Value"] for tag in resource["Tags"] if tag["Key"] == "project"), "")
        found[project].append(resource["ResourceARN"].split(":", 5)[5])
    return found


def _pages(client, operation: str) -> Iterator[dict]:
    """Every page of a listing, also of the two that boto3 has no paginator for: Firehose's and Athena's."""
    if client.can_paginate(operation):
        yield from client.get_paginator(operation).paginate()
        return
    start: dict | None = {}
    while start is not None:
        page = getattr(client, operation)(**start)
        yield page
        start = ({"NextToken": page["NextToken"]} if page.get("NextToken") else
                 {"ExclusiveStartDeliveryStreamName": page["DeliveryStreamNames"][-1]} if page.get("HasMoreDeliveryStreams") else None)


def _crawler_log_streams(aws: Aws) -> list[str]:
    """The crawlers' streams in the one log group that all crawlers of an account share."""
    logs = aws.client("logs")
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=aws.settings.crawler_log_group, logStreamNamePrefix=f"{aws.settings.prefix}-")
    try:
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
