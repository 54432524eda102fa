"""Athena's SQL to DuckDB's: parse, resolve names, give every operator and function Trino's meaning.

sqlglot parses, with its own knowledge of functions switched off: each call arrives here under the name it was written with
and is looked up in `functions`. String literals become VARCHAR, so that DuckDB does not bend them to the other operand's type.
"""

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType

import sqlglot
from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import ParseError, TokenError
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.parsers.trino import TrinoParser

from .errors import ParseFailure, QueryFailure, not_supported, position
from .functions import AGGREGATES, EXTRACTED, FUNCTIONS, KNOWN, call, dispatch, text
from .scalars import Problem

logging.getLogger("sqlglot").setLevel(logging.ERROR)


def _parse_cast(parser: TrinoParser) -> exp.Expression:
    cast = TrinoParser.FUNCTION_PARSERS["CAST"](parser)
    cast.meta["call"] = True  # CAST(...), not a literal such as DECIMAL '1.10', which sqlglot makes a Cast too
    return cast


class _Parser(TrinoParser):
    FUNCTIONS = MappingProxyType({})
    FUNCTION_PARSERS = {name: parser for name, parser in TrinoParser.FUNCTION_PARSERS.items()
                        if name in ("TRY_CAST", "EXTRACT", "POSITION", "TRIM", "LISTAGG", "SUBSTRING", "JSON_VALUE", "JSON_QUERY",
                                         "JSON_OBJECT")} | {"CAST": _parse_cast}


class AthenaSql(Trino):
    INDEX_OFFSET = 0  # subscripts stay as written
    Parser = _Parser


@dataclass
class Relation:
    """A table as the query sees it: DuckDB's name for it, its columns in order (lower case), hidden ones apart."""

    name: str
    columns: list[str]
    hidden: list[str] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)  # Glue's types of the columns


@dataclass
class Reference:
    """One mention of a table in a query, with what the query's own WHERE says about it."""

    catalog: str
    database: str
    name: str
    at: int | None
    predicates: list[exp.Expression]  # conjuncts that mention only this table's columns, or none


def parse(sql: str) -> exp.Expression:
    """The query's tree. Raises ParseFailure with Trino's `line L:C: mismatched input ...`."""
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=AthenaSql) if tree is not None]
    except ParseError as error:
        first = error.errors[0]
        token, line, end = first["highlight"] or "", first["line"] or 1, first["col"] or 1
        if (
            first["description"].startswith(("Required", "Expec"))
            and sql.rstrip(" \n\t;").endswith(token)
            and not first["end_context"].strip()
        ):
            raise ParseFailure(f"{position(sql, len(sql))}mismatched input '<EOF>'") from None
        raise ParseFailure(f"line {line}:{max(1, end - len(token) + 1)}: mismatched input '{token}'") from None
    except TokenError as error:
        raise ParseFailure(f"line 1:1: {str(error).splitlines()[0]}") from None
    if len(trees) != 1:
        raise ParseFailure("Only one sql statement is allowed. Got: " + sql.strip())
    if not isinstance(trees[0], (exp.Query, exp.Values)):
        word = sql.split()[0]
        raise ParseFailure(f"{position(sql, sql.index(word))}mismatched input '{word}'")
    for node in trees[0].walk():
        if _is_foreign(node):
            at = start(node)
            raise ParseFailure(f"{position(sql, at if at is not None else 0)}mismatched input: no such syntax in Trino: {node.sql()}")
    return trees[0]


_FOREIGN = (exp.ILike, exp.SimilarTo, exp.Glob, exp.RegexpLike, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot,
            exp.BitwiseLeftShift, exp.BitwiseRightShift, exp.IntDiv, exp.Pow, exp.Struct, exp.Slice)


def _is_foreign(node: exp.Expression) -> bool:
    """What sqlglot reads, because some other engine has it, and DuckDB would answer."""
    has = node.args.get
    return isinstance(node, _FOREIGN) or any((
        isinstance(node, exp.Star) and (has("except_") or has("replace") or has("rename")),
        isinstance(node, exp.Distinct) and has("on"),
        isinstance(node, exp.Group) and has("all"),
        isinstance(node, exp.Join) and (has("method") not in (None, "NATURAL") or has("kind") in ("SEMI", "ANTI")),
        isinstance(node, exp.Interval) and has("unit") is not None and node.args["unit"].name.upper() in ("WEEK", "QUARTER"),
        isinstance(node, exp.Any) and not isinstance(node.this, (exp.Query, exp.Subquery)),
        isinstance(node, exp.Limit) and (has("limit_options") or has("offset")),
        isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast) and "call" not in node.meta and not (
            isinstance(node.this, exp.Literal) and node.this.is_string)))


def bind(tree: exp.Expression, parameters: list[str]) -> exp.Expression:
    """Put the execution parameters, SQL literals as text, where the `?` stand."""
    marks = sorted(tree.find_all(exp.Placeholder), key=lambda mark: mark.meta.get("start", 0))
    if len(marks) != len(parameters):
        raise ParseFailure(f"Incorrect number of parameters: expected {len(marks)} but found {len(parameters)}")
    for mark, value in zip(marks, parameters):
        mark.replace(exp.paren(parse(f"SELECT {value}").expressions[0], copy=False))
    return tree


def start(node: exp.Expression | None) -> int | None:
    """Where in the text a node begins."""
    found = [part.meta["start"] for part in (node.walk() if node is not None else ()) if "start" in part.meta]
    return min(found, default=None)


def resolve(tree: exp.Expression, catalog: str, database: str, relation: Callable[[Reference], Relation]) -> list[str | None]:
    """Point every table of `tree` at its DuckDB relation and check every column. The output columns' names, None if unnamed."""
    outputs: dict[int, list[str | None] | None] = {}
    names: list[str | None] | None = None
    if any(clause.recursive for clause in tree.find_all(exp.With)):
        raise not_supported("WITH RECURSIVE")
    scopes = list(traverse_scope(tree))  # inner ones first
    for scope in scopes:
        if not isinstance(scope.expression, (exp.Select, exp.SetOperation, exp.Values, exp.Unnest, exp.Subquery, exp.Lateral)):
            raise not_supported(f"{scope.expression.key.upper()} here", start(scope.expression))
        visible: dict[str, list[str] | None] = {}
        hidden: list[str] = []
        for alias, (node, source) in scope.selected_sources.items():
            if isinstance(source, exp.Table):
                table = _resolve_table(node, source, alias, scope, catalog, database, relation)
                visible[alias.lower()] = table.columns
                hidden += table.hidden
                for column in scope.columns:  # of which UNNEST wants the type
                    if column.name.lower() in table.kinds and column.table.lower() in ("", alias.lower()):
                        column.meta["kind"] = table.kinds[column.name.lower()]
            elif isinstance(source, Scope):
                columns = _aliases(node) or outputs.get(id(source.expression))
                visible[alias.lower()] = columns and [name.lower() if name else "" for name in columns]
            else:
                columns = _aliases(node)
                visible[alias.lower()] = [name.lower() for name in columns] if columns else None
        for column in scope.columns:  # database.table.column
            if column.args.get("db") and column.table.lower() in visible:
                column.set("db", None)
                column.set("catalog", None)
        scope.visible = visible
        scope.hidden = hidden
        outputs[id(scope.expression)] = names = scope.names = _outputs(scope, outputs)
        for star in scope.expression.expressions if isinstance(scope.expression, exp.Select) else ():
            inner = star.this if isinstance(star, exp.Column) else star
            if hidden and isinstance(inner, exp.Star):
                inner.set("except_", [exp.to_identifier(name, quoted=True) for name in hidden])
    for scope in scopes:
        _check_columns(scope)
    return names or []


def _aliases(node: exp.Expression) -> list[str]:
    """The column names that stand behind a table's alias; WITH ORDINALITY's comes last."""
    alias, ordinal = node.args.get("alias"), node.args.get("offset")
    return [column.name for column in alias.columns] + ([ordinal.name] if isinstance(ordinal, exp.Identifier) else []) \
        if isinstance(alias, exp.TableAlias) else []


def _resolve_table(node, source, alias, scope, catalog, database, relation) -> Relation:
    """Replace one table by its relation. `node` is what stands in FROM, `source` the table itself."""
    if "relation" in source.meta:
        return source.meta["relation"]
    for what, name in (("version", "time travel"), ("sample", "TABLESAMPLE"), ("pivots", "PIVOT"), ("when", "time travel")):
        if source.args.get(what):
            raise not_supported(name, start(source))
    if not isinstance(source.this, exp.Identifier):
        raise not_supported("table functions", start(source))
    reference = Reference(source.catalog.lower() or catalog, source.db.lower() or database, source.name.lower(), start(source),
                          _predicates(scope, alias))
    found = relation(reference)
    source.set("alias", source.args.get("alias") or exp.TableAlias(this=exp.to_identifier(source.name, quoted=True)))
    source.set("this", exp.to_identifier(found.name, quoted=True))
    source.set("db", None)
    source.set("catalog", None)
    result = Relation(found.name, [name.lower() for name in _aliases(source)] or found.columns, found.hidden, found.kinds)
    source.meta["relation"] = result
    return result


def _predicates(scope: Scope, alias: str) -> list[exp.Expression]:
    """Conjuncts of this scope's WHERE that say something about one table only; none if an outer join may undo them."""
    where = scope.expression.args.get("where")
    joins = scope.expression.args.get("joins") or []
    if where is None or any(
        join.side in ("RIGHT", "FULL") or (join.side == "LEFT" and join.alias_or_name == alias) for join in joins
    ):
        return []
    alone = len(scope.selected_sources) == 1
    return [part.copy() for part in where.this.flatten() if isinstance(where.this, exp.And)
            and _only(part, alias, alone)] or ([where.this.copy()] if _only(where.this, alias, alone) else [])


def _only(condition: exp.Expression, alias: str, alone: bool) -> bool:
    columns = list(condition.find_all(exp.Column))
    return bool(columns) and not condition.find(exp.Query) and all(
        column.table.lower() == alias.lower() or (alone and not column.table) for column in columns)


def _outputs(scope: Scope, known: dict) -> list[str | None] | None:
    """Names of the columns that a scope puts out; None for the whole where they cannot be known before running."""
    expression = scope.expression
    if isinstance(expression, exp.SetOperation):
        left = expression.this.unnest() if isinstance(expression.this, exp.Subquery) else expression.this
        return known.get(id(left))
    if isinstance(expression, (exp.Subquery, exp.Lateral)):
        return known.get(id(expression.this.unnest())) if isinstance(expression, exp.Lateral) else known.get(id(expression.unnest()))
    if isinstance(expression, exp.Values):
        return [None] * len(expression.expressions[0].expressions) if isinstance(expression.expressions[0], exp.Tuple) else [None]
    if not isinstance(expression, exp.Select):
        return None
    names: list[str | None] = []
    for item in expression.expressions:
        if item.is_star:
            wanted = [item.table.lower()] if isinstance(item, exp.Column) else list(scope.visible)
            if expression.args.get("joins") and any(join.args.get("using") for join in expression.args["joins"]):
                return None
            for alias in wanted:
                if scope.visible.get(alias) is None:
                    return None
                names += [name for name in scope.visible[alias] if name not in scope.hidden]
        else:
            names.append(_name(item))
    return names


def _name(item: exp.Expression) -> str | None:
    """An output column's name: its alias, or the last part of a plain reference; else none."""
    while isinstance(item, exp.Paren):
        item = item.this
    if isinstance(item, exp.Alias):
        return item.alias
    if isinstance(item, exp.Dot):
        return item.expression.name
    return item.name if isinstance(item, exp.Column) else None


def _check_columns(scope: Scope) -> None:
    """COLUMN_NOT_FOUND as Trino finds it: also for aliases of the same SELECT, which only ORDER BY may use."""
    sources: dict[str, list[str] | None] = {}
    outer = scope
    while outer is not None:
        for alias, columns in outer.visible.items():
            sources.setdefault(alias, columns and columns + outer.hidden)
        outer = outer.parent if outer.is_subquery or outer.is_udtf else None
    if None in sources.values():
        return
    every = {name for columns in sources.values() for name in columns}
    aliases = {item.alias.lower() for item in getattr(scope.expression, "expressions", ()) if isinstance(item, exp.Alias)}
    if isinstance(scope.expression, exp.SetOperation):
        every |= {name.lower() for name in scope.names or () if name}
    for column in scope.columns:
        name, table = column.name.lower(), column.table.lower()
        inner = column.find_ancestor(exp.Select, exp.SetOperation)
        if isinstance(column.this, exp.Star) or _is_form(column) or _is_lambda_variable(column) or (
                isinstance(scope.expression, (exp.Select, exp.SetOperation)) and inner is not scope.expression):
            continue
        if table:
            good = name in sources[table] if table in sources else table in every or bool(column.args.get("db"))
        else:
            good = name in every or (name in aliases and column.find_ancestor(exp.Order, exp.Window) is not None
                                     and not column.find_ancestor(exp.Window))
        if not good:
            raise column_not_found(column)


def column_not_found(column: exp.Column) -> QueryFailure:
    written = ".".join(part.name for part in column.parts)
    return QueryFailure("COLUMN_NOT_FOUND", f"Column '{written}' cannot be resolved or requester is not authorized to access "
                                            "requested resources", at=start(column))


def _is_form(column: exp.Column) -> bool:
    """The keyword in NORMALIZE(text, NFD)."""
    call_ = column.parent
    return isinstance(call_, exp.Anonymous) and call_.name.lower() == "normalize" and column.arg_key == "expressions" and column.index == 1


def _is_lambda_variable(column: exp.Column) -> bool:
    names = {column.name.lower(), column.table.lower()}
    parent = column.find_ancestor(exp.Lambda)
    while parent is not None:
        if names & {variable.name.lower() for variable in parent.expressions}:
            return True
        parent = parent.find_ancestor(exp.Lambda)
    return False


# --- meaning --------------------------------------------------------------------------------------------------------------------
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_CALLS = {exp.Add: "t_add", exp.Sub: "t_sub"}
_CASTS = {exp.DType.TINYINT: "tinyint", exp.DType.SMALLINT: "smallint", exp.DType.INT: "integer", exp.DType.BIGINT: "bigint",
          exp.DType.DOUBLE: "double", exp.DType.FLOAT: "float", exp.DType.BOOLEAN: "boolean"}
_NESTED = (exp.DType.ARRAY, exp.DType.MAP, exp.DType.STRUCT, exp.DType.VARBINARY, exp.DType.TIME)
_KEPT_FUNCTIONS = (
    exp.Anonymous,
    exp.Cast,
    exp.TryCast,
    exp.Case,
    exp.If,
    exp.Array,
    exp.GroupConcat,
    exp.Exists,
    exp.And,
    exp.Or,
    exp.Unnest,
)


def meaning(tree: exp.Expression, now: datetime.datetime) -> exp.Expression:
    """`tree` (changed in place) with Trino's meaning in DuckDB's terms. `now` is the query's start, UTC."""
    _quantified(tree)
    for select in tree.find_all(exp.Select):
        _by_number(select)
    root = exp.Paren(this=tree)
    for node in reversed(list(tree.walk(bfs=True))):
        if node.parent is not None or node is tree:
            replacement = _rewrite(node, now)
            if replacement is not node:
                node.replace(replacement)
    return root.this


def _by_number(select: exp.Select) -> None:
    """GROUP BY and ORDER BY of an expression of the SELECT list as its number: the same expression may come out different in two places."""
    group, order = select.args.get("group"), select.args.get("order")
    plain = [item.unalias() for item in select.expressions]
    if group is None or any(item.is_star for item in select.expressions):
        return
    for key in [*group.expressions, *(item.this for item in (order.expressions if order else ()))]:
        if not isinstance(key, (exp.Literal, exp.Column)) and key in plain:
            key.replace(exp.Literal.number(plain.index(key) + 1))


_CLOCK = {"now": exp.CurrentTimestamp, "current_timestamp": exp.CurrentTimestamp, "localtimestamp": exp.Localtimestamp}


def _milliseconds(node: exp.Anonymous) -> bool:
    """No precision, or three digits."""
    return [argument.name for argument in node.expressions] == ([] if node.name.lower() == "now" else ["3"])


def _rewrite(node: exp.Expression, now: datetime.datetime) -> exp.Expression:
    if isinstance(node, exp.Literal):
        if not node.is_string or isinstance(node.parent, exp.Interval):
            return node
        return exp.Cast(this=node.copy(), to=exp.DataType.build("varchar"))
    if isinstance(node, exp.Anonymous) and node.name.lower() in _CLOCK and _milliseconds(node):
        node = _CLOCK[node.name.lower()]()
    if isinstance(node, exp.Anonymous):
        return node if isinstance(node.parent, (exp.Window, exp.Filter, exp.IgnoreNulls, exp.RespectNulls)) else _function(node)
    if isinstance(node, exp.Window) and node.arg_key == "windows":
        return node  # WINDOW w AS (...)
    if isinstance(node, (exp.Window, exp.Filter, exp.IgnoreNulls, exp.RespectNulls)):
        return node if isinstance(node.parent, (exp.Window, exp.Filter)) and node.arg_key == "this" else _function(node)
    if type(node) in _CALLS:
        return call(_CALLS[type(node)], node.this, node.expression)
    if isinstance(node, exp.DPipe):
        return FUNCTIONS["concat"](node.this, node.expression)
    if isinstance(node, exp.Div):
        return dispatch("k_div", node.this, node.expression)
    if isinstance(node, exp.Mod):
        return dispatch("k_mod", node.this, node.expression)
    if isinstance(node, _COMPARED):
        return type(node)(this=_key(node.this, node, node.expression), expression=_key(node.expression, node, node.this))
    if isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        return exp.Between(
            this=_key(node.this, node, low, high), low=_key(low, node, node.this), high=_key(high, node, node.this)
        )
    if isinstance(node, exp.In) and any(map(_is_text, node.expressions)):
        node.set("this", _key(node.this, node, *node.expressions))
        return node
    if isinstance(node, exp.Cast):
        cast = _cast(node)
        return call("try", cast) if isinstance(node, exp.TryCast) else cast
    if isinstance(node, exp.CurrentTimestamp):
        return call(
            "t_instant", exp.cast(exp.Literal.string(now.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]), "timestamp"), text("UTC")
        )
    if isinstance(node, exp.Localtimestamp):
        return exp.cast(exp.Literal.string(now.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]), "timestamp")
    if isinstance(node, exp.CurrentDate):
        return exp.cast(exp.Literal.string(now.strftime("%Y-%m-%d")), "date")
    if isinstance(node, exp.AtTimeZone):
        return call("t_at_timezone", node.this, node.args["zone"])
    if isinstance(node, exp.Extract):
        build = FUNCTIONS.get(node.name.lower())
        if node.name.lower() in ("timezone_hour", "timezone_minute"):
            return call(build, node.expression)
        if node.name.lower() not in EXTRACTED:
            raise not_supported(f"EXTRACT({node.name})", start(node))
        return build(node.expression)
    if isinstance(node, exp.Substring):
        return call(
            "t_substr", *(part for part in (node.this, node.args.get("start"), node.args.get("length")) if part is not None)
        )
    if isinstance(node, exp.Trim):
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get((node.args.get("position") or "").upper(), "trim")
        return call(name, node.this, node.expression) if node.expression else call(f"t_{name}", node.this)
    if isinstance(node, exp.StrPosition):
        return call("strpos", node.this, node.args["substr"])
    if isinstance(node, exp.Bracket):
        return call("t_subscript", node.this, node.expressions[0])
    if isinstance(node, exp.HexString):
        return call("unhex", text(node.name))
    if isinstance(node, exp.JSONValue) or isinstance(node, exp.JSONExtract) and node.args.get("json_query"):
        return _sql_json(node)
    if isinstance(node, exp.ParseJSON):
        return call("t_json_parse", node.this)
    if isinstance(node, exp.Func) and not isinstance(node, _KEPT_FUNCTIONS):
        raise not_supported(node.sql_name().replace("J_S_O_N", "JSON"), start(node))
    if isinstance(node, (exp.TableSample, exp.Pivot, exp.MatchRecognize, exp.Version)):
        raise not_supported(node.key.upper(), start(node))
    if isinstance(node, exp.Unnest):
        return _unnest(node)
    if isinstance(node, exp.Fetch) and (limits := node.args.get("limit_options")) and (
            limits.args.get("with_ties") or limits.args.get("percent")):
        raise not_supported("FETCH FIRST WITH TIES" if limits.args.get("with_ties") else "FETCH FIRST PERCENT")
    if isinstance(node, exp.GroupConcat) and isinstance(node.args.get("on_overflow"), exp.OverflowTruncateBehavior):
        raise not_supported("LISTAGG with ON OVERFLOW TRUNCATE", start(node))
    return node


_OPERATORS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}


def _quantified(tree: exp.Expression) -> None:
    """`= ALL (VALUES ...)`, `= ANY (VALUES ...)` as DuckDB reads them: over a SELECT."""
    for node in list(tree.find_all(exp.Anonymous)):
        if node.name.upper() in ("ALL", "SOME", "ANY") and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Values):
            node.replace((exp.All if node.name.upper() == "ALL" else exp.Any)(this=exp.Subquery(this=node.expressions[0].copy())))
    for node in tree.find_all(exp.All, exp.Any):
        if isinstance(node.this, exp.Subquery) and isinstance(node.this.this, exp.Values):
            values = node.this.this.copy()
            values.set("alias", exp.TableAlias(this=exp.to_identifier("t_values")))
            node.set("this", exp.Subquery(this=exp.Select(expressions=[exp.Star()]).from_(values)))


def _key(value: exp.Expression, node: exp.Expression, *others: exp.Expression) -> exp.Expression:
    """What a comparison sees of a value. Beside a text literal only text may stand: DuckDB would cast the literal."""
    if isinstance(value, (exp.All, exp.Any)):
        return value
    if isinstance(value, (exp.Literal, exp.Null, exp.Boolean, exp.Cast, exp.Tuple, exp.Query)) and not (
            isinstance(value, exp.Literal) and any(map(_is_text, others))):
        return value
    if any(map(_is_text, others)):
        return call("t_text_key", value, text(_OPERATORS.get(type(node), node.key.upper())))
    return call("t_key", value)


def _is_text(node: exp.Expression) -> bool:
    return (
        isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string and node.to.is_type("varchar")
    )


_WRAPPERS = {"": "", "WITHOUT ARRAY WRAPPER": "", "WITHOUT WRAPPER": "", "WITH WRAPPER": "WITH", "WITH ARRAY WRAPPER": "WITH",
             "WITH UNCONDITIONAL WRAPPER": "WITH", "WITH UNCONDITIONAL ARRAY WRAPPER": "WITH",
             "WITH CONDITIONAL WRAPPER": "WITH CONDITIONAL", "WITH CONDITIONAL ARRAY WRAPPER": "WITH CONDITIONAL"}


def _sql_json(node: exp.Expression) -> exp.Expression:
    """JSON_VALUE and JSON_QUERY with what stands behind the path: only wrappers have a meaning here."""
    value = isinstance(node, exp.JSONValue)
    for name, words in (("returning", "RETURNING"), ("on_condition", "ON EMPTY or ON ERROR"), ("quote", "QUOTES")):
        if node.args.get(name):
            raise not_supported(f"{words} in {'JSON_VALUE' if value else 'JSON_QUERY'}", start(node))
    path = node.args["path"] if value else node.expression
    wrapper = _WRAPPERS.get((node.args.get("option") and node.args["option"].name or "").upper())
    if wrapper is None:
        raise not_supported("this wrapper in JSON_QUERY", start(node))
    return call("t_json_value", node.this, path) if value else FUNCTIONS["json_query"](node.this, path, text(wrapper))


def _function(node: exp.Expression) -> exp.Expression:
    """A call, with the FILTER, OVER and IGNORE NULLS around it, as DuckDB's."""
    inner = node
    while not isinstance(inner, exp.Anonymous):
        if not isinstance(inner, (exp.Window, exp.Filter, exp.IgnoreNulls, exp.RespectNulls)):
            if isinstance(inner, exp.GroupConcat):
                return node
            raise not_supported(f"OVER or FILTER on {inner.key}", start(node))
        inner = inner.this
    name = inner.name.lower()

    def wrap(aggregate: exp.Expression) -> exp.Expression:
        if node is inner:
            return aggregate
        whole = node.copy()
        place = whole
        while not isinstance(place, exp.Anonymous):
            if isinstance(place, exp.IgnoreNulls):  # DuckDB wants it inside the call
                *others, last = aggregate.expressions
                aggregate.set("expressions", [*others, exp.var(f"{duckdb_sql(last)} IGNORE NULLS")])
            if isinstance(place, (exp.IgnoreNulls, exp.RespectNulls)) and place is not whole:
                place = place.replace(place.this)
            else:
                place = place.this
        if isinstance(whole, (exp.IgnoreNulls, exp.RespectNulls)):
            return aggregate
        place.replace(aggregate)
        return whole

    arguments = list(inner.expressions)
    try:
        if name in AGGREGATES:
            return AGGREGATES[name](wrap, *arguments)
        if name in KNOWN - FUNCTIONS.keys():
            raise not_supported(f"the function {name}", start(inner))
        if node is not inner or name not in FUNCTIONS:
            raise QueryFailure("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", at=start(inner))
        target = FUNCTIONS[name]
        return target(*arguments) if callable(target) else call(target, *arguments)
    except TypeError:
        raise QueryFailure("FUNCTION_NOT_FOUND", f"Unexpected parameters for function {name}", at=start(inner)) from None
    except Problem as problem:  # of a literal argument
        raise QueryFailure(problem.name, problem.message, at=start(inner)) from None
    except QueryFailure as failure:
        failure.at = failure.at if failure.at is not None else start(inner)
        raise


def _cast(node: exp.Cast) -> exp.Expression:
    kind, value, parameters = node.to.this, node.this, [p.name for p in node.to.expressions if isinstance(p, exp.DataTypeParam)]
    if kind in (exp.DType.VARCHAR, exp.DType.TEXT):
        whole = dispatch("k_varchar", value)
        return call("t_substr", whole, exp.Literal.number(1), exp.Literal.number(parameters[0])) if parameters else whole
    if kind in _CASTS:
        return dispatch(f"k_cast_{_CASTS[kind]}", value)
    if kind == exp.DType.DECIMAL:
        if not parameters and "call" not in node.meta and isinstance(node, exp.Cast) and isinstance(value, exp.Cast):
            digits = value.name.lstrip("+-")
            parameters = [str(len(digits.replace(".", "").lstrip("0")) or 1), str(len(digits.partition(".")[2]))]
            parameters[0] = str(max(map(int, parameters)))
        size = ",".join(parameters if len(parameters) == 2 else [*(parameters or ["38"]), "0"])
        kind = exp.DataType.build(f"decimal({size})")
        return call("t_decimal", value, exp.TryCast(this=call("t_plain", value.copy()), to=kind), text(f"DECIMAL({size.replace(',', ', ')})"))
    if kind in (exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ):
        if parameters and int(parameters[0]) > 3:
            raise not_supported("timestamps of more than three fractional digits", start(node))
        return call({exp.DType.DATE: "t_cast_date", exp.DType.TIMESTAMP: "t_cast_timestamp"}.get(kind, "t_cast_zoned"), value)
    if kind == exp.DType.JSON:
        return call("t_cast_json", value)
    if kind in _NESTED and not any(
        part.this in (exp.DType.TIMESTAMPTZ, exp.DType.JSON) for part in node.to.find_all(exp.DataType)
    ):
        return exp.Cast(this=call("t_plain", value), to=node.to.copy())
    raise not_supported(f"a cast to {node.to.sql(dialect='trino')}", start(node))


_MAPS = ("map", "map_from_entries", "map_concat", "p_split_to_map", "p_split_to_multimap", "histogram", "t_map_of", "t_multimap_of")
_ROWS = ("list_zip", "t_rows")


def _kind(node: exp.Expression) -> str:
    """"map", "array" of rows, or "" for what only running would tell, of an UNNEST's argument."""
    if isinstance(node, exp.Cast):
        return {exp.DType.MAP: "map", exp.DType.ARRAY: "array"}.get(node.to.this, "")
    if isinstance(node, exp.Anonymous):
        return "map" if node.name in _MAPS else "array" if node.name in _ROWS else ""
    return "array" if isinstance(node, exp.Array) else node.meta.get("kind", "").partition("<")[0]


def _unnest(node: exp.Unnest) -> exp.Expression:
    """One array of plain values: DuckDB's own. Several arrays are zipped; a map or an array of rows gives a column each."""
    columns = _aliases(node)
    ordinal = bool(node.args.get("offset"))
    width = len(columns) - ordinal
    if len(node.expressions) == 1 and width <= 1:
        return node
    items = node.expressions
    if len(items) == 1 and _kind(items[0]):
        source = call("t_rows", items[0]) if _kind(items[0]) == "map" else items[0]
    elif len(items) == width:
        source = call("list_zip", *items)
    else:
        raise not_supported("UNNEST of a map or of an array of rows whose type only running would tell", start(node))
    row, number = exp.to_identifier("t_row"), exp.to_identifier("t_number")
    source = exp.Unnest(expressions=[source], offset=number if ordinal else None,
                        alias=exp.TableAlias(this=exp.to_identifier("t_zip"), columns=[row, *([number] if ordinal else [])]))
    parts = [exp.alias_(call("struct_extract_at", exp.column("t_row"), exp.Literal.number(i + 1)), name, quoted=True)
             for i, name in enumerate(columns[:width])]
    if ordinal:
        parts.append(exp.alias_(exp.column("t_number"), columns[-1], quoted=True))
    return exp.Lateral(this=exp.Subquery(this=exp.Select(expressions=parts).from_(source)),
                       alias=exp.TableAlias(this=node.args["alias"].this))


def duckdb_sql(tree: exp.Expression) -> str:
    return tree.sql(dialect="duckdb")


def name_outputs(tree: exp.Expression, names: list[str | None]) -> None:
    """Give the outermost unnamed columns names that no table has, so that DuckDB keeps them apart."""
    query = tree
    while isinstance(query, (exp.SetOperation, exp.Subquery)):
        query = query.this
    if isinstance(query, exp.Select):
        query.set("expressions", [item if _name(item) or item.is_star else exp.alias_(item, f"_col{number}", quoted=True)
                                  for number, item in enumerate(query.expressions)])
