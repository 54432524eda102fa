"""The data catalogue: Glue's API, as Athena reads it for queries and changes it by DDL."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from botocore.exceptions import ClientError

from .errors import QueryFailure, not_supported
from .statements import Statement

CATALOG = "awsdatacatalog"
_TEXT = ("org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat")
_PARQUET = tuple(f"org.apache.hadoop.hive.ql.io.parquet.MapredParquet{way}putFormat" for way in ("In", "Out"))
OPENX, HCATALOG = "org.openx.data.jsonserde.JsonSerDe", "org.apache.hive.hcatalog.data.JsonSerDe"
LAZY, OPENCSV = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "org.apache.hadoop.hive.serde2.OpenCSVSerde"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
_FORMATS = {"parquet": (PARQUET, *_PARQUET), "textfile": (LAZY, *_TEXT), "json": (OPENX, *_TEXT)}


@dataclass
class Partition:
    values: list[str]
    location: str
    columns: list[dict]


class Catalog:
    """One account's catalogue in one region."""

    def __init__(self, glue):
        self.glue = glue

    def databases(self) -> list[dict]:
        return self._all("get_databases", "DatabaseList")

    def database(self, name: str) -> dict | None:
        return self._get("get_database", "Database", Name=name)

    def tables(self, database: str) -> list[dict]:
        return self._all("get_tables", "TableList", DatabaseName=database)

    def table(self, database: str, name: str) -> dict | None:
        return self._get("get_table", "Table", DatabaseName=database, Name=name)

    def need_database(self, name: str, at: int | None = None) -> dict:
        found = self.database(name)
        if found is None:
            raise QueryFailure("SCHEMA_NOT_FOUND", f"Schema '{name}' does not exist", at=at)
        return found

    def need_table(self, database: str, name: str, at: int | None = None) -> dict:
        """Trino's two failures: the schema is looked for first."""
        found = self.table(database, name)
        if found is None:
            self.need_database(database, at)
            raise QueryFailure("TABLE_NOT_FOUND", f"Table '{CATALOG}.{database}.{name}' does not exist", at=at)
        return found

    def partitions(self, table: dict) -> list[Partition]:
        """The registered partitions only: a folder that nobody registered holds no rows."""
        return [
            Partition(part["Values"], part["StorageDescriptor"]["Location"], part["StorageDescriptor"].get("Columns", []))
            for part in self._all("get_partitions", "Partitions", DatabaseName=table["DatabaseName"], TableName=table["Name"])
        ]

    def add_partitions(self, table: dict, partitions: list[tuple[list[str], str]]) -> None:
        """Those that exist are left alone."""
        for begin in range(0, len(partitions), 100):
            self.glue.batch_create_partition(DatabaseName=table["DatabaseName"], TableName=table["Name"], PartitionInputList=[
                {"Values": values, "StorageDescriptor": {**table["StorageDescriptor"], "Location": location}}
                for values, location in partitions[begin:begin + 100]])

    def create_stored(self, database: str, name: str, columns: list[dict], partitions: list[dict], location: str, kind: str,
                      delimiter: str | None, compression: str) -> None:
        """The table of a CREATE TABLE AS."""
        serde, reads, writes = _FORMATS[kind]
        parameters = {"field.delim": delimiter, "serialization.format": delimiter} if delimiter else {"serialization.format": "1"}
        self.glue.create_table(
            DatabaseName=database,
            TableInput={
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "PartitionKeys": partitions,
                "Parameters": {
                    "EXTERNAL": "TRUE",
                    "has_encrypted_data": "false",
                    "classification": "csv" if kind == "textfile" else kind,
                    **({"write.compression": compression} if compression else {}),
                },
                "StorageDescriptor": {
                    "Columns": columns,
                    "Location": location,
                    "InputFormat": reads,
                    "OutputFormat": writes,
                    "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters},
                },
            },
        )

    def change_table(self, table: dict, **members) -> None:
        self.glue.update_table(DatabaseName=table["DatabaseName"],
                               TableInput={key: value for key, value in {**table, **members}.items() if key in _TABLE_INPUT})

    def change_partition(self, table: dict, values: list[str], to: list[str], location: str) -> None:
        """Give a partition other values, or another location: by a new one, because MiniStack has no UpdatePartition."""
        if to == values:
            self.drop_partition(table, values)
            self.add_partitions(table, [(to, location)])
        else:
            self.add_partitions(table, [(to, location)])
            self.drop_partition(table, values)

    def drop_partition(self, table: dict, values: list[str]) -> None:
        self.glue.delete_partition(DatabaseName=table["DatabaseName"], TableName=table["Name"], PartitionValues=values)

    def _get(self, operation: str, member: str, **request) -> dict | None:
        try:
            return getattr(self.glue, operation)(**request)[member]
        except ClientError as error:
            if error.response["Error"]["Code"] == "EntityNotFoundException":
                return None
            raise

    def _all(self, operation: str, member: str, **request) -> list[dict]:
        return [item for page in self.glue.get_paginator(operation).paginate(**request) for item in page[member]]


_TABLE_INPUT = ("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "ViewOriginalText", "ViewExpandedText",
                "TableType", "Parameters")  # of what GetTable says, what UpdateTable takes


def is_view(table: dict) -> bool:
    return table.get("TableType") == "VIRTUAL_VIEW"


def view_query(table: dict) -> dict:
    """originalSql, catalog, schema and columns of an Athena view."""
    match = re.fullmatch(r"/\* Presto View: (.*) \*/", table.get("ViewOriginalText", ""))
    if not match:
        raise not_supported(f"the view {table['Name']}, which is not one of Athena's")
    return json.loads(base64.b64decode(match[1]))


def create_view(catalog: Catalog, database: str, name: str, sql: str, columns: list[tuple[str, str, str]], replace: bool) -> None:
    """`columns`: (name, Trino's type, Glue's type)."""
    existing = catalog.table(database, name)
    if existing is not None and not (replace and is_view(existing)):
        raise QueryFailure("ALREADY_EXISTS", f"View already exists: '{CATALOG}.{database}.{name}'")
    view = {
        "originalSql": sql,
        "catalog": CATALOG,
        "schema": database,
        "columns": [{"name": n, "type": t} for n, t, _ in columns],
    }
    request = {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true", "comment": "Presto View"},
        "ViewOriginalText": f"/* Presto View: {base64.b64encode(json.dumps(view).encode()).decode()} */",
        "ViewExpandedText": "/* Presto View */",
        "PartitionKeys": [],
        "StorageDescriptor": {"Columns": [{"Name": n, "Type": hive} for n, _, hive in columns], "Location": "", "SerdeInfo": {}},
    }
    (catalog.glue.update_table if existing else catalog.glue.create_table)(DatabaseName=database, TableInput=request)


# --- statements -----------------------------------------------------------------------------------------------------------------
def run(catalog: Catalog, statement: Statement, database: str, s3) -> tuple[list[str], list[str]]:
    """Run a DDL or utility statement: the names of its output columns and its lines. `s3` lists folders for MSCK REPAIR."""
    return _RUNNERS[statement.kind](catalog, statement, statement.database or database, s3) or ([], [])


def _create_database(catalog: Catalog, statement: Statement, _, __):
    options = statement.options
    if catalog.database(statement.name):
        if statement.optional:
            return
        raise QueryFailure("FAILED", f"Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
                                     f"Database {statement.name} already exists")
    catalog.glue.create_database(DatabaseInput={
        "Name": statement.name, **({"Description": options["comment"]} if "comment" in options else {}),
        **({"LocationUri": options["location"]} if "location" in options else {}), "Parameters": options.get("properties", {})})


def _drop_database(catalog: Catalog, statement: Statement, _, __):
    if catalog.database(statement.name) is None:
        if statement.optional:
            return
        raise QueryFailure("FAILED", f"SemanticException [Error 10072]: Database does not exist: {statement.name}")
    if catalog.tables(statement.name) and not statement.options["cascade"]:
        raise QueryFailure(
            "FAILED",
            "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. InvalidOperationException("
            f"message:Database {statement.name} is not empty. One or more tables exist.)",
        )
    catalog.glue.delete_database(Name=statement.name)


def _create_table(catalog: Catalog, statement: Statement, database: str, _):
    options = statement.options
    catalog.need_database(database)
    if catalog.table(database, statement.name):
        if statement.optional:
            return
        raise QueryFailure("FAILED", "Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
                                     f"AlreadyExistsException(message:Table {statement.name} already exists.)")
    if "input" in options:
        serde, reads, writes = options.get("serde", LAZY), options["input"], options["output"]
    else:
        stored = options.get("stored", "textfile")
        if stored not in _FORMATS:
            raise not_supported(f"STORED AS {stored.upper()}")
        serde, reads, writes = _FORMATS[stored]
        serde = options.get("serde", serde)
    parameters = options.get("serde_properties", {})
    catalog.glue.create_table(
        DatabaseName=database,
        TableInput={
            "Name": statement.name,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": options.get("partitions", []),
            **({"Description": options["comment"]} if "comment" in options else {}),
            "Parameters": {"EXTERNAL": "TRUE", **options.get("properties", {})},
            "StorageDescriptor": {
                "Columns": options["columns"],
                "Location": options["location"],
                "InputFormat": reads,
                "OutputFormat": writes,
                "SerdeInfo": {
                    "SerializationLibrary": serde,
                    "Parameters": {"serialization.format": parameters.get("field.delim", "1"), **parameters},
                },
            },
        },
    )


def _drop_table(catalog: Catalog, statement: Statement, database: str, _):
    table, view = catalog.table(database, statement.name), statement.kind == "DROP_VIEW"
    if table is None:
        if statement.optional:
            return
        if view:
            raise QueryFailure("TABLE_NOT_FOUND", f"View '{CATALOG}.{database}.{statement.name}' does not exist")
        raise QueryFailure("FAILED", f"SemanticException [Error 10001]: Table not found {database}.{statement.name}")
    if view != is_view(table):
        raise QueryFailure("FAILED", f"{database}.{statement.name} is {'not ' if view else ''}a view")
    catalog.glue.delete_table(DatabaseName=database, Name=statement.name)


def _show_databases(catalog: Catalog, statement: Statement, _, __):
    return ["database_name"], _matching((item["Name"] for item in catalog.databases()), statement)


def _show_tables(catalog: Catalog, statement: Statement, database: str, _):
    catalog.need_database(database)
    views = statement.kind == "SHOW_VIEWS"
    return ["views" if views else "tab_name"], _matching(
        (item["Name"] for item in catalog.tables(database) if is_view(item) or not views), statement)


def _matching(names: Iterator[str], statement: Statement) -> list[str]:
    pattern = statement.options.get("pattern", "*").replace("*", ".*")
    return sorted(name for name in names if re.fullmatch(pattern, name, re.IGNORECASE))


def _show_columns(catalog: Catalog, statement: Statement, database: str, _):
    table = catalog.need_table(database, statement.name)
    return ["field"], [f"{column['Name']:<20}" for column in columns_of(table)]


def _show_partitions(catalog: Catalog, statement: Statement, database: str, _):
    table = catalog.need_table(database, statement.name)
    if not table.get("PartitionKeys"):
        raise QueryFailure("FAILED", f"Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
                                     f"Table {statement.name} is not a partitioned table")
    return ["partition"], sorted(partition_name(table, part.values) for part in catalog.partitions(table))


def _show_tblproperties(catalog: Catalog, statement: Statement, database: str, _):
    table = catalog.need_table(database, statement.name)
    return ["prpt_name", "prpt_value"], [f"{key}\t{value}" for key, value in sorted(table.get("Parameters", {}).items())]


def _describe(catalog: Catalog, statement: Statement, database: str, _):
    """Name, type and comment, each padded to 20, tab-separated; partition keys a second time below, as Hive prints them."""
    table = catalog.need_table(database, statement.name)

    def line(column: dict) -> str:
        return f"{column['Name']:<20}\t{column['Type']:<20}\t{column.get('Comment', ''):<20}"

    lines = [line(column) for column in columns_of(table)]
    if table.get("PartitionKeys"):
        lines += ["\t \t ", "# Partition Information\t \t ", f"{'# col_name':<20}\t{'data_type':<20}\t{'comment':<20}", "\t \t "]
        lines += [line(column) for column in table["PartitionKeys"]]
    return ["col_name", "data_type", "comment"], lines


def _show_create_table(catalog: Catalog, statement: Statement, database: str, _):
    table = catalog.need_table(database, statement.name)
    if is_view(table):
        raise QueryFailure("FAILED", f"{database}.{statement.name} is a view: use SHOW CREATE VIEW")
    storage = table["StorageDescriptor"]

    def columns(items: list[dict]) -> list[str]:
        return [
            f"  `{c['Name']}` {c['Type']}"
            + (f" COMMENT '{c['Comment']}'" if c.get("Comment") else "")
            + ("," if c is not items[-1] else ")")
            for c in items
        ]

    def pairs(items: dict) -> list[str]:
        return [
            f"  '{key}'='{value}'" + (")" if number == len(items) else ", ")
            for number, (key, value) in enumerate(sorted(items.items()), 1)
        ]

    lines = [f"CREATE EXTERNAL TABLE `{database}.{table['Name']}`(", *columns(storage["Columns"])]
    if table.get("PartitionKeys"):
        lines += ["PARTITIONED BY ( ", *columns(table["PartitionKeys"])]
    serde = storage.get("SerdeInfo", {})
    lines += ["ROW FORMAT SERDE ", f"  '{serde.get('SerializationLibrary', '')}' "]
    if serde.get("Parameters"):
        lines += ["WITH SERDEPROPERTIES ( ", *pairs(serde["Parameters"])]
    lines += [
        "STORED AS INPUTFORMAT ",
        f"  '{storage.get('InputFormat', '')}' ",
        "OUTPUTFORMAT ",
        f"  '{storage.get('OutputFormat', '')}'",
        "LOCATION",
        f"  '{storage['Location']}'",
    ]
    return ["createtab_stmt"], lines + (["TBLPROPERTIES (", *pairs(table["Parameters"])] if table.get("Parameters") else [])


def _show_create_view(catalog: Catalog, statement: Statement, database: str, _):
    table = catalog.need_table(database, statement.name)
    if not is_view(table):
        raise QueryFailure("FAILED", f"{database}.{statement.name} is not a view")
    return ["Create View"], [
        f"CREATE VIEW {database}.{statement.name} AS",
        *view_query(table)["originalSql"].strip().splitlines(),
    ]


def _add_partitions(catalog: Catalog, statement: Statement, database: str, _):
    table = catalog.need_table(database, statement.name)
    wanted = []
    existing = [part.values for part in catalog.partitions(table)]
    for spec, location in statement.options["partitions"]:
        values = _values(table, spec)
        if values in existing and not statement.optional:
            raise _partition_exists(table, values)
        wanted.append(
            (values, location or f"{table['StorageDescriptor']['Location'].rstrip('/')}/{partition_name(table, values)}")
        )
    catalog.add_partitions(table, [item for item in wanted if item[0] not in existing])


def _drop_partitions(catalog: Catalog, statement: Statement, database: str, _):
    table = catalog.need_table(database, statement.name)
    existing = [part.values for part in catalog.partitions(table)]
    for spec, _ in statement.options["partitions"]:
        values = _values(table, spec)
        if values in existing:
            catalog.drop_partition(table, values)
        elif not statement.optional:
            raise _no_partition(table, values)


def _partition_exists(table: dict, values: list[str]) -> QueryFailure:
    return QueryFailure("FAILED", f"Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. AlreadyExistsException("
                                  f"message:Partition already exists: {partition_name(table, values)})")


def _no_partition(table: dict, values: list[str]) -> QueryFailure:
    return QueryFailure("FAILED", f"SemanticException [Error 10006]: Partition not found {partition_name(table, values)}")


def _rename_partition(catalog: Catalog, statement: Statement, database: str, _):
    table, options = _need_data(catalog, statement, database), statement.options
    known = {tuple(part.values): part.location for part in catalog.partitions(table)}
    values, to = _values(table, options["partition"]), _values(table, options["to"])
    if tuple(values) not in known:
        raise _no_partition(table, values)
    if tuple(to) in known:
        raise _partition_exists(table, to)
    catalog.change_partition(table, values, to, known[tuple(values)])


def _set_location(catalog: Catalog, statement: Statement, database: str, _):
    table, options = _need_data(catalog, statement, database), statement.options
    if "partition" not in options:
        return catalog.change_table(table, StorageDescriptor={**table["StorageDescriptor"], "Location": options["location"]})
    values = _values(table, options["partition"])
    if values not in [part.values for part in catalog.partitions(table)]:
        raise _no_partition(table, values)
    catalog.change_partition(table, values, values, options["location"])


def _set_columns(catalog: Catalog, statement: Statement, database: str, _):
    """ADD COLUMNS puts them behind those that are there, REPLACE COLUMNS in their place [C, AT/alter-table-add-columns]."""
    table, new = _need_data(catalog, statement, database), statement.options["columns"]
    old = table["StorageDescriptor"]["Columns"] if statement.kind == "ALTER_TABLE_ADD_COLUMNS" else []
    taken = [column["Name"] for column in [*old, *(table.get("PartitionKeys") or [])]]
    for column in new:
        if column["Name"] in taken:
            raise QueryFailure("FAILED", f"Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. "
                                         f"Duplicate column name: {column['Name']}")
        taken.append(column["Name"])
    catalog.change_table(table, StorageDescriptor={**table["StorageDescriptor"], "Columns": [*old, *new]})


def _set_tblproperties(catalog: Catalog, statement: Statement, database: str, _):
    table = _need_data(catalog, statement, database)
    catalog.change_table(table, Parameters={**(table.get("Parameters") or {}), **statement.options["properties"]})


def _set_dbproperties(catalog: Catalog, statement: Statement, _, __):
    found = catalog.need_database(statement.name)
    kept = {key: found[key] for key in ("Name", "Description", "LocationUri") if found.get(key)}
    catalog.glue.update_database(Name=statement.name, DatabaseInput={
        **kept, "Parameters": {**(found.get("Parameters") or {}), **statement.options["properties"]}})


def _need_data(catalog: Catalog, statement: Statement, database: str) -> dict:
    """A table that is no view."""
    table = catalog.need_table(database, statement.name)
    if is_view(table):
        raise QueryFailure("FAILED", f"{database}.{statement.name} is a view: ALTER TABLE is for tables")
    return table


def _values(table: dict, spec: dict[str, str]) -> list[str]:
    keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    if sorted(spec) != sorted(keys):
        raise QueryFailure(
            "FAILED", f"ValidationFailureSemanticException: partition spec {spec} doesn't match the partition keys {keys}"
        )
    return [spec[key] for key in keys]


def _repair(catalog: Catalog, statement: Statement, database: str, s3):
    """Register every Hive-style folder (k=v) under the table's location that is not registered yet."""
    table = catalog.need_table(database, statement.name)
    keys = [key["Name"] for key in table.get("PartitionKeys", [])]
    bucket, _, prefix = table["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix else ""
    known = [part.values for part in catalog.partitions(table)]
    found: dict[str, list[str]] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            folders = item["Key"][len(prefix):].split("/")[:-1][:len(keys)]
            pairs = [folder.partition("=") for folder in folders]
            if len(pairs) == len(keys) and keys and [name.lower() for name, _, _ in pairs] == keys:
                found["/".join(folders)] = [value for _, _, value in pairs]
    new = {folder: values for folder, values in found.items() if values not in known}
    catalog.add_partitions(table, [(values, f"s3://{bucket}/{prefix}{folder}") for folder, values in new.items()])
    if not new:
        return [], []
    names = [f"{statement.name}:{folder}" for folder in new]
    return ["repair"], ["Partitions not in metastore:\t" + "\t".join(names), *(
        f"Repair: Added partition to metastore {name}" for name in names)]


def columns_of(table: dict) -> list[dict]:
    return [*table["StorageDescriptor"].get("Columns", []), *table.get("PartitionKeys", [])]


def partition_name(table: dict, values: list[str]) -> str:
    return "/".join(f"{key['Name']}={value}" for key, value in zip(table["PartitionKeys"], values))


_RUNNERS = {
    "CREATE_DATABASE": _create_database,
    "DROP_DATABASE": _drop_database,
    "CREATE_TABLE": _create_table,
    "DROP_TABLE": _drop_table,
    "DROP_VIEW": _drop_table,
    "SHOW_DATABASES": _show_databases,
    "SHOW_TABLES": _show_tables,
    "SHOW_VIEWS": _show_tables,
    "SHOW_COLUMNS": _show_columns,
    "SHOW_PARTITIONS": _show_partitions,
    "SHOW_TBLPROPERTIES": _show_tblproperties,
    "DESCRIBE_TABLE": _describe,
    "SHOW_CREATE_TABLE": _show_create_table,
    "SHOW_CREATE_VIEW": _show_create_view,
    "ALTER_TABLE_ADD_PARTITION": _add_partitions,
    "ALTER_TABLE_DROP_PARTITION": _drop_partitions,
    "ALTER_TABLE_RENAME_PARTITION": _rename_partition,
    "ALTER_TABLE_SET_LOCATION": _set_location,
    "ALTER_TABLE_ADD_COLUMNS": _set_columns,
    "ALTER_TABLE_REPLACE_COLUMNS": _set_columns,
    "ALTER_TABLE_SET_TBLPROPERTIES": _set_tblproperties,
    "ALTER_DATABASE_SET_DBPROPERTIES": _set_dbproperties,
    "MSCK_REPAIR_TABLE": _repair,
}
