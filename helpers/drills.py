"""What the drills of chapter 08 share: orders of their own, looking where they ended, the proof, the scoreboard, the way back to whole.

The call that breaks something, and the one that mends it, stand in the chapter. Of a drill nothing is kept but its line on the
scoreboard: all else is looked up, so each can be run alone, and again.
"""

import base64
import io
import json
import re
import time
from dataclasses import dataclass, field
from decimal import Decimal

import pandas as pd
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from .doctor import Verdict
from .look import Folder, change_events, orderid, run_query, sequence_number, table_stream_arn
from .orders import read_table
from .reconcile import expected_rows, problems
from .session import Aws
from .trail import row_of
from .waits import wait_until

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
    """One drill: its name, the symptom, the orders it made (`ids`), the doctor's verdict, and in the end its cure and its proof.

    lake, errors  the folders of the bucket, of which an object is read once in all drills
    number        its place in the run
    key           what its orders' numbers begin with, and no other drill's: its place and when it began. It does not say what broke
    """

    aws: Aws
    lake: Folder
    errors: Folder
    number: int
    name: str
    symptom: str
    ids: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    cure: str = ""
    proof: Proof | None = None

    def __post_init__(self) -> None:
        self.key = f"d{self.number}-{time.strftime('%d%H%M%S', time.gmtime())}"

    def order(self, count: int = 2) -> list[str]:
        """Put `count` new orders into the table; their numbers."""
        new = [f"{self.key}-{len(self.ids) + number}" for number in range(count)]
        for each in new:
            self.aws.table().put_item(Item={"orderid": each, **ITEM})
        self.ids += new
        return new

    def failed(self, count: int = 1) -> pd.DataFrame:
        """Wait until `count` records of this drill are under the error prefix: code, attempts, and the order (or key) they are about."""
        def found() -> list[dict]:
            self.errors.refresh()
            records = [json.loads(line) for lines in self.errors.lines.values() for line in lines]
            texts = [base64.b64decode(record["rawData"]).decode(errors="replace") for record in records]
            return [{"code": record["errorCode"], "attempts": record["attemptsMade"], "about": about[0]}
                    for record, text in zip(records, texts) if (about := re.search(rf"{self.key}[-\d]*", text))]

        wait_until(f"{count} record(s) are under the error prefix", lambda: len(found()) >= count, show=found, timeout=280)
        return pd.DataFrame(found())

    def delivered(self) -> list[str]:
        """Wait until every change of this drill's orders is in the lake, read from S3 itself; the keys of the objects it is in.

        An hour may have begun meanwhile: its folder becomes a partition, so that only a drill makes Athena miss one.
        """
        def events() -> dict[str, dict]:
            return {event["eventID"]: event for event in change_events(self.aws) if orderid(event) in self.ids}

        if len(set(map(orderid, events().values()))) < len(self.ids):
            wait_until("the table's stream has them", lambda: len(set(map(orderid, events().values()))) == len(self.ids))
        arn = table_stream_arn(self.aws)
        changes = {event_id for event_id, event in events().items() if row_of(event, arn)}

        def missing() -> set[str]:
            self.lake.refresh()
            return changes - {found for lines in self.lake.lines.values() for line in lines for found in _EVENT.findall(line)}

        wait_until(f"{len(changes)} change(s) are in the lake", lambda: not missing(), show=missing, timeout=280)
        ask(self.aws, f"MSCK REPAIR TABLE {self.aws.settings.lake_table}")
        return [key for key, lines in self.lake.lines.items() if any(self.key in line for line in lines)]

    def prove(self, cure: str) -> Proof:
        """Wait for this drill's changes; then hold all that Athena finds in the lake against the table and the table's stream.

        What other changes are still on their way, as after a pipe was made anew, has the time of both buffers to arrive.
        """
        self.delivered()
        patience = Retrying(retry=retry_if_result(lambda proof: not proof.holds), wait=wait_fixed(1),
                            stop=stop_after_delay(self.aws.real(120) + 5), retry_error_callback=lambda state: state.outcome.result())
        self.cure, self.proof = cure, patience(self._reconcile)
        return self.proof

    def _reconcile(self) -> Proof:
        found = ask(self.aws, f"SELECT *, (SELECT count(*) FROM {self.aws.settings.lake_table}) AS copies "
                               "FROM distinct_events ORDER BY change_number")
        times = found["event_time"].str.replace(r"(\S+) (\S+)\.\d+", r"\1T\2Z", regex=True)  # SQL's spelling -> the transform's
        held, events = change_events(self.aws), found.assign(event_time=times)
        since = max(int(found["change_number"][0]), min(map(sequence_number, held), default=0))
        expected = expected_rows(held, table_stream_arn(self.aws), since)
        changes = problems(expected, events[[int(number) >= since for number in events["change_number"]]], "event_id")["problem"]
        last = found.drop_duplicates("orderid", keep="last")
        orders = problems(read_table(self.aws.table()), last[last["event_name"] != "REMOVE"], "orderid")["problem"]
        return Proof(len(expected), int(found["copies"][0]) - len(found), int((changes == "missing").sum()),
                     int((changes == "twice").sum()), len(changes) + len(orders))


class Drills(list[Drill]):
    """The drills of one run, in order."""

    def __init__(self, aws: Aws):
        super().__init__()
        self._aws, settings = aws, aws.settings
        self._lake, self._errors = Folder(aws, settings.lake_prefix), Folder(aws, settings.error_prefix)

    def begin(self, name: str, symptom: str) -> Drill:
        self.append(Drill(self._aws, self._lake, self._errors, len(self) + 1, name, symptom))
        return self[-1]

    def scoreboard(self) -> pd.DataFrame:
        """A line a drill that was proved: symptom, joint (the doctor's, "-" if he was not asked), cure, lost, counted twice."""
        lines = [(each.name, each.symptom, (each.verdict.joint or each.verdict.state) if each.verdict else "-", each.cure,
                  each.proof.lost, each.proof.counted_twice) for each in self if each.proof]
        columns = ["drill", "symptom", "the doctor's joint", "cure", "lost", "counted twice"]
        return pd.DataFrame(lines, columns=columns).set_index("drill")


class QueryFailed(RuntimeError):
    """A query that Athena could not answer; the message is its reason."""


def ask(aws: Aws, sql: str) -> pd.DataFrame:
    """Athena's answer, as its CSV holds it; no columns if the statement has none. Raises QueryFailed."""
    execution = run_query(aws, sql)
    status = execution["Status"]
    if status["State"] != "SUCCEEDED":
        raise QueryFailed(status.get("StateChangeReason") or f"the query is {status['State']}, and Athena gives no reason")
    bucket, key = execution["ResultConfiguration"]["OutputLocation"].removeprefix("s3://").split("/", 1)
    body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return pd.read_csv(io.BytesIO(body), dtype=_CSV) if key.endswith(".csv") else pd.DataFrame()
