"""The SerDes of text formats: what a line's columns are, as AWS_FACTS.md part 6 and the guides' pages on each SerDe have it.

Each answers four questions for `ObjectCache`: under which `rules` it reads; `source`, DuckDB's SQL that reads plain files quickly;
`odd`, which files are not plain, because DuckDB would read something else out of them than the SerDe; and `rows`, which reads those
line by line. Values stay text (nested ones JSON) until `value` judges them by type, so that a wrong one fails as HIVE_BAD_DATA
when, and only when, its column is read.
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

from .catalog import HCATALOG, LAZY, OPENCSV, OPENX
from .errors import QueryFailure, not_supported
from .objects import json_lines, text_lines
from .types import HiveType, sql_text

Columns = list[tuple[str, HiveType]]
_NOTES = {"paths", "serialization.format", "classification", "compressiontype", "typeofdata"}  # a crawler's: no reader looks at them


class Text:
    """What all have in common. `parameters` are the SerDe's, names in lower case."""

    known: frozenset[str] = frozenset()

    def __init__(self, columns: Columns, parameters: dict[str, str], library: str):
        for name in parameters:
            if name not in self.known and name not in _NOTES and not name.startswith("mapping."):
                raise not_supported(f"the SerDe property {name}")
        self.columns, self.parameters = columns, parameters
        self.shape = ["JSON" if kind.inner else "VARCHAR" for _, kind in columns]
        self.rules = (library, *sorted(parameters.items()), *((name, str(kind)) for name, kind in columns))

    def value(self, number: int, stored: str) -> str:
        """SQL of column `number`'s value from `stored`, SQL of its text."""
        return self.columns[number][1].parsed(stored, number)

    def odd(self, connection, paths: list[Path]) -> list[Path]:
        return paths


class Json(Text):
    """OpenX's SerDe and Hive's: an object a line."""

    known = frozenset({"ignore.malformed.json", "case.insensitive", "dots.in.keys"})

    def __init__(self, columns: Columns, parameters: dict[str, str], library: str):
        super().__init__(columns, parameters, library)
        if library == HCATALOG and (self.known & set(parameters)):
            raise not_supported(f"the SerDe property {sorted(self.known & set(parameters))[0]} of {HCATALOG}")
        self.forgiving, self.folding, self.dots = (
            parameters.get(name, default).lower() == "true"
            for name, default in (("ignore.malformed.json", "false"), ("case.insensitive", "true"), ("dots.in.keys", "false")))
        mappings = {name.removeprefix("mapping."): key for name, key in parameters.items() if name.startswith("mapping.")}
        names = [mappings.get(name, name) for name, _ in columns]
        self.names = [name.lower() for name in names] if self.folding else names

    def source(self, paths: list[Path]) -> str:
        shape = dict(zip(self.names, self.shape))  # two columns may be mapped to one key
        places = {name: f"k{n}" for n, name in enumerate(shape)}
        columns = ", ".join(f"{sql_text(name)}: '{kind}'" for name, kind in shape.items())
        items = ", ".join(f"{places[name]} AS c{n}" for n, name in enumerate(self.names))
        return (f"SELECT filename{', ' if items else ''}{items} FROM {json_lines(paths, columns or 'k: VARCHAR')} "
                f"AS t_j({', '.join([*places.values()] or ['k'])}, filename)")

    def odd(self, connection, paths: list[Path]) -> list[Path]:
        odd = "line IS NULL OR line[1] <> '{' OR NOT json_valid(line)"
        if self.folding:
            other = "line <> lower(line) AND regexp_matches(line, '[A-Z][^\"]*\"\\s*:')"
            odd += f" OR ({other})"
        if self.dots:
            odd += " OR regexp_matches(line, '\\.[^\"]*\"\\s*:')"
        try:
            found = connection.execute(
                f"SELECT filename FROM {text_lines(paths)} GROUP BY filename HAVING bool_or({odd})").fetchall()
        except connection_errors():  # not even lines of text to DuckDB: the slow way decides, file by file
            return paths if len(paths) == 1 else [path for path in paths if self.odd(connection, [path])]
        return [Path(name) for name, in found]

    def rows(self, lines) -> Iterator[list]:
        # A number with a point or exponent is a double, also where its column is text [U]; DuckDB's reader has it so as well.
        decoder = json.JSONDecoder(parse_constant=str)
        for line in lines:
            line = line.strip()
            try:
                if line.startswith("["):
                    raise not_supported("JSON arrays as rows")
                if line and not line.startswith("{"):
                    raise ValueError("A JSONObject text must begin with '{' at 1 [character 2 line 1]")
                # Only the first of several objects on a line counts [C, AT/troubleshooting-athena].
                row = decoder.raw_decode(line)[0] if line else {}
            except json.JSONDecodeError as error:
                row = self._malformed(f"{error.msg} at {error.pos} [character {error.pos + 1} line 1]")
            except ValueError as error:
                row = self._malformed(str(error))
            row = self._renamed(row)
            yield [_as_stored(row.get(name), kind) for name, kind in zip(self.names, self.shape)]

    def _malformed(self, why: str) -> dict:
        if self.forgiving:
            return {}
        raise QueryFailure("HIVE_CURSOR_ERROR", f"Row is not a valid JSON Object - JSONException: {why}")

    def _renamed(self, value):
        if isinstance(value, dict):
            return {self._key(key): self._renamed(item) for key, item in value.items()}
        return [self._renamed(item) for item in value] if isinstance(value, list) else value

    def _key(self, key: str) -> str:
        key = key.lower() if self.folding else key
        return key.replace(".", "_") if self.dots else key


class Delimited(Text):
    """LazySimpleSerDe: fields between delimiters, no quotes. A value that is none of its type is NULL [L, Hive's LazyPrimitive]."""

    known = frozenset({"field.delim", "escape.delim", "collection.delim", "mapkey.delim", "line.delim", "serialization.null.format",
                       "skip.header.line.count"})

    def __init__(self, columns: Columns, parameters: dict[str, str], library: str):
        super().__init__(columns, parameters, library)
        if parameters.get("line.delim", "\n") != "\n":
            raise not_supported("the SerDe property line.delim other than a line feed")
        if len(parameters.get("field.delim", " ")) != 1:
            raise not_supported("the SerDe property field.delim of several characters")
        self.skip = int(parameters.get("skip.header.line.count", 0))
        self.null = parameters.get("serialization.null.format", "\\N")
        self.escape = parameters.get("escape.delim")
        # Hive's further levels of nesting have \x04, \x05 ...
        self.delimiters = [parameters.get("field.delim", "\x01"), parameters.get("collection.delim", "\x02"),
                           parameters.get("mapkey.delim", "\x03"), *map(chr, range(4, 9))]

    def odd(self, connection, paths: list[Path]) -> list[Path]:
        return paths if self.escape or "JSON" in self.shape else []

    def source(self, paths: list[Path]) -> str:
        items = "".join(f", nullif(parts[{n + 1}], {sql_text(self.null)}) AS c{n}" for n in range(len(self.columns)))
        return (f"SELECT filename{items} FROM (SELECT filename, string_split(coalesce(line, ''), {sql_text(self.delimiters[0])}) AS parts "
                f"FROM {text_lines(paths, self.skip)})")

    def rows(self, lines) -> Iterator[list]:
        for number, line in enumerate(lines):
            if number >= self.skip:
                parts = self._split(line.rstrip("\r\n"), 0)
                yield [_as_stored(self._nested(parts[n], kind, 1), shape) if n < len(parts) else None
                       for n, ((_, kind), shape) in enumerate(zip(self.columns, self.shape))]

    def _split(self, text: str, level: int) -> list[str]:
        if not self.escape:
            return text.split(self.delimiters[level])
        escape, delimiter = map(re.escape, (self.escape, self.delimiters[level]))
        return re.findall(rf"(?:^|{delimiter})((?:{escape}.|[^{delimiter}{escape}])*)", text, re.DOTALL)

    def _nested(self, text: str, kind: HiveType, level: int):
        if text == self.null:
            return None
        if not kind.inner:
            return re.sub(re.escape(self.escape) + "(.)", r"\1", text) if self.escape else text
        if not text:
            return {} if kind.name == "map" else []
        parts = self._split(text, level)
        if kind.name == "array":
            return [self._nested(part, kind.inner[0][1], level + 1) for part in parts]
        if kind.name == "struct":
            return {name: self._nested(part, inner, level + 1) for (name, inner), part in zip(kind.inner, parts)}
        entries = [self._split(part, level + 1) for part in parts]
        return {self._nested(entry[0], kind.inner[0][1], level + 2): self._nested(entry[1], kind.inner[1][1], level + 2) if entry[1:] else None
                for entry in entries}

    def value(self, number: int, stored: str) -> str:
        return self.columns[number][1].parsed(stored, number, strict=False)


class Quoted(Text):
    """OpenCSVSerde: quotes and escapes; a line is a row, even inside quotes [C, AT/csv-serde]. Everything is text, so that an empty
    field is an error where a number is expected; dates are days, timestamps milliseconds since 1970 [C, AT/csv-serde]."""

    known = frozenset({"separatorchar", "quotechar", "escapechar", "skip.header.line.count"})

    def __init__(self, columns: Columns, parameters: dict[str, str], library: str):
        super().__init__(columns, parameters, library)
        for name, kind in columns:
            if kind.inner:
                raise not_supported(f"the type {kind} in the SerDe {OPENCSV}")
        self.skip = int(parameters.get("skip.header.line.count", 0))

    def rows(self, lines) -> Iterator[list]:
        quote, escape = self.parameters.get("quotechar", '"'), self.parameters.get("escapechar", "\\")
        settings = {"delimiter": self.parameters.get("separatorchar", ","), "doublequote": True, "strict": False}
        settings |= {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
        settings |= {"escapechar": escape} if escape and escape != quote else {}
        csv.field_size_limit(1 << 30)
        for number, line in enumerate(lines):
            if number >= self.skip:
                parts = next(csv.reader([line.rstrip("\r\n")], **settings), [""])
                yield [parts[n] if n < len(parts) else None for n in range(len(self.columns))]

    def value(self, number: int, stored: str) -> str:
        kind = self.columns[number][1]
        count = HiveType("bigint").parsed(stored, number)
        if kind.name == "date":
            return f"DATE '1970-01-01' + CAST({count} AS INTEGER)"
        if kind.name == "timestamp":
            return f"make_timestamp_ms({count})"
        return kind.parsed(stored, number)


def _as_stored(value, shape: str):
    """What a rewritten file says for a value: text, or JSON for the nested types."""
    if value is None or shape == "JSON" or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def connection_errors():
    import duckdb
    return (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.OutOfRangeException)


_TEXT = {OPENX: Json, HCATALOG: Json, LAZY: Delimited, OPENCSV: Quoted}


def text_format(library: str, columns: Columns, parameters: dict[str, str], table: dict[str, str]) -> Text:
    """The format of a text table; `parameters` of its SerDe and of the `table` itself, which may count header lines."""
    if library not in _TEXT:
        raise not_supported(f"the SerDe {library or '(none)'}")
    found = {name.lower(): value for name, value in parameters.items()}
    kind = _TEXT[library]
    if "skip.header.line.count" in kind.known and "skip.header.line.count" in table:
        found["skip.header.line.count"] = table["skip.header.line.count"]
    return kind(columns, found, library)
