"""What a file holds: custom classifiers are asked first, in their order, then the built-in ones: Parquet, JSON, CSV.

A JSON classifier's path selects *rows*, not columns ([C] AWS_FACTS.md part 5). Supported are the documented operators ``$``,
``.name``, ``['name']``, ``[n]``, ``[*]`` (array elements) and ``.*`` (an object's values). A path that cannot be read (a comma
list of columns, for one) or selects nothing recognises nothing, so the next classifier is tried and at last the built-in one [L].
Chosen ([U] on AWS): Parquet is recognised before custom classifiers, which here read text.
"""
from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from . import compression, delimited, grok, parquet
from .content import JSON_SERDE, Content, Format, Sample
from .infer import columns

SAMPLE_BYTES = 1 << 20  # the first 1 MB of a file is read, [C]
MOST_BYTES = 10 << 20  # or of JSON whose first value is longer up to 10 MB [C] AWS KB glue-crawler-multiple-tables

Classifier = Callable[[Sample], Content | None]

_JSON = Format("json", JSON_SERDE)
_one_at_a_time = threading.Lock()  # ten megabytes of JSON are a hundred of Python
_STEP = re.compile(r"\.(?P<every>\*)|\.(?P<name>[^\s.,*\[\]'\"()?@$]+)|\['(?P<quoted>[^']+)'\]|\[(?P<number>\d+)\]|\[\*\]")
_SPACE = re.compile(r"\s*")
# What AWS has a built-in classifier or a decompressor for and this has not, and what AWS has not either, by its first bytes.
_OTHERS = {b"Obj\x01": "is Avro, which is not supported by the local AWS", b"ORC": "is ORC, which is not supported by the local AWS",
           b"\x04\x22\x4d\x18": "is LZ4, which is not supported by the local AWS",
           b"\x28\xb5\x2f\xfd": "is Zstandard, which crawlers do not read",
           b"<?xml": "is XML, which is not supported by the local AWS"}


def custom(definition: dict[str, dict[str, Any]]) -> Classifier:
    """A classifier by its definition: one member, named by its kind. ValueError says what in it cannot be done."""
    (kind, settings), = definition.items()
    if kind == "JsonClassifier":
        return lambda sample: _json(sample, parse_path(settings["JsonPath"]))
    return {"GrokClassifier": grok.custom, "CsvClassifier": delimited.custom}[kind](settings)


def classify(read: Callable[[int, int], bytes], size: int, classifiers: list[Classifier]) -> Content:
    """Recognise a file. read: its bytes from a position up to another; size: bytes; classifiers: the crawler's own, in order."""
    data = read(0, min(SAMPLE_BYTES, size))
    if data.startswith(parquet.MAGIC):
        return parquet.content(read, size)
    found = _look(data, SAMPLE_BYTES, size, classifiers)
    if found.format is None and len(data) < size and _begins_as_json(data):
        with _one_at_a_time:
            found = _look(read(0, min(MOST_BYTES, size)), MOST_BYTES, size, classifiers)
    return found


def _look(data: bytes, most: int, size: int, classifiers: list[Classifier]) -> Content:
    """data: the beginning of the file as it is stored; most: bytes of content to look at."""
    kind, plain, used = compression.plain(data, most)
    sample = Sample(plain.decode("utf-8-sig", "replace"), whole=used >= size)
    for classifier in (*classifiers, _built_in_json, delimited.built_in):
        if found := classifier(sample):
            return replace(found, compression=kind, records=max(1, round(found.records * size / used)))
    others = (reason for magic, reason in _OTHERS.items() if data.startswith(magic))
    return Content(kind, reason=next(others, "is nothing that a classifier recognises"))


def _begins_as_json(data: bytes) -> bool:
    return compression.plain(data, 1024)[1].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))


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


def _json(sample: Sample, steps: list[tuple[str, Any]] | None) -> Content | None:
    """Rows that a path selects in JSON values. steps: None where the path cannot be read."""
    values = _json_values(sample.text) if steps is not None else iter(())
    first = next(values, None)
    if not isinstance(first, (dict, list)):
        return None
    names, records = set[str](), 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal records
        for value in chain([first], values):
            for row in map(_as_object, select(steps, value)):
                records += 1
                names.update(row)
                yield row

    found = columns(rows())
    return Content(format=_JSON, columns=found, paths=tuple(sorted(names)), records=records) if records else None


def _built_in_json(sample: Sample) -> Content | None:
    return _json(sample, [])


def _as_object(row: Any) -> dict[str, Any]:
    """A row that is no object becomes one column: ``array`` for an array, ``record string`` for a scalar. [C]"""
    if isinstance(row, dict):
        return row
    return {"array": row} if isinstance(row, list) else {"record": str(row)}


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
