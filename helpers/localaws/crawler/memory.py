"""What a crawler learnt of each object: later crawls list everything but read only what is new.

So a changed classifier does not reclassify what was crawled before; only a new crawler does. [C] AWS_FACTS.md part 5
"""
from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from .content import Content, restored

Seen = dict[str, tuple[str, Content]]  # by object: its ETag, and what was found in it


class Memory:
    """One crawler's memory, a JSON file of its own: it is written once a crawl and may name tens of thousands of objects."""

    def __init__(self, directory: Path, crawler_arn: str):
        self._path = directory / f"seen-{hashlib.md5(crawler_arn.encode(), usedforsecurity=False).hexdigest()}.json"

    def load(self) -> Seen:
        if not self._path.exists():
            return {}
        stored = json.loads(self._path.read_text("utf-8"))
        return {name: (etag, restored(content)) for name, (etag, content) in stored.items()}

    def save(self, seen: Seen) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps({name: (etag, content.stored()) for name, (etag, content) in seen.items()}), "utf-8")
        os.replace(temporary, self._path)

    def forget(self) -> None:
        self._path.unlink(missing_ok=True)
