"""A table's data as a DuckDB relation: which objects, fetched how, read by which SerDe's rules.

Objects come over S3's API into a local folder, once per ETag. JSON is read by DuckDB's own reader wherever its answer is the
SerDe's: a first pass over new objects finds those where it is not (lines that are no single object, keys in another case), and
those are rewritten line by line in Python under the SerDe's rules (AWS_FACTS.md part 6). Values are read as text and judged by
type, so that a wrong one fails as HIVE_BAD_DATA when, and only when, its column is read.
"""

import gzip
import hashlib
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .catalog import HCATALOG, LAZY, OPENCSV, OPENX, PARQUET, Catalog, Partition, partition_name
from .errors import QueryFailure, not_supported
from .types import HiveType, hive_type, quote, sql_text

_MAX_OBJECT = 128 << 20  # bytes of one line
_WIDENS = {"tinyint": 0, "smallint": 1, "int": 2, "integer": 2, "bigint": 3}
_IGNORED_JSON = {"paths", "serialization.format", "classification", "compressiontype", "typeofdata"}


@dataclass(frozen=True)
class S3Object:
    bucket: str
    key: str
    etag: str
    size: int

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class ObjectCache:
    """Local copies of objects, by bucket, key and ETag, shared by all queries."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._locks: dict[Path, threading.Lock] = {}
        self._lock = threading.Lock()
        self.plain: dict[tuple, Path] = {}  # what the first pass found: (path, SerDe rules) -> the file to read

    def fetch(self, s3, objects: list[S3Object]) -> list[Path]:
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda item: self._fetch_one(s3, item), objects))

    def _fetch_one(self, s3, item: S3Object) -> Path:
        suffix = "".join(
            part for part in Path(item.key).suffixes[-1:] if part in (".gz", ".zst", ".bz2", ".snappy", ".lzo", ".deflate")
        )
        if suffix not in ("", ".gz", ".zst"):
            raise not_supported(f"{suffix} files")
        path = self.directory / (hashlib.sha1(f"{item.uri}\n{item.etag}".encode()).hexdigest() + suffix)
        with self._lock:
            lock = self._locks.setdefault(path, threading.Lock())
        with lock:
            if not path.exists():
                temporary = path.with_suffix(".part")
                s3.download_file(item.bucket, item.key, str(temporary))
                os.replace(temporary, path)
        return path


def split_uri(uri: str) -> tuple[str, str]:
    bucket, _, key = re.sub(r"^s3[an]?://", "", uri).partition("/")
    return bucket, key


def list_objects(s3, location: str) -> list[S3Object]:
    """The data objects under a location; files and folders that start with _ or . do not count."""
    bucket, prefix = split_uri(location)
    prefix = prefix.rstrip("/") + "/" if prefix.rstrip("/") else ""
    return [S3Object(bucket, item["Key"], item["ETag"], item["Size"])
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            for item in page.get("Contents", [])
            if item["Size"] and not any(part.startswith(("_", ".")) for part in item["Key"][len(prefix):].split("/"))]


class TableReader:
    """Makes the relations of one query."""

    def __init__(self, connection, catalog: Catalog, s3, cache: ObjectCache):
        self.connection, self.catalog, self.s3, self.cache = connection, catalog, s3, cache
        self.scanned = 0  # bytes
        self._count = 0

    def relation(self, table: dict, keep, used: set[str] | None) -> str:
        """Create the DuckDB view of `table`; its name. `keep(rows_sql, names)` chooses partitions; `used`: columns read, None all."""
        if (table.get("Parameters") or {}).get("projection.enabled", "").lower() == "true":
            raise not_supported("partition projection")
        if (table.get("Parameters") or {}).get("table_type", "").upper() == "ICEBERG":
            raise not_supported("Iceberg tables")
        self._count += 1
        name = f"t_source_{self._count}"
        files = self._files(table, keep)
        self.scanned += sum(item.size for item, _ in files) if not self._is_parquet(table) else 0
        paths = self.cache.fetch(self.s3, [item for item, _ in files])
        columns = [
            (column["Name"].lower(), hive_type(column["Type"])) for column in table["StorageDescriptor"].get("Columns", [])
        ]
        keys = [(column["Name"].lower(), hive_type(column["Type"])) for column in table.get("PartitionKeys") or []]
        if not files:
            body = "SELECT " + ", ".join([f"CAST(NULL AS {kind.duckdb}) AS {quote(column)}" for column, kind in columns + keys]
                                         + ['CAST(NULL AS VARCHAR) AS "$path"']) + " WHERE false"
        else:
            source, expressions, paths = self._read(table, columns, paths, used)
            self._file_map(name, keys, files, paths)
            items = [f"{expression} AS {quote(column)}" for (column, _), expression in zip(columns, expressions)]
            if keys or (used is not None and "$path" in used):
                items += [f"t_files.{quote(column)}" for column, _ in keys] + ['t_files."$path"']
                source += f" AS t_data JOIN {name}_files AS t_files ON t_data.filename = t_files.file"
            else:
                items.append('CAST(NULL AS VARCHAR) AS "$path"')
                source += " AS t_data"
            body = f"SELECT {', '.join(items)} FROM {source}"
        hide = "" if used is not None and "$path" in used else ' EXCLUDE ("$path")'
        self.connection.execute(f"CREATE TEMP VIEW {name} AS SELECT *{hide} FROM ({body})")
        return name

    def _files(self, table: dict, keep) -> list[tuple[S3Object, list[str]]]:
        """Each object to read with its partition's values."""
        keys = table.get("PartitionKeys") or []
        if not keys:
            return [(item, []) for item in list_objects(self.s3, table["StorageDescriptor"]["Location"])]
        partitions = self.catalog.partitions(table)
        names = [key["Name"].lower() for key in keys]
        if partitions:
            rows = ", ".join(f"({number}, {', '.join(_typed(value, key) for value, key in zip(part.values, keys))})"
                             for number, part in enumerate(partitions))
            partitions = [partitions[number] for number in keep(f"(VALUES {rows})", names)]
        for part in partitions:
            _check_partition(table, part)
        with ThreadPoolExecutor(8) as pool:
            listed = pool.map(lambda part: list_objects(self.s3, part.location), partitions)
        return [(item, part.values) for part, items in zip(partitions, listed) for item in items]

    def _file_map(self, name: str, keys: list[tuple[str, HiveType]], files, paths: list[Path]) -> None:
        definition = ", ".join(["file VARCHAR", '"$path" VARCHAR', *(f"{quote(key)} {kind.duckdb}" for key, kind in keys)])
        self.connection.execute(f"CREATE TEMP TABLE {name}_files ({definition})")
        rows = [[str(path), item.uri, *(None if value == "__HIVE_DEFAULT_PARTITION__" else value for value in values)]
                for path, (item, values) in zip(paths, files)]
        self.connection.executemany(f"INSERT INTO {name}_files VALUES ({', '.join('?' * (2 + len(keys)))})", rows)

    def _is_parquet(self, table: dict) -> bool:
        return table["StorageDescriptor"].get("SerdeInfo", {}).get("SerializationLibrary") == PARQUET

    def _read(self, table: dict, columns: list[tuple[str, HiveType]], paths: list[Path], used: set[str] | None):
        """DuckDB's source, the SQL of each column over it, and the files it reads."""
        serde = table["StorageDescriptor"].get("SerdeInfo", {})
        library, parameters = (
            serde.get("SerializationLibrary", ""),
            {k.lower(): v for k, v in (serde.get("Parameters") or {}).items()},
        )
        if library in (OPENX, HCATALOG):
            return self._read_json(columns, paths, parameters, library)
        if library == PARQUET:
            return self._read_parquet(columns, paths, used)
        if library in (LAZY, OPENCSV):
            return self._read_csv(table, columns, paths, parameters, library)
        raise not_supported(f"the SerDe {library or '(none)'}")

    # --- JSON -------------------------------------------------------------------------------------------------------------------
    def _read_json(self, columns, paths, parameters: dict[str, str], library: str):
        mappings = {name[len("mapping."):]: key for name, key in parameters.items() if name.startswith("mapping.")}
        for name, value in parameters.items():
            if name == "dots.in.keys" and value.lower() == "true":
                raise not_supported(f"the SerDe property {name}={value}")
            if name not in ("ignore.malformed.json", "case.insensitive", "dots.in.keys") and not name.startswith("mapping.") \
                    and name not in _IGNORED_JSON:
                raise not_supported(f"the SerDe property {name}")
        forgiving = parameters.get("ignore.malformed.json", "false").lower() == "true" and library == OPENX
        folding = parameters.get("case.insensitive", "true").lower() == "true"
        names = [mappings.get(name, name).lower() if folding else mappings.get(name, name) for name, _ in columns]
        paths = self._plain_json(paths, columns, names, forgiving, folding)
        shape = ", ".join(
            f"{sql_text(key)}: {sql_text(kind.text_duckdb)}" for key, (_, kind) in dict(zip(names, columns)).items()
        )
        source = (
            f"read_json([{', '.join(sql_text(str(path)) for path in paths)}], format='newline_delimited', columns={{{shape}}}, "
            f"filename=true, maximum_object_size={_MAX_OBJECT})"
        )
        return (
            source,
            [kind.parsed(f"t_data.{quote(key)}", number) for number, (key, (_, kind)) in enumerate(zip(names, columns))],
            paths,
        )

    def _plain_json(self, paths, columns, names, forgiving: bool, folding: bool) -> list[Path]:
        """For each file one that DuckDB reads as the SerDe would: itself, or a rewritten copy."""
        rules = (forgiving, folding, tuple(names))
        new = [path for path in dict.fromkeys(paths) if (path, rules) not in self.cache.plain]
        nested = any(kind.inner for _, kind in columns)
        has_all = " AND ".join(f"contains(line, {sql_text(json.dumps(name))})" for name in names) or "false"
        other_case = "line != lower(line) AND regexp_matches(line, '[A-Z][^\"]*\"\\s*:')" if folding else "false"
        odd = other_case if nested else f"CASE WHEN {has_all} THEN false ELSE {other_case} END"
        for path in new:
            try:
                plain = self.connection.execute(
                    f"SELECT coalesce(bool_and(line IS NOT NULL AND line[1] = '{{' AND json_valid(line) AND NOT ({odd})), true) FROM read_csv("
                    f"{sql_text(str(path))}, columns={{line: 'VARCHAR'}}, header=false, auto_detect=false, delim='\x01\x02', quote='', escape='', "
                    f"max_line_size={_MAX_OBJECT})"
                ).fetchone()[0]
            except Exception:  # noqa: BLE001 - not even lines of text to DuckDB: the slow way decides
                plain = False
            self.cache.plain[path, rules] = path if plain else _rewrite(path, forgiving, folding)
        return [self.cache.plain[path, rules] for path in paths]

    # --- CSV --------------------------------------------------------------------------------------------------------------------
    def _read_csv(self, table, columns, paths, parameters: dict[str, str], library: str):
        if any(kind.inner for _, kind in columns):
            raise not_supported("nested types in delimited text")
        known = {
            "field.delim",
            "serialization.format",
            "line.delim",
            "separatorchar",
            "quotechar",
            "escapechar",
            "skip.header.line.count",
            "serialization.null.format",
        }
        for name in set(parameters) - known:
            raise not_supported(f"the SerDe property {name}")
        skip = int({**parameters, **(table.get("Parameters") or {})}.get("skip.header.line.count", 0))
        if library == OPENCSV:
            delimiter, quoting, escape = (parameters.get("separatorchar", ","), parameters.get("quotechar", '"'),
                                          parameters.get("escapechar", "\\"))
            null = "\x03never"
        else:
            delimiter, quoting, escape = parameters.get("field.delim", "\x01"), "", ""
            null = parameters.get("serialization.null.format", "\\N")
        shape = ", ".join(f"{quote(name)}: 'VARCHAR'" for name, _ in columns)
        source = (
            f"read_csv([{', '.join(sql_text(str(path)) for path in paths)}], columns={{{shape}}}, header=false, auto_detect=false, "
            f"delim={sql_text(delimiter)}, quote={sql_text(quoting)}, escape={sql_text(escape)}, skip={skip}, null_padding=true, "
            f"nullstr={sql_text(null)}, filename=true, strict_mode=false)"
        )
        values = [f"t_data.{quote(name)}" for name, _ in columns]
        if library == LAZY:
            values = [value if kind.duckdb == "VARCHAR" else f"nullif({value}, '')" for value, (_, kind) in zip(values, columns)]
        return source, [kind.parsed(value, number) for number, (value, (_, kind)) in enumerate(zip(values, columns))], paths

    # --- Parquet ----------------------------------------------------------------------------------------------------------------
    def _read_parquet(self, columns, paths, used: set[str] | None):
        """Columns by name. Only the column chunks that the query reads count as scanned."""
        files = f"[{', '.join(sql_text(str(path)) for path in paths)}]"
        inside = {name.lower(): (name, kind) for name, kind, *_ in self.connection.execute(
            f"DESCRIBE SELECT * FROM read_parquet({files}, union_by_name=true)").fetchall()}
        for path, size in self.connection.execute(
            f"SELECT lower(string_split(path_in_schema, ', ')[1]), sum(total_compressed_size) FROM parquet_metadata({files}) GROUP BY 1"
        ).fetchall():
            self.scanned += int(size) if used is None or path in used else 0
        expressions = []
        for name, kind in columns:
            if name not in inside:
                expressions.append(f"CAST(NULL AS {kind.duckdb})")
                continue
            stored = inside[name][1]
            if (stored == "VARCHAR") != (kind.duckdb == "VARCHAR") and (used is None or name in used):
                raise QueryFailure("HIVE_BAD_DATA", f"Field {name}'s type {stored} in parquet file is incompatible with type "
                                                    f"{kind} defined in table schema")
            expressions.append(f"CAST(t_data.{quote(inside[name][0])} AS {kind.duckdb})")
        return f"read_parquet({files}, union_by_name=true, filename=true)", expressions, paths


def _typed(value: str, key: dict) -> str:
    if value == "__HIVE_DEFAULT_PARTITION__":
        return f"CAST(NULL AS {hive_type(key['Type']).duckdb})"
    return f"CAST({sql_text(value)} AS {hive_type(key['Type']).duckdb})"


def _check_partition(table: dict, part: Partition) -> None:
    """A partition keeps the column types it was registered with; they must fit the table's."""
    declared = {column["Name"].lower(): column["Type"].lower() for column in table["StorageDescriptor"]["Columns"]}
    for column in part.columns:
        wanted, has = declared.get(column["Name"].lower()), column["Type"].lower()
        fits = wanted in (None, has, "string") or (has in _WIDENS and wanted in _WIDENS and _WIDENS[has] <= _WIDENS[wanted]) or (
            has, wanted) == ("float", "double") or wanted.startswith(("struct", "array", "map", "varchar", "char"))
        if not fits:
            raise QueryFailure(
                "HIVE_PARTITION_SCHEMA_MISMATCH",
                "There is a mismatch between the table and partition schemas. The types are incompatible and "
                f"cannot be coerced. The column '{column['Name']}' in table '{table['DatabaseName']}.{table['Name']}' is declared as type "
                f"'{wanted}', but partition '{partition_name(table, part.values)}' declared column '{column['Name']}' as type '{has}'.",
            )


def _rewrite(path: Path, forgiving: bool, folding: bool) -> Path:
    """One clean object a line, by the OpenX SerDe's rules: the first object of a line counts; keys fold to lower case."""
    target = path.with_name(f"{path.name}.{int(forgiving)}{int(folding)}.json")
    decoder = json.JSONDecoder()
    opened = gzip.open if path.suffix == ".gz" else open
    if path.suffix == ".zst":
        raise not_supported("zstd-compressed JSON that is not one object a line")
    with (
        opened(path, "rt", encoding="utf-8", errors="replace", newline="\n") as lines,
        open(target, "w", encoding="utf-8") as out,
    ):
        for line in lines:
            line = line.strip()
            try:
                if line.startswith("["):
                    raise not_supported("JSON arrays as rows")
                if line and not line.startswith("{"):
                    raise ValueError("A JSONObject text must begin with '{' at 1 [character 2 line 1]")
                row = decoder.raw_decode(line)[0] if line else {}
            except json.JSONDecodeError as error:
                row = _malformed(forgiving, f"{error.msg} at {error.pos} [character {error.pos + 1} line 1]")
            except ValueError as error:
                row = _malformed(forgiving, str(error))
            out.write(json.dumps(_folded(row) if folding else row, ensure_ascii=False) + "\n")
    return target


def _malformed(forgiving: bool, why: str) -> dict:
    if forgiving:
        return {}
    raise QueryFailure("HIVE_CURSOR_ERROR", f"Row is not a valid JSON Object - JSONException: {why}")


def _folded(value):
    if isinstance(value, dict):
        return {key.lower(): _folded(item) for key, item in value.items()}
    return [_folded(item) for item in value] if isinstance(value, list) else value
