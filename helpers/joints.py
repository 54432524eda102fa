"""The joints of the pipeline, each as the doctor looks at it: its state, its role, and what has come out of it.

One function for each joint looks at that joint's own evidence and returns what it saw, in words, or raises `Broken` or `Wait`.
All of it through AWS's public APIs, with the rights of whoever asks. A fix names its calls in backticks, and they can be made as
they stand there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from .clean_up import says_gone
from .look import objects, read_object, run_query, stale_pipe
from .mend import HOUR
from .policies import lacking, lets_in, needed
from .session import Aws
from .settings import Settings
from .trail import Trail
from .transform import FIELDS

GRACE = 180  # AWS seconds after its due time in which nothing is called broken for being late,
SLACK = 30   # and real ones on top of them, whatever the clock's scale: a busy machine, a slow line
NUMBERS = {"quantity", "price"}  # columns that are never null, so a crawler always learns that they are numbers


@dataclass
class Broken(Exception):
    """A joint that lets nothing through, or harms what it lets through."""

    why: str
    fix: str
    joint: str | None = None  # where it is not the joint that was looked at


@dataclass
class Wait(Exception):
    """A joint that has it still, within its time: it is due in so many seconds (None: not known)."""

    why: str
    due_in: float | None = None
    joint: str | None = None


def denied(error: ClientError) -> bool:
    """Whether AWS refused a call to whoever makes it."""
    return bool(re.search("AccessDenied|Unauthorized|NotAuthorized", error.response["Error"]["Code"]))


# What each joint is: the chapter that builds it, the setting that names it, and the call that describes it.
_DESCRIBED: dict[str, tuple[int, str, Callable[[Aws], dict]]] = {
    "table": (1, "table", lambda aws: aws.client("dynamodb").describe_table(TableName=aws.settings.table)["Table"]),
    "stream": (3, "stream", lambda aws: aws.client("kinesis").describe_stream_summary(
        StreamName=aws.settings.stream)["StreamDescriptionSummary"]),
    "pipe": (4, "pipe", lambda aws: aws.client("pipes").describe_pipe(Name=aws.settings.pipe)),
    "delivery stream": (5, "delivery_stream", lambda aws: aws.client("firehose").describe_delivery_stream(
        DeliveryStreamName=aws.settings.delivery_stream)["DeliveryStreamDescription"]),
    "function": (5, "function", lambda aws: aws.client("lambda").get_function_configuration(FunctionName=aws.settings.function)),
    "lake": (5, "bucket", lambda aws: aws.client("s3").head_bucket(Bucket=aws.settings.bucket)),
    "crawler": (6, "crawler", lambda aws: aws.client("glue").get_crawler(Name=aws.settings.crawler)["Crawler"]),
    "catalogue": (6, "lake_table", lambda aws: aws.client("glue").get_table(
        DatabaseName=aws.settings.database, Name=aws.settings.lake_table)["Table"]),
    "Athena": (7, "workgroup", lambda aws: aws.client("athena").get_work_group(WorkGroup=aws.settings.workgroup)["WorkGroup"]),
}


class Case:
    """One examination: the trail, and what the services say of each joint, asked for once."""

    def __init__(self, trail: Trail):
        self.trail, self.aws, self.now = trail, trail.aws, datetime.now(UTC)
        self.settings, self._described = self.aws.settings, {}

    def described(self, joint: str) -> dict:
        """What its service says of the joint. Raises Broken, for that joint, if it is not there."""
        if joint not in self._described:
            chapter, name, describe = _DESCRIBED[joint]
            try:
                self._described[joint] = describe(self.aws)
            except ClientError as error:
                if not says_gone(error):
                    raise
                raise Broken(f"There is no {name.replace('_', ' ')} {getattr(self.settings, name)!r}. Chapter {chapter:02} builds it.",
                             f'run chapter {chapter:02}, or let it run: `catch_up(aws, "{chapter + 1:02}")`.', joint) from None
        return self._described[joint]

    def check_role(self, hop: str, role_arn: str, service: str, source_arn: str) -> None:
        """Whether the hop's role lets the service in, and may do what data/policies says it needs."""
        iam, name = self.aws.client("iam"), role_arn.rpartition("/")[2]  # Glue says only the name
        mend = f'give the role what data/policies says: `restore_role(aws, "{hop}")` (helpers.policies). On AWS it takes some seconds.'
        try:
            trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
            lacks = lacking(iam, self.settings.role_arn(name), needed(self.aws, hop))
        except ClientError as error:
            if says_gone(error):
                raise Broken(f"Its role {name} does not exist.", mend) from None
            if not denied(error):
                raise
            return  # who may not look into IAM still sees what the services themselves say
        if not lets_in(trust, service, self.settings.account, source_arn):
            raise Broken(f"Its role {name} does not trust it: the trust document does not let {service} in for {source_arn}.", mend)
        if lacks:
            more = f", and {len(lacks) - 1} more" if len(lacks) > 1 else ""
            raise Broken(f"A permission is missing: its role {name} may not {lacks[0]}{more}.", mend)

    def overdue(self, since: datetime, aws_seconds: float, why: str, joint: str) -> float:
        """Seconds since it was due, `aws_seconds` after `since`. Raises Wait if it is not due yet."""
        late = (self.now - since).total_seconds() - self.aws.real(aws_seconds) - 1  # times are cut to whole seconds
        if late < 0:
            raise Wait(f"{why} It is due in {-late:.0f} s.", -late, joint)
        return late

    def be_patient(self, late: float, why: str, joint: str) -> None:
        """Raises Wait while it is late, but not so late that it has to be called broken."""
        if late < self.aws.real(GRACE) + SLACK:
            raise Wait(f"{why} It is {late:.0f} s late, which may still be the service's own pace.", None, joint)


def look_at_table(case: Case) -> str:
    status = case.described("table")["TableStatus"]
    if status not in ("ACTIVE", "UPDATING"):
        raise Wait(f"The table is {status}.")
    trail = case.trail
    if trail.event:
        return f"{trail.event['eventName']} of {trail.orderid} at {trail.made:%H:%M:%S} UTC"
    if trail.orderid is None:
        return "no change in the last 24 hours that would make a row"
    there = trail.orderid and "Item" in case.aws.table().get_item(Key={"orderid": trail.orderid}, ConsistentRead=True)
    if not (there or trail.reached):
        raise Broken(f"There is no order {trail.orderid!r}: neither the table nor the stream nor the lake knows of it.",
                     "`read_table(aws.table())` (helpers.orders) lists the orders that there are.")
    return f"no change of {trail.orderid} in what the table's stream keeps (24 hours)"


def look_at_tables_stream(case: Case) -> str:
    specification, name = case.described("table").get("StreamSpecification", {}), case.settings.table
    wanted = '`aws.client("dynamodb").update_table(TableName="%s", StreamSpecification={"StreamEnabled": %s})`'
    on = wanted % (name, 'True, "StreamViewType": "NEW_AND_OLD_IMAGES"')
    if not specification.get("StreamEnabled"):
        raise Broken("The table's stream is disabled: changes are not captured, and those made until it is on are lost to the lake.",
                     f"switch it on: {on}. It will have a new ARN, and the pipe has to be made anew for it.")
    if specification["StreamViewType"] != "NEW_AND_OLD_IMAGES":
        raise Broken(f"The table's stream carries {specification['StreamViewType']}: the transform needs both images.",
                     f"switch it off, {wanted % (name, False)}, and on again with both images: {on}. Then make the pipe anew.")
    return f"its change event is {case.trail.event['eventID']}" if case.trail.event else "on, with both images"


def look_at_pipe(case: Case) -> str:
    case.described("stream")  # chapter 03 comes before 04, and a pipe without its target is not to blame
    pipe, name = case.described("pipe"), case.settings.pipe
    anew = _new_pipe(name)
    state, reason = pipe["CurrentState"], pipe.get("StateReason", "")
    if state.endswith("FAILED"):
        raise Broken(f"It is {state}: {reason}", anew)
    if stale := stale_pipe(case.aws):
        raise Broken(f"It {stale}.", anew)
    if state in ("STOPPED", "STOPPING"):
        raise Broken(f"It is {state}. {reason}".strip(), f'start it: `aws.client("pipes").start_pipe(Name="{name}")`.')
    case.check_role("pipe", pipe["RoleArn"], "pipes.amazonaws.com", pipe["Arn"])
    key = pipe["TargetParameters"]["KinesisStreamParameters"]["PartitionKey"]
    if not key.startswith("$"):
        update = (f'`aws.client("pipes").update_pipe(Name="{name}", RoleArn="{pipe["RoleArn"]}", TargetParameters='
                  '{"KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})`')
        raise Broken(f"Its partition key {key!r} is a constant, not a path: every record has the same key and lands on one shard.",
                     f"make it a path into the event: {update}.")
    if state != "RUNNING":
        raise Wait(f"It is {state}.")
    return f"RUNNING, partition key {key}"


def look_at_stream(case: Case) -> str:
    stream, trail = case.described("stream"), case.trail
    if stream["StreamStatus"] not in ("ACTIVE", "UPDATING"):
        raise Wait(f"The stream is {stream['StreamStatus']}.")
    if record := trail.record:
        return f"on {record.shard}, key {record.partition_key}, at {record.arrived:%H:%M:%S} UTC"
    if trail.made and not trail.reached:
        _judge_pipe(case, trail.made)
    return "ACTIVE; nothing of it is on the stream" + (" any more" if trail.reached else "")


def _judge_pipe(case: Case, made: datetime) -> None:
    """It is in the table's stream and has not come out of the pipe. Raises Wait or Broken.

    What a pipe that runs says in StateReason is no proof that it is broken ([U] which reasons AWS gives): it is told, in the end.
    """
    pipe, name = case.described("pipe"), case.settings.pipe
    reading = pipe["SourceParameters"]["DynamoDBStreamParameters"]
    late = case.overdue(made, reading.get("MaximumBatchingWindowInSeconds", 0) + 1, "The pipe gathers a batch.", "pipe")
    if reading["StartingPosition"] == "LATEST" and made <= pipe["CreationTime"] + timedelta(seconds=case.aws.real(60)):
        raise Broken("Its starting position is LATEST: what was written before it ran, this order among it, it never reads.",
                     f"with TRIM_HORIZON, which cannot be set later, it begins with the oldest change event: {_new_pipe(name)}", "pipe")
    if filters := pipe["SourceParameters"].get("FilterCriteria", {}).get("Filters"):
        raise Broken(f"It has not come out of the pipe, whose filter is {filters[0]['Pattern']}",
                     f"a pipe of chapter 04 has no filter: {_new_pipe(name)}", "pipe")
    case.be_patient(late, "The pipe has it still.", "pipe")
    raise Broken(f"The pipe is RUNNING and has held it for {late:.0f} s beyond its time: {pipe.get('StateReason') or 'it gives no reason'}",
                 "mend what it names. On AWS, its metrics in AWS/EventBridge/Pipes tell of failed executions.", "pipe")


def _new_pipe(name: str) -> str:
    return f'make the pipe anew: `aws.client("pipes").delete_pipe(Name="{name}")`, and when it is gone `catch_up(aws, "05")`.'


def look_at_delivery_stream(case: Case) -> str:
    delivery, name = case.described("delivery stream"), case.settings.delivery_stream
    case.described("function"), case.described("lake")
    status, trouble = delivery["DeliveryStreamStatus"], delivery.get("FailureDescription", {}).get("Details", "")
    anew = (f'make it anew: `aws.client("firehose").delete_delivery_stream(DeliveryStreamName="{name}")`, and when it is gone '
            '`catch_up(aws, "06")`.')
    if status.endswith("FAILED"):
        raise Broken(f"It is {status}: {trouble}", f"mend that, and {anew}")
    source, destination = delivery["Source"]["KinesisStreamSourceDescription"], _destination(delivery)
    for role in dict.fromkeys((source["RoleARN"], destination["RoleARN"])):
        case.check_role("delivery", role, "firehose.amazonaws.com", delivery["DeliveryStreamARN"])
    if not _processor(destination):
        raise Broken("It calls no function: records go to the lake as they are on the stream.",
                     "let it call the function again: `make_whole(aws)` (helpers.mend), which brings roles and function back as well.")
    prefix, crawled = destination.get("Prefix", ""), case.settings.lake_prefix
    errors = destination.get("ErrorOutputPrefix") or prefix  # without one of its own, it lies below the data's [C]
    if errors.startswith(crawled):
        beside = case.settings.error_prefix + "!{firehose:error-output-type}/" + HOUR
        raise Broken(f"Its error prefix {errors!r} lies inside {crawled!r}, which is crawled: failed records become rows.",
                     f"put them beside the lake: {_update('ErrorOutputPrefix', beside)}. Then move what lies there already.")
    if not prefix.startswith(crawled):
        raise Broken(f"It writes under {prefix!r}, outside of {crawled!r}, which is crawled.",
                     f"set its prefix: {_update('Prefix', crawled + HOUR)}.")
    if status != "ACTIVE":
        raise Wait(f"The delivery stream is {status}.")
    record = case.trail.record
    if record and case.trail.reached < 2 and record.arrived < source["DeliveryStartTimestamp"]:
        raise Broken(f"It reads from LATEST: the record arrived at {record.arrived:%H:%M:%S} UTC, before the delivery stream began.",
                     "a record cannot be read by it later: write the order again.")
    return "ACTIVE, buffers of {:g} s for the function and {:g} s for S3, on AWS's clock".format(*_buffers(destination))


def _destination(delivery: dict) -> dict:
    return delivery["Destinations"][0]["ExtendedS3DestinationDescription"]


def _processor(destination: dict) -> dict[str, str] | None:
    """The parameters of the function's call; None if there is none."""
    processing = destination.get("ProcessingConfiguration", {})
    if not processing.get("Enabled"):
        return None
    return next(({each["ParameterName"]: each["ParameterValue"] for each in processor["Parameters"]}
                 for processor in processing["Processors"] if processor["Type"] == "Lambda"), None)


def _buffers(destination: dict) -> tuple[float, float]:
    """Seconds of AWS's clock: of the function's buffer, and of S3's behind it."""
    return float(_processor(destination).get("BufferIntervalInSeconds", 60)), destination["BufferingHints"]["IntervalInSeconds"]


def _update(member: str, value: str) -> str:
    return ('`aws.client("firehose").update_destination(**destination(aws), ExtendedS3DestinationUpdate='
            f'{{"{member}": "{value}"}})` (helpers.mend)')


DEPLOY = ("deploy helpers/transform.py again: `deploy(aws)` (helpers.mend); "
          "what lies under the error prefix goes through again with `replay(aws)` (helpers.replay).")
# What Firehose writes beside a record that it could not deliver (AWS_FACTS.md part 4).
_CODES = {
    "Lambda.FunctionError": ("raises an error", DEPLOY),
    "Lambda.FunctionTimedOut": ("does not answer in time", "let it do less, or give it more time: "
                                '`aws.client("lambda").update_function_configuration(FunctionName="{name}", Timeout=60)`; or ' + DEPLOY),
    "Lambda.MissingRecordId": ("forgets a recordId: every record that came in has to be answered", DEPLOY),
    "Lambda.DuplicatedRecordId": ("answers a recordId twice", DEPLOY),
    "Lambda.InvalidReturnFormat": ("answers with an illegal result, none of Ok, Dropped and ProcessingFailed, or without data", DEPLOY),
    "Lambda.ProcessingFailedStatus": ("cannot read the record and answers ProcessingFailed",
                                      "stop whoever puts such records in; if they are right and the function is wrong, " + DEPLOY),
}


def look_at_function(case: Case) -> str:
    function, trail = case.described("function"), case.trail
    case.check_role("function", function["Role"], "lambda.amazonaws.com", function["FunctionArn"])
    if trail.failed and not trail.delivered:
        said = json.loads(trail.failed.text)
        what, fix = _CODES.get(said["errorCode"], (f"was not called: {said['errorMessage']}",
                                                      "mend that; the record goes through again with `replay(aws)` (helpers.replay)."))
        told = _log_line(case, '"reason"' if said["errorCode"] == "Lambda.ProcessingFailedStatus" else _RAISED)
        raise Broken(f"The record lies under the error prefix, {trail.failed.key}, with {said['errorCode']}: the function {what}."
                     + (f" Its log: {told}" if told else ""), fix.format(name=case.settings.function))
    return f"{function.get('State', 'Active')}, {function['Runtime']}"


_RAISED = r"^\w+(Error|Exception)\b|^\[ERROR\]|Task timed out"  # how a Python function's log begins to tell of its end


def _log_line(case: Case, pattern: str) -> str:
    """The newest line of the function's log that matches, since the record arrived; "" if there is none."""
    logs, since = case.aws.client("logs"), case.trail.record.arrived if case.trail.record else case.now - timedelta(hours=1)
    try:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=case.settings.function_log_group, startTime=int(since.timestamp() * 1000))
        lines = [event["message"].split("\n")[0].strip() for page in pages for event in page["events"]]
    except logs.exceptions.ResourceNotFoundException:
        return ""
    return next((line[-300:] for line in reversed(lines) if re.search(pattern, line)), "")


def look_at_lake(case: Case) -> str:
    case.described("lake")
    trail, line = case.trail, case.trail.delivered
    if line is None:
        if trail.row == {}:
            return "nothing, as it should be: the transform drops a change that no column shows"
        if trail.record:
            _judge_delivery(case, trail.record.arrived)
        return "nothing of it yet" if trail.orderid else "there"
    try:
        row = json.loads(line.text)
    except ValueError:
        row = None
    if row is None and re.search(r"\}\s*\{", line.text) or not line.text.endswith("\n"):
        raise Broken(f"The function ends its lines without a newline: in {line.key} rows hang together, and Athena reads one of each line.",
                     f"{DEPLOY} Then write that object anew, one row a line: {_rewrite(case, line.key)}", "function")
    if not isinstance(row, dict):
        raise Broken(f"A row in {line.key} is no JSON object: {line.text[:80]!r}", _take_out(case, line.key))
    due = trail.row or {**dict.fromkeys(FIELDS), **row}  # what the event's row has to be; at least, no column may lack
    if wrong := next((name for name in {**due, **row} if repr(row.get(name, "absent")) != repr(due.get(name, "absent"))), None):
        raise Broken(f"The function writes another row than the transform of this workbook: {wrong} is {row.get(wrong, 'absent')!r}, "
                     f"not {due.get(wrong, 'absent')!r}.", f"{DEPLOY} Then {_take_out(case, line.key)}", "function")
    return f"in {line.key.rpartition('/')[0]}/, written at {line.written:%H:%M:%S} UTC"


def _judge_delivery(case: Case, arrived: datetime) -> None:
    """It is on the stream and has not reached the bucket. Raises Wait or Broken."""
    delivery = case.described("delivery stream")
    late = case.overdue(arrived, sum(_buffers(_destination(delivery))) + 2, "The delivery stream buffers it.", "delivery stream")
    if trouble := delivery.get("FailureDescription", {}).get("Details"):
        raise Broken(f"The delivery stream holds it and says: {trouble}", "mend what it names: it goes on by itself.", "delivery stream")
    if told := _log_line(case, _RAISED):
        what, fix = _CODES["Lambda.FunctionTimedOut" if "timed out" in told else "Lambda.FunctionError"]
        raise Broken(f"The function {what}. Its log: {told}", fix.format(name=case.settings.function), "function")
    case.be_patient(late, "The delivery stream has it still and says nothing.", "delivery stream")
    raise Broken(f"The record went into the delivery stream and came out nowhere, {late:.0f} s beyond its time: neither in the lake nor "
                 "under the error prefix. A function that answers Dropped makes it so.", f"look at the function; {DEPLOY}", "function")


def _rewrite(case: Case, key: str) -> str:
    return (f'`aws.client("s3").put_object(Bucket="{case.settings.bucket}", Key="{key}", '
            f'Body=read_object(aws, "{key}").replace("}}{{", "}}\\n{{") + "\\n")` (helpers.look).')


def _take_out(case: Case, key: str) -> str:
    bucket = case.settings.bucket
    return (f'take the object out of the lake: `aws.client("s3").copy_object(Bucket="{bucket}", Key="quarantine/{key}", '
            f'CopySource="{bucket}/{key}")`, then `aws.client("s3").delete_object(Bucket="{bucket}", Key="{key}")`, and mend its rows.')


def look_at_crawler(case: Case) -> str:
    crawler, name = case.described("crawler"), case.settings.crawler
    case.check_role("crawler", crawler["Role"], "glue.amazonaws.com", case.settings.crawler_arn)
    lake, start = f"s3://{case.settings.bucket}/{case.settings.lake_prefix}", f'`aws.client("glue").start_crawler(Name="{name}")`'
    paths = [target["Path"].rstrip("/") + "/" for target in crawler["Targets"]["S3Targets"]]
    if paths != [lake]:
        raise Broken(f"It crawls {', '.join(paths)}, not the lake alone, which is {lake}.", f'set its target: `aws.client("glue")'
                     f'.update_crawler(Name="{name}", Targets={{"S3Targets": [{{"Path": "{lake}"}}]}})`.')
    if crawler["State"] != "READY":
        raise Wait(f"The crawler is {crawler['State']}: a crawl takes a minute or two on AWS.")
    last = crawler.get("LastCrawl", {})
    if not last:
        raise Broken("It has never run, so nothing knows of the lake's columns and folders.", f"start it: {start}.")
    if last["Status"] != "SUCCEEDED":
        raise Broken(f"Its last crawl {last['Status']}: {last.get('ErrorMessage', '')}", f"mend that, and start it again: {start}.")
    return f"READY, last crawl {last['Status']} at {last['StartTime'].astimezone(UTC):%H:%M:%S} UTC"


def look_at_catalogue(case: Case) -> str:
    glue, settings, crawler = case.aws.client("glue"), case.settings, case.described("crawler")
    start, forget = f'`aws.client("glue").start_crawler(Name="{settings.crawler}")`', _forget_table(settings)
    try:
        table = case.described("catalogue")
    except Broken:
        raise Broken(f"The database has no table {settings.lake_table!r}: the last crawl made none, or somebody deleted it.",
                     f"let the crawler make it: {start}.") from None
    types = {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}
    if list(types) == ["record"]:
        paths = [glue.get_classifier(Name=each)["Classifier"]["JsonClassifier"]["JsonPath"] for each in crawler.get("Classifiers", [])]
        raise Broken(f"The table has one column, `record`: the classifier's path {' '.join(paths)} selects a single value of each row, "
                     "not the row.", _new_crawler(settings), "crawler")
    if absent := [name for name in FIELDS if name not in types]:
        raise Broken(f"The table lacks columns: {', '.join(absent)}. It has {', '.join(types)}.", _new_crawler(settings))
    if drifted := [f"{name} is {types[name]}" for name in sorted(NUMBERS) if types[name] in ("string", "boolean") or "<" in types[name]]:
        raise Broken(f"Types have drifted: {', '.join(drifted)}, a number elsewhere; some object holds it as text.",
                     f"take that object out of the lake, and have the table made anew: {forget}, {start}.")
    line, keys = case.trail.delivered, [key["Name"] for key in table["PartitionKeys"]]
    if line is None:
        return f"table {table['Name']}, {len(types)} columns"
    folder = line.key.removeprefix(settings.lake_prefix).split("/")[:-1]
    values = [part.partition("=")[2] for part in folder]
    if keys != [part.partition("=")[0] for part in folder]:
        raise Broken(f"The folder {'/'.join(folder)} does not fit the table's partition keys, {', '.join(keys) or 'none'}.",
                     f"crawl one lake with one layout of folders; {_new_crawler(settings)}")
    try:
        glue.get_partition(DatabaseName=settings.database, TableName=settings.lake_table, PartitionValues=values)
    except glue.exceptions.EntityNotFoundException:
        if crawler["State"] != "READY":
            raise Wait("The folder is no partition yet, and the crawler runs.", None, "crawler") from None
        if crawler["LastCrawl"]["StartTime"] < line.written:
            raise Broken(f"The folder {'/'.join(folder)} is no partition yet: the crawler has not run since the object was written.",
                         f"start it: {start}.", "crawler") from None
        raise Broken(f"The folder {'/'.join(folder)} is no partition of the table, though it was crawled: Athena does not look into it.",
                     f"let Athena look for folders, `MSCK REPAIR TABLE {settings.lake_table}`, or crawl again: {start}.") from None
    return f"table {table['Name']}, {len(types)} columns, the folder is a partition"


def _forget_table(settings: Settings) -> str:
    return f'`aws.client("glue").delete_table(DatabaseName="{settings.database}", Name="{settings.lake_table}")`'


def _new_crawler(settings: Settings) -> str:
    """A crawler never looks again at what it has classified."""
    return (f'a new crawler has to look at the lake: `aws.client("glue").delete_crawler(Name="{settings.crawler}")`, '
            f'{_forget_table(settings)}, and let chapter 06 make both: `catch_up(aws, "07")`.')


def look_at_athena(case: Case) -> str:
    workgroup = case.described("Athena")
    if workgroup["State"] != "ENABLED":
        raise Broken(f"Its workgroup {workgroup['Name']} is {workgroup['State']}.",
                     f'enable it: `aws.client("athena").update_work_group(WorkGroup="{workgroup["Name"]}", State="ENABLED")`.')
    if case.trail.delivered is None:
        return "not asked: nothing of it is in the lake"
    event_id = json.loads(case.trail.delivered.text)["event_id"]
    every_column = ", ".join(f"count({name})" for name in FIELDS)  # so that a value of the wrong type comes to light
    query = run_query(case.aws, f"SELECT count_if(event_id = '{event_id}'), count(*), {every_column} FROM {case.settings.lake_table}")
    state, reason = query["Status"]["State"], query["Status"].get("StateChangeReason", "")
    if state != "SUCCEEDED":
        raise Broken(f"The query {state}: {reason}", *_athena_fix(case, reason))
    rows = case.aws.client("athena").get_query_results(QueryExecutionId=query["QueryExecutionId"])["ResultSet"]["Rows"]
    found, total = rows[1]["Data"][0]["VarCharValue"], rows[1]["Data"][1]["VarCharValue"]
    if found == "0":
        raise Broken(f"The row is in {case.trail.delivered.key}, but the query finds it in none of {total} rows.",
                     "look at the object, and at the location of its partition.")
    return f"finds its row among {int(total):,}" + (f", {found} times" if found != "1" else "")


def _athena_fix(case: Case, reason: str) -> tuple[str, str]:
    """What mends a query that failed so, and the joint that is to blame."""
    if "HIVE_PARTITION_SCHEMA" in reason:
        return f"partitions and table disagree about a type; {_new_crawler(case.settings)}", "catalogue"
    if "HIVE_" in reason:
        keys = objects(case.aws, case.settings.lake_prefix)["key"]
        key = next((key for key in keys if _unreadable(read_object(case.aws, key))), None)
        return _take_out(case, key) if key else "find the object that holds such a row, and take it out of the lake.", "lake"
    if re.search("PERMISSION|AccessDenied|not authorized|Lake Formation|Insufficient", reason, re.I):
        return "grant whoever asks the permission that it names: on the bucket, the Glue catalogue, or in Lake Formation.", "Athena"
    return "mend what it names.", "Athena"


def _unreadable(text: str) -> bool:
    """Whether a line is no JSON object, or holds as a number what is none."""
    for line in filter(None, text.split("\n")):
        try:
            row = json.loads(line)
            [float(row[name]) for name in NUMBERS if row.get(name) is not None]
        except (ValueError, TypeError, AttributeError, RecursionError):
            return True
    return False


JOINTS: dict[str, Callable[[Case], str]] = {
    "table": look_at_table, "table's stream": look_at_tables_stream, "pipe": look_at_pipe, "stream": look_at_stream,
    "delivery stream": look_at_delivery_stream, "function": look_at_function, "lake": look_at_lake, "crawler": look_at_crawler,
    "catalogue": look_at_catalogue, "Athena": look_at_athena,
}
