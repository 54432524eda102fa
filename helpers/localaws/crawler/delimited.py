"""CSV classifiers, built-in and custom.

The built-in one tries comma, pipe, tab, semicolon and Ctrl-A in this order and wants two columns and two rows; a first row is
the header where it parses as strings, has names shorter than 150 characters (the last may be empty) and some later row does
not parse as strings. Without a header columns are ``col0``, ``col1`` … [C] GL/add-classifier; names from 0 and the types
``bigint``, ``double`` and ``string`` in public dumps (the guide counts from 1). It always writes LazySimpleSerDe. [C]
At most 1,000 records are read. [C] AWS KB glue-crawler-multiple-tables

Chosen ([U] on AWS): a delimiter fits where every row has as many columns; a header counts as one of the two rows; a repeated
or empty name gets the column's number behind it; ``true`` and dates are ``string``; columns of empty values too; a custom
classifier whose Header has another number of columns recognises nothing.
"""
from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from .content import LAZY_SERDE, OPEN_CSV_SERDE, Content, Format, Sample
from .infer import Columns, Type, merge

DELIMITERS = ",|\t;\x01"
_RECORDS = 1000
_NAME_LENGTH = 150
_NAME = re.compile(r"[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*")  # the pattern of a column's name in Glue's API model
_INTEGER = re.compile(r"[+-]?\d+")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def custom(settings: dict[str, Any]) -> Callable[[Sample], Content | None]:
    """A classifier by the members of a CsvClassifier. Values are trimmed only where DisableValueTrimming is false. [C] BC:glue"""
    def classify(sample: Sample) -> Content | None:
        for least in (2, 1) if settings.get("AllowSingleColumn") else (2,):
            for delimiter in settings.get("Delimiter", DELIMITERS):
                rows = _rows(sample, delimiter, settings.get("QuoteSymbol", '"'))
                if len(rows) > 1 and len(rows[0]) >= least and all(len(row) == len(rows[0]) for row in rows):
                    return _content(sample, delimiter, rows, settings)
        return None

    return classify


built_in = custom({})


def _content(sample: Sample, delimiter: str, rows: list[list[str]], settings: dict[str, Any]) -> Content | None:
    """The answer for rows of equal length. Whether values are quoted decides for OpenCSVSerDe where QuoteSymbol is set [L]."""
    width, quote = len(rows[0]), settings.get("QuoteSymbol", '"')
    trim = settings.get("DisableValueTrimming") is False
    names, types = rows[0], _types(rows[1:], width, trim)
    present = settings.get("ContainsHeader", "UNKNOWN")
    header = present == "PRESENT" or present == "UNKNOWN" and _is_header(names, types, trim)
    if not header:
        names, types = [f"col{number}" for number in range(width)], _types(rows, width, trim)
    if len(names := settings.get("Header") or names) != width:
        return None
    quoted, serde = quote in sample.text, settings.get("Serde", "None")
    parameters = {"areColumnsQuoted": str(quoted).lower(), "columnsOrdered": "true", "delimiter": delimiter}
    if header:
        parameters["skip.header.line.count"] = "1"
    form = Format("csv", LAZY_SERDE, {"field.delim": delimiter}, parameters)
    if serde == "OpenCSVSerDe" or serde == "None" and quoted and "QuoteSymbol" in settings:
        form = Format("csv", OPEN_CSV_SERDE, {"separatorChar": delimiter, "quoteChar": quote}, parameters)
        types = ["string"] * width  # [C] public dumps
    return Content(format=form, columns=_named(names, types), records=len(rows) - header)


def _rows(sample: Sample, delimiter: str, quote: str) -> list[list[str]]:
    """The complete rows among the first; none where the text cannot be read so."""
    try:
        reader = csv.reader(io.StringIO(sample.text, newline=""), delimiter=delimiter, quotechar=quote)
        rows = list(islice(reader, _RECORDS + 1))
    except csv.Error:
        return []
    if rows and (len(rows) > _RECORDS or not sample.whole):
        rows.pop()
    return [row for row in rows if row]


def _types(rows: Iterable[list[str]], width: int, trim: bool) -> list[Type]:
    types: list[Type] = [None] * width
    for row in rows:
        types = [type_ if type_ == "string" else merge(type_, _type(value.strip() if trim else value))
                 for type_, value in zip(types, row)]
    return types


def _type(value: str) -> Type:
    if not value:
        return None
    if _INTEGER.fullmatch(value):
        return "bigint" if -(2**63) <= int(value) < 2**63 else "double"
    return "double" if _DECIMAL.fullmatch(value) else "string"


def _is_header(names: list[str], types: list[Type], trim: bool) -> bool:
    *most, last = names
    shaped = all(len(name) < _NAME_LENGTH and _NAME.fullmatch(name) for name in most) and (not last or _NAME.fullmatch(last))
    strings = all(type_ in ("string", None) for type_ in _types([names], len(names), trim))
    return bool(shaped and strings and any(type_ not in ("string", None) for type_ in types))


def _named(names: Iterable[str], types: list[Type]) -> Columns:
    columns: Columns = {}
    for number, (name, type_) in enumerate(zip(names, types)):
        name = name.strip().lower()
        columns[name if name and name not in columns else f"{name or 'col'}{number}"] = type_
    return columns
