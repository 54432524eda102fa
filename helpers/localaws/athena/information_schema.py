"""`information_schema`: what Glue's catalogue holds, as tables that a query can read [C, AT/querying-glue-catalog]."""

from . import catalog as ddl
from .catalog import CATALOG, Catalog
from .errors import QueryFailure
from .translate import Reference, Relation
from .types import hive_type, quote

NAME = "information_schema"
_TABLES = {
    "schemata": ("catalog_name", "schema_name"),
    "tables": ("table_catalog", "table_schema", "table_name", "table_type"),
    "views": ("table_catalog", "table_schema", "table_name", "view_definition"),
    "columns": ("table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "column_default", "is_nullable",
                "data_type", "comment", "extra_info"),
}
_NUMBERS = {"ordinal_position": "BIGINT"}


def relation(connection, catalog: Catalog, reference: Reference) -> Relation:
    """A relation with the rows of now. `comment` and `extra_info` are Athena's own columns [C, AT/querying-glue-catalog]."""
    if reference.name not in _TABLES:
        raise QueryFailure("TABLE_NOT_FOUND", f"Table '{CATALOG}.{NAME}.{reference.name}' does not exist", at=reference.at)
    columns, name = _TABLES[reference.name], f"t_{NAME}_{reference.name}"
    shape = ", ".join(f"{quote(column)} {_NUMBERS.get(column, 'VARCHAR')}" for column in columns)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} ({shape})")
    if rows := list(_rows(catalog, reference.name)):
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
    return Relation(name, list(columns))


def _rows(catalog: Catalog, kind: str):
    for database in catalog.databases():
        schema = (CATALOG, database["Name"])
        if kind == "schemata":
            yield schema
            continue
        for table in catalog.tables(database["Name"]):
            view, named = ddl.is_view(table), (*schema, table["Name"])
            if kind == "tables":
                yield *named, "VIEW" if view else "BASE TABLE"
            elif kind == "views" and view:
                yield *named, ddl.view_query(table)["originalSql"]
            elif kind == "columns":
                keys = {key["Name"] for key in table.get("PartitionKeys") or []}
                for number, column in enumerate(ddl.columns_of(table), 1):
                    yield (*named, column["Name"], number, None, "YES", hive_type(column["Type"]).trino, column.get("Comment") or None,
                           "partition key" if column["Name"] in keys else None)
