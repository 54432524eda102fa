"""One type in four spellings: Glue's (`struct<a:int>`), Trino's (`row(a integer)`), DuckDB's, and how its values are printed."""

from dataclasses import dataclass

from .errors import QueryFailure, not_supported
from .scalars import MARK

_DUCK = {
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
    "varchar": "VARCHAR",
    "char": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "binary": "BLOB",
    "decimal": "DECIMAL",
}
# DuckDB type id: (Trino's name, Glue's name, the precision that GetQueryResults reports)
_SCALARS = {
    "tinyint": ("tinyint", "tinyint", 3),
    "smallint": ("smallint", "smallint", 5),
    "integer": ("integer", "int", 10),
    "bigint": ("bigint", "bigint", 19),
    "hugeint": ("bigint", "bigint", 19),
    "float": ("float", "float", 17),
    "double": ("double", "double", 17),
    "boolean": ("boolean", "boolean", 0),
    "varchar": ("varchar", "string", 2147483647),
    "date": ("date", "date", 0),
    "timestamp": ("timestamp", "timestamp", 3),
    "blob": ("varbinary", "binary", 1073741824),
    "time": ("time", None, 3),
    "interval": ("interval day to second", None, 0),
    "null": ("unknown", None, 0),
    "uuid": ("uuid", None, 0),
}

_TRINO = {"string": "varchar", "int": "integer", "float": "real", "binary": "varbinary", "timestamp": "timestamp(3)"}


@dataclass(frozen=True)
class HiveType:
    """A type as Glue writes it. `inner`: (name, type) of a struct's fields; element of an array; key and value of a map."""

    name: str
    arguments: tuple[int, ...] = ()
    inner: tuple[tuple[str, "HiveType"], ...] = ()

    @property
    def duckdb(self) -> str:
        if self.name == "array":
            return f"{self.inner[0][1].duckdb}[]"
        if self.name == "map":
            return f"MAP({', '.join(kind.duckdb for _, kind in self.inner)})"
        if self.name == "struct":
            return f"STRUCT({', '.join(f'{quote(name)} {kind.duckdb}' for name, kind in self.inner)})"
        return f"DECIMAL({','.join(map(str, self.arguments or (10, 0)))})" if self.name == "decimal" else _DUCK[self.name]

    def parsed(self, value: str, field: int, depth: int = 0, strict: bool = True) -> str:
        """DuckDB SQL that turns `value`, SQL of a text (of JSON for the nested types), into `duckdb`'s type.

        What is none of the type fails as HIVE_BAD_DATA, or is NULL if not `strict`.
        """
        problem = (f"'{MARK}HIVE_BAD_DATA: Error parsing field value ''' || {value} || ''' for field {field}: For input string: \"' || "
                   f"{value} || '\"{MARK}'")
        fail = f"CAST({problem} AS {self.duckdb})" if strict else "NULL"
        if self.inner:
            return (f"CASE coalesce(json_type({value}), 'NULL') WHEN 'NULL' THEN NULL WHEN '{'ARRAY' if self.name == 'array' else 'OBJECT'}' "
                    f"THEN {self._parsed_inside(value, field, depth, strict)} ELSE {fail} END")
        if self.duckdb == "VARCHAR":
            return value
        if self.name == "binary":
            return f"encode({value})"
        good = f"try_cast({value} AS {self.duckdb})"
        if self.name in ("tinyint", "smallint", "int", "integer", "bigint"):
            good = f"CASE WHEN regexp_full_match({value}, '[+-]?[0-9]+') THEN {good} END"
        elif self.name == "boolean":
            good = f"CASE lower({value}) WHEN 'true' THEN true WHEN 'false' THEN false END"
        return f"coalesce({good}, CASE WHEN {value} IS NOT NULL THEN {fail} END)" if strict else good

    def _parsed_inside(self, value: str, field: int, depth: int, strict: bool) -> str:
        one = f"e{depth}"

        def item(kind: "HiveType", json: str) -> str:
            return kind.parsed(json if kind.inner else f"({json} ->> '$')", field, depth + 1, strict)

        if self.name == "array":
            return f"list_transform(from_json({value}, '[\"JSON\"]'), lambda {one}: {item(self.inner[0][1], one)})"
        if self.name == "map":
            (_, key), (_, kind) = self.inner
            entries = f"map_entries(from_json({value}, '\"MAP(VARCHAR, JSON)\"'))"
            pair = f"struct_pack(key := {key.parsed(f'{one}.key', field, depth + 1, strict)}, value := {item(kind, f'{one}.value')})"
            return f"map_from_entries(list_transform({entries}, lambda {one}: {pair}))"
        places = (f"json_extract({value}, {sql_text('$.' + quote(name))})" for name, _ in self.inner)
        return f"struct_pack({', '.join(f'{quote(name)} := {item(kind, place)}' for (name, kind), place in zip(self.inner, places))})"

    @property
    def trino(self) -> str:
        """Trino's spelling: `row(a bigint)` for `struct<a:bigint>`."""
        if self.name == "struct":
            return f"row({', '.join(f'{name} {kind.trino}' for name, kind in self.inner)})"
        if self.inner:
            return f"{self.name}({', '.join(kind.trino for _, kind in self.inner)})"
        return _TRINO.get(self.name, self.name) + (f"({','.join(map(str, self.arguments))})" if self.arguments else "")

    def __str__(self) -> str:
        if self.name == "struct":
            return f"struct<{','.join(f'{name}:{kind}' for name, kind in self.inner)}>"
        if self.inner:
            return f"{self.name}<{','.join(str(kind) for _, kind in self.inner)}>"
        return self.name + (f"({','.join(map(str, self.arguments))})" if self.arguments else "")


def hive_type(written: str) -> HiveType:
    """Parse Glue's spelling. Raises QueryFailure for a type that Hive has not."""
    rest = "".join(written.lower().split())

    def fail():
        return QueryFailure("HIVE_INVALID_METADATA", f"Glue table column type is invalid: {written}")

    def take(at: int) -> tuple[HiveType, int]:
        end = at
        while end < len(rest) and (rest[end].isalnum() or rest[end] == "_"):
            end += 1
        name, inner = rest[at:end], []
        if name in ("array", "map", "struct"):
            if rest[end:end + 1] != "<":
                raise fail()
            while rest[end] != ">":
                label, end = "", end + 1
                if name == "struct":
                    colon = rest.index(":", end)
                    label, end = rest[end:colon].strip("`"), colon + 1
                kind, end = take(end)
                inner.append((label, kind))
                if rest[end:end + 1] not in (",", ">"):
                    raise fail()
            return HiveType(name, inner=tuple(inner)), end + 1
        if name not in _DUCK:
            raise fail()
        if rest[end:end + 1] == "(":
            close = rest.index(")", end)
            return HiveType(name, tuple(int(n) for n in rest[end + 1:close].split(","))), close + 1
        return HiveType(name), end

    found, end = take(0)
    if end != len(rest):
        raise fail()
    return found


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def sql_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


# --- DuckDB's answer ------------------------------------------------------------------------------------------------------------
def is_zoned(kind) -> bool:
    return kind.id == "struct" and [name for name, _ in kind.children] == ["utc", "zone"]


def is_json(kind) -> bool:
    return kind.id == "struct" and [name for name, _ in kind.children] == ["json"]


def column_info(name: str, kind) -> dict:
    """GetQueryResults' description of an output column of a DuckDB type."""
    precision, scale = 0, 0
    if kind.id == "decimal":
        trino, precision, scale = "decimal", *(value for _, value in kind.children)
    elif is_zoned(kind):
        trino, precision = "timestamp with time zone", 3
    elif is_json(kind):
        trino = "json"
    elif kind.id in ("list", "map", "struct", "tuple"):
        trino = {"list": "array", "map": "map"}.get(kind.id, "row")
    else:
        trino, _, precision = _scalar(kind)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": trino,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": trino in ("varchar", "char"),
    }


def _scalar(kind) -> tuple[str, str | None, int]:
    if kind.id not in _SCALARS:
        raise not_supported(f"results of the type {kind}")
    return _SCALARS[kind.id]


def stored_type(kind) -> str:
    """Glue's spelling of what CREATE TABLE AS and UNLOAD write. Types that Hive has not are Athena's well-known refusals."""
    if is_zoned(kind):
        raise QueryFailure("NOT_SUPPORTED", "Unsupported Hive type: timestamp(3) with time zone")
    if is_json(kind):
        raise QueryFailure("NOT_SUPPORTED", "Unsupported Hive type: json")
    if kind.id == "decimal":
        return f"decimal({','.join(str(value) for _, value in kind.children)})"
    if kind.id == "list":
        return f"array<{stored_type(kind.children[0][1])}>"
    if kind.id == "map":
        return f"map<{','.join(stored_type(child) for _, child in kind.children)}>"
    if kind.id == "struct":
        return f"struct<{','.join(f'{name}:{stored_type(child)}' for name, child in kind.children)}>"
    trino, hive, _ = _scalar(kind)
    if hive is None:
        raise QueryFailure("NOT_SUPPORTED", f"Unsupported Hive type: {trino}")
    return hive


def printed(value: str, kind, depth: int = 0) -> str:
    """DuckDB SQL of the text that Athena prints for `value`, an SQL expression of a DuckDB type; NULL stays NULL."""
    one = f"p{depth}"

    def inside(expression: str, child) -> str:
        return f"coalesce({printed(expression, child, depth + 1)}, 'null')"

    if kind.id in ("double", "float"):
        return f"t_number({value})"
    if kind.id == "timestamp":
        return f"t_stamp({value})"
    if kind.id == "time":
        return f"t_time({value})"
    if kind.id == "blob":  # space-separated hexadecimal bytes
        return rf"trim(regexp_replace(lower(hex({value})), '(..)', '\1 ', 'g'))"
    if kind.id == "interval":
        return f"t_span({value})"
    if is_zoned(kind):
        return f"t_stamp(t_local({value})) || ' ' || ({value}).zone"
    if is_json(kind):
        return f"({value}).json"
    if kind.id == "list":
        return f"'[' || array_to_string(list_transform({value}, lambda {one}: {inside(one, kind.children[0][1])}), ', ') || ']'"
    if kind.id == "map":
        (_, key), (_, item) = kind.children
        entry = f"{inside(f'{one}.key', key)} || '=' || {inside(f'{one}.value', item)}"
        return f"'{{' || array_to_string(list_transform(map_entries({value}), lambda {one}: {entry}), ', ') || '}}'"
    if kind.id in ("struct", "tuple"):
        fields = [(name if kind.id == "struct" else f"field{i}", f"struct_extract({value}, {i + 1})" if kind.id == "tuple"
                   else f"({value}).{quote(name)}", child) for i, (name, child) in enumerate(kind.children)]
        body = " || ', ' || ".join(f"{sql_text(name + '=')} || {inside(item, child)}" for name, item, child in fields)
        return f"CASE WHEN {value} IS NOT NULL THEN '{{' || {body} || '}}' END"
    return f"CAST({value} AS VARCHAR)"
