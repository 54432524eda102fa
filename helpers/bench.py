"""`make bench`: how fast the local AWS is here, in figures that stand beside something measured in the same run.

Each figure has a target beside it; one that is missed is said to be missed and is no error. With `--write` the table takes the
place of the one between the marks in helpers/localaws/README.md.
"""

import json
import os
import platform
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import boto3
import numpy as np

from . import chapters
from .localaws import LocalAws
from .localaws.bench import athena_ratio
from .look import change_events, objects, read_object, sequence_number
from .marks import put_between_marks
from .orders import OrderSource, empty_table, plan, read_products
from .session import Aws, connect
from .settings import Settings
from .waits import wait_until

CHANGES, MANY_CHANGES = 20_000, 100_000
LATENCY_RATE, LATENCY_SECONDS = 100, 20
IDLE_SECONDS = 60
S3_BUFFER_SECONDS = 60  # of chapter 05, on AWS's clock
PAGE = Path(__file__).parent / "localaws" / "README.md"


@dataclass(frozen=True)
class Figure:
    """One row: what was measured, its value as `form` writes it, and the bound it is held to, if there is one."""

    what: str
    value: float
    form: str = "{:,.0f}"
    at_most: float | None = None
    at_least: float | None = None

    @property
    def cells(self) -> tuple[str, str, str, str]:
        bound = self.at_most if self.at_least is None else self.at_least
        if bound is None:
            return self.what, self.form.format(self.value), "", ""
        held = self.value <= bound if self.at_least is None else self.value >= bound
        return (self.what, self.form.format(self.value), ("at most " if self.at_least is None else "at least ") + self.form.format(bound),
                "yes" if held else "NO")


def main(local: LocalAws, start_seconds: float, write: bool = False) -> None:
    """Measure on a local AWS that was just started in `start_seconds`, and print one table."""
    figures = [Figure("start to the first answered request", start_seconds + first_answer(local), "{:.2f} s", at_most=1.5)]
    settings = Settings()
    chapters.run([chapter for chapter in chapters.CHAPTERS if chapter.number <= "07"], settings, chapters.RUNS / "bench")
    aws = connect(settings)
    figures += [Figure("memory of all its processes after chapters 00 to 07", local.status().memory() / 2**20, "{:.0f} MiB", at_most=350),
                Figure(f"memory that {IDLE_SECONDS} s without work add", grown_idle(local), "{:.1f} MiB", at_most=2)]
    figures += speed(aws) + latencies(aws) + scaling(aws) + athena(local)
    table = "\n".join(_lines(figures, machine(aws)))
    print(f"\n{table}")
    if write:
        put_between_marks(PAGE, "bench", table)


def first_answer(local: LocalAws) -> float:
    """Seconds of one request to one that runs."""
    found = local.status()
    client = boto3.client("dynamodb", endpoint_url=found.endpoint, region_name=found.region, aws_access_key_id=found.account,
                          aws_secret_access_key="test")
    started = time.monotonic()
    client.list_tables()
    return time.monotonic() - started


def machine(aws: Aws) -> str:
    try:
        processor = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.M)[1]
    except (OSError, TypeError):  # no Linux, or a processor without a name
        processor = platform.processor() or platform.machine()
    return (f"{processor}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores, "
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}; the clock at {aws.clock_scale:g} : 1, "
            f"so one S3 buffer interval of chapter 05 is {aws.real(S3_BUFFER_SECONDS):g} s")


def _lines(figures: list[Figure], where: str) -> list[str]:
    rows = [("figure", "here", "target", "held"), *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    return [f"Measured on {where}.", "", lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def grown_idle(local: LocalAws) -> float:
    """MiB that its memory grows while nothing is asked of it."""
    time.sleep(10)  # what the last chapter left to do is done
    before = local.status().memory()
    time.sleep(IDLE_SECONDS)
    return (local.status().memory() - before) / 2**20


def speed(aws: Aws) -> list[Figure]:
    """The workbook's own writer, alone and with the pipeline behind it."""
    alone = with_table_of_its_own(aws, lambda table: CHANGES / _publish(table, CHANGES))
    empty_table(aws.table(), progress=False)
    through = CHANGES / until_in_the_lake(aws, CHANGES, lambda: _publish(aws.table(), CHANGES))
    return [Figure(f"order source alone: changes per second, of {CHANGES:,}", alone),
            Figure("order source to lake: changes per second", through),
            Figure("the second over the first", through / alone, "{:.2f}", at_least=0.45)]


def scaling(aws: Aws) -> list[Figure]:
    """The fastest writer there is, batches of 25 puts, so that nothing but the pipeline itself is the bound."""
    alone = with_table_of_its_own(aws, lambda table: CHANGES / _put_batches(aws, table.name, CHANGES, "alone"))
    few = until_in_the_lake(aws, CHANGES, lambda: _put_batches(aws, aws.settings.table, CHANGES, "few"))
    many = until_in_the_lake(aws, MANY_CHANGES, lambda: _put_batches(aws, aws.settings.table, MANY_CHANGES, "many"))
    return [Figure("batches of puts alone: changes per second", alone),
            Figure(f"batches of puts to lake: changes per second, of {CHANGES:,}", CHANGES / few),
            Figure(f"batches of puts to lake: changes per second, of {MANY_CHANGES:,}", MANY_CHANGES / many),
            Figure("the last over the writer alone", MANY_CHANGES / many / alone, "{:.2f}"),
            Figure(f"time of {MANY_CHANGES:,} changes over that of {CHANGES:,}", many / few, "{:.1f}", at_most=5.5)]


def latencies(aws: Aws) -> list[Figure]:
    """Write to object, with the function's buffer at 0 s and as chapter 05 has it: that buffer lies in front of S3's."""
    bound, figures = aws.real(S3_BUFFER_SECONDS) + 1, []
    for buffer, words, target in (("0", "function's buffer at 0 s", bound), (None, "buffers of chapter 05", None)):
        before = set_function_buffer(aws, buffer) if buffer else None
        seconds = latency(aws)
        if before:
            set_function_buffer(aws, before)
        figures += [Figure(f"write to object at {LATENCY_RATE}/s, {words}: median", float(np.percentile(seconds, 50)), "{:.1f} s"),
                    Figure(f"write to object at {LATENCY_RATE}/s, {words}: 95 %", float(np.percentile(seconds, 95)), "{:.1f} s", target)]
    return figures


def athena(local: LocalAws) -> list[Figure]:
    found = athena_ratio(local)
    rest = [Figure(f"Athena: {name}", value, "{:.2f}") for name, value in found.items() if name != "ratio"]
    return [*rest, Figure("Athena, a later query over DuckDB alone, a million JSON lines in 50 objects", found["ratio"], "{:.2f}", at_most=1.3)]


def with_table_of_its_own(aws: Aws, measure: Callable[[object], float]) -> float:
    """`measure` of a boto3 Table that nothing reads."""
    dynamodb, name = aws.client("dynamodb"), f"{aws.settings.prefix}-bench-table"
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST",
                          KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
                          AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}])
    try:
        return measure(aws.session.resource("dynamodb").Table(name))
    finally:
        dynamodb.delete_table(TableName=name)


def until_in_the_lake(aws: Aws, changes: int, write: Callable[[], object]) -> float:
    """Seconds from the first write to the last record's object."""
    lake = Lake(aws)
    started = time.monotonic()
    write()
    wait_until(f"{changes:,} changes are in the lake", lambda: len(lake.refresh()) == changes, timeout=600, every=0.5)
    return time.monotonic() - started


def latency(aws: Aws) -> np.ndarray:
    """Seconds from the moment a change is sent to that in which its object is listed, for a steady trickle of changes."""
    client, lake, listed, done = aws.client("dynamodb"), Lake(aws), {}, threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            for key in objects(aws, aws.settings.lake_prefix)["key"]:
                listed.setdefault(key, time.time())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    sent, started, run = {}, time.monotonic(), f"latency-{time.time_ns()}"
    for number in range(LATENCY_RATE * LATENCY_SECONDS):
        time.sleep(max(0.0, started + number / LATENCY_RATE - time.monotonic()))
        sent[f"{run}-{number}"] = time.time()
        client.put_item(TableName=aws.settings.table, Item=_item(f"{run}-{number}"))
    try:
        wait_until(f"{len(sent):,} changes are in the lake", lambda: len(lake.refresh()) == len(sent), every=0.5)
    finally:
        done.set()
        watcher.join()
    return np.array([listed[key] - sent[record["orderid"]] for key, record in lake.refresh().values()])


def set_function_buffer(aws: Aws, seconds: str) -> str:
    """Set the interval of the delivery stream's function buffer, in AWS's seconds; what it was before."""
    firehose, name = aws.client("firehose"), aws.settings.delivery_stream
    stream = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    destination = stream["Destinations"][0]
    processing = destination["ExtendedS3DestinationDescription"]["ProcessingConfiguration"]
    [interval] = [parameter for processor in processing["Processors"] for parameter in processor["Parameters"]
                  if parameter["ParameterName"] == "BufferIntervalInSeconds"]
    before, interval["ParameterValue"] = interval["ParameterValue"], seconds
    firehose.update_destination(DeliveryStreamName=name, CurrentDeliveryStreamVersionId=stream["VersionId"],
                                DestinationId=destination["DestinationId"],
                                ExtendedS3DestinationUpdate={"ProcessingConfiguration": processing})
    return before


def _publish(table, changes: int) -> float:
    """Seconds in which the order source makes `changes` changes."""
    source = OrderSource(table, plan(7, changes, read_products()))
    started = time.monotonic()
    source.publish(progress=False)
    return time.monotonic() - started


def _put_batches(aws: Aws, table: str, changes: int, run: str) -> float:
    """Seconds in which `changes` orders are put."""
    client, started = aws.client("dynamodb"), time.monotonic()
    for first in range(0, changes, 25):
        puts = [{"PutRequest": {"Item": _item(f"{run}-{number}")}} for number in range(first, min(first + 25, changes))]
        while puts:
            puts = client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"].get(table)
    return time.monotonic() - started


def _item(orderid: str) -> dict:
    return {"orderid": {"S": orderid}, "product_name": {"S": "Mechanical keyboard"}, "quantity": {"N": "3"}, "price": {"N": "49.9"}}


class Lake:
    """The changes that reached the lake since this was made, by event id: the object and the record. Objects are read once."""

    def __init__(self, aws: Aws):
        self._aws, self._after = aws, max(map(sequence_number, change_events(aws)), default=0)
        self._read, self._records = set(objects(aws, aws.settings.lake_prefix)["key"]), {}

    def refresh(self) -> dict[str, tuple[str, dict]]:
        for key in set(objects(self._aws, self._aws.settings.lake_prefix)["key"]) - self._read:
            self._read.add(key)
            for record in map(json.loads, read_object(self._aws, key).rstrip("\n").split("\n")):
                if int(record["sequence_number"]) > self._after:  # not what was emptied before
                    self._records[record["event_id"]] = (key, record)
        return self._records
