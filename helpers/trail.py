"""The trail of one change event: where has it been seen by now, and when? It looks, and judges nothing; `doctor` does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from .clean_up import says_gone
from .look import change_events, failed_data, objects, orderid, piped, read_object, shard_records, table_stream_arn
from .session import Aws
from .transform import Unreadable, transform_event

SKEW = timedelta(seconds=2)  # a change event's time is cut to whole seconds, and the services' clocks differ a little


@dataclass(frozen=True)
class Record:
    """It on the stream: its shard, partition key, time of arrival (UTC) and data."""

    shard: str
    partition_key: str
    arrived: datetime
    data: bytes


@dataclass(frozen=True)
class Line:
    """It in an object of the bucket: the object's key, when that was written (UTC), and the line as it is, newline included."""

    key: str
    written: datetime
    text: str


class Trail:
    """Where one change event has been seen, each time `look` was called.

    orderid    the order whose newest change is followed. One that is no order's, but the partition key of a record that somebody
               put into the stream, is followed from there. None: the newest change of any order that makes a row
    event      the change event in the table's stream (which keeps it 24 hours), as GetRecords gives it
    record     the Record on the stream
    delivered  the Line in the lake
    failed     the Line under the error prefix
    """

    def __init__(self, aws: Aws, orderid: str | None = None):
        self.aws, self.orderid = aws, orderid
        self.event: dict | None = None
        self.record: Record | None = None
        self.delivered: Line | None = None
        self.failed: Line | None = None
        self._read: set[str] = set()  # keys of objects that it is not in

    @property
    def made(self) -> datetime | None:
        """When the change was made, to the second."""
        return self.event["dynamodb"]["ApproximateCreationDateTime"] if self.event else None

    @property
    def row(self) -> dict | None:
        """The row that the transform has to make of it, {} if it drops it; None if it cannot read it, or the event is not known."""
        return row_of(self.event, self.aws.settings.table_arn) if self.event else None

    @property
    def reached(self) -> int:
        """How far it has come: 0 no further than the table's stream, 1 the stream, 2 the bucket."""
        return 2 if self.delivered or self.failed else 1 if self.record else 0

    def look(self) -> int:
        """Look for it where it has not been seen yet. Returns `reached`. A hop that is not there has not seen it."""
        self.event = self.event or self._find(self._find_event)
        if self.orderid and self.reached < 2:
            settings = self.aws.settings
            self.record = self.record or self._find(self._find_record)
            self.delivered = self._find(lambda: self._find_line(settings.lake_prefix, self._names_it))
            if not self.delivered:  # what failed once and was replayed lies in both places
                self.failed = self._find(lambda: self._find_line(settings.error_prefix, self._has_its_data))
        return self.reached

    def _find(self, find: Callable):
        try:
            return find()
        except LookupError:  # the table's stream is off
            return None
        except ClientError as error:
            if not says_gone(error):
                raise
            return None

    def _find_event(self) -> dict | None:
        events, arn = change_events(self.aws), table_stream_arn(self.aws)
        for event in reversed(events):
            if orderid(event) == self.orderid or self.orderid is None and row_of(event, arn):
                self.orderid = orderid(event)
                return event
        return None

    @property
    def _name(self) -> str:
        """What stands in its record and in its row, as JSON spells it: the event's id, or else the order's."""
        return json.dumps(self.event["eventID"] if self.event else self.orderid)

    @property
    def _since(self) -> datetime | None:
        return self.made - SKEW if self.made else None

    def _find_record(self) -> Record | None:
        name = self._name.encode()
        for found in reversed(list(shard_records(self.aws, since=self._since).itertuples())):
            if name in found.data or not self.event and found.partition_key == self.orderid:
                return Record(found.shard, found.partition_key, found.arrived, found.data)
        return None

    def _find_line(self, prefix: str, is_it: Callable[[str], bool]) -> Line | None:
        """The newest object's line that `is_it`, under `prefix`, in objects not read before and no older than the change."""
        for item in objects(self.aws, prefix).sort_values("written", ascending=False).itertuples():
            if item.key in self._read or self._since and item.written < self._since:
                continue
            with suppress(UnicodeDecodeError):  # no text, so no line
                for text in io.StringIO(read_object(self.aws, item.key), newline="\n"):
                    if is_it(text):
                        return Line(item.key, item.written, text)
            self._read.add(item.key)
        return None

    def _names_it(self, line: str) -> bool:
        return self._name in line

    def _has_its_data(self, line: str) -> bool:
        data = failed_data(line)
        if data is None:
            return False
        return data == self.record.data if self.record else self._name.encode() in data


def row_of(event: dict, stream_arn: str) -> dict | None:
    """The row that the transform makes of a change event; {} if it drops it, None if it cannot read it."""
    try:
        return transform_event(piped(event, stream_arn)) or {}
    except Unreadable:
        return None
