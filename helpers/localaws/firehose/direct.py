"""What producers put into a delivery stream themselves (DirectPut), kept in files until it is delivered."""

import base64
import itertools
import threading
import time
from pathlib import Path

from .transform import Source

SHARD = "direct"  # the one "shard" of such a stream, in its checkpoints
SEGMENT_BYTES = 16 * 1024 * 1024
PAGE_BYTES = 4 * 1024 * 1024


class Log:
    """An append-only log in `folder`: a line a record, its arrival in milliseconds and its data in base64.

    A record's position is where its line ends, counted from the log's beginning; its sequence number is that position in
    56 digits. A segment is named after the position it begins at, and goes when all that is in it is delivered.
    """

    def __init__(self, folder: Path):
        self._folder, self._lock = folder, threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        # A new log begins behind all that a deleted namesake had: no checkpoint of that one can hide a record of this one.
        self._open(max(self._segments(), default=time.time_ns()))
        self._end = self._start + self._file.tell()

    def append(self, records: list[bytes]) -> list[str]:
        """Keep `records`, together; their sequence numbers."""
        arrival, numbers = round(time.time() * 1000), []
        with self._lock:
            if self._end - self._start >= SEGMENT_BYTES:
                self._file.close()
                self._open(self._end)
            end, lines = self._end, [b"%d %s\n" % (arrival, base64.b64encode(data)) for data in records]
            for line in lines:
                end += len(line)
                numbers.append(_sequence(end))
            if self._file.write(b"".join(lines)) < end - self._end:
                self._file.truncate(self._end - self._start)
                raise OSError(f"there is no room for a record in {self._folder}")
            self._end = end
        return numbers

    def read(self, after: str | None) -> list[Source]:
        """The records behind sequence number `after` (None: from the oldest there is), a page at most."""
        position, found = int(after or 0), []
        with self._lock:
            end = self._end
        if position >= end:
            return found
        segments = self._segments()
        position = max(position, min(segments))
        start = max(start for start in segments if start <= position)
        with self._path(start).open("rb") as file:
            file.seek(position - start)
            stop = min(end, position + PAGE_BYTES)
            while position < stop and (line := file.readline()):
                position += len(line)
                arrival, _, data = line.decode().rstrip("\n").partition(" ")
                found.append(Source(SHARD, _sequence(position), "", int(arrival), data))
        return found

    def trim(self, before: str | None) -> None:
        """Remove the segments that hold nothing behind sequence number `before`."""
        segments = self._segments()
        for start, following in itertools.pairwise(segments):
            if following <= int(before or 0):
                self._path(start).unlink()

    def remove(self) -> None:
        with self._lock:
            self._file.close()
            for start in self._segments():
                self._path(start).unlink()
            self._folder.rmdir()

    def _open(self, start: int) -> None:
        self._start, self._file = start, self._path(start).open("ab", buffering=0)

    def _segments(self) -> list[int]:
        return sorted(int(path.name) for path in self._folder.iterdir())

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:020d}"


def _sequence(position: int) -> str:
    return f"{position:056d}"
