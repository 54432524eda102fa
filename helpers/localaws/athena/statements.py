"""What a query text is: a query for the SQL engine, or one of Athena's DDL and utility statements, parsed here.

Athena hands SELECT and its relatives to Trino and most DDL to Hive, which have different grammars (backticks there, double
quotes here); sqlglot reads the first, a small scanner the second.
"""

import re
from dataclasses import dataclass, field

from .errors import ParseFailure, not_supported, position

_TOKEN = re.compile(r"\s+|--[^\n]*|/\*.*?\*/|(?P<token>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|[\w$]+|.)", re.DOTALL)
_START = (
    "'ALTER', 'ANALYZE', 'CALL', 'COMMENT', 'COMMIT', 'CREATE', 'DEALLOCATE', 'DELETE', 'DENY', 'DESC', 'DESCRIBE', 'DROP', "
    "'EXECUTE', 'EXPLAIN', 'GRANT', 'INSERT', 'MERGE', 'PREPARE', 'REFRESH', 'RESET', 'REVOKE', 'ROLLBACK', 'SET', 'SHOW', 'START', "
    "'TRUNCATE', 'UPDATE', 'USE', <query>"
)
PREPARED = ("PREPARE", "DEALLOCATE_PREPARE")
_REFUSED = {
    "delete",
    "update",
    "merge",
    "optimize",
    "vacuum",
    "analyze",
    "grant",
    "revoke",
    "truncate",
    "use",
    "set",
    "call",
    "comment",
}


@dataclass
class Statement:
    """`kind` as SubstatementType has it (SELECT, CREATE_TABLE_AS_SELECT, SHOW_TABLES, ...); `type` DML, DDL or UTILITY."""

    kind: str
    type: str
    database: str | None = None
    name: str | None = None
    query: str | None = None  # the query inside, at its own place in the text: what stands before it is blank
    optional: bool = False  # IF EXISTS, IF NOT EXISTS
    options: dict = field(default_factory=dict)


class _Scanner:
    def __init__(self, sql: str):
        self.sql, self.at = sql, 0
        self.tokens = [(match["token"], match.start()) for match in _TOKEN.finditer(sql) if match["token"]]
        while self.tokens and self.tokens[-1][0] == ";":
            self.tokens.pop()

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.tokens[place][0].lower() if place < len(self.tokens) else ""

    def accept(self, *words: str) -> bool:
        """Step over `words` if they come next."""
        if [self.peek(i) for i in range(len(words))] == list(words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.failure()

    def failure(self) -> ParseFailure:
        if self.at >= len(self.tokens):
            return ParseFailure(f"{position(self.sql, len(self.sql))}mismatched input '<EOF>'")
        token, start = self.tokens[self.at]
        return ParseFailure(f"{position(self.sql, start)}mismatched input '{token}'")

    def take(self) -> str:
        if self.at >= len(self.tokens):
            raise self.failure()
        self.at += 1
        return self.tokens[self.at - 1][0]

    def identifier(self) -> str:
        if not re.match(r"[\w$\"`]", self.peek()):
            raise self.failure()
        token = self.take()
        return (token[1:-1].replace('""', '"') if token[0] in "\"`" else token).lower()

    def qualified(self) -> tuple[str | None, str]:
        """[[catalog.]database.]table; in backticks also as one, which is how SHOW CREATE TABLE writes it."""
        parts = self.identifier().split(".") if self.peek()[:1] == "`" else [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        if len(parts) == 3 and parts[0] != "awsdatacatalog":
            raise not_supported(f"the data catalog {parts[0]}")
        return (parts[-2] if len(parts) > 1 else None), parts[-1]

    def string(self) -> str:
        if self.peek()[:1] not in ("'", '"'):
            raise self.failure()
        token = self.take()
        return token[1:-1].replace(token[0] * 2, token[0])

    def parenthesised(self) -> tuple[int, int]:
        """Step over `( ... )`; the offsets of what is inside."""
        self.expect("(")
        depth, start = 1, self.tokens[self.at - 1][1] + 1
        while depth:
            token = self.take()
            depth += (token == "(") - (token == ")")
        return start, self.tokens[self.at - 1][1]

    def rest(self) -> str:
        """What follows, at its place."""
        if self.at >= len(self.tokens):
            raise self.failure()
        start, (last, last_start) = self.tokens[self.at][1], self.tokens[-1]
        self.at = len(self.tokens)
        return self.slice(start, last_start + len(last))

    def slice(self, start: int, end: int) -> str:
        return re.sub(r"[^\n]", " ", self.sql[:start]) + self.sql[start:end]

    def properties(self) -> dict[str, str]:
        """('k' = 'v', ...)"""
        found = {}
        self.expect("(")
        while not self.accept(")"):
            key = self.string()
            self.expect("=")
            found[key] = self.string()
            self.accept(",")
        return found

    def end(self, statement: Statement) -> Statement:
        if self.at < len(self.tokens):
            raise self.failure()
        return statement


def parse_statement(sql: str) -> Statement:
    """Raises ParseFailure for a text that is no statement, QueryFailure NOT_SUPPORTED for one that the local AWS does not run."""
    scan = _Scanner(sql)
    for number, (token, _) in enumerate(scan.tokens[1:], 1):  # sqlglot lets these pass
        before = scan.tokens[number - 1][0].lower()
        if (before in (",", "select") and token.lower() in ("from", ")")) or (before == "," and token == ";"):
            scan.at = number
            raise scan.failure()
    first = scan.peek()
    if first in ("select", "with", "values", "(", "table"):
        return Statement("SELECT", "DML", query=scan.rest())
    if scan.accept("create"):
        return _create(scan)
    if scan.accept("drop"):
        return _drop(scan)
    if scan.accept("show"):
        return _show(scan)
    if scan.accept("describe") or scan.accept("desc"):
        for word in ("formatted", "extended"):
            if scan.accept(word):
                raise not_supported(f"DESCRIBE {word.upper()}")
        database, name = scan.qualified()
        return scan.end(Statement("DESCRIBE_TABLE", "UTILITY", database, name))
    if scan.accept("msck"):
        scan.expect("repair", "table")
        database, name = scan.qualified()
        return scan.end(Statement("MSCK_REPAIR_TABLE", "DDL", database, name))
    if scan.accept("alter"):
        return _alter(scan)
    if scan.accept("explain"):
        return _explain(scan)
    if scan.accept("unload"):
        start, end = scan.parenthesised()
        scan.expect("to")
        target, options = scan.string(), {}
        if scan.accept("with"):
            options = _with(scan)
        return scan.end(Statement("UNLOAD", "DML", query=scan.slice(start, end), options={**options, "to": target}))
    if scan.accept("insert"):
        scan.expect("into")
        database, name = scan.qualified()
        columns = None
        if scan.peek() == "(" and scan.peek(1) not in ("select", "with", "values"):
            start, end = scan.parenthesised()
            columns = [part.strip().strip('"').lower() for part in sql[start:end].split(",")]
        return Statement("INSERT", "DML", database, name, query=scan.rest(), options={"columns": columns})
    if scan.accept("prepare"):
        name = scan.identifier()
        scan.expect("from")
        inner = parse_statement(query := scan.rest())
        if inner.type != "DML" and inner.kind != "CREATE_TABLE_AS_SELECT":
            raise not_supported(f"PREPARE of {inner.kind}")
        return Statement("PREPARE", "DDL", name=name, query=query)
    if scan.accept("execute"):
        name, using = scan.identifier(), []
        if scan.accept("using"):
            using = _expressions(scan)
        return scan.end(Statement("EXECUTE", "DML", name=name, options={"using": using}))
    if scan.accept("deallocate", "prepare"):
        return scan.end(Statement("DEALLOCATE_PREPARE", "DDL", name=scan.identifier()))
    if first in _REFUSED:
        raise not_supported(f"{first.upper()} statements")
    if not scan.tokens:
        raise ParseFailure("line 1:1: mismatched input '<EOF>'. Expecting: " + _START)
    raise ParseFailure(f"{position(sql, scan.tokens[0][1])}mismatched input '{scan.tokens[0][0]}'. Expecting: {_START}")


def _expressions(scan: _Scanner) -> list[str]:
    """`4, 'text', DATE '2024-01-01', f(1, 2)`: the text of each."""
    found, depth, begin = [], 0, None
    while scan.peek():
        token, start = scan.tokens[scan.at]
        scan.at += 1
        depth += (token in ("(", "[")) - (token in (")", "]"))
        begin = start if begin is None else begin
        if scan.peek() == "" or (scan.peek() == "," and not depth):
            found.append(scan.sql[begin:start + len(token)])
            begin = None
            scan.accept(",")
    if not found:
        raise scan.failure()
    return found


def _with(scan: _Scanner) -> dict:
    """(format = 'PARQUET', partitioned_by = ARRAY['a', 'b'], ...)"""
    found: dict = {}
    scan.expect("(")
    while not scan.accept(")"):
        key = scan.identifier()
        scan.expect("=")
        if scan.accept("array"):
            found[key] = []
            scan.expect("[")
            while not scan.accept("]"):
                found[key].append(scan.string().lower())
                scan.accept(",")
        else:
            found[key] = scan.string() if scan.peek()[:1] in "'\"" else scan.take().lower()
        scan.accept(",")
    return found


def _create(scan: _Scanner) -> Statement:
    replace = scan.accept("or", "replace")
    if scan.accept("view"):
        database, name = scan.qualified()
        scan.expect("as")
        return Statement("CREATE_VIEW", "DDL", database, name, query=scan.rest(), options={"replace": replace})
    if scan.accept("database") or scan.accept("schema"):
        optional, options = scan.accept("if", "not", "exists"), {}
        name = scan.identifier()
        while scan.at < len(scan.tokens):
            if scan.accept("comment"):
                options["comment"] = scan.string()
            elif scan.accept("location"):
                options["location"] = scan.string()
            elif scan.accept("with", "dbproperties"):
                options["properties"] = scan.properties()
            else:
                raise scan.failure()
        return Statement("CREATE_DATABASE", "DDL", name=name, optional=optional, options=options)
    if scan.accept("external"):
        scan.expect("table")
        return _create_external(scan)
    scan.expect("table")
    optional = scan.accept("if", "not", "exists")
    database, name = scan.qualified()
    if scan.peek() == "(":
        raise not_supported("CREATE TABLE without EXTERNAL (Iceberg tables)")
    options = _with(scan) if scan.accept("with") else {}
    scan.expect("as")
    query, data = scan.rest(), True
    ending = re.search(r"\bwith\s+(no\s+)?data\s*$", query, re.IGNORECASE)
    if ending:
        query, data = query[:ending.start()], not ending[1]
        inner = query.strip()
        if inner.startswith("(") and inner.endswith(")"):
            query = query.replace("(", " ", 1).rstrip()[:-1]
    return Statement("CREATE_TABLE_AS_SELECT", "DDL", database, name, query, optional, {**options, "data": data})


def _columns(text: str) -> list[dict]:
    """`a int COMMENT 'x', b struct<c:int>` as Glue's columns."""
    parts, depth, begin = [], 0, 0
    for match in re.finditer(r"'(?:[^']|'')*'|[<(]|[>)]|,", text):
        depth += (match[0] in "<(") - (match[0] in ">)")
        if match[0] == "," and not depth:
            parts.append(text[begin:match.start()])
            begin = match.end()
    columns = []
    for part in (*parts, text[begin:]):
        match = re.fullmatch(r"\s*(`[^`]+`|\w+)\s+(.+?)(?:\s+comment\s+'((?:[^']|'')*)')?\s*", part, re.IGNORECASE | re.DOTALL)
        if not match:
            raise ParseFailure(f"line 1:8: mismatched input '{part.strip() or ')'}'")
        columns.append({"Name": match[1].strip("`").lower(), "Type": re.sub(r"\s+", "", match[2]).lower()}
                       | ({"Comment": match[3]} if match[3] else {}))
    return columns


def _create_external(scan: _Scanner) -> Statement:
    statement = Statement("CREATE_TABLE", "DDL", optional=scan.accept("if", "not", "exists"))
    statement.database, statement.name = scan.qualified()
    options = statement.options
    start, end = scan.parenthesised()
    options["columns"] = _columns(scan.sql[start:end])
    while scan.at < len(scan.tokens):
        if scan.accept("comment"):
            options["comment"] = scan.string()
        elif scan.accept("partitioned", "by"):
            start, end = scan.parenthesised()
            options["partitions"] = _columns(scan.sql[start:end])
        elif scan.accept("clustered", "by"):
            raise not_supported("CLUSTERED BY")
        elif scan.accept("row", "format", "serde"):
            options["serde"] = scan.string()
            if scan.accept("with", "serdeproperties"):
                options["serde_properties"] = scan.properties()
        elif scan.accept("row", "format", "delimited"):
            options["serde_properties"] = {}
            for words, key in (
                (("fields",), "field.delim"),
                (("escaped", "by"), "escape.delim"),
                (("collection", "items"), "collection.delim"),
                (("map", "keys"), "mapkey.delim"),
                (("lines",), "line.delim"),
            ):
                if scan.accept(*words):
                    if words != ("escaped", "by"):
                        scan.expect("terminated", "by")
                    options["serde_properties"][key] = scan.string().encode().decode("unicode_escape")
        elif scan.accept("stored", "as", "inputformat"):
            options["input"] = scan.string()
            scan.expect("outputformat")
            options["output"] = scan.string()
        elif scan.accept("stored", "as"):
            options["stored"] = scan.identifier()
        elif scan.accept("location"):
            options["location"] = scan.string()
        elif scan.accept("tblproperties"):
            options["properties"] = scan.properties()
        else:
            raise scan.failure()
    if "location" not in options:
        raise ParseFailure("line 1:8: no location specified for the external table")
    return statement


def _drop(scan: _Scanner) -> Statement:
    kind = scan.identifier()
    kind = "database" if kind == "schema" else kind
    if kind not in ("table", "view", "database"):
        scan.at -= 1
        raise scan.failure()
    optional = scan.accept("if", "exists")
    database, name = scan.qualified()
    cascade = kind == "database" and scan.accept("cascade")
    scan.accept("restrict")
    return scan.end(Statement(f"DROP_{kind.upper()}", "DDL", database, name, optional=optional, options={"cascade": cascade}))


def _show(scan: _Scanner) -> Statement:
    kind = scan.identifier()
    if kind == "create":
        what = scan.identifier()
        if what not in ("table", "view"):
            raise scan.failure()
        return scan.end(Statement(f"SHOW_CREATE_{what.upper()}", "UTILITY", *scan.qualified()))
    if kind in ("databases", "schemas"):
        return scan.end(Statement("SHOW_DATABASES", "UTILITY", options=_pattern(scan)))
    if kind in ("tables", "views"):
        database = scan.identifier() if scan.accept("in") or scan.accept("from") else None
        return scan.end(Statement(f"SHOW_{kind.upper()}", "UTILITY", database, options=_pattern(scan)))
    if kind == "columns":
        if not (scan.accept("in") or scan.accept("from")):
            raise scan.failure()
        database, name = scan.qualified()
        if scan.accept("in") or scan.accept("from"):
            database = scan.identifier()
        return scan.end(Statement("SHOW_COLUMNS", "UTILITY", database, name))
    if kind in ("partitions", "tblproperties"):
        return scan.end(Statement(f"SHOW_{kind.upper()}", "UTILITY", *scan.qualified()))
    raise not_supported(f"SHOW {kind.upper()}")


def _pattern(scan: _Scanner) -> dict:
    """LIKE's pattern: Hive's regular expression, in which * is any text and | divides choices."""
    if scan.accept("like") or scan.peek()[:1] == "'":
        return {"pattern": scan.string()}
    return {}


def _alter(scan: _Scanner) -> Statement:
    if scan.accept("database") or scan.accept("schema"):
        name = scan.identifier()
        scan.expect("set", "dbproperties")
        return scan.end(Statement("ALTER_DATABASE_SET_DBPROPERTIES", "DDL", name=name, options={"properties": scan.properties()}))
    scan.expect("table")
    statement = Statement("ALTER_TABLE", "DDL", *scan.qualified())
    options, one = statement.options, _partition(scan) if scan.accept("partition") else None
    if one is not None:
        options["partition"] = one
    if scan.accept("set", "location"):
        statement.kind, options["location"] = "ALTER_TABLE_SET_LOCATION", scan.string()
    elif one is not None and scan.accept("rename", "to", "partition"):
        statement.kind, options["to"] = "ALTER_TABLE_RENAME_PARTITION", _partition(scan)
    elif one is not None:
        raise not_supported(f"ALTER TABLE PARTITION {scan.peek().upper()} {scan.peek(1).upper()}")
    elif scan.accept("set", "tblproperties"):
        statement.kind, options["properties"] = "ALTER_TABLE_SET_TBLPROPERTIES", scan.properties()
    elif scan.peek(1) == "columns" and (word := scan.peek()) in ("add", "replace"):
        scan.expect(word, "columns")
        start, end = scan.parenthesised()
        statement.kind, options["columns"] = f"ALTER_TABLE_{word.upper()}_COLUMNS", _columns(scan.sql[start:end])
    else:
        _alter_partitions(scan, statement)
    return scan.end(statement)


def _alter_partitions(scan: _Scanner, statement: Statement) -> None:
    """ADD and DROP, of one or several."""
    word = scan.peek()
    if word not in ("add", "drop") or scan.peek(1) not in ("if", "partition"):
        raise not_supported(f"ALTER TABLE {word.upper()} {scan.peek(1).upper()}")
    scan.expect(word)
    add = word == "add"
    statement.kind, partitions = f"ALTER_TABLE_{word.upper()}_PARTITION", []
    statement.optional = scan.accept("if", *(("not",) if add else ()), "exists")
    while scan.accept("partition"):
        partitions.append((_partition(scan), scan.string() if add and scan.accept("location") else None))
        scan.accept(",")
    statement.options["partitions"] = partitions


def _partition(scan: _Scanner) -> dict[str, str]:
    """(dt = '1', hour = 2)"""
    values = {}
    scan.expect("(")
    while not scan.accept(")"):
        key = scan.identifier()
        scan.expect("=")
        values[key] = scan.string() if scan.peek()[:1] in "'\"" else scan.take()
        scan.accept(",")
    return values


def _explain(scan: _Scanner) -> Statement:
    if scan.accept("analyze"):
        raise not_supported("EXPLAIN ANALYZE")
    kind = "logical"
    if scan.accept("("):
        while not scan.accept(")"):
            option, value = scan.identifier(), scan.identifier()
            if (option, value) not in (("format", "text"), ("type", "logical"), ("type", "validate")):
                raise not_supported(f"EXPLAIN ({option.upper()} {value.upper()})")
            kind = value if option == "type" else kind
            scan.accept(",")
    if scan.peek() not in ("select", "with", "values", "(", "table"):
        raise not_supported(f"EXPLAIN {scan.peek().upper()}")
    return Statement("EXPLAIN", "UTILITY", query=scan.rest(), options={"type": kind})
