"""The doctor names the joint that is broken, and why; its own fix mends it; and it calls nothing broken that is whole.

On the pipeline that the chapters build. Every fault is caused by the calls a person would make, and mended by those that the
verdict names.
"""

import base64
import contextlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import boto3
import pytest

from helpers import catch_up, chapters, wait_until
from helpers.__main__ import main
from helpers.clean_up import is_gone
from helpers.doctor import JOINTS, Verdict, doctor
from helpers.localaws import LocalAws
from helpers.look import change_events, failed_records, lake_records, objects, read_object, table_stream_arn
from helpers.mend import deploy, destination, make_whole, without
from helpers.orders import OrderSource, empty_table, plan, read_products, read_table
from helpers.policies import POLICY_NAME, restore_role, trust
from helpers.replay import replay
from helpers.session import Aws, connect
from helpers.settings import Settings
from tests.pipelines import crawl, found_by_kernels, wait_for_crawl

pytestmark = pytest.mark.xdist_group("doctor")  # they share one pipeline
SETTINGS = Settings(prefix="sick", changes=60, rate=0)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The pipeline as chapters 01 to 06 leave it, and what the doctor said after each of them."""
    with LocalAws.temporary(clock_scale=60) as local, found_by_kernels(local):
        aws, said = connect(SETTINGS), {}
        said["00"] = doctor(aws)
        for chapter in [chapter for chapter in chapters.CHAPTERS if "01" <= chapter.number <= "06"]:
            chapters.run([chapter], SETTINGS, tmp_path_factory.mktemp("runs"))
            said[chapter.number] = doctor(aws, probe=False)
        yield aws, said


@pytest.fixture(scope="module")
def aws(built):
    """The whole pipeline: the doctor itself said what was missing, and had it built."""
    aws, said = built
    if said["06"].joint == "Athena":
        follow(aws, said["06"].fix)
    return aws


def test_of_a_half_built_pipeline_it_says_which_chapter_builds_the_next_hop(built):
    """It names the first hop that is missing, in the order in which the chapters build them."""
    _, said = built
    assert {after: (verdict.state, verdict.joint) for after, verdict in said.items()} == {
        "00": ("broken", "table"), "01": ("broken", "table's stream"), "02": ("broken", "stream"), "03": ("broken", "pipe"),
        "04": ("broken", "delivery stream"), "05": ("broken", "crawler"), "06": ("broken", "Athena")}
    assert {after: chapter[0] for after, verdict in said.items() if (chapter := re.findall(r"Chapter (\d\d) builds it", verdict.why))} == {
        "00": "01", "02": "03", "03": "04", "04": "05", "05": "06", "06": "07"}


def test_a_whole_pipeline_is_healthy_and_the_probe_leaves_no_order(aws):
    before = read_table(aws.table())
    verdict = healthy(aws)
    assert (verdict.joint, verdict.fix, verdict.due_in) == (None, "", None)
    assert [joint for joint, mark, _ in verdict.hops if mark == "✔"] == list(JOINTS)
    assert read_table(aws.table()).equals(before)
    probe = re.search(r"order (probe-\S+) went", verdict.why)[1]
    assert [event["eventName"] for event in change_events(aws) if event["dynamodb"]["Keys"] == {"orderid": {"S": probe}}] == [
        "INSERT", "REMOVE"]


def test_what_is_in_a_buffer_is_to_be_waited_for_and_not_broken(aws):
    with slow_buffer(aws):
        orderid = put_order(aws)
        verdict = doctor(aws, orderid, patience=5)
    assert (verdict.state, verdict.joint, verdict.fix) == ("wait", "delivery stream", "")
    assert 0 < verdict.due_in <= aws.real(60 + 900 + 2) + 2
    assert mended(aws, orderid).joint is None


@contextlib.contextmanager
def slow_buffer(aws: Aws):
    """S3's buffer at its longest, for the length of the block: a slow machine is still in time to see something in it."""
    set_destination(aws, BufferingHints={"IntervalInSeconds": 900, "SizeInMBs": 5})
    try:
        yield
    finally:
        set_destination(aws, BufferingHints={"IntervalInSeconds": 60, "SizeInMBs": 5})


@pytest.mark.parametrize("orderid", ["o-999999", "O-000001", "", "o 1; DROP"])
def test_of_an_order_that_does_not_exist_it_says_so_in_a_sentence(aws, orderid):
    verdict = doctor(aws, orderid, patience=60)
    assert (verdict.state, verdict.joint) == ("broken", "table")
    assert verdict.why.startswith(f"There is no order {orderid!r}")


def test_twenty_times_it_calls_nothing_broken_that_is_whole(aws):
    """Idle and while orders flow."""
    healthy(aws)  # the hour of the newest folder is crawled,
    doctor(aws, probe=False, patience=60)  # and nothing is on its way any more
    found = Counter(doctor(aws, probe=False).state for _ in range(8))
    assert found == {"healthy": 8}
    empty_table(aws.table(), progress=False)
    with ThreadPoolExecutor(1) as pool:
        published = pool.submit(OrderSource(aws.table(), plan(3, 400, read_products())).publish, 20, progress=False)
        flowing = [doctor(aws, probe=number % 4 == 0) for number in range(12)]
        published.result()
    for verdict in flowing:
        if verdict.joint == "crawler":  # the hour turned, and the new folder is no partition: true, and no false alarm
            assert "has not run since" in verdict.why
        else:
            assert verdict.state in ("healthy", "wait"), verdict


# -- causing faults -----------------------------------------------------------------------------------------------------

def put_order(aws: Aws) -> str:
    orderid = f"d-{datetime.now(UTC):%H%M%S-%f}"
    aws.table().put_item(Item={"orderid": orderid, "product_name": "Mug", "quantity": 2, "price": 5})
    return orderid


def forbidden(hop: str, action: str) -> Callable[[Aws], None]:
    """Takes one action from the hop's role."""
    def cause(aws: Aws) -> None:
        aws.client("iam").put_role_policy(RoleName=getattr(aws.settings, f"{hop}_role"), PolicyName=POLICY_NAME,
                                          PolicyDocument=without(aws, hop, action))
    return cause


def delete_role(aws: Aws) -> None:
    role = {"RoleName": aws.settings.crawler_role}
    aws.client("iam").delete_role_policy(**role, PolicyName=POLICY_NAME)
    aws.client("iam").delete_role(**role)


def distrusted(hop: str, change: Callable[[dict], object]) -> Callable[[Aws], None]:
    """Changes the only statement of the trust document of the hop's role."""
    def cause(aws: Aws) -> None:
        document = trust(aws.settings, hop)
        change(document["Statement"][0])
        aws.client("iam").update_assume_role_policy(RoleName=getattr(aws.settings, f"{hop}_role"), PolicyDocument=json.dumps(document))
    return cause


def stream_off(aws: Aws) -> None:
    aws.client("dynamodb").update_table(TableName=aws.settings.table, StreamSpecification={"StreamEnabled": False})


def one_image(aws: Aws) -> None:
    stream_off(aws)
    aws.client("dynamodb").update_table(TableName=aws.settings.table,
                                        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})


def stop_pipe(aws: Aws) -> None:
    aws.client("pipes").stop_pipe(Name=aws.settings.pipe)
    wait_for_pipe(aws, "STOPPED")


def cannot_start(aws: Aws) -> None:
    stop_pipe(aws)
    forbidden("pipe", "dynamodb:DescribeStream")(aws)
    aws.client("pipes").start_pipe(Name=aws.settings.pipe)
    wait_for_pipe(aws, "START_FAILED")


def wait_for_pipe(aws: Aws, state: str) -> None:
    wait_until(f"the pipe is {state}", lambda: aws.client("pipes").describe_pipe(Name=aws.settings.pipe)["CurrentState"] == state)


def constant_key(aws: Aws) -> None:
    pipes = aws.client("pipes")
    pipes.update_pipe(Name=aws.settings.pipe, RoleArn=aws.settings.role_arn(aws.settings.pipe_role),
                      TargetParameters={"KinesisStreamParameters": {"PartitionKey": "orderid"}})
    wait_for_pipe(aws, "RUNNING")


def filtered(aws: Aws) -> str:
    """A pipe that lets nothing but deletes through, and an order."""
    aws.client("pipes").update_pipe(Name=aws.settings.pipe, RoleArn=aws.settings.role_arn(aws.settings.pipe_role), SourceParameters={
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["REMOVE"]}'}]}})
    wait_for_pipe(aws, "RUNNING")
    return put_order(aws)


def pipe_at_latest(aws: Aws) -> str:
    """A pipe that starts at LATEST, after the order was written."""
    pipes = aws.client("pipes")
    delete_pipe(aws)
    orderid = put_order(aws)
    pipes.create_pipe(Name=aws.settings.pipe, RoleArn=aws.settings.role_arn(aws.settings.pipe_role), Source=table_stream_arn(aws),
                      Target=aws.settings.stream_arn, SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "LATEST"}},
                      TargetParameters={"KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})
    wait_for_pipe(aws, "RUNNING")
    return orderid


def delete_pipe(aws: Aws) -> None:
    aws.client("pipes").delete_pipe(Name=aws.settings.pipe)
    wait_until("the pipe is gone", lambda: is_gone(aws.client("pipes").describe_pipe, Name=aws.settings.pipe))


def set_destination(aws: Aws, **members: object) -> None:
    aws.client("firehose").update_destination(**destination(aws), ExtendedS3DestinationUpdate=members)


def not_called(aws: Aws) -> str:
    """An order that failed while the function could not be called, which it can be again."""
    forbidden("delivery", "lambda:InvokeFunction")(aws)
    orderid = put_order(aws)
    wait_until("it lies under the error prefix", lambda: any(
        orderid.encode() in base64.b64decode(record["rawData"]) for record in failed_records(aws)))
    restore_role(aws, "delivery")
    return orderid


def altered(change: str, timeout: int = 60) -> Callable[[Aws], str]:
    """Deploys the transform with a change to what it answers, and writes an order that it will meet.

    change  sees `each`, one of the `answers`, and its `row`, text
    """
    head = "def handler(event, context):"

    def cause(aws: Aws) -> str:
        aws.client("lambda").update_function_configuration(FunctionName=aws.settings.function, Timeout=timeout)
        deploy(aws, (head, f"""{head}
    answers = whole(event, context)["records"]
    for each in answers:
        row = base64.b64decode(each["data"]).decode()
        {change}
        each["data"] = base64.b64encode(row.encode()).decode()
    return {{"records": answers}}


def whole(event, context):"""))
        return put_order(aws)
    return cause


def poison(aws: Aws) -> str:
    aws.client("kinesis").put_record(StreamName=aws.settings.stream, PartitionKey="poison-1", Data=b"no JSON at all")
    return "poison-1"


def object_with(line: str) -> Callable[[Aws], None]:
    """One more object in the newest folder of the lake."""
    def cause(aws: Aws) -> None:
        folder = objects(aws, aws.settings.lake_prefix)["key"].iloc[-1].rpartition("/")[0]
        aws.client("s3").put_object(Bucket=aws.settings.bucket, Key=f"{folder}/by-hand", Body=line)
    return cause


def line_in_brackets(aws: Aws) -> str:
    """An order whose row lies in the newest object of the lake once more, as a list."""
    orderid = put_order(aws)
    doctor(aws, orderid, patience=60)
    [line] = [json.dumps([row]) for _, row in lake_records(aws) if row["orderid"] == orderid]
    object_with(line + "\n")(aws)
    return orderid


def forget_partition(aws: Aws) -> None:
    """The folder of the newest object is no partition, though the crawler has run since."""
    doctor(aws, probe=False, patience=60)  # until nothing is on its way any more
    crawl(aws)
    folder = objects(aws, aws.settings.lake_prefix).sort_values("written")["key"].iloc[-1].split("/")[1:-1]
    aws.client("glue").delete_partition(DatabaseName=aws.settings.database, TableName=aws.settings.lake_table,
                                        PartitionValues=[part.partition("=")[2] for part in folder])


def new_folder(aws: Aws) -> str:
    """An order whose object's folder is no partition, and was written after the last crawl."""
    forget_partition(aws)
    return put_order(aws)


def failed_crawl(aws: Aws) -> None:
    forbidden("crawler", "s3:ListBucket")(aws)
    crawl(aws)
    restore_role(aws, "crawler")


def never_crawled(aws: Aws) -> None:
    glue = aws.client("glue")
    old = glue.get_crawler(Name=aws.settings.crawler)["Crawler"]
    glue.delete_crawler(Name=aws.settings.crawler)
    glue.create_crawler(**{name: old[name] for name in ("Name", "Role", "DatabaseName", "Classifiers", "Targets", "Configuration")})


def scalar_classifier(aws: Aws) -> None:
    glue = aws.client("glue")
    glue.update_classifier(JsonClassifier={"Name": aws.settings.classifier, "JsonPath": "$.orderid"})
    never_crawled(aws)
    delete_table(aws)
    crawl(aws)


def delete_table(aws: Aws) -> None:
    aws.client("glue").delete_table(DatabaseName=aws.settings.database, Name=aws.settings.lake_table)


def table_with(change: Callable[[dict, dict[str, dict]], object]) -> Callable[[Aws], None]:
    """Changes the catalogue's table: `change` gets it, and its columns by their names."""
    def cause(aws: Aws) -> None:
        glue = aws.client("glue")
        table = glue.get_table(DatabaseName=aws.settings.database, Name=aws.settings.lake_table)["Table"]
        columns = {column["Name"]: column for column in table["StorageDescriptor"]["Columns"]}
        change(table, columns)
        table["StorageDescriptor"]["Columns"] = list(columns.values())
        glue.update_table(DatabaseName=aws.settings.database, TableInput={
            name: table[name] for name in ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")})
    return cause


def crawl_elsewhere(aws: Aws) -> None:
    elsewhere = f"s3://{aws.settings.bucket}/{aws.settings.error_prefix}"
    aws.client("glue").update_crawler(Name=aws.settings.crawler, Targets={"S3Targets": [{"Path": elsewhere}]})


# -- the table fault × verdict ------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Fault:
    """A fault, and what the doctor has to say of it."""

    name: str
    cause: Callable[[Aws], str | None]  # returns the order to follow; None: the newest change
    joint: str
    why: str                            # as a regular expression
    next_joint: str | None = None       # what the doctor finds when the first fix was followed, and mends next


FAULTS = [
    Fault("the order is one of chapter 04", lambda aws: "r-000001", "delivery stream", "reads from LATEST"),
    Fault("the table's stream is disabled", stream_off, "table's stream", "disabled", next_joint="pipe"),
    Fault("the table's stream carries one image", one_image, "table's stream", "carries NEW_IMAGE", next_joint="pipe"),
    Fault("the pipe is stopped", stop_pipe, "pipe", "STOPPED"),
    Fault("the pipe could not start", cannot_start, "pipe", "START_FAILED: .*dynamodb:DescribeStream"),
    Fault("the pipe may not write", forbidden("pipe", "kinesis:PutRecords"), "pipe", "may not kinesis:PutRecords on arn:"),
    Fault("the pipe may not read", forbidden("pipe", "dynamodb:GetRecords"), "pipe", "may not dynamodb:GetRecords on arn:"),
    Fault("the pipe's role trusts another service", distrusted("pipe", lambda s: s.update(Principal={"Service": "lambda.amazonaws.com"})),
          "pipe", "does not trust"),
    Fault("the pipe's role trusts another pipe", distrusted("pipe", lambda s: s["Condition"]["StringEquals"].update(
        {"aws:SourceArn": "arn:aws:pipes:us-east-1:000000000000:pipe/other"})), "pipe", "does not trust"),
    Fault("the partition key is a constant", constant_key, "pipe", "'orderid' is a constant"),
    Fault("the pipe starts at LATEST", pipe_at_latest, "pipe", "starting position is LATEST"),
    Fault("the pipe has a filter", filtered, "pipe", "filter is .*REMOVE"),
    Fault("the delivery stream may not read", forbidden("delivery", "kinesis:GetRecords"), "delivery stream", "may not kinesis:GetRecords"),
    Fault("the delivery stream may not write", forbidden("delivery", "s3:PutObject"), "delivery stream", "may not s3:PutObject"),
    Fault("the delivery stream may not call", forbidden("delivery", "lambda:InvokeFunction"), "delivery stream", "may not lambda:Invoke"),
    Fault("the delivery stream's role trusts another account", distrusted("delivery", lambda s: s.update(
        Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}})), "delivery stream", "does not trust"),
    Fault("the error prefix lies inside the crawled path", lambda aws: set_destination(
        aws, ErrorOutputPrefix=aws.settings.lake_prefix + "!{firehose:error-output-type}/"), "delivery stream",
          "error prefix .* lies inside"),
    Fault("the lake is written elsewhere", lambda aws: set_destination(aws, Prefix="elsewhere/"), "delivery stream",
          "writes under 'elsewhere/', outside of"),
    Fault("the delivery stream calls no function", lambda aws: set_destination(aws, ProcessingConfiguration={"Enabled": False}),
          "delivery stream", "calls no function"),
    Fault("the function may not write its log", forbidden("function", "logs:PutLogEvents"), "function", "may not logs:PutLogEvents"),
    Fault("the function raises", altered("raise KeyError('NewImage')"), "function", "raises an error.*KeyError"),
    Fault("the function times out", altered("import time; time.sleep(9)", timeout=1), "function", "not answer in time"),
    Fault("the function forgets a recordId", altered("each['recordId'] += '0'"), "function", "MissingRecordId.*forgets"),
    Fault("the function answers a recordId twice", altered("answers = [each, each]"), "function", "DuplicatedRecordId.*twice"),
    Fault("the function could not be called", not_called, "function", "was not called: Access was denied"),
    Fault("the function answers an illegal result", altered("each['result'] = 'OK'"), "function", "InvalidRet.*illegal"),
    Fault("the function drops everything", altered("each['result'] = 'Dropped'"), "function", "out nowhere.*Dropped"),
    Fault("the function ends no line", altered("row = row.rstrip()"), "function", "without a newline"),
    Fault("the function writes a price as text", altered("row = row.replace('5.0', '\"5 EUR\"')"), "function",
          "price is '5 EUR', not 5.0"),
    Fault("a poison record", poison, "function", "ProcessingFailedStatus.*cannot read.*JSONDecodeError"),
    Fault("the function is deleted", lambda aws: aws.client("lambda").delete_function(FunctionName=aws.settings.function) and None,
          "function", "Chapter 05 builds it"),
    Fault("a row is no JSON", object_with("this is no JSON\n"), "lake", "HIVE_CURSOR_ERROR"),
    Fault("a value of another type", object_with('{"orderid": "x", "quantity": "many", "price": 1.5}\n'), "lake", "HIVE_BAD_DATA"),
    Fault("a row is a list", line_in_brackets, "lake", "is no JSON object"),
    Fault("the crawler's role is deleted", delete_role, "crawler", "role .* does not exist"),
    Fault("the crawler looks elsewhere", crawl_elsewhere, "crawler", "crawls s3://.*/errors/, not the lake"),
    Fault("the crawler may not read", forbidden("crawler", "s3:GetObject"), "crawler", "may not s3:GetObject"),
    Fault("the crawl failed", failed_crawl, "crawler", "FAILED.*AccessDenied"),
    Fault("the crawler has never run", never_crawled, "crawler", "never run"),
    Fault("the crawler has not run since", new_folder, "crawler", "has not run since"),
    Fault("the classifier selects a value", scalar_classifier, "crawler", r"\$\.orderid selects a single value"),
    Fault("a partition is missing", forget_partition, "catalogue", "no partition of the table"),
    Fault("the table of the catalogue is deleted", delete_table, "catalogue", "no table 'orders'"),
    Fault("types have drifted", table_with(lambda table, columns: columns["price"].update(Type="string")), "catalogue", "price is string"),
    Fault("partitions have another type than the table", table_with(lambda table, columns: columns["price"].update(Type="int")),
          "catalogue", "HIVE_PARTITION_SCHEMA_MISMATCH"),
    Fault("the table lacks a column", table_with(lambda table, columns: columns.pop("event_id")), "catalogue", "lacks columns: event_id"),
    Fault("the table lacks a partition key", table_with(lambda table, columns: table["PartitionKeys"].pop()), "catalogue",
          "does not fit the table's partition keys, year, month, day"),
    Fault("the workgroup is disabled", lambda aws: aws.client("athena").update_work_group(
        WorkGroup=aws.settings.workgroup, State="DISABLED") and None, "Athena", "DISABLED"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_names_the_joint_and_why_and_its_fix_mends_it(aws, fault):
    orderid = fault.cause(aws)
    verdict = doctor(aws, orderid, probe=False, patience=120)  # the newest change may be the last probe's, still in a buffer
    assert (verdict.state, verdict.joint) == ("broken", fault.joint), verdict
    assert re.search(fault.why, verdict.why, re.S), verdict
    follow(aws, verdict.fix)
    if fault.next_joint:
        verdict = doctor(aws, probe=False)
        assert (verdict.state, verdict.joint) == ("broken", fault.next_joint), verdict
        follow(aws, verdict.fix)
    healthy(aws)


def follow(aws: Aws, fix: str) -> None:
    """Make the calls that a fix names, in its order, and wait until they are through."""
    assert fix
    for call in re.findall(r"`((?:aws\.|catch_up|deploy|make_whole|replay|restore_role)[^`]*)`", fix):
        eval(call, {"aws": aws, **{each.__name__: each for each in (
            catch_up, deploy, destination, make_whole, read_object, replay, restore_role)}})
        if "delete_pipe" in call:
            wait_until("the pipe is gone", lambda: is_gone(aws.client("pipes").describe_pipe, Name=aws.settings.pipe))
        if "start_crawler" in call:
            wait_for_crawl(aws)


def healthy(aws: Aws) -> Verdict:
    """The doctor's verdict on a fresh probe, which has to be healthy; a folder of a new hour is crawled first."""
    return mended(aws, None)


def mended(aws: Aws, orderid: str | None) -> Verdict:
    verdict = doctor(aws, orderid, patience=120)
    if verdict.joint == "crawler" and "has not run since" in verdict.why:
        follow(aws, verdict.fix)
        verdict = doctor(aws, orderid, patience=120)
    assert verdict.state == "healthy", verdict
    return verdict


def test_a_pipe_that_is_older_than_its_stream_has_to_be_made_anew(aws, monkeypatch):
    """It has carried what it read into the stream that was there before."""
    kinesis = aws.client("kinesis")
    describe = kinesis.describe_stream_summary

    def made_now(**request):
        answer = describe(**request)
        answer["StreamDescriptionSummary"]["StreamCreationTimestamp"] = datetime.now(UTC)
        return answer

    monkeypatch.setattr(kinesis, "describe_stream_summary", made_now)
    verdict = doctor(aws, probe=False)
    assert (verdict.state, verdict.joint, verdict.why) == ("broken", "pipe", "It has carried its events into an earlier stream.")
    assert "delete_pipe" in verdict.fix and "catch_up" in verdict.fix


def test_whoever_may_not_ask_athena_is_told_so(aws):
    """The pipeline is whole; the user at the keyboard lacks athena:StartQueryExecution."""
    iam = aws.client("iam")
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="all-but-one", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "athena:StartQueryExecution", "Resource": "*"}]}))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=aws.settings.region)
    verdict = doctor(replace(aws, session=session, _clients={}), probe=False, patience=60)
    assert (verdict.state, verdict.joint) == ("broken", "Athena"), verdict
    assert "StartQueryExecution" in verdict.why and "permission" in verdict.fix


def test_the_command_prints_the_verdict_and_ends_with_its_code(aws):
    def command(*words):
        environment = {**os.environ, "PYTHONPATH": str(chapters.ROOT)}
        ran = subprocess.run([sys.executable, "-m", "helpers", "doctor", f"prefix={SETTINGS.prefix}", *words], cwd=chapters.ROOT,
                             env=environment, capture_output=True, text=True, timeout=300)
        return ran.returncode, ran.stdout + ran.stderr

    code, said = command()
    assert code == 0 and re.search(r"✔ Athena\s+finds its row", said) and "\nhealthy: " in said, said
    code, said = command("--order", "o-999999")
    assert code == 1 and "broken at the table: There is no order 'o-999999'" in said and "mend it: " in said, said
    code, said = command("oder=1")
    assert code == 1 and "SettingsError: There is no parameter 'oder'" in said, said
    code, said = command("--odrer", "o-1")
    assert code == 2 and "unrecognized arguments" in said, said


def test_the_command_ends_with_a_code_of_its_own_if_there_is_only_to_wait(aws, capsys):
    """In this process: another one may start so slowly that nothing is left to wait for."""
    with slow_buffer(aws), pytest.raises(SystemExit) as ended:
        main(["doctor", f"prefix={SETTINGS.prefix}", "--order", put_order(aws), "--patience", "5"])
    assert ended.value.code == 3
    assert re.search(r"^wait at the delivery stream: .* It is due in \d+ s\.$", capsys.readouterr().out, re.M)
