"""Glue's catalogue where MiniStack answers otherwise than AWS: names, partitions by expression and in pages, deleting many."""

import contextlib
import json
import sqlite3

_PAGE = 1000
_NUMBERS = {"tinyint", "smallint", "int", "integer", "bigint", "long"}
_TYPES = _NUMBERS | {"string", "date", "timestamp", "decimal", "char", "varchar"}


class Refused(Exception):
    """(code, message)"""


class Catalogue:
    """MiniStack's Glue behind AWS's rules for the catalogue.

    - Names of databases and tables are folded to lower case [C, BC:glue].
    - A table without an Owner has none in answers either; clients hand it back, and an empty one is not valid [C, BC:glue].
    - SearchTables finds tables of every database by a text [C, BC:glue]; its Filters and SortCriteria are refused by name.
    - GetPartitions filters by Expression, in pages; BatchDeletePartition deletes at most 25; what is about a table or partition
      that does not exist is EntityNotFoundException [C, BC:glue].
    """

    def __init__(self, original):
        self._original = original

    def __getattr__(self, member):
        return getattr(self._original, member)

    async def handle_request(self, method, path, headers, body, query_params):
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            params = json.loads(body or b"{}")
        except ValueError:
            return await self._original.handle_request(method, path, headers, body, query_params)

        async def ask(name: str, request: dict) -> dict:
            """Another operation's answer, or its error as Refused."""
            status, _, answer = await self._original.handle_request(
                "POST", "/", {**headers, "x-amz-target": f"AWSGlue.{name}"}, json.dumps(request).encode(), query_params)
            answer = json.loads(answer or b"{}")
            if status >= 400:
                raise Refused(answer.get("__type", "InternalServiceException"), answer.get("message", ""))
            return answer

        _fold(operation, params)
        own = {"GetPartitions": self._get_partitions, "BatchDeletePartition": self._batch_delete, "DeletePartition": self._delete,
               "GetTable": self._get_tables, "GetTables": self._get_tables, "CreatePartition": self._with_table,
               "BatchCreatePartition": self._with_table, "SearchTables": self._search}.get(operation)
        if own is None:
            return await self._original.handle_request(method, path, headers, json.dumps(params).encode() if params else body, query_params)
        try:
            status, answer = 200, await own(ask, operation, params)
        except Refused as error:
            status, answer = 400, {"__type": error.args[0], "message": error.args[1]}
        return status, {"content-type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()

    async def _get_tables(self, ask, operation: str, params: dict) -> dict:
        answer = await ask(operation, params)
        for table in answer.get("TableList", [answer.get("Table")]):
            if not table.get("Owner"):
                table.pop("Owner", None)
        return answer

    async def _with_table(self, ask, operation: str, params: dict) -> dict:
        await ask("GetTable", _table_of(params))
        return await ask(operation, params)

    async def _get_partitions(self, ask, _, params: dict) -> dict:
        table = (await ask("GetTable", _table_of(params)))["Table"]
        found = (await ask("GetPartitions", _table_of(params) | {"TableName": params["TableName"]}))["Partitions"]
        if params.get("Segment"):
            segment = params["Segment"]
            found = found[segment["SegmentNumber"]::segment["TotalSegments"]]
        if params.get("Expression"):
            found = chosen(found, table.get("PartitionKeys", []), params["Expression"])
        if params.get("ExcludeColumnSchema"):
            found = [part | {"StorageDescriptor": {key: value for key, value in part["StorageDescriptor"].items() if key != "Columns"}}
                     for part in found]
        return _page("Partitions", found, params)

    async def _search(self, ask, _, params: dict) -> dict:
        """A text in quotes is the whole name or description; without, a part of either or of a column's, in any case [C, BC:glue]."""
        for name in ("Filters", "SortCriteria"):
            if params.get(name):
                raise Refused("InvalidInputException", f"The local AWS does not support SearchTables {name}")
        text, found = params.get("SearchText", ""), []
        for database in (await ask("GetDatabases", {}))["DatabaseList"]:
            found += (await self._get_tables(ask, "GetTables", {"DatabaseName": database["Name"]}))["TableList"]
        if len(text) > 1 and text[0] == text[-1] == '"':
            found = [table for table in found if text[1:-1] in (table["Name"], table.get("Description"))]
        else:
            found = [table for table in found if any(text.lower() in word.lower() for word in _words(table))]
        return _page("TableList", found, params)

    async def _delete(self, ask, operation: str, params: dict) -> dict:
        await ask("GetPartition", params)
        return await ask(operation, params)

    async def _batch_delete(self, ask, _, params: dict) -> dict:
        await ask("GetTable", _table_of(params))
        if len(params["PartitionsToDelete"]) > 25:
            raise Refused("ValidationException", "1 validation error detected: Value at 'partitionsToDelete' failed to satisfy constraint: "
                                                 "Member must have length less than or equal to 25")
        errors = []
        for item in params["PartitionsToDelete"]:
            try:
                await self._delete(ask, "DeletePartition", {**params, "PartitionValues": item["Values"]})
            except Refused as error:
                errors.append({"PartitionValues": item["Values"], "ErrorDetail": {"ErrorCode": error.args[0], "ErrorMessage": error.args[1]}})
        return {"Errors": errors}


def _page(member: str, items: list, params: dict) -> dict:
    """One page of an answer; the token is the next item's place."""
    try:
        begin = int(params.get("NextToken") or 0)
    except ValueError:
        raise Refused("InvalidInputException", "NextToken is invalid") from None
    end = begin + params.get("MaxResults", _PAGE)
    return {member: items[begin:end], **({"NextToken": str(end)} if end < len(items) else {})}


def _words(table: dict) -> list[str]:
    """What a search looks at."""
    columns = [*table.get("StorageDescriptor", {}).get("Columns", []), *table.get("PartitionKeys", [])]
    return [table["Name"], table.get("Description", ""), *(column["Name"] for column in columns),
            *(table.get("Parameters") or {}).values()]


def _table_of(params: dict) -> dict:
    return {"DatabaseName": params.get("DatabaseName"), "Name": params.get("TableName"), "TableName": params.get("TableName")}


def _fold(operation: str, params: dict) -> None:
    """Lower case for the names of databases and tables in a request, in place."""
    named = [params] if operation.endswith(("Database", "Table")) else []
    for holder in (*named, params.get("DatabaseInput"), params.get("TableInput")):
        if isinstance(holder, dict) and isinstance(holder.get("Name"), str):
            holder["Name"] = holder["Name"].lower()
    for key in ("DatabaseName", "TableName"):
        if isinstance(params.get(key), str):
            params[key] = params[key].lower()


def chosen(partitions: list[dict], keys: list[dict], expression: str) -> list[dict]:
    """The partitions for which `expression` holds: SQL's comparisons over the keys, as SQLite reads them."""
    kinds = [key["Type"].lower().partition("(")[0] for key in keys]
    for kind in kinds:
        if kind not in _TYPES:
            raise Refused("InvalidInputException", f"Unsupported partition key type: {kind}")
    affinity = ["INTEGER" if kind in _NUMBERS else "NUMERIC" if kind == "decimal" else "TEXT" for kind in kinds]
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        columns = ", ".join('"{}" {}'.format(key["Name"].replace('"', '""'), kind) for key, kind in zip(keys, affinity))
        database.execute(f"CREATE TABLE partitions ({columns})")
        database.executemany(f"INSERT INTO partitions VALUES ({', '.join('?' * len(keys))})", (
            [None if value == "__HIVE_DEFAULT_PARTITION__" else value for value in part["Values"]] for part in partitions))
        database.execute("PRAGMA case_sensitive_like = ON")
        selects = iter([sqlite3.SQLITE_OK])  # ours is the only one

        def allowed(action: int, _, detail: str | None, *__) -> int:
            """Comparisons only: nothing that calls, writes or attaches."""
            if action == sqlite3.SQLITE_SELECT:
                return next(selects, sqlite3.SQLITE_DENY)
            reads = action == sqlite3.SQLITE_READ or (action == sqlite3.SQLITE_FUNCTION and detail == "like")
            return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY

        database.set_authorizer(allowed)
        try:
            return [partitions[number - 1] for number, in database.execute(
                f"SELECT rowid FROM partitions WHERE ({expression}) ORDER BY rowid").fetchall()]
        except sqlite3.Error as error:
            raise Refused("InvalidInputException", f"Unsupported expression '{expression}': {error}") from None
