"""A table's data as a DuckDB view: which partitions, which objects, how much of them is read."""

import datetime
from concurrent.futures import ThreadPoolExecutor

from .catalog import CATALOG, PARQUET, Catalog, Partition, partition_name
from .errors import QueryFailure, not_supported
from .objects import ObjectCache, S3Object, file_list, list_objects
from .projection import projected
from .serde import text_format
from .types import HiveType, hive_type, quote, sql_text

_WIDENS = {"tinyint": 0, "smallint": 1, "int": 2, "integer": 2, "bigint": 3}
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"  # the folder of NULL
# Hidden columns: SQL of their type. `$path` is Athena's [C, AT/querying-hidden]; the others are of Trino's Hive connector [L].
HIDDEN = {"$path": "VARCHAR", "$file_size": "BIGINT", "$file_modified_time": "STRUCT(utc TIMESTAMP, zone VARCHAR)",
          "$partition": "VARCHAR"}


class TableReader:
    """Makes the relations of one query: empty ones if it `reads` no data."""

    def __init__(self, connection, catalog: Catalog, s3, cache: ObjectCache, reads: bool):
        self.connection, self.catalog, self.s3, self.cache, self.reads = connection, catalog, s3, cache, reads
        self.scanned = 0  # bytes
        self.names: dict[str, str] = {}  # of the tables that the relations stand for

    def relation(self, table: dict, keep, used: set[str] | None, hidden: list[str]) -> str:
        """Create the DuckDB view of `table`, `hidden` columns last; its name.

        `keep(rows_sql, names)` chooses partitions by number; `used`: the columns that the query reads, None for all.
        """
        if (table.get("Parameters") or {}).get("table_type", "").upper() == "ICEBERG":
            raise not_supported("Iceberg tables")
        name = f"t_source_{len(self.names) + 1}"
        storage = table["StorageDescriptor"]
        columns = [(column["Name"].lower(), hive_type(column["Type"])) for column in storage.get("Columns", [])]
        keys = [(column["Name"].lower(), hive_type(column["Type"])) for column in table.get("PartitionKeys") or []]
        files = self._files(table, keep) if self.reads else []
        if not files:
            items = [f"CAST(NULL AS {kind.duckdb}) AS {quote(column)}" for column, kind in columns + keys]
            items += [f"CAST(NULL AS {HIDDEN[column]}) AS {quote(column)}" for column in hidden]
            body = f"SELECT {', '.join(items)} WHERE false"
        else:
            read = self._read_parquet if storage.get("SerdeInfo", {}).get("SerializationLibrary") == PARQUET else self._read_text
            source, expressions, identity, marks = read(table, columns, [item for item, _ in files], used)
            items = [f"{expression} AS {quote(column)}" for (column, _), expression in zip(columns, expressions)]
            if marks is not None or keys or hidden:
                marks = identity[1] if marks is None else marks
                self._file_map(name, table, keys, files, marks)
                items += [f"t_files.{quote(column)}" for column in [*(key for key, _ in keys), *hidden]]
                source += f" AS t_data JOIN {name}_files AS t_files ON t_data.{identity[0]} = t_files.t_mark"
            else:
                source += " AS t_data"
            body = f"SELECT {', '.join(items)} FROM {source}"
        # A table, because a plan of an empty view would only say that it is empty.
        self.connection.execute(f"CREATE TEMP {'VIEW' if self.reads else 'TABLE'} {name} AS {body}")
        self.names[name] = f"{CATALOG}:{table['DatabaseName']}:{table['Name']}"
        return name

    def _files(self, table: dict, keep) -> list[tuple[S3Object, Partition | None]]:
        """Each object to read with its partition."""
        keys = table.get("PartitionKeys") or []
        if not keys:
            return [(item, None) for item in list_objects(self.s3, table["StorageDescriptor"]["Location"])]
        if (table.get("Parameters") or {}).get("projection.enabled", "").lower() == "true":
            partitions = projected(table, self._now)
        else:
            partitions = self.catalog.partitions(table)
        if partitions:
            rows = ", ".join(f"({number}, {', '.join(_typed(value, key) for value, key in zip(part.values, keys))})"
                             for number, part in enumerate(partitions))
            partitions = [partitions[number] for number in keep(f"(VALUES {rows})", [key["Name"].lower() for key in keys])]
        for part in partitions:
            _check_partition(table, part)
        with ThreadPoolExecutor(8) as pool:
            listed = pool.map(lambda part: list_objects(self.s3, part.location), partitions)
        return [(item, part) for part, items in zip(partitions, listed) for item in items]

    @property
    def _now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    def _file_map(self, name: str, table: dict, keys: list[tuple[str, HiveType]], files, marks: list) -> None:
        """A table from what marks a file in the data to its partition's values and the hidden columns."""
        rows = {"mark": marks, "path": [item.uri for item, _ in files], "size": [item.size for item, _ in files],
                "modified": [item.modified.strftime("%Y-%m-%d %H:%M:%S") for item, _ in files],
                "partition": [partition_name(table, part.values) if part else None for _, part in files]}
        shown = ['unnest($path) AS "$path"', 'unnest($size) AS "$file_size"', 'unnest($partition) AS "$partition"',
                 "{'utc': CAST(unnest($modified) AS TIMESTAMP), 'zone': 'UTC'} AS \"$file_modified_time\""]
        for number, (key, kind) in enumerate(keys):
            rows[f"k{number}"] = [None if part.values[number] == NO_VALUE else part.values[number] for _, part in files]
            shown.append(f"CAST(unnest($k{number}) AS {kind.duckdb}) AS {quote(key)}")
        self.connection.execute(f"CREATE TEMP TABLE {name}_files AS SELECT unnest($mark) AS t_mark, {', '.join(shown)}", rows)

    def _read_text(self, table: dict, columns, objects: list[S3Object], _):
        """DuckDB's source, the SQL of each column over it, the column that marks its files, and the marks if not all of it is wanted."""
        serde = table["StorageDescriptor"].get("SerdeInfo", {})
        form = text_format(serde.get("SerializationLibrary", ""), columns, serde.get("Parameters") or {}, table.get("Parameters") or {})
        self.scanned += sum(item.size for item in objects)
        found = self.cache.copies(self.connection, self.s3, form, objects)
        copies = list(dict.fromkeys(path for _, path in found))
        marks = [number for number, _ in found]
        whole = self.cache.holds(form, copies) == set(marks)
        expressions = [form.value(number, f"t_data.c{number}") for number in range(len(columns))]
        return f"read_parquet({file_list(copies)})", expressions, ("o", marks), None if whole else marks

    def _read_parquet(self, table: dict, columns, objects: list[S3Object], used: set[str] | None):
        """Columns by name. Only the column chunks that the query reads count as scanned."""
        paths = self.cache.fetch(self.s3, objects)
        files = file_list(paths)
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
        return (f"read_parquet({files}, union_by_name=true, filename=true)", expressions, ("filename", [str(path) for path in paths]),
                None)


def _typed(value: str, key: dict) -> str:
    if value == NO_VALUE:
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


