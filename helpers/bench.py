"""`make bench`: how fast the pipeline is here, in figures that stand beside something measured in the same run."""

import json
import platform
import time

import numpy as np
import pandas as pd

from . import chapters
from .localaws import LocalAws
from .look import change_events, objects, read_object, sequence_number
from .orders import OrderSource, empty_table, plan, read_products
from .session import Aws, connect
from .settings import Settings
from .waits import wait_until

CHANGES = 20_000
LATENCY_RATE, LATENCY_SECONDS = 100, 20


def main(local: LocalAws, start_seconds: float) -> None:
    """Measure on a local AWS that was just started in `start_seconds`, and print one table."""
    settings = Settings(changes=50, rate=0)
    chapters.run([chapter for chapter in chapters.CHAPTERS if "01" <= chapter.number <= "05"], settings, chapters.RUNS / "bench")
    aws = connect(settings)
    alone = writer_alone(aws)
    end_to_end = pipeline(aws)
    latencies = latency(aws)
    rows = [
        ("orders written per second, writer alone", f"{alone:,.0f}"),
        ("changes per second, order to lake", f"{end_to_end:,.0f}"),
        ("ratio of the two", f"{end_to_end / alone:.2f}"),
        (f"write to object at {LATENCY_RATE}/s, median", f"{np.percentile(latencies, 50):.1f} s"),
        ("write to object, 95th percentile", f"{np.percentile(latencies, 95):.1f} s"),
        ("one S3 buffer interval on this clock", f"{aws.real(60):.1f} s"),
        ("start of the local AWS to its first answer", f"{start_seconds:.2f} s"),
        ("its memory now, all processes", f"{local.status().memory() / 2**20:.0f} MiB"),
    ]
    print(f"\n{platform.system()} {platform.machine()}, Python {platform.python_version()}, {CHANGES:,} changes, "
          f"clock {aws.clock_scale:g} : 1")
    for name, value in rows:
        print(f"{name:<46}{value:>10}")


def writer_alone(aws: Aws) -> float:
    """Changes per second that the order source makes in a table that nothing reads."""
    dynamodb, name = aws.client("dynamodb"), f"{aws.settings.prefix}-bench-table"
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST",
                          KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
                          AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}])
    try:
        return CHANGES / _publish(aws.session.resource("dynamodb").Table(name), CHANGES, rate=0)
    finally:
        dynamodb.delete_table(TableName=name)


def pipeline(aws: Aws) -> float:
    """Changes per second from the first write to the last record's object, with the same writer."""
    empty_table(aws.table(), progress=False)
    lake = Lake(aws)
    started = time.monotonic()
    _publish(aws.table(), CHANGES, rate=0)
    wait_until(f"{CHANGES:,} changes are in the lake", lambda: len(lake.refresh()) == CHANGES, timeout=600, every=0.5)
    return CHANGES / (time.monotonic() - started)


def latency(aws: Aws) -> np.ndarray:
    """Seconds from a change (whole seconds, as DynamoDB writes them) to its object in S3, for a steady trickle of changes."""
    empty_table(aws.table(), progress=False)
    lake, count = Lake(aws), LATENCY_RATE * LATENCY_SECONDS
    _publish(aws.table(), count, rate=LATENCY_RATE)
    wait_until(f"{count:,} changes are in the lake", lambda: len(lake.refresh()) == count, every=0.5)
    written = objects(aws, aws.settings.lake_prefix).set_index("key")["written"]
    rows = [(record["event_time"], key) for key, record in lake.refresh().values()]
    frame = pd.DataFrame(rows, columns=["changed", "key"])
    return (frame["key"].map(written) - pd.to_datetime(frame["changed"])).dt.total_seconds().to_numpy()


def _publish(table, changes: int, rate: float) -> float:
    """Seconds in which the order source makes `changes` changes."""
    source = OrderSource(table, plan(7, changes, read_products()))
    started = time.monotonic()
    source.publish(rate=rate, progress=False)
    return time.monotonic() - started


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
