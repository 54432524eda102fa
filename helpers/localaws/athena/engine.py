"""Runs one statement: the query side of Athena, without its control plane.

Every run has a fresh in-process DuckDB connection that may read the object cache and its own scratch folder and nothing else.
"""

import datetime
import json
import re
import shutil
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

import duckdb
from botocore.exceptions import ClientError
from sqlglot import exp

from . import catalog as ddl
from . import information_schema, plan, translate
from .catalog import CATALOG, Catalog
from .errors import ParseFailure, QueryFailure, not_supported, out_of_range, type_failure
from .functions import define
from .results import header, write_csv
from .scalars import MARK
from .objects import ObjectCache, list_objects, split_uri
from .statements import PREPARED, Statement, parse_statement
from .tables import HIDDEN, TableReader
from .types import column_info, hive_type, printed, quote, sql_text, stored_type

_STORED = {"PARQUET": ("parquet", "parquet", "SNAPPY"), "JSON": ("json", "json", "GZIP"), "TEXTFILE": ("csv", "textfile", "GZIP")}
_WITH = {"format", "external_location", "partitioned_by", "write_compression", "parquet_compression", "field_delimiter", "data",
         "compression", "to"}
_PARTITIONS = 100  # that one statement may write [C, AT/ctas-insert-into]


class ScanLimit(Exception):
    """The workgroup's BytesScannedCutoffPerQuery is reached."""


@dataclass
class Job:
    """What to run. `output` is the folder's URI with the closing slash; the result's files start with it and the id."""

    id: str
    sql: str
    statement: Statement
    database: str
    output: str
    parameters: list[str] = field(default_factory=list)
    scan_limit: int | None = None  # bytes


@dataclass
class Outcome:
    """What came of it. `columns` as GetQueryResults' ColumnInfo; `location` of the result file, None if there is none."""

    columns: list[dict] = field(default_factory=list)
    location: str | None = None
    manifest: str | None = None
    scanned: int = 0
    updated: int = 0


class Run:
    """One statement's run. `cancel` may be called from another thread."""

    def __init__(self, job: Job, glue, s3, cache: ObjectCache, scratch: Path):
        self.job, self.s3, self.catalog = job, s3, Catalog(glue)
        self.scratch = scratch / job.id
        self.scratch.mkdir(parents=True)
        self.cache = cache
        self.now = datetime.datetime.now(datetime.UTC)
        self.macros: set[str] = set()  # those that the connection has

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(config={
            "autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "temp_directory": str(self.scratch)})
        folders = ", ".join(sql_text(str(folder)) for folder in (self.cache.directory, self.scratch))
        connection.execute(f"SET allowed_directories = [{folders}]; SET enable_external_access = false; SET TimeZone = 'UTC'; "
                           f"SET enable_progress_bar = false;")
        if not self.reads:  # what is known of empty tables must not shorten a plan
            connection.execute("SET disabled_optimizers = 'statistics_propagation,compressed_materialization'")
        connection.execute("SET lock_configuration = true")
        return connection

    @cached_property
    def reader(self) -> TableReader:
        return TableReader(self.connection, self.catalog, self.s3, self.cache, self.reads)

    @property
    def reads(self) -> bool:
        """Whether the statement needs data, not only their shape."""
        return self.job.statement.kind not in ("EXPLAIN", "CREATE_VIEW") and self.job.statement.options.get("data", True)

    @property
    def scanned(self) -> int:
        """Bytes read so far."""
        return self.reader.scanned if "reader" in self.__dict__ else 0

    def cancel(self) -> None:
        """Stop what runs. Before anything runs there is nothing to stop: the control plane drops the outcome then."""
        if "connection" in self.__dict__:
            self.connection.interrupt()

    def __call__(self) -> Outcome:
        """Raises QueryFailure, ScanLimit, or duckdb.InterruptException after `cancel`."""
        with self.cache.used():
            return self._run()

    def _run(self) -> Outcome:
        try:
            statement = self.job.statement
            if statement.kind == "SELECT":
                outcome = self._select()
            elif statement.kind == "CREATE_TABLE_AS_SELECT":
                outcome = self._create_table_as()
            elif statement.kind == "UNLOAD":
                outcome = self._unload()
            elif statement.kind == "INSERT":
                outcome = self._insert()
            elif statement.kind in PREPARED:  # the control plane has done it
                outcome = self._text([], [])
            elif statement.kind == "EXPLAIN":
                outcome = self._explain()
            elif statement.kind == "CREATE_VIEW":
                outcome = self._create_view()
            else:
                columns, lines = ddl.run(self.catalog, statement, self.job.database, self.s3)
                outcome = self._text(columns, lines)
            outcome.scanned = self.scanned
            return outcome
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise _failure(str(error)) from error
        except ClientError as error:
            raise QueryFailure(*_of_s3(error)) from error
        finally:
            if "connection" in self.__dict__:
                self.connection.close()
            shutil.rmtree(self.scratch, ignore_errors=True)

    # --- queries ----------------------------------------------------------------------------------------------------------------
    def _prepare(self) -> tuple[str, list[str], list]:
        """The statement's query: DuckDB's SQL, the output columns' names ("" if unnamed) and DuckDB types."""
        tree = translate.bind(translate.parse(self.job.statement.query), self.job.parameters)
        sql, names = self._translated(tree, self.job.database, ())
        if self.job.scan_limit is not None and self.reader.scanned > self.job.scan_limit:
            raise ScanLimit("Query cancelled! : Bytes scanned limit was exceeded")
        bound = self.connection.sql(sql)
        if len(names) != len(bound.columns):
            names = [None if re.fullmatch(r"_col\d+", name) else name for name in bound.columns]
        return sql, [name or "" for name in names], bound.types

    def _translated(self, tree: exp.Expression, database: str, views: tuple[str, ...]) -> tuple[str, list[str | None]]:
        named = {part.name.lower() for column in tree.find_all(exp.Column) for part in column.parts}
        used = None if any(_reads_all(star) for star in tree.find_all(exp.Star)) else named
        hidden = [name for name in HIDDEN if name in named]

        def relation(reference: translate.Reference) -> translate.Relation:
            return self._relation(reference, used, hidden, views)

        names = translate.resolve(tree, CATALOG, database, relation)
        translate.name_outputs(tree, names)
        return self._defined(translate.duckdb_sql(translate.meaning(tree, self.now))), names

    def _defined(self, sql: str) -> str:
        """`sql`, once this connection has the macros and functions that it calls."""
        define(self.connection, sql, self.macros)
        return sql

    def _relation(self, reference: translate.Reference, used, hidden, views: tuple[str, ...]) -> translate.Relation:
        if reference.catalog not in (CATALOG, ""):
            raise QueryFailure("CATALOG_NOT_FOUND", f"Catalog '{reference.catalog}' does not exist", at=reference.at)
        if reference.database == information_schema.NAME:
            return information_schema.relation(self.connection, self.catalog, reference)
        table = self.catalog.need_table(reference.database, reference.name, reference.at)
        if ddl.is_view(table):
            full = f"{reference.database}.{reference.name}"
            if full in views:
                raise QueryFailure("VIEW_IS_RECURSIVE", f"View is recursive: {full}", at=reference.at)
            view = ddl.view_query(table)
            sql, _ = self._translated(
                translate.parse(view["originalSql"]), view.get("schema") or reference.database, (*views, full)
            )
            columns = [column["name"].lower() for column in view["columns"]]
            name = f"t_view_{uuid.uuid4().hex}"
            self.connection.execute(f"CREATE TEMP VIEW {name}({', '.join(map(quote, columns))}) AS {sql}")
            return translate.Relation(name, columns)

        def keep(rows: str, names: list[str]) -> list[int]:
            return self._matching(rows, names, reference.predicates)

        hidden = [name for name in hidden if name != "$partition" or table.get("PartitionKeys")]
        name = self.reader.relation(table, keep, used, hidden)
        return translate.Relation(name, [column["Name"].lower() for column in ddl.columns_of(table)], hidden,
                                  {column["Name"].lower(): column["Type"] for column in ddl.columns_of(table)})

    def _matching(self, rows: str, names: list[str], predicates: list[exp.Expression]) -> list[int]:
        """The numbers of the partitions that the query's conditions on partition columns leave."""
        conditions = []
        for predicate in predicates:
            columns = list(predicate.find_all(exp.Column))
            if all(column.name.lower() in names for column in columns):
                for column in columns:
                    column.set("table", None)
                conditions.append(self._defined(translate.duckdb_sql(translate.meaning(predicate, self.now))))
        where = " AND ".join(f"({condition})" for condition in conditions) or "true"
        source = f"{rows} AS t_partitions(t_number, {', '.join(map(quote, names))})"
        return [
            number for (number,) in self.connection.execute(f"SELECT t_number FROM {source} WHERE {where} ORDER BY 1").fetchall()
        ]

    def _select(self) -> Outcome:
        sql, names, types = self._prepare()
        names = [name or f"_col{number}" for number, name in enumerate(names)]
        inner = [f"c{number}" for number in range(len(types))]
        shown = self._defined(", ".join(printed(column, kind) for column, kind in zip(inner, types)))
        infos = [column_info(name, kind) for name, kind in zip(names, types)]
        path = self.scratch / "result.csv"
        write_csv(self.connection, f"SELECT {shown} FROM ({sql}) AS t_result({', '.join(inner)})", names, path)
        return self._publish(path, ".csv", infos)

    def _explain(self) -> Outcome:
        sql, _, _ = self._prepare()
        if self.job.statement.options["type"] == "validate":
            return self._text(["Valid"], ["true"])
        ((_, found),) = self.connection.execute(f"EXPLAIN (FORMAT json) {sql}").fetchall()
        return self._text(["Query Plan"], plan.text(json.loads(found), self.reader.names))

    def _publish(self, path: Path, suffix: str, infos: list[dict]) -> Outcome:
        location = f"{self.job.output}{self.job.id}{suffix}"
        bucket, key = split_uri(location)
        with path.open("rb") as body:
            self.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/octet-stream")
        self.s3.put_object(Bucket=bucket, Key=f"{key}.metadata", Body=header(self.job.id, infos))
        return Outcome(infos, location)

    def _text(self, columns: list[str], lines: list[str]) -> Outcome:
        """The `.txt` of a statement that is no query."""
        path = self.scratch / "result.txt"
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        infos = [
            {
                "CatalogName": "hive",
                "SchemaName": "",
                "TableName": "",
                "Name": name,
                "Label": name,
                "Type": "string",
                "Precision": 0,
                "Scale": 0,
                "Nullable": "UNKNOWN",
                "CaseSensitive": False,
            }
            for name in columns
        ]
        return self._publish(path, ".txt", infos)

    # --- statements that write data ---------------------------------------------------------------------------------------------
    def _create_table_as(self) -> Outcome:
        statement = self.job.statement
        database, options = statement.database or self.job.database, statement.options
        self.catalog.need_database(database)
        if self.catalog.table(database, statement.name):
            if statement.optional:
                return Outcome()
            raise QueryFailure(
                "TABLE_ALREADY_EXISTS", f"Destination table '{CATALOG}.{database}.{statement.name}' already exists"
            )
        sql, names, types = self._prepare()
        columns = _named_columns(names, types)
        location = options.get("external_location", f"{self.job.output}tables/{self.job.id}").rstrip("/") + "/"
        kind, _ = self._format(options)
        keys = options.get("partitioned_by", [])
        if [name for name, _ in columns][len(columns) - len(keys):] != keys:
            raise QueryFailure(
                "HIVE_COLUMN_ORDER_MISMATCH",
                f"Partition keys must be the last columns in the table and in the same order as the table properties: {keys}",
            )
        written, folders = (
            self._write(sql, [name for name, _ in columns], location, options, keys) if options["data"] else ([], {})
        )
        self.catalog.create_stored(
            database,
            statement.name,
            [{"Name": name, "Type": kind_} for name, kind_ in columns if name not in keys],
            [{"Name": name, "Type": kind_} for name, kind_ in columns if name in keys],
            location,
            kind,
            options.get("field_delimiter", "\x01") if kind == "textfile" else None,
            (options.get("write_compression") or "").upper(),
        )
        if folders:
            table = self.catalog.need_table(database, statement.name)
            self.catalog.add_partitions(table, [(values, f"{location}{folder}") for folder, values in folders.items()])
        outcome = self._manifest(written)
        outcome.location = f"{self.job.output}tables/{self.job.id}" if "external_location" not in options else location
        return outcome

    def _unload(self) -> Outcome:
        options = self.job.statement.options
        if "format" not in options:
            raise QueryFailure("INVALID_TABLE_PROPERTY", "UNLOAD needs the property format")
        sql, names, types = self._prepare()
        columns = _named_columns(names, types)
        location = options["to"].rstrip("/") + "/"
        written, _ = self._write(sql, [name for name, _ in columns], location, options, options.get("partitioned_by", []))
        outcome = self._manifest(written)
        outcome.location = self.job.output + self.job.id
        return outcome

    def _insert(self) -> Outcome:
        statement = self.job.statement
        table = self.catalog.need_table(statement.database or self.job.database, statement.name)
        if ddl.is_view(table):
            raise not_supported("INSERT INTO a view")
        serde = table["StorageDescriptor"].get("SerdeInfo", {}).get("SerializationLibrary")
        kind = {ddl.PARQUET: "PARQUET", ddl.OPENX: "JSON", ddl.HCATALOG: "JSON", ddl.LAZY: "TEXTFILE"}.get(serde)
        if kind is None:
            raise not_supported(f"INSERT INTO a table with the SerDe {serde}")
        options = {"format": kind, **(_delimited(table) if kind == "TEXTFILE" else {})}
        sql, _, types = self._prepare()
        columns = ddl.columns_of(table)
        wanted = statement.options["columns"] or [column["Name"] for column in columns]
        if len(wanted) != len(types):
            raise QueryFailure(
                "TYPE_MISMATCH", f"Insert query has mismatched column types: Table: {len(wanted)} columns, Query: {len(types)}"
            )
        items = [
            f"CAST({quote(c['Name']) if c['Name'] in wanted else 'NULL'} AS {hive_type(c['Type']).duckdb}) AS {quote(c['Name'])}"
            for c in columns
        ]
        sql = f"SELECT {', '.join(items)} FROM ({sql}) AS t_new({', '.join(map(quote, wanted))})"
        keys = [key["Name"] for key in table.get("PartitionKeys", [])]
        location = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
        written, folders = self._write(sql, [c["Name"] for c in columns], location, options, keys, fresh=False)
        known = [part.values for part in self.catalog.partitions(table)] if folders else []
        self.catalog.add_partitions(
            table, [(values, f"{location}{folder}") for folder, values in folders.items() if values not in known]
        )
        outcome = self._manifest(written)
        outcome.location = f"{self.job.output}{self.job.id}"
        return outcome

    def _create_view(self) -> Outcome:
        statement = self.job.statement
        database = statement.database or self.job.database
        self.catalog.need_database(database)
        _, names, types = self._prepare()
        columns = [(name, column_info(name, kind)["Type"], "string" if column_info(name, kind)["Type"] in (
            "json", "timestamp with time zone") else stored_type(kind)) for name, kind in zip(names, types)]
        _named_columns(names, [])
        ddl.create_view(self.catalog, database, statement.name, statement.query.strip(), columns, statement.options["replace"])
        return self._text([], [])

    def _format(self, options: dict) -> tuple[str, str]:
        """(Glue's kind of table, COPY's options)"""
        for name in (name for name in options if name not in _WITH):
            raise not_supported(f"the table property {name}")
        name = str(options.get("format", "PARQUET")).upper()
        if name not in _STORED:
            raise not_supported(f"the format {name}")
        copy, kind, default = _STORED[name]
        compression = str(
            options.get("write_compression") or options.get("parquet_compression") or options.get("compression") or default
        ).upper()
        allowed = {"parquet": ("SNAPPY", "GZIP", "ZSTD", "UNCOMPRESSED", "NONE")}.get(copy, ("GZIP", "NONE"))
        if compression not in allowed:
            raise not_supported(f"the compression {compression} for {name}")
        compression = {"NONE": "uncompressed"}.get(compression, compression.lower())
        settings = f"FORMAT {copy}, COMPRESSION {compression}"
        if copy == "csv":
            settings += f", HEADER false, QUOTE '', ESCAPE '', NULLSTR '\\N', DELIMITER {sql_text(options.get('field_delimiter', chr(1)))}"
        return kind, settings

    def _write(self, sql: str, names: list[str], location: str, options: dict, keys: list[str], *, fresh: bool = True):
        """Run `sql` into files under `location`: their URIs, and each partition's folder with its values."""
        _, settings = self._format(options)
        if fresh and list_objects(self.s3, location):
            raise QueryFailure(
                "HIVE_PATH_ALREADY_EXISTS",
                f"Target directory for table '{location.rstrip('/')}' already exists: {location}. "
                "You may need to manually clean the data",
            )
        bound = self.connection.sql(sql)
        plain = ", ".join(
            f"CAST({quote(f'c{n}')} AS BIGINT) AS {quote(name)}" if kind.id == "hugeint" else f"{quote(f'c{n}')} AS {quote(name)}"
            for n, (name, kind) in enumerate(zip(names, bound.types))
        )
        inner = ", ".join(quote(f"c{n}") for n in range(len(names)))
        source = f"SELECT {plain} FROM ({sql}) AS t_written({inner})"
        suffix = ".gz" if "gzip" in settings and "parquet" not in settings else ""
        target = self.scratch / "data"
        by = f", PARTITION_BY ({', '.join(map(quote, keys))}), FILE_EXTENSION 'out'" if keys else ""
        if not keys:
            target.mkdir()
        rows = self.connection.execute(
            f"COPY ({source}) TO {sql_text(str(target if keys else target / 'data.out'))} ({settings}{by})"
        ).fetchone()[0]
        bucket, prefix = split_uri(location)
        written, folders, files = [], {}, [path for path in sorted(target.rglob("*")) if rows and path.is_file()]
        if keys and len({path.parent for path in files}) > _PARTITIONS:
            raise QueryFailure("HIVE_TOO_MANY_OPEN_PARTITIONS", f"Exceeded limit of {_PARTITIONS} open writers for partitions/buckets")
        for path in files:
            folder = path.parent.relative_to(target).as_posix().removeprefix(".")
            key = f"{prefix}{folder + '/' if folder else ''}{self.now:%Y%m%d_%H%M%S}_{len(written):05}_{uuid.uuid4().hex[:5]}_{uuid.uuid4()}{suffix}"
            self.s3.upload_file(str(path), bucket, key)
            written.append(f"s3://{bucket}/{key}")
            if folder:
                folders[folder + "/"] = [unquote(part.partition("=")[2]) for part in folder.split("/")]
        return written, folders

    def _manifest(self, written: list[str]) -> Outcome:
        location = f"{self.job.output}{self.job.id}-manifest.csv"
        bucket, key = split_uri(location)
        self.s3.put_object(Bucket=bucket, Key=key, Body="".join(f"{uri}\n" for uri in written).encode())
        return Outcome(manifest=location)


def _delimited(table: dict) -> dict:
    """How INSERT INTO writes a table of LazySimpleSerDe: as far as what is written reads back as it was."""
    found = table["StorageDescriptor"]["SerdeInfo"].get("Parameters") or {}
    for name in ("escape.delim", "serialization.null.format", "skip.header.line.count"):
        if name in found or name in (table.get("Parameters") or {}):
            raise not_supported(f"INSERT INTO a table with the property {name}")
    for column in table["StorageDescriptor"]["Columns"]:
        if hive_type(column["Type"]).inner:
            raise not_supported(f"INSERT INTO a delimited text table with the type {column['Type']}")
    return {"field_delimiter": found.get("field.delim", chr(1))}


def _reads_all(star: exp.Star) -> bool:
    return not isinstance(star.parent, exp.Anonymous)  # count(*) reads none


def _named_columns(names: list[str], types: list) -> list[tuple[str, str]]:
    """(name, Glue type); Trino's refusals of a table whose columns have no name, or one twice."""
    lower = [name.lower() for name in names]
    for number, name in enumerate(lower, 1):
        if not name:
            raise QueryFailure("MISSING_COLUMN_NAME", f"Column name not specified at position {number}", at=0)
        if name in lower[:number - 1]:
            raise QueryFailure("DUPLICATE_COLUMN_NAME", f"Column name '{name}' specified more than once", at=0)
    for name, kind in zip(lower, types):
        if kind.id == "null":
            raise QueryFailure("COLUMN_TYPE_UNKNOWN", f"Column type is unknown at position {lower.index(name) + 1}", at=0)
    return [(name, stored_type(kind)) for name, kind in zip(lower, types)]


def _of_s3(error: ClientError) -> tuple[str, str]:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if error.operation_name in ("ListObjectsV2", "GetObject", "HeadObject"):
        return "HIVE_CURSOR_ERROR" if code in (
            "NoSuchKey",
            "404",
        ) else "PERMISSION_DENIED" if code == "AccessDenied" else "HIVE_FILESYSTEM_ERROR", (
            f"{message} (Service: Amazon S3; Error Code: {code})"
        )
    return "FAILED", f"{message} (Error Code: {code})"


def _failure(message: str) -> QueryFailure:
    """DuckDB's error in Athena's words; what has none is passed on as it is, under a name that says whose it is."""
    marked = re.search(f"{MARK}(\\w+): (.*?){MARK}", message, re.DOTALL)
    if marked:
        return QueryFailure(marked[1], marked[2])
    first = message.splitlines()[0]
    if message.startswith("Invalid Input Error") and "JSON" in first:
        return QueryFailure("HIVE_BAD_DATA", f"Error parsing field value: {first}")
    if (
        "No function matches" in first
        or "Cannot compare values" in first
        or "Could not choose" in first
        or "does not support the supplied" in first
        or "Cannot mix values" in first
        or "Cannot combine types" in first
    ):
        return type_failure(first.partition(": ")[2])
    if "must appear in the GROUP BY" in first:
        column = re.search(r'column "([^"]+)"', first)
        return QueryFailure(
            "EXPRESSION_NOT_AGGREGATE",
            f"'{column[1] if column else first}' must be an aggregate expression or appear in GROUP BY clause",
        )
    if zone := re.search(r"Unknown TimeZone '([^']*)'", first):
        return QueryFailure("INVALID_FUNCTION_ARGUMENT", f"'{zone[1]}' is not a valid time zone")
    if message.startswith("Conversion Error"):
        return QueryFailure("INVALID_CAST_ARGUMENT", first.partition(": ")[2])
    if message.startswith("Out of Range Error"):
        return out_of_range(first.partition(": ")[2])
    return QueryFailure(
        "GENERIC_USER_ERROR" if message.startswith(("Binder", "Parser", "Catalog", "Invalid")) else "GENERIC_INTERNAL_ERROR",
        first,
    )


def check(sql: str) -> Statement:
    """What StartQueryExecution finds out before it queues: raises ParseFailure; a refused statement is left to fail in the run."""
    statement = parse_statement(sql)
    if statement.query is not None:
        try:
            translate.parse(statement.query)
        except RecursionError:
            raise ParseFailure("line 1:1: statement is too large") from None
    return statement
