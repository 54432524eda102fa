"""The glass pipeline: what every hop holds now, what passed it, and how far it is behind, as a table and as one picture.

    glass.measure(aws)            the figures, a row a hop
    glass.show(aws)               the picture, once
    with glass.live(aws): ...     the picture, drawn anew in its place while the block runs

All is asked of AWS's public APIs. What was read is remembered with the connection: a stream is read on from where it was left, an
object of the lake once. A measurement is bounded too (EVENT_PAGES, RECORD_PAGES, OBJECTS, SCAN_PAGES); what one leaves, the next reads.
"""

import base64
import io
import json
import re
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import NamedTuple

import pandas as pd
from botocore.exceptions import ClientError
from IPython import get_ipython
from IPython.display import display
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from PIL import Image  # matplotlib brings it

from .clean_up import says_gone
from .look import Folder, Follower, failed_data, record_id, sequence_number
from .plots import BLUE, HOPS, INK, PAPER, QUIET
from .replay import unreadable
from .session import Aws
from .transform import transform_event

NAMES = [name for _, name, _ in HOPS[1:-1]]  # the two ends, order source and pandas, are programs that no API can be asked about
JOINTS = ("EventBridge", "Firehose", "Glue")  # they carry to the next hop what the hop before holds; the others hold
# What one measurement reads at most.
EVENT_PAGES, RECORD_PAGES = 40, 4  # GetRecords calls a shard: of up to 1,000 change events, of up to 10,000 Kinesis records
OBJECTS = 200  # of a folder
SCAN_PAGES = 10  # of the table, 1 MB each, to count its items
KEPT_BY_THE_TABLES_STREAM = timedelta(hours=24)

MARKS = {"not built yet": "○", "getting ready": "…", "ready": "✔", "flowing": "▶", "waiting": "◔", "STOPPED": "■", "BROKEN": "✖",
         "hidden": "?"}
COLUMNS = ["state", "holds", "unit", "passed", "behind", "lag_s", "skipped", "failed", "repeated", "by_shard", "last", "last_at", "says",
           "at"]
_WHOLE = ["holds", "passed", "behind", "skipped", "failed", "repeated"]


def measure(aws: Aws) -> pd.DataFrame:
    """The pipeline now: a row for each hop from DynamoDB to Athena (index `hop`, NAMES), with these columns; NA where one says nothing.

    state     a key of MARKS. "not built yet": AWS does not know it. "flowing": something is on its way. "waiting": something is, and
              for you (start the crawler). "STOPPED": somebody did that. "BROKEN": it says why. "hidden": we may not look
    holds     what it has now, counted in `unit`
    passed    different change events (or records that are none) that got this far, of those the streams still hold: 24 hours' worth
    behind    EventBridge, Firehose, Glue: how many the hop before has that it has not carried on yet
    lag_s     how long the oldest of those has been waiting, s; 0 if there is none. A change event knows its time by the whole second
    skipped   what came before it existed, when it starts at LATEST: it never carries that
    failed    S3: records under the error prefix that are not in the lake
    repeated  Kinesis, S3: records of change events that are there already (delivery is at least once)
    by_shard  Kinesis: records by shard id, a dict
    last      the last record seen, such as "MODIFY o-000123"; Glue: the last crawl; Athena: the workgroup's last query
    last_at   when that was, UTC
    says      what the service itself says (StateReason, FailureDescription, LastCrawl.ErrorMessage), or what to do
    at        when it was measured, UTC, the same in every row

    What a transform drops on purpose is not behind, as far as `helpers.transform` can tell; what a pipe's filter leaves out is.
    A delivery stream reads from LATEST, taken for its DeliveryStartTimestamp (AWS_FACTS.md part 4 [C], the time itself [L]).
    Raises BotoCoreError if AWS cannot be reached; what one hop answers, however bad, is that hop's state.
    """
    if "glass" not in aws.memory:
        aws.memory["glass"] = _Memory(aws)
    return aws.memory["glass"].measure()


def as_frame(hops: dict[str, dict], at: datetime) -> pd.DataFrame:
    """What is known of each hop, by its name, in the shape of `measure`; a hop without a state is "ready"."""
    frame = pd.DataFrame([{"state": "ready"} | hops[name] for name in NAMES], index=pd.Index(NAMES, name="hop"), columns=COLUMNS)
    texts = {name: frame[name].astype("object").fillna("") for name in ("unit", "last", "says")}
    return frame.astype({name: "Int64" for name in _WHOLE} | {"lag_s": "Float64"}).assign(
        **texts, last_at=pd.to_datetime(frame["last_at"], utc=True), at=pd.Timestamp(at))


class _Event(NamedTuple):
    time: datetime
    words: str
    sequence_number: int


class _Record(NamedTuple):
    arrived: datetime
    data: bytes


class _Row(NamedTuple):
    event_id: str
    words: str
    sequence_number: int
    time: datetime


class _Memory:
    """What was read of a pipeline so far, and the questions about it, a method a hop."""

    def __init__(self, aws: Aws):
        self._ask, self._settings = aws.client, aws.settings
        self._one_at_a_time = threading.Lock()
        self._lake_folder = Folder(aws, aws.settings.lake_prefix, _row)
        self._errors_folder = Folder(aws, aws.settings.error_prefix, _failure)
        self._rows: dict[str, list[_Row]] = {}  # by key of the lake
        self._forget_events()
        self._forget_records()

    def _forget_events(self, arn: str | None = None) -> None:
        self._events: dict[str, _Event] = {}  # by event id
        self._table_stream = Follower(self._ask("dynamodbstreams"), {"StreamArn": arn}) if arn else None

    def _forget_records(self, created: datetime | None = None) -> None:
        self._records: dict[str, _Record] = {}  # by record id, the first of those that arrived
        self._arrivals: list[tuple[datetime, str]] = []  # of every record, with its shard
        self._dropped: dict[str, bool] = {}
        self._stream_created = created
        self._stream = Follower(self._ask("kinesis"), {"StreamName": self._settings.stream})

    def measure(self) -> pd.DataFrame:
        with self._one_at_a_time:
            asked = {"DynamoDB": self._table, "DynamoDB Streams": self._change_events, "Kinesis": self._kinesis, "S3": self._lake,
                     "EventBridge": self._pipe, "Firehose": self._delivery, "Glue": self._crawler, "Athena": self._athena}
            hops = {name: _state_of(question) for name, question in asked.items()}
        return as_frame(hops, datetime.now(UTC))

    # The hops that hold

    def _table(self) -> dict:
        dynamodb, name = self._ask("dynamodb"), self._settings.table
        status = dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
        pages = dynamodb.get_paginator("scan").paginate(TableName=name, Select="COUNT")
        counts = [page["Count"] for page in islice(pages, SCAN_PAGES + 1)]
        more = len(counts) > SCAN_PAGES
        says = status if status != "ACTIVE" else f"{SCAN_PAGES} pages are counted, there are more" if more else ""
        return {"state": "ready" if status == "ACTIVE" else "getting ready", "holds": sum(counts[:SCAN_PAGES]), "unit": "orders",
                "says": says}

    def _change_events(self) -> dict:
        try:
            table = self._ask("dynamodb").describe_table(TableName=self._settings.table)["Table"]
        except ClientError:
            self._forget_events()
            raise
        arn, on = table.get("LatestStreamArn"), table.get("StreamSpecification", {}).get("StreamEnabled", False)
        if arn is None:
            self._forget_events()
            return {"state": "not built yet"}
        if self._table_stream is None or self._table_stream.stream["StreamArn"] != arn:
            self._forget_events(arn)
        for _, event in self._table_stream.new(EVENT_PAGES):
            change = event["dynamodb"]
            self._events[event["eventID"]] = _Event(change["ApproximateCreationDateTime"], _words(event), sequence_number(event))
        oldest = datetime.now(UTC) - KEPT_BY_THE_TABLES_STREAM
        self._events = {name: event for name, event in self._events.items() if event.time > oldest}
        last = max(self._events.values(), key=lambda event: event.sequence_number, default=None)
        return {"state": "ready" if on else "STOPPED", "holds": len(self._events), "unit": "change events", "passed": len(self._events),
                "last": last and last.words, "last_at": last and last.time,
                "says": "switched off: changes are not captured" if not on else _reading(self._table_stream.caught_up)}

    def _kinesis(self) -> dict:
        try:
            stream = self._ask("kinesis").describe_stream_summary(StreamName=self._settings.stream)["StreamDescriptionSummary"]
        except ClientError:
            self._forget_records()
            raise
        if stream["StreamStatus"] not in ("ACTIVE", "UPDATING"):
            return {"state": "getting ready" if stream["StreamStatus"] == "CREATING" else "STOPPED", "says": stream["StreamStatus"]}
        if stream["StreamCreationTimestamp"] != self._stream_created:
            self._forget_records(stream["StreamCreationTimestamp"])
        for shard, record in self._stream.new(RECORD_PAGES):
            arrived, data = record["ApproximateArrivalTimestamp"], record["Data"]
            self._records.setdefault(record_id(data), _Record(arrived, data))
            self._arrivals.append((arrived, shard))
        oldest = datetime.now(UTC) - timedelta(hours=stream["RetentionPeriodHours"])
        self._records = {name: record for name, record in self._records.items() if record.arrived > oldest}
        self._arrivals = [arrival for arrival in self._arrivals if arrival[0] > oldest]
        counted = Counter(shard for _, shard in self._arrivals)
        last = max(self._records.values(), default=None)  # of those that arrived at once always the same, in whatever order they were read
        return {"state": "ready", "holds": len(self._arrivals), "unit": "records", "passed": len(self._records),
                "repeated": len(self._arrivals) - len(self._records), "by_shard": {shard: counted[shard] for shard in self._stream.shards},
                "last": last and _words_of(last.data), "last_at": last and last.arrived, "says": _reading(self._stream.caught_up)}

    def _lake(self) -> dict:
        self._delivered, self._failed = set(), {}
        left = self._lake_folder.refresh(OBJECTS) + self._errors_folder.refresh(OBJECTS)
        lake, errors = self._lake_folder.lines, self._errors_folder.lines
        self._rows = {key: list(filter(None, found)) for key, found in lake.items()}
        rows = [row for found in self._rows.values() for row in found]
        self._delivered = {row.event_id for row in rows}
        self._failed = {name: code for found in errors.values() for name, code in filter(None, found) if name not in self._delivered}
        last = max(rows, key=lambda row: row.sequence_number, default=None)
        codes = ", ".join(sorted(set(self._failed.values())))
        odd = sum(map(len, lake.values())) - len(rows)
        says = [f"{len(self._failed):,} under {self._settings.error_prefix}: {codes}" if self._failed else "",
                f"{odd:,} lines are no row" if odd else "", f"{left:,} objects are still to be read" if left else ""]
        return {"state": "ready", "holds": len(lake), "unit": "objects", "passed": len(self._delivered), "failed": len(self._failed),
                "repeated": len(rows) - len(self._delivered), "last": last and last.words, "last_at": last and last.time,
                "says": "; ".join(filter(None, says))}

    def _athena(self) -> dict:
        athena, name = self._ask("athena"), self._settings.workgroup
        enabled = athena.get_work_group(WorkGroup=name)["WorkGroup"]["State"] == "ENABLED"
        ids = athena.list_query_executions(WorkGroup=name, MaxResults=1)["QueryExecutionIds"]
        query = athena.get_query_execution(QueryExecutionId=ids[0])["QueryExecution"]["Status"] if ids else {}
        readable = [row for key, rows in self._rows.items() if self._is_in_catalogue(key) for row in rows]
        return {"state": "ready" if enabled else "STOPPED", "holds": len(readable), "unit": "rows to query",
                "passed": len({row.event_id for row in readable}), "says": "" if enabled else "its workgroup is disabled",
                "last": query and f"query {query['State']}", "last_at": query.get("SubmissionDateTime")}

    # The hops that carry. What they have not carried is what the hop before has and the hop behind has not.

    def _pipe(self) -> dict:
        pipe = self._ask("pipes").describe_pipe(Name=self._settings.pipe)
        waiting = [event.time for name, event in self._events.items() if name not in self._records]
        start = pipe["CreationTime"].replace(microsecond=0) if _starts_at_latest(pipe) else None  # as exact as events' times
        reason = pipe.get("StateReason", "")
        if "initiated" in reason.lower():  # "User initiated", as AWS's own example of a healthy pipe has it [C]
            reason = ""
        stale = self._table_stream and pipe["Source"] != self._table_stream.stream["StreamArn"]
        if stale:
            reason = reason or "its source is an earlier stream of the table: delete the pipe and create it anew"
        held_back = reason and _to_carry(waiting, start)  # a reason alone is no proof ([U] which ones AWS gives)
        now, wanted = pipe["CurrentState"], pipe["DesiredState"]
        if now.endswith("FAILED") or (now in ("RUNNING", "STOPPED") and now != wanted) or (now == "RUNNING" and (stale or held_back)):
            state = "BROKEN"
        else:
            state = {"RUNNING": "ready", "STOPPED": "STOPPED", "STOPPING": "STOPPED", "DELETING": "STOPPED"}.get(now, "getting ready")
        return self._carrying(state, reason or ("" if now == "RUNNING" else now), waiting, start, passed=len(self._events))

    def _delivery(self) -> dict:
        name = self._settings.delivery_stream
        stream = self._ask("firehose").describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
        status, trouble = stream["DeliveryStreamStatus"], stream.get("FailureDescription", {}).get("Details", "")
        waiting = [record.arrived for name, record in self._records.items()
                   if name not in self._delivered and name not in self._failed and not self._is_dropped(name, record.data)]
        start = stream["Source"]["KinesisStreamSourceDescription"]["DeliveryStartTimestamp"]
        if status.endswith("FAILED") or trouble:
            state = "BROKEN"
        else:
            state = {"ACTIVE": "ready", "CREATING": "getting ready"}.get(status, "STOPPED")
        return self._carrying(state, trouble or ("" if status == "ACTIVE" else status), waiting, start, passed=len(self._records))

    def _carrying(self, state: str, says: str, waiting: list[datetime], start: datetime | None, passed: int) -> dict:
        """The figures of a hop that carries: `waiting` are the times of what the hop before has and the one behind has not."""
        behind = _to_carry(waiting, start)
        if state == "ready" and behind:
            state = "flowing"
        return {"state": state, "passed": passed - len(waiting), "behind": len(behind), "lag_s": _seconds_since(behind),
                "skipped": len(waiting) - len(behind), "says": says}

    def _is_dropped(self, name: str, data: bytes) -> bool:
        if name not in self._dropped:
            self._dropped[name] = not unreadable(data) and transform_event(json.loads(data)) is None
        return self._dropped[name]

    def _crawler(self) -> dict:
        self._look_up_folders()
        crawler = self._ask("glue").get_crawler(Name=self._settings.crawler)["Crawler"]
        outside = [row for key, rows in self._rows.items() if not self._is_in_catalogue(key) for row in rows]
        last = crawler.get("LastCrawl", {})
        if crawler["State"] != "READY":
            state, says = "flowing", crawler["State"]
        elif last.get("Status") == "FAILED":
            state, says = "BROKEN", last.get("ErrorMessage", "")
        elif outside or not self._locations:
            state, says = "waiting", "start the crawler: it has not seen all folders" if last else "the crawler has not run yet"
        else:
            state, says = "ready", ""
        return {"state": state, "says": says, "behind": len({row.event_id for row in outside}), "holds": len(self._locations),
                "unit": "partitions" if self._is_partitioned else "tables",
                "lag_s": _seconds_since([row.time for row in outside]),
                "last": last and f"crawl {last['Status']}", "last_at": last.get("StartTime")}

    def _look_up_folders(self) -> None:
        """The locations of the catalogue's table, or of its partitions if it has some; none if there is no table."""
        glue, settings = self._ask("glue"), self._settings
        self._locations, self._is_partitioned = set(), False
        try:
            table = glue.get_table(DatabaseName=settings.database, Name=settings.lake_table)["Table"]
            self._is_partitioned = bool(table.get("PartitionKeys"))
            places = [table]
            if self._is_partitioned:
                pages = glue.get_paginator("get_partitions").paginate(DatabaseName=settings.database, TableName=settings.lake_table)
                places = [partition for page in pages for partition in page["Partitions"]]
            self._locations = {place["StorageDescriptor"]["Location"].rstrip("/") + "/" for place in places}
        except ClientError as error:
            if not says_gone(error):
                raise

    def _is_in_catalogue(self, key: str) -> bool:
        """Whether Athena reads this object: a table with partitions is read folder by folder, one without as a whole."""
        folder = f"s3://{self._settings.bucket}/{key.rpartition('/')[0]}/"
        return folder in self._locations if self._is_partitioned else any(map(folder.startswith, self._locations))


def _state_of(question: Callable[[], dict]) -> dict:
    """What a hop answers; also that it is not there, or that we may not ask."""
    try:
        return question()
    except ClientError as error:
        return {"state": "not built yet"} if says_gone(error) else {"state": "hidden", "says": str(error)}


def _seconds_since(times: list[datetime]) -> float:
    """How long ago the first of `times` was, s; 0 if there is none, or if AWS's clock is ahead of ours."""
    return max(0.0, (datetime.now(UTC) - min(times)).total_seconds()) if times else 0.0


def _to_carry(waiting: list[datetime], start: datetime | None) -> list[datetime]:
    """Of the times of what waits, those that a hop which starts at `start` will still carry; None: from the oldest on."""
    return [at for at in waiting if start is None or at >= start]


def _starts_at_latest(pipe: dict) -> bool:
    return pipe.get("SourceParameters", {}).get("DynamoDBStreamParameters", {}).get("StartingPosition") == "LATEST"


def _reading(caught_up: bool) -> str:
    return "" if caught_up else "there is more to read: measure again"


def _words(event: dict) -> str:
    """A change event in words, such as "MODIFY o-000123"."""
    return f"{event['eventName']} {next(iter(event['dynamodb']['Keys'].values())).get('S', '')}"


def _words_of(data: bytes) -> str:
    try:
        return _words(json.loads(data.decode()))
    except (ValueError, LookupError, TypeError, AttributeError, StopIteration, RecursionError):
        return "no change event"


def _row(line: str) -> _Row | None:
    """The row of a line of the lake, as Athena reads it: of several JSON objects the first (AWS_FACTS.md part 6 [C])."""
    try:
        row, _ = json.JSONDecoder().raw_decode(line)
        return _Row(row["event_id"], f"{row['event_name']} {row['orderid']}", int(row["sequence_number"]),
                    datetime.fromisoformat(row["event_time"]))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _failure(line: str) -> tuple[str, str] | None:
    """The record id and the error code of a line under the error prefix."""
    data = failed_data(line)
    return None if data is None else (record_id(data), json.loads(line).get("errorCode", ""))


# The picture. Lengths are inches, from the top left; sizes of type and widths of lines are points.
WIDTH, TITLE, WORDS_LEFT = 13.0, 1.05, 9.75
TUBE_LEFT, TUBE_WIDTH, TUBE = 3.25, 6.1, 0.46
PIPE, BESIDE = TUBE_LEFT + 0.45, TUBE_LEFT + 0.95  # the middle of the pipes between the tubes, and the words beside them
BIG, MIDDLE, SMALL, LINE = 18, 15, 13, 2.2
SHARDS_DRAWN = 4
PASSED = ({"facecolor": BLUE, "edgecolor": PAPER}, {"facecolor": INK, "edgecolor": PAPER, "hatch": "//"})  # shards take turns
FAILED = {"facecolor": PAPER, "edgecolor": INK, "hatch": "xx"}
SKIPPED = {"facecolor": QUIET, "edgecolor": INK, "hatch": ".."}
# The line around a state's name; none is as quiet as it gets.
EDGES = {"not built yet": "--", "getting ready": ":", "ready": None, "flowing": "-", "waiting": ":", "STOPPED": "-", "BROKEN": "-",
         "hidden": "--"}


@style.context("default")  # whatever style the chapter has set up, whose hatches have the paper's colour
def draw(frame: pd.DataFrame) -> Figure:
    """The figures of `measure` as a picture to be read from afar and without colour.

    Hops that hold are glass tubes, filled as far as the changes got; hops that carry are the pipes between them. A state has a
    mark, a word and a line of its own.
    """
    height = TITLE + sum(_height(name) for name in frame.index)
    figure = Figure(figsize=(WIDTH, height), dpi=100, facecolor=PAPER, layout="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    _text(axes, 0.25, 0.4, summary(frame), BIG + 3, weight="bold")
    _text(axes, 0.25, 0.8, f"at {frame['at'].iloc[0]:%H:%M:%S} UTC")
    _draw_legend(axes)
    figures = frame[["passed", "behind", "failed", "skipped"]].fillna(0)
    skipped = figures["skipped"].cumsum()  # what one hop never carried is missing in all that follow
    whole = max(1, int((figures[["passed", "behind", "failed"]].sum(axis="columns") + skipped).max()))
    top = TITLE
    for name, hop in frame.iterrows():
        _text(axes, 0.25, top + 0.31, name, BIG if name not in JOINTS else MIDDLE + 1, weight="bold",
              style="italic" if name in JOINTS else "normal")
        if name in JOINTS:
            _draw_pipe(axes, top, hop)
        elif name == "DynamoDB":
            _draw_table(axes, top, hop)
        else:
            _draw_tube(axes, top, hop, skipped[name], whole)
        if name != "DynamoDB" and pd.notna(hop["holds"]):
            _text(axes, 0.25, top + 0.66, _holds(hop), MIDDLE)
        _draw_state(axes, top, hop)
        top += _height(name)
    return figure


def _draw_legend(axes) -> None:
    for x, text, look in ((TUBE_LEFT, "passed", PASSED[0]), (TUBE_LEFT + 1.45, "not here yet", {"facecolor": PAPER, "edgecolor": INK}),
                          (TUBE_LEFT + 3.35, "failed", FAILED), (TUBE_LEFT + 4.65, "came before the hop: never carried", SKIPPED)):
        axes.add_patch(Rectangle((x, 0.7), 0.4, 0.2, linewidth=1, **look))
        _text(axes, x + 0.5, 0.8, text)


def _height(name: str) -> float:
    return 0.88 if name in JOINTS else 1.04


def _text(axes, x: float, y: float, text: str, size: float = SMALL, **style) -> None:
    axes.text(x, y, text, fontsize=size, **{"color": INK, "va": "center", **style})


def _draw_table(axes, top: float, hop: pd.Series) -> None:
    """Its orders in a box with a head, as tables have: they are no changes, so they have not the tubes' scale."""
    there = hop["state"] != "not built yet"
    y, deep, wide = top + 0.06, 0.56, 3.2
    line = {"edgecolor": INK, "linewidth": LINE, "linestyle": "-" if there else "--"}
    axes.add_patch(Rectangle((TUBE_LEFT, y), wide, deep, facecolor=PAPER, **line))
    axes.add_patch(Rectangle((TUBE_LEFT, y), wide, 0.11, facecolor=INK if there else PAPER, **line))
    if pd.notna(hop["holds"]):
        _text(axes, TUBE_LEFT + wide / 2, y + 0.35, _holds(hop), BIG, weight="bold", ha="center")
    _walls(axes, [(y + deep, top + _height("DynamoDB") + 0.06)], there)


def _walls(axes, pieces: list[tuple[float, float]], there: bool) -> None:
    """The two walls of a pipe, in pieces from one height to another."""
    for x in (PIPE - 0.15, PIPE + 0.15):
        for piece in pieces:
            axes.plot([x, x], piece, color=INK, linewidth=LINE, linestyle="-" if there else "--", solid_capstyle="butt")


def _draw_tube(axes, top: float, hop: pd.Series, skipped: int, whole: int) -> None:
    """A tube as long as all changes, with what passed (by shard, if there are some), what failed, and what was skipped before it."""
    there, y = hop["state"] != "not built yet", top + 0.06
    scale, left = TUBE_WIDTH / whole, TUBE_LEFT
    for text, count, look in _contents(hop, skipped) if there else ():
        axes.add_patch(Rectangle((left, y), count * scale, TUBE, linewidth=0, **look))
        if len(text) * 0.17 < count * scale:
            _text(axes, left + count * scale / 2, y + TUBE / 2, text, BIG - 1, weight="bold", ha="center",
                  color=INK if look["facecolor"] == PAPER else PAPER,
                  bbox={"boxstyle": "square,pad=0.15", "facecolor": look["facecolor"], "edgecolor": "none"})
        left += count * scale
    axes.add_patch(FancyBboxPatch((TUBE_LEFT, y), TUBE_WIDTH, TUBE, boxstyle="round,pad=0,rounding_size=0.05", facecolor="none",
                                  edgecolor=INK, linewidth=LINE, linestyle="-" if there else "--"))
    if there and not hop["passed"]:
        _text(axes, TUBE_LEFT + 0.15, y + TUBE / 2, "0", BIG - 1, weight="bold")
    _text(axes, BESIDE, y + TUBE + 0.22, _last(hop, 26))


def _contents(hop: pd.Series, skipped: int) -> Iterator[tuple[str, float, dict]]:
    """What fills a tube, from the left: text, how many, how it looks."""
    passed, failed = (0 if pd.isna(hop[name]) else int(hop[name]) for name in ("passed", "failed"))
    shards = hop["by_shard"] if isinstance(hop["by_shard"], dict) else {}
    if 1 < len(shards) <= SHARDS_DRAWN and any(shards.values()):
        for number, count in enumerate(shards.values()):
            yield f"shard {number}: {count:,}", passed * count / sum(shards.values()), PASSED[number % 2]
    else:
        yield f"{passed:,}", passed, PASSED[0]
    yield f"{failed:,}", failed, FAILED
    yield "", skipped, SKIPPED


def _last(hop: pd.Series, letters: int | None = None) -> str:
    """The last record, cut to so many letters, and when it was."""
    last = hop["last"] if letters is None or len(hop["last"]) <= letters else hop["last"][:letters - 1] + "…"
    return f"last: {last} at {hop['last_at']:%H:%M:%S}" if last else ""


def _by_shard(hop: pd.Series) -> str:
    """The records of every shard, or of the emptiest and the fullest if there are many."""
    counts = list(hop["by_shard"].values()) if isinstance(hop["by_shard"], dict) else []
    if len(counts) > 6:
        return f"{len(counts)} shards: from {min(counts):,} to {max(counts):,}"
    return "by shard: " + " / ".join(f"{count:,}" for count in counts) if counts else ""


def _draw_pipe(axes, top: float, hop: pd.Series) -> None:
    """A pipe down from one tube to the next: open with an arrow, cut where it is broken, with a bar across where it is stopped."""
    there, ends = hop["state"] != "not built yet", (top - 0.52, top + _height("Glue") + 0.06)
    if hop["state"] == "BROKEN":
        _walls(axes, [(ends[0], top + 0.08), (top + 0.68, ends[1])], there)
        _text(axes, PIPE, top + 0.38, MARKS["BROKEN"], BIG + 10, ha="center")
    else:
        _walls(axes, [ends], there)
    flows = hop["state"] == "flowing"
    if flows:
        axes.add_patch(Rectangle((PIPE - 0.15, ends[0]), 0.3, ends[1] - ends[0], facecolor=BLUE))
    if hop["state"] == "STOPPED":
        axes.add_patch(Rectangle((PIPE - 0.4, top + 0.26), 0.8, 0.2, facecolor=INK))
    elif hop["state"] in ("ready", "flowing", "waiting"):
        axes.add_patch(FancyArrowPatch((PIPE, top - 0.02), (PIPE, top + 0.8), arrowstyle="-|>", mutation_scale=24, linewidth=3,
                                       color=PAPER if flows else INK))
    if pd.notna(hop["behind"]):
        _text(axes, BESIDE, top + 0.24, _behind(hop), MIDDLE, weight="bold")
    if hop["says"]:
        _says(axes, BESIDE, top + 0.42, hop["says"], wide=56)
    elif pd.notna(hop["skipped"]) and hop["skipped"]:
        _text(axes, BESIDE, top + 0.58, _skipped(hop))


def _holds(hop: pd.Series) -> str:
    return f"{hop['holds']:,} {hop['unit'] if hop['holds'] != 1 else hop['unit'].removesuffix('s')}"


def _behind(hop: pd.Series) -> str:
    return f"{hop['behind']:,} behind, the oldest by {hop['lag_s']:,.0f} s" if hop["behind"] else "nothing behind"


def _skipped(hop: pd.Series) -> str:
    return f"{hop['skipped']:,} came before it: never carried"


def _draw_state(axes, top: float, hop: pd.Series) -> None:
    look, text = EDGES[hop["state"]], f"{MARKS[hop['state']]} {hop['state']}"
    dark = hop["state"] in ("STOPPED", "BROKEN")
    box = look and {"boxstyle": "round,pad=0.3", "facecolor": INK if dark else PAPER, "edgecolor": INK, "linewidth": LINE,
                    "linestyle": look}
    _text(axes, WORDS_LEFT, top + 0.29, text, MIDDLE + 1, weight="bold", color=PAPER if dark else INK, bbox=box)
    if hop.name not in JOINTS:
        _says(axes, WORDS_LEFT - 0.1, top + 0.55, hop["says"] or _by_shard(hop), wide=34)


def _says(axes, x: float, y: float, text: str, wide: int) -> None:
    """What a service says, as much of it as two lines of `wide` letters hold."""
    lines = textwrap.wrap(_short(text), wide, max_lines=2, placeholder=" …")
    _text(axes, x, y, "\n".join(lines), va="top", linespacing=1.05)


def _short(text: str) -> str:
    """A service's words without what makes them long: ARNs, and how it says that a role may not do something."""
    text = re.sub(r"User: \S*assumed-role/([^/\s]+)/\S* is not authorized to perform: (\S+).*", r"\1 may not \2", text, flags=re.S)
    return re.sub(r"arn:[\w-]+:[\w-]+:[\w-]*:\d*:", "", text)


def summary(frame: pd.DataFrame) -> str:
    """The pipeline in one sentence: what is wrong, else how far the changes are."""
    wrong = frame.index[frame["state"].isin(["BROKEN", "STOPPED", "hidden"])]
    if len(wrong):
        named = ", ".join(f"{name} is {frame.at[name, 'state']}" for name in wrong[:2])
        return named + (f", and {len(wrong) - 2} more" if len(wrong) > 2 else "")
    made, crawled = frame.at["DynamoDB Streams", "passed"], frame.at["Glue", "behind"]
    carried = frame.loc[["EventBridge", "Firehose"], "behind"].sum()
    if pd.isna(made):
        return "No change is captured yet"
    on_the_way = f"{carried:,} on the way" if carried else "nothing on the way"
    return f"{made:,} changes captured, {on_the_way}" + (f", {crawled:,} not crawled" if pd.notna(crawled) and crawled else "")


def words(frame: pd.DataFrame) -> str:
    """The picture for those who do not see it: `summary` and a line a hop."""
    return "\n".join([f"The glass pipeline. {summary(frame)}.", *(_hop_in_words(name, hop) for name, hop in frame.iterrows())])


def _hop_in_words(name: str, hop: pd.Series) -> str:
    said = [f"{name}: {hop['state']}"]
    if pd.notna(hop["holds"]):
        said.append(_holds(hop))
    if pd.notna(hop["behind"]):
        said.append(_behind(hop))
    if pd.notna(hop["skipped"]) and hop["skipped"]:
        said.append(_skipped(hop))
    said += filter(None, [_by_shard(hop), _last(hop), _short(hop["says"])])
    return "; ".join(said)


@style.context("default")
def png(frame: pd.DataFrame) -> bytes:
    """The picture as a PNG file, the same for the same figures; of few colours, so a third of the bytes in every notebook."""
    drawn, file = io.BytesIO(), io.BytesIO()
    draw(frame).savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    return file.getvalue()


def _output(frame: pd.DataFrame) -> dict:
    """The picture as a notebook's output: PNG, and words for those who do not see it, as text and as the picture's alt text."""
    said = words(frame)
    return {"data": {"image/png": base64.b64encode(png(frame)).decode(), "text/plain": said}, "metadata": {"image/png": {"alt": said}}}


def show(aws: Aws) -> None:
    """Measure and display the picture, once."""
    output = _output(measure(aws))
    display(output["data"], metadata=output["metadata"], raw=True)


@contextmanager
def live(aws: Aws, every: float = 1.0) -> Iterator[None]:
    """While the block runs, draw the pipeline anew every `every` seconds in one place; when it ends, once more.

    A measurement that fails is tried again and never disturbs the block; how many failed, and why, is said at its end. Without a
    notebook only the end is shown.
    """
    failures, done = [], threading.Event()

    def draw_once() -> None:
        try:
            output = _output(measure(aws))
        except Exception as error:  # whatever it is, the block goes on, and its owner hears of it
            failures.append(error)
            return
        if handle is not None:
            handle.update(output["data"], metadata=output["metadata"], raw=True)
        elif done.is_set():
            print(output["data"]["text/plain"])

    def keep_drawing() -> None:
        while not done.wait(every):
            draw_once()

    first = {"text/plain": "The glass pipeline is measured for the first time."}
    handle = display(first, raw=True, display_id=True) if get_ipython() else None
    draw_once()  # here, in the caller's thread: boto3 makes clients in one thread only
    watcher = threading.Thread(target=keep_drawing, name="glass", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        draw_once()
        if failures:
            print(f"The glass pipeline could not be drawn {len(failures)} times; the last time: "
                  f"{type(failures[-1]).__name__}: {failures[-1]}")
