"""What a file holds: the rows a JSON classifier's path selects in it, or what the built-in JSON classifier finds.

A path selects *rows*, not columns ([C] AWS_FACTS.md part 5). Supported are the documented operators ``$``, ``.name``,
``['name']``, ``[n]``, ``[*]`` (array elements) and ``.*`` (an object's values). A path that cannot be read (a comma list of
columns, for one) or selects nothing recognises nothing, so the next classifier is tried and at last the built-in one [L].
"""
from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .infer import Columns, columns

SAMPLE_BYTES = 1 << 20  # only the first 1 MB of a file is read [C]

_STEP = re.compile(r"\.(?P<every>\*)|\.(?P<name>[^\s.,*\[\]'\"()?@$]+)|\['(?P<quoted>[^']+)'\]|\[(?P<number>\d+)\]|\[\*\]")
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class Content:
    """What was learnt of one file. ``columns`` is None where no classifier recognised it (classification UNKNOWN)."""

    compression: str = "none"  # or "gzip"
    columns: Columns | None = None
    paths: tuple[str, ...] = ()  # top-level names in their original case
    records: int = 0  # estimated for the whole file


def parse_path(path: str) -> list[tuple[str, Any]] | None:
    """Steps of a JSON path, or None where it is not in the documented grammar."""
    if not path.startswith("$"):
        return None
    steps, at = [], 1
    while at < len(path):
        if not (match := _STEP.match(path, at)):
            return None
        at, kind = match.end(), match.lastgroup or "elements"
        steps.append((kind, match.group(kind) if match.lastgroup else None))
    return steps


def select(steps: list[tuple[str, Any]], value: Any) -> Iterator[Any]:
    """Every value the path leads to."""
    if not steps:
        if value is not None:
            yield value
        return
    (kind, what), rest = steps[0], steps[1:]
    if isinstance(value, list):
        if kind == "elements":
            children = value
        else:
            children = value[int(what):][:1] if kind == "number" else []
    elif isinstance(value, dict):
        if kind == "every":
            children = list(value.values())
        else:
            children = [value[what]] if kind in ("name", "quoted") and what in value else []
    else:
        children = []
    for child in children:
        yield from select(rest, child)


def classify(data: bytes, size: int, json_paths: list[str]) -> Content:
    """Recognise a file by its first bytes.

    data: the first `SAMPLE_BYTES` of the file as stored; size: of the whole file, bytes; json_paths: of the crawler's
    custom classifiers, in order. A first value that does not end within the sample is not recognised ([U] on AWS).
    """
    compression, text, used = _text(data)
    values = list(_json_values(text))
    if not values or not isinstance(values[0], (dict, list)):
        return Content(compression)
    for path in json_paths:
        steps = parse_path(path)
        rows = [row for value in values for row in select(steps, value)] if steps is not None else []
        if rows:
            break
    else:
        rows = values
    objects = [_as_object(row) for row in rows]
    names = tuple(sorted({name for row in objects for name in row}))
    return Content(compression, columns(objects), names, max(1, round(len(rows) * size / used)))


def _as_object(row: Any) -> dict[str, Any]:
    """A row that is no object becomes one column: ``array`` for an array, ``record string`` for a scalar. [C]"""
    if isinstance(row, dict):
        return row
    return {"array": row} if isinstance(row, list) else {"record": str(row)}


def _text(data: bytes) -> tuple[str, str, int]:
    """Compression, text of the sample, and how many stored bytes that text stands for."""
    if not data.startswith(b"\x1f\x8b"):
        return "none", data.decode("utf-8-sig", "replace"), len(data)
    plain, rest = b"", data
    try:
        while rest.startswith(b"\x1f\x8b") and len(plain) < SAMPLE_BYTES:  # gzip files may hold several members
            member = zlib.decompressobj(31)
            plain += member.decompress(rest, SAMPLE_BYTES - len(plain))
            rest = member.unconsumed_tail or member.unused_data
    except zlib.error:
        pass  # a broken end: what came before it still says what the file is
    return "gzip", plain.decode("utf-8-sig", "replace"), max(1, len(data) - len(rest))


def _json_values(text: str) -> Iterator[Any]:
    """JSON values one after another, until the text ends or is no JSON any more: the beginning decides. [C]"""
    decode, at = json.JSONDecoder().raw_decode, _SPACE.match(text).end()
    while at < len(text):
        try:
            value, at = decode(text, at)
        except (ValueError, RecursionError):
            return
        yield value
        at = _SPACE.match(text, at).end()
