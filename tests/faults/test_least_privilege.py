"""Every action, resource, principal and condition of data/policies/ is needed: without it a hop of the pipeline stops and says so.

The cases are made from the documents, so that what is added to one is tested, and fails if no hop ever needs it.
"""

import base64
import copy
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from helpers.localaws import LocalAws
from helpers.look import change_events, failed_records, lake_records, objects, sequence_number, table_stream_arn
from helpers.orders import empty_table
from helpers.policies import HOPS, POLICY_NAME, needed, trust
from helpers.session import Aws
from helpers.settings import Settings
from helpers.waits import wait_until
from tests.pipelines import built, delivery_says, pipe_says
from tests.test_policies import several

NO_EVENT = b"no change event"
NEW_HOUR = "year=2026/month=01/day=01/hour=00"  # a folder that the crawler's role finds again and again
REFUSED_SECONDS = 30  # a hop that has not said in this time that it was refused, was not


# -- cases, from the documents -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A hop's document with one thing wrong. `actions`: those of which the hop must be refused one."""

    hop: str
    wrong: str
    document: dict
    actions: tuple[str, ...]


def near_misses(resource: str, instead_of_all: str) -> list[str]:
    """Resources that are nearly `resource`; for everything, `*`, it is `instead_of_all`."""
    if resource == "*":
        return [instead_of_all]
    for star in ("/*", ":*", ":$LATEST"):
        if resource.endswith(star):
            return [resource.removesuffix(star), resource.removesuffix(star) + "-2" + star]
    return [resource + "-2"]


def without_one(hop: str, document: dict, instead_of_all: str) -> Iterator[Case]:
    """The permissions without each action, and with each resource replaced by what is nearly it."""
    for number, statement in enumerate(document["Statement"]):
        actions, resources = several(statement["Action"]), several(statement["Resource"])
        for action in actions:
            less = copy.deepcopy(document)
            less["Statement"][number]["Action"] = [other for other in actions if other != action] or ["ec2:DescribeVpcs"]
            yield Case(hop, f"without {action}", less, (action,))
        for resource in resources:
            for other in near_misses(resource, instead_of_all):
                narrow = copy.deepcopy(document)
                narrow["Statement"][number]["Resource"] = [other if each == resource else each for each in resources]
                yield Case(hop, f"{statement['Sid']} with {other} for {resource}", narrow, tuple(actions))


def distrustful(hop: str, document: dict) -> Iterator[Case]:
    """The trust policy with each principal, action and condition replaced by what is nearly it."""
    [statement] = document["Statement"]
    assert not statement.keys() - {"Effect", "Principal", "Action", "Condition"}
    assert statement["Principal"].keys() == {"Service"}

    def wrong(path: tuple[str, ...], value: str) -> Case:
        other = copy.deepcopy(statement)
        *parents, last = path
        holder = other
        for name in parents:
            holder = holder[name]
        holder[last] = value
        return Case(hop, f"{last} {value}", {**document, "Statement": [other]}, ("sts:AssumeRole",))

    yield wrong(("Principal", "Service"), "events.amazonaws.com")
    yield wrong(("Action",), "sts:TagSession")
    for test, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            yield wrong(("Condition", test, key), "111111111111" if value.isdecimal() else f"{value}-2")


# -- the pipeline, and how each hop is made to need all it has -----------------------------------------------------------------


class Hop:
    """One hop of the running pipeline, its role's documents, and what they were."""

    def __init__(self, aws: Aws, name: str):
        self.aws, self.name, self.role = aws, name, getattr(aws.settings, f"{name}_role")
        self.stream = table_stream_arn(aws)
        self.permissions = needed(aws, name)
        self.trust = trust(aws.settings, name)
        role = aws.client("iam").get_role(RoleName=self.role)["Role"]
        self.arn = role["Arn"]
        assert role["AssumeRolePolicyDocument"] == self.trust, "the chapters made another role"
        made = aws.client("iam").get_role_policy(RoleName=self.role, PolicyName=POLICY_NAME)["PolicyDocument"]
        assert made == self.permissions, "the chapters made another role"

    def permit(self, document: dict) -> None:
        self.aws.client("iam").put_role_policy(RoleName=self.role, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(document))

    def entrust(self, document: dict) -> None:
        self.aws.client("iam").update_assume_role_policy(RoleName=self.role, PolicyDocument=json.dumps(document))

    def revoke_sessions(self) -> None:
        """End the sessions there are, as IAM's console does; a role that may be assumed gets new ones."""
        time.sleep(1.1)  # the moment a session began is known in whole seconds
        self.aws.client("iam").put_role_policy(RoleName=self.role, PolicyName="revoked", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {
                "DateLessThan": {"aws:TokenIssueTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}}}]}))

    def work(self) -> None:
        """Give the running hop something to do."""
        self.aws.table().put_item(Item={"orderid": str(uuid.uuid4()), "product_name": "Mug", "quantity": 1, "price": 1})

    def needs(self, case: Case) -> None:
        """Bring about, after the role has become that of `case`, what the hop needs all its permissions for."""
        raise NotImplementedError

    def is_well(self) -> bool:
        """Whether the hop says that nothing stops it."""
        return not self.says()

    def says(self) -> str:
        """What the hop's own state says of what stops it."""
        raise NotImplementedError

    def refused(self, case: Case) -> str | None:
        """What the hop says when it names one of the case's actions as refused; None if it does not within 30 s."""
        def named() -> str | None:
            said = self.says()
            denied = any(word in said for word in ("AccessDenied", "not authorized"))
            return said if denied and any(action in said for action in case.actions) else None

        try:
            return wait_until(f"the {self.name} is refused {case.wrong}", named, timeout=REFUSED_SECONDS, every=0.1)
        except TimeoutError:
            return None

    def hand_over(self) -> None:
        """Give the hop its role once more; ClientError if the service may not assume it."""
        raise NotImplementedError


class PipeHop(Hop):
    def needs(self, case):
        self.stop()
        self.work()
        self.start()

    def state(self):
        return self.aws.client("pipes").describe_pipe(Name=self.aws.settings.pipe)

    def says(self):
        return pipe_says(self.aws)

    def stop(self):
        if self.state()["CurrentState"] == "RUNNING":
            self.aws.client("pipes").stop_pipe(Name=self.aws.settings.pipe)
            wait_until("the pipe is stopped", lambda: self.state()["CurrentState"] == "STOPPED", every=0.1)

    def start(self):
        if self.state()["CurrentState"] != "RUNNING":
            self.aws.client("pipes").start_pipe(Name=self.aws.settings.pipe)
            wait_until("the pipe has started or failed to",
                       lambda: self.state()["CurrentState"] in ("RUNNING", "START_FAILED"), every=0.1)

    def hand_over(self):
        """A pipe takes any role, and fails to start with one that it may not assume."""
        self.stop()
        self.start()
        if (state := self.state())["CurrentState"] == "START_FAILED":
            raise ClientError({"Error": {"Code": "START_FAILED", "Message": state["StateReason"]}}, "StartPipe")


class DeliveryHop(Hop):
    def needs(self, case):
        """A new worker, something to abort, a row for the lake and one for the errors."""
        settings, s3 = self.aws.settings, self.aws.client("s3")
        key = f"{settings.lake_prefix}year=2026/{settings.delivery_stream}-1-2026-01-01-00-00-00-{uuid.uuid4()}"
        s3.create_multipart_upload(Bucket=settings.bucket, Key=key)
        self.hand_over()
        self.work()
        self.aws.client("kinesis").put_record(StreamName=settings.stream, Data=NO_EVENT, PartitionKey="errors")

    def state(self):
        stream = self.aws.client("firehose").describe_delivery_stream(DeliveryStreamName=self.aws.settings.delivery_stream)
        return stream["DeliveryStreamDescription"]

    def says(self):
        return delivery_says(self.aws)

    def is_well(self):
        uploads = self.aws.client("s3").list_multipart_uploads(Bucket=self.aws.settings.bucket).get("Uploads", [])
        return super().is_well() and not uploads

    def hand_over(self):
        state = self.state()
        self.aws.client("firehose").update_destination(
            DeliveryStreamName=state["DeliveryStreamName"], CurrentDeliveryStreamVersionId=state["VersionId"],
            DestinationId=state["Destinations"][0]["DestinationId"], ExtendedS3DestinationUpdate={"RoleARN": self.arn})


class FunctionHop(Hop):
    """What it has to say it says in its log: it is refused what its role may not when a call's lines are missing."""

    def work(self):
        self.call = self.one_call()

    def needs(self, case):
        self.work()

    def one_call(self) -> str:
        """A word that is in the lines of a new call: it names the record that it cannot read."""
        word = str(uuid.uuid4())
        payload = json.dumps({"records": [{"recordId": word, "data": ""}]})
        answer = self.aws.client("lambda").invoke(FunctionName=self.aws.settings.function, Payload=payload)
        assert "FunctionError" not in answer and word in answer["Payload"].read().decode(), "it works without its log"
        return word

    def says(self):
        events = self.aws.client("logs").filter_log_events(logGroupName=self.aws.settings.function_log_group)["events"]
        return " ".join(event["message"] for event in events)

    def refused(self, case):
        """With the role as it was, another call's lines come; those of the call before do not."""
        self.permit(self.permissions)
        self.entrust(self.trust)
        later = self.one_call()
        wait_until("the next call's lines are there", lambda: later in self.says(), every=0.1)
        return None if self.call in self.says() else "lines are missing"

    def is_well(self):
        return self.call in self.says()

    def hand_over(self):
        self.aws.client("lambda").update_function_configuration(FunctionName=self.aws.settings.function, Role=self.arn)


class CrawlerHop(Hop):
    """Beside the lake's crawler one for the experiments, as chapter 06 makes them. What only its log needs shows in its log."""

    def __init__(self, aws: Aws, name: str):
        super().__init__(aws, name)
        settings, self.glue, self.s3 = aws.settings, aws.client("glue"), aws.client("s3")
        self.crawlers = (settings.crawler, f"{settings.prefix}-privilege")
        self.glue.create_crawler(Name=self.crawlers[1], Role=self.arn, DatabaseName=settings.database, Tags=settings.tags,
                                 Targets={"S3Targets": [{"Path": f"s3://{settings.bucket}/{settings.experiments_prefix}privilege/"}]})
        key = objects(aws, settings.lake_prefix)["key"].max()
        self.hour, self.line = key.rpartition("/")[0], self.s3.get_object(Bucket=settings.bucket, Key=key)["Body"].read()
        self.where = {"DatabaseName": settings.database, "TableName": settings.lake_table}

    def needs(self, case):
        """New objects; a table and a partition that are new, and a partition that is no longer as its table; and no log group."""
        settings, logs = self.aws.settings, self.aws.client("logs")
        for folder in (self.hour, f"{settings.lake_prefix}{NEW_HOUR}", f"{settings.experiments_prefix}privilege"):
            self.s3.put_object(Bucket=settings.bucket, Key=f"{folder}/{uuid.uuid4()}.json", Body=self.line)
        with suppress(self.glue.exceptions.EntityNotFoundException):
            self.glue.delete_table(DatabaseName=settings.database, Name="privilege")
        for partition in self.glue.get_partitions(**self.where)["Partitions"]:
            values, storage = partition["Values"], partition["StorageDescriptor"]
            if values == re.findall(r"=(\d+)", NEW_HOUR):
                self.glue.delete_partition(**self.where, PartitionValues=values)
            else:
                fewer = {"Values": values, "StorageDescriptor": {**storage, "Columns": storage["Columns"][:1]}}
                self.glue.batch_update_partition(**self.where, Entries=[{"PartitionValueList": values, "PartitionInput": fewer}])
        for group in self.log_groups():
            logs.delete_log_group(logGroupName=group)
        self.work()

    def log_groups(self) -> list[str]:
        groups = self.aws.client("logs").describe_log_groups(logGroupNamePrefix=self.aws.settings.crawler_log_group)["logGroups"]
        return [group["logGroupName"] for group in groups]

    def work(self):
        for name in self.crawlers:
            self.glue.start_crawler(Name=name)
        wait_until("the crawls are over", lambda: all(
            self.glue.get_crawler(Name=name)["Crawler"]["State"] == "READY" for name in self.crawlers), every=0.1)

    def says(self):
        crawls = [self.glue.get_crawler(Name=name)["Crawler"]["LastCrawl"] for name in self.crawlers]
        return " ".join(crawl["ErrorMessage"] for crawl in crawls if crawl["Status"] == "FAILED")

    def lines(self) -> list[str]:
        logs = self.aws.client("logs")
        return [event["message"] for group in self.log_groups() for event in logs.filter_log_events(logGroupName=group)["events"]]

    def refused(self, case):
        """The crawls are over: there is nothing to wait for."""
        if case.actions[0].startswith("logs:"):
            return None if self.lines() else "lines are missing"
        said = self.says()
        return said if any(action in said for action in case.actions) else None

    def is_well(self):
        return super().is_well() and self.lines()

    def hand_over(self):
        self.glue.update_crawler(Name=self.aws.settings.crawler, Role=self.arn)


HOP: dict[str, Callable[[Aws, str], Hop]] = {"pipe": PipeHop, "delivery": DeliveryHop, "function": FunctionHop, "crawler": CrawlerHop}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The pipeline as chapters 01 to 06 leave it."""
    settings = Settings(prefix="faults", changes=60, rate=0)
    with LocalAws.temporary(clock_scale=60) as local, built(local, settings, tmp_path_factory.mktemp("runs")) as aws:
        yield aws


def arrived(aws: Aws) -> set[str]:
    """The ids of the change events in the lake, or under the error prefix: there is what the function could not be called for."""
    found = {record["event_id"] for _, record in lake_records(aws)}
    failed = {base64.b64decode(record["rawData"]) for record in failed_records(aws) if record["errorCode"] == "Lambda.InvokeAccessDenied"}
    return found | {json.loads(event)["eventID"] for event in failed - {NO_EVENT}}


# -- the proof -------------------------------------------------------------------------------------------------------------------


def test_a_hop_is_stopped_by_whatever_is_taken_from_its_role_and_loses_nothing(pipeline, subtests):
    """One test, because building the pipeline takes as long as many cases."""
    empty_table(pipeline.table(), progress=False)
    start = max(map(sequence_number, change_events(pipeline)))
    for name in HOPS:
        hop = HOP[name](pipeline, name)
        for case in without_one(name, hop.permissions, instead_of_all=hop.stream):
            with subtests.test(f"{name}: {case.wrong}"):
                hop.permit(case.document)
                hop.needs(case)
                assert hop.refused(case), f"the {name} works {case.wrong}; it says {hop.says()[-500:]!r}"
        hop.permit(hop.permissions)
        hop.needs(Case(name, "with all it may", hop.permissions, ()))
        wait_until(f"the {name} works with all it may", hop.is_well, show=hop.says)

        for case in distrustful(name, hop.trust):
            with subtests.test(f"{name}: trust with {case.wrong}"):
                hop.entrust(case.document)
                with pytest.raises(ClientError, match="(?i)assume"):
                    hop.hand_over()
                hop.entrust(hop.trust)
                hop.hand_over()
        with subtests.test(f"{name}: trust withdrawn while it runs"):
            hop.entrust(case.document)
            hop.revoke_sessions()
            hop.work()
            assert hop.refused(case), f"the {name} goes on; it says {hop.says()[-500:]!r}"
        hop.entrust(hop.trust)
        pipeline.client("iam").delete_role_policy(RoleName=hop.role, PolicyName="revoked")
        hop.work()
        wait_until(f"the {name} works once it is trusted again", hop.is_well, show=hop.says)
    expected = {event["eventID"] for event in change_events(pipeline, after=start)}
    assert expected
    wait_until("every change has arrived", lambda: expected <= arrived(pipeline))
