"""Types of values as a Glue crawler names them, and how types of several values become one.

A type is plain JSON, so that what was learnt of a file can be kept between crawls:
``None`` nothing known yet (only nulls seen), ``"int"`` … ``"string"`` a scalar (of Parquet a map too), ``[type]`` an array,
``{name: type}`` a struct.

`merge` is a least upper bound: null < everything < string, int < bigint < double (Parquet's other numbers in between). Its
result does not depend on the order of the files (only the order of struct fields does: first appearance). [C]/[L] AWS_FACTS.md
part 5. Chosen where that is silent ([U]): anything else that does not fit together is ``string``, so are a struct without fields and an array's element
that is never seen, and what lies deeper than `DEPTH` levels; an integer beyond 64 bits is ``double``.
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

Type = Any  # None | str | list[Type] | dict[str, Type]
Columns = dict[str, Type]

DEPTH = 64
_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double")


def infer(value: Any, depth: int = DEPTH) -> Type:
    """The type of one JSON value, down to `depth` levels of arrays and objects in each other."""
    match value:
        case None:
            return None
        case bool():
            return "boolean"
        case int():
            return "int" if -(2**31) <= value < 2**31 else "bigint" if -(2**63) <= value < 2**63 else "double"
        case float():
            return "double"
        case str():
            return "string"
        case list():
            return [reduce(merge, (infer(item, depth - 1) for item in value), None)] if depth else "string"
        case _:
            return columns([value], depth - 1) if depth else "string"


def merge(a: Type, b: Type) -> Type:
    """The one type that holds the values of both."""
    if b is None or a == b:
        return a
    if a is None:
        return b
    if isinstance(a, dict) and isinstance(b, dict):
        return a | {name: merge(a.get(name), type_) for name, type_ in b.items()}
    if isinstance(a, list) and isinstance(b, list):
        return [merge(a[0], b[0])]
    if a in _NUMBERS and b in _NUMBERS:
        return max(a, b, key=_NUMBERS.index)
    return "string"


def columns(rows: Iterable[dict[str, Any]], depth: int = DEPTH) -> Columns:
    """Columns of JSON objects: names in lower case, in order of first appearance."""
    found: Columns = {}
    for row in rows:
        for key, value in row.items():
            name, type_ = key.lower(), infer(value, depth)
            if name not in found or found[name] != type_:
                found[name] = merge(found.get(name), type_)
    return found


def hive(type_: Type) -> str:
    """The type in Hive's grammar, as the catalogue stores it."""
    if isinstance(type_, list):
        return f"array<{hive(type_[0])}>"
    if isinstance(type_, dict) and type_:
        return "struct<" + ",".join(f"{name}:{hive(inner)}" for name, inner in type_.items()) + ">"
    return type_ or "string"
