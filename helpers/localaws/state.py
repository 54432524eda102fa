"""Where the joints keep their state: one JSON file a store, whole after every write."""

import copy
import json
import os
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path


class Store(MutableMapping[str, dict]):
    """Resources by key (an ARN or a name), each a plain JSON dict.

    Reads return copies, so a caller changes nothing by accident; a write replaces the file in one step, so a process that is
    killed leaves either the old state or the new. Hold `lock` to read, decide and write without another thread between.
    """

    def __init__(self, path: Path):
        self.lock = threading.RLock()
        self._path = path
        self._items: dict[str, dict] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def __getitem__(self, key: str) -> dict:
        with self.lock:
            return copy.deepcopy(self._items[key])

    def __setitem__(self, key: str, value: dict) -> None:
        with self.lock:
            self._items[key] = copy.deepcopy(value)
            self._write()

    def __delitem__(self, key: str) -> None:
        with self.lock:
            del self._items[key]
            self._write()

    def __iter__(self) -> Iterator[str]:
        with self.lock:
            return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def update_item(self, key: str, **members) -> dict:
        """Merge `members` into the item under `key` (KeyError if there is none) and return a copy of it."""
        with self.lock:
            self._items[key].update(copy.deepcopy(members))
            self._write()
            return self[key]

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(self._items), "utf-8")
        os.replace(temporary, self._path)
