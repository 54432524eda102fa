"""What the drills of chapter 08 share: orders of their own, looking where they ended, the proof, the scoreboard, the way back to whole.

The call that breaks something, and the one that mends it, stand in the chapter. Of a drill nothing is kept but its line on the
scoreboard: all else is looked up, so each can be run alone, and again.
"""

import base64
import inspect
import io
import json
import re
import time
import zipfile
from dataclasses import dataclass, field
from decimal import Decimal

import pandas as pd
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from . import transform
from .doctor import Verdict
from .look import Folder, change_events, piped, sequence_number, table_stream_arn
from .orders import read_table
from .policies import HOPS, needed, restore_role
from .reconcile import expected_rows, problems
from .session import Aws
from .waits import wait_until

HOUR = "year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
ITEM = {"product_name": "Earbuds", "quantity": 1, "price": Decimal("39.95")}
_EVENT = re.compile('"event_id": "([^"]+)"')
_CSV = {"sequence_number": str, "change_number": str}  # 21 digits, too long for a number of pandas


@dataclass(frozen=True)
class Proof:
    """What the reconciliation of the whole lake says, in change events: of `changes` that had to arrive, none may be lost.

    delivered_again  rows that came more than once, and are counted once
    wrong            differences of any kind between Athena's answer and table and table's stream; lost and counted twice among them
    """

    changes: int
    delivered_again: int
    lost: int
    counted_twice: int
    wrong: int

    @property
    def holds(self) -> bool:
        return self.wrong == 0


@dataclass
class Drill:
    """One drill: its name, the symptom, the orders it made (`ids`), the doctor's verdict, and in the end its cure and its proof."""

    aws: Aws
    name: str
    symptom: str
    ids: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    cure: str = ""
    proof: Proof | None = None

    def __post_init__(self) -> None:
        self.key = f"{self.name}-{time.strftime('%H%M%S', time.gmtime())}"  # no order of another run has it in its number
        self._lake, self._errors = (Folder(self.aws, prefix) for prefix in (self.aws.settings.lake_prefix, self.aws.settings.error_prefix))

    def order(self, count: int = 2) -> list[str]:
        """Put `count` new orders into the table; their numbers."""
        new = [f"{self.key}-{len(self.ids) + number}" for number in range(count)]
        for orderid in new:
            self.aws.table().put_item(Item={"orderid": orderid, **ITEM})
        self.ids += new
        return new

    def failed(self, count: int = 1) -> pd.DataFrame:
        """Wait until `count` records of this drill are under the error prefix: code, attempts, record (the data's first letters)."""
        def found() -> list[dict]:
            self._errors.refresh()
            records = [json.loads(line) for lines in self._errors.lines.values() for line in lines]
            texts = [base64.b64decode(record["rawData"]).decode(errors="replace") for record in records]
            return [{"code": record["errorCode"], "attempts": record["attemptsMade"], "record": text[:50]}
                    for record, text in zip(records, texts) if self.key in text]

        wait_until(f"{count} records are under the error prefix", lambda: len(found()) >= count, show=found, timeout=280)
        return pd.DataFrame(found())

    def delivered(self) -> list[str]:
        """Wait until every change of this drill's orders is in the lake, read from S3 itself; the keys of the objects it is in."""
        arn = table_stream_arn(self.aws)
        rows = (transform.transform_event(piped(event, arn)) for event in change_events(self.aws)
                if event["dynamodb"]["Keys"]["orderid"]["S"] in self.ids)
        changes = {row["event_id"] for row in rows if row}

        def missing() -> set[str]:
            self._lake.refresh()
            return changes - {found for lines in self._lake.lines.values() for line in lines for found in _EVENT.findall(line)}

        wait_until(f"{len(changes)} changes are in the lake", lambda: not missing(), show=missing, timeout=280)
        return [key for key, lines in self._lake.lines.items() if any(self.key in line for line in lines)]

    def prove(self, cure: str) -> Proof:
        """Wait for this drill's changes; then hold all that Athena finds in the lake against the table and the table's stream."""
        self.delivered()
        ask(self.aws, "MSCK REPAIR TABLE orders")  # an hour may have begun
        found = ask(self.aws, "SELECT *, (SELECT count(*) FROM orders) AS copies FROM distinct_events ORDER BY change_number")
        held, events = change_events(self.aws), found.assign(event_time=found["event_time"].str.replace(r"(\S+) (\S+)\.\d+", r"\1T\2Z", regex=True))
        since = max(int(found["change_number"][0]), min(map(sequence_number, held), default=0))
        expected = expected_rows(held, table_stream_arn(self.aws), since)
        changes = problems(expected, events[[int(number) >= since for number in events["change_number"]]], "event_id")["problem"]
        last = found.drop_duplicates("orderid", keep="last")
        orders = problems(read_table(self.aws.table()), last[last["event_name"] != "REMOVE"], "orderid")["problem"]
        self.cure, self.proof = cure, Proof(len(expected), int(found["copies"][0]) - len(found), int((changes == "missing").sum()),
                                            int((changes == "twice").sum()), len(changes) + len(orders))
        return self.proof


class Drills(list[Drill]):
    """The drills of one run, in order."""

    def begin(self, aws: Aws, name: str, symptom: str) -> Drill:
        self.append(Drill(aws, name, symptom))
        return self[-1]

    def scoreboard(self) -> pd.DataFrame:
        """A line a drill that was proved: symptom, joint (the doctor's), cure, lost, counted twice."""
        return pd.DataFrame([{"drill": drill.name, "symptom": drill.symptom, "the doctor's joint": drill.verdict.joint or drill.verdict.state,
                              "cure": drill.cure, "lost": drill.proof.lost, "counted twice": drill.proof.counted_twice}
                             for drill in self if drill.proof and drill.verdict]).set_index("drill")


def make_whole(aws: Aws, buffer: int = 60, retries: int = 3) -> None:
    """Give roles, function and delivery stream back what chapters 04 to 06 gave them, with both buffers of `buffer` AWS seconds."""
    settings, functions = aws.settings, aws.client("lambda")
    for hop in HOPS:
        restore_role(aws, hop)
    functions.update_function_configuration(FunctionName=settings.function, Timeout=60)
    deploy(aws)
    processor = {"LambdaArn": settings.function_arn, "NumberOfRetries": str(retries), "BufferIntervalInSeconds": str(buffer),
                 "BufferSizeInMBs": "1"}
    aws.client("firehose").update_destination(**destination(aws), ExtendedS3DestinationUpdate={
        "BufferingHints": {"IntervalInSeconds": buffer, "SizeInMBs": 5},
        "ErrorOutputPrefix": settings.error_prefix + "!{firehose:error-output-type}/" + HOUR,
        "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": [
            {"ParameterName": name, "ParameterValue": value} for name, value in processor.items()]}]}})


def destination(aws: Aws) -> dict:
    """What update_destination has to be told beside the update: which delivery stream, and that it has not changed meanwhile."""
    name = aws.settings.delivery_stream
    now = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    return {"DeliveryStreamName": name, "CurrentDeliveryStreamVersionId": now["VersionId"],
            "DestinationId": now["Destinations"][0]["DestinationId"]}


def deploy(aws: Aws, *changes: tuple[str, str]) -> None:
    """Deploy the transform, with pieces of its text replaced, and wait until it is in use. ValueError if a piece is not there."""
    functions, name, source = aws.client("lambda"), aws.settings.function, inspect.getsource(transform)
    for old, new in changes:
        if old not in source:
            raise ValueError(f"{old!r} does not stand in helpers/transform.py.")
        source = source.replace(old, new)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr(zipfile.ZipInfo("transform.py", (1980, 1, 1, 0, 0, 0)), source)
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    functions.update_function_code(FunctionName=name, ZipFile=file.getvalue())
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)


def without(aws: Aws, hop: str, action: str) -> str:
    """What the hop's role may do, without `action`, as put_role_policy takes it. ValueError if it may not do that anyway."""
    document = needed(aws, hop)
    for statement in document["Statement"]:
        if action in statement["Action"]:
            statement["Action"].remove(action)
            return json.dumps(document)
    raise ValueError(f"The {hop} has no {action}.")


class QueryFailed(RuntimeError):
    """A query that Athena could not answer; the message is its reason."""


def ask(aws: Aws, sql: str) -> pd.DataFrame:
    """Athena's answer, as its CSV holds it; no columns if the statement has none. Raises QueryFailed."""
    athena = aws.client("athena")
    query = athena.start_query_execution(QueryString=sql, QueryExecutionContext={"Database": aws.settings.database},
                                         WorkGroup=aws.settings.workgroup)["QueryExecutionId"]
    poll = Retrying(retry=retry_if_result(lambda found: found["Status"]["State"] in ("QUEUED", "RUNNING")), wait=wait_fixed(0.1),
                    stop=stop_after_delay(120))
    execution = poll(lambda: athena.get_query_execution(QueryExecutionId=query)["QueryExecution"])
    if execution["Status"]["State"] != "SUCCEEDED":
        raise QueryFailed(execution["Status"]["StateChangeReason"])
    bucket, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").split("/", 1)
    body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return pd.read_csv(io.BytesIO(body), dtype=_CSV) if key.endswith(".csv") else pd.DataFrame()
