"""The trail of one change event: where has it been seen by now, and when? It looks, and judges nothing; `doctor` does."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from botocore.exceptions import ClientError

from .look import change_events, objects, piped, read_object, shard_records, table_stream_arn
from .session import Aws
from .transform import Unreadable, transform_event

SKEW = timedelta(seconds=2)  # a change event's time is cut to whole seconds, and clocks of services differ a little


@dataclass(frozen=True)
class Record:
    """It on the stream: its shard, partition key, time of arrival (UTC) and data."""

    shard: str
    partition_key: str
    arrived: datetime
    data: bytes


@dataclass(frozen=True)
class Line:
    """It in an object of the bucket: the object's key, when it was written (UTC), and the line as it is, newline included."""

    key: str
    written: datetime
    text: str


class Trail:
    """Where one change event has been seen. What was seen once is remembered; what was not is looked for again when asked.

    orderid  the order whose newest change is followed; one that is no order but a record's partition key is found on the
             stream too. None: the newest change of any order that makes a row
    """

    def __init__(self, aws: Aws, orderid: str | None = None):
        self.aws, self._wanted = aws, orderid
        self._seen: dict[str, object] = {}
        self._read: set[str] = set()  # keys of objects that were read, and it is not in them

    @property
    def event(self) -> dict | None:
        """The change event, as GetRecords gives it; None if the table's stream (24 hours) holds none of this order."""
        return self._once("event", self._find_event)

    def _find_event(self) -> dict | None:
        try:
            events, arn = change_events(self.aws), table_stream_arn(self.aws)
        except (LookupError, ClientError):  # no stream, no table: the doctor says so where it looks at them
            return None
        if self._wanted:
            events = [event for event in events if event["dynamodb"]["Keys"].get("orderid", {}).get("S") == self._wanted]
        return next((event for event in reversed(events) if self._wanted or row_of(event, arn)), None)

    @property
    def orderid(self) -> str | None:
        return self._wanted or (self.event and self.event["dynamodb"]["Keys"]["orderid"]["S"])

    @property
    def made(self) -> datetime | None:
        """When the change was made, to the second."""
        return self.event["dynamodb"]["ApproximateCreationDateTime"] if self.event else None

    @property
    def row(self) -> dict | None:
        """The row that the transform has to make of it; None if it drops it."""
        return row_of(self.event, self.aws.settings.table_arn) if self.event else None

    @property
    def record(self) -> Record | None:
        return self._once("record", self._find_record)

    @property
    def delivered(self) -> Line | None:
        """Its row in the lake."""
        return self._once("delivered", lambda: self._find_line(self.aws.settings.lake_prefix, self._named_in))

    @property
    def failed(self) -> tuple[Line, dict] | None:
        """It under the error prefix: the line, and what it says: errorCode, errorMessage, attemptsMade, rawData."""
        found = self._once("failed", lambda: self._find_line(self.aws.settings.error_prefix, self._is_raw_data_of))
        return found and (found, json.loads(found.text))

    @property
    def reached(self) -> int:
        """How far it has come: 0 no further than the table's stream, 1 the stream, 2 the bucket."""
        return 2 if self.delivered or self.failed else 1 if self.record else 0

    def _once(self, name: str, find):
        if self._seen.get(name) is None:
            self._seen[name] = find()
        return self._seen[name]

    @property
    def _since(self) -> datetime | None:
        return self.made - SKEW if self.made else None

    @property
    def _needle(self) -> bytes:
        return json.dumps(self.event["eventID"] if self.event else self._wanted).encode()

    def _find_record(self) -> Record | None:
        try:
            records = shard_records(self.aws, since=self._since)
        except ClientError as error:
            if "NotFound" not in error.response["Error"]["Code"]:
                raise
            return None
        for found in reversed(list(records.itertuples())):
            if self._needle in found.data or not self.event and found.partition_key == self._wanted:
                return Record(found.shard, found.partition_key, found.arrived, found.data)
        return None

    def _find_line(self, prefix: str, is_it) -> Line | None:
        """The newest line under `prefix` that `is_it`, in objects not read before and no older than the change."""
        try:
            listed = objects(self.aws, prefix)
        except ClientError as error:
            if "NoSuchBucket" not in error.response["Error"]["Code"]:
                raise
            return None
        for item in listed.sort_values("written", ascending=False).itertuples():
            if item.key in self._read or self._since and item.written < self._since:
                continue
            for text in io.StringIO(read_object(self.aws, item.key), newline="\n"):
                if is_it(text):
                    return Line(item.key, item.written, text)
            self._read.add(item.key)
        return None

    def _named_in(self, line: str) -> bool:
        return self._needle.decode() in line

    def _is_raw_data_of(self, line: str) -> bool:
        raw = base64.b64decode(json.loads(line)["rawData"])
        return raw == self.record.data if self.record else self._needle in raw


def row_of(event: dict, stream_arn: str) -> dict | None:
    """The row that the transform makes of a change event; None if it drops it or cannot read it."""
    try:
        return transform_event(piped(event, stream_arn))
    except Unreadable:
        return None
