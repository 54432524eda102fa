"""Trino's functions, defined over DuckDB.

`prelude()` is the DuckDB SQL that every query's connection starts with: macros named `t_...`, overloaded by type where Trino's
answer depends on it. `FUNCTIONS` says what each Trino function becomes: the name of such a macro, or of a DuckDB function that
answers alike, or a builder `(arguments) -> expression`. `AGGREGATES` is the same for aggregate and window functions, whose builders
also get `wrap`, which puts FILTER and OVER around the aggregate inside. A function in neither is refused by name: nothing
reaches DuckDB under its own meaning by accident. tests/localaws/test_athena_sql.py holds them to the Trino reference's answers.

Two Trino types have no DuckDB twin and are structs here: `timestamp with time zone` is (utc, zone), `json` is (json). An error
inside a query is a failing cast of a marked message, because TRY() catches casts but not DuckDB's own `error()`.
"""

import re
from collections.abc import Callable
from functools import cache

from sqlglot import exp

from .errors import not_supported

ZONED = "STRUCT(utc TIMESTAMP, zone VARCHAR)"
JSON = "STRUCT(json VARCHAR)"
MARK = "\x02"  # at both ends of an error's message inside DuckDB's own

# One macro overload a line: `name(parameters) = body`. ZONED and JSON are the types above; FAIL<type>[message] fails.
# DuckDB casts an argument to its parameter's type, which loses digits of a decimal. A `k_...` macro is therefore called with its
# arguments twice (`dispatch`): the first choose the overload, the second, untyped, are the values. `let` evaluates arguments once.
_MACROS = r"""
t_offset_of(z) = to_minutes(CAST(z[1] || '1' AS INTEGER) * (CAST(z[2:3] AS INTEGER) * 60 + CAST(z[5:6] AS INTEGER)))
t_shift(u, z) = CASE WHEN z = 'UTC' THEN u WHEN regexp_full_match(z, '[+-]\d\d:\d\d') THEN u + t_offset_of(z) ELSE timezone(z, timezone('UTC', u)) END
t_unshift(u, z) = CASE WHEN z = 'UTC' THEN u WHEN regexp_full_match(z, '[+-]\d\d:\d\d') THEN u - t_offset_of(z) ELSE timezone('UTC', timezone(z, u)) END
let t_local(x) = t_shift(x.utc, x.zone)
t_instant(u, z) = CAST(list_filter([{'utc': u, 'zone': z}], lambda v: v.utc IS NOT NULL AND v.zone IS NOT NULL)[1] AS ZONED)
let t_zoned(l, z) = t_instant(t_unshift(l, z), z)
let t_zone(z) = CASE WHEN z IN ('Z', 'UTC', '+00:00', '-00:00', '+0000', '+00') THEN 'UTC' WHEN regexp_full_match(z, '[+-]\d{4}') THEN z[1:3] || ':' || z[4:5] WHEN regexp_full_match(z, '[+-]\d\d') THEN z || ':00' ELSE z END
t_utc(x DATE) = CAST(x AS TIMESTAMP)
t_utc(x TIMESTAMP) = x
t_utc(x ZONED) = x.utc
t_utc(x) = x
t_wall(x DATE) = CAST(x AS TIMESTAMP)
t_wall(x TIMESTAMP) = x
t_wall(x ZONED) = t_local(x)
t_wall(x) = x
t_at_timezone(x TIMESTAMP, z) = t_instant(x, t_zone(z))
t_at_timezone(x ZONED, z) = t_instant(x.utc, t_zone(z))
t_with_timezone(x TIMESTAMP, z) = t_zoned(x, t_zone(z))

t_key(x ZONED) = x.utc
t_key(x JSON) = x.json
t_key(x) = x
t_text_key(x VARCHAR, o) = x
t_text_key(x INTEGER, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: integer ' || o || ' varchar']
t_text_key(x BIGINT, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: bigint ' || o || ' varchar']
t_text_key(x DOUBLE, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: double ' || o || ' varchar']
t_text_key(x DECIMAL, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: decimal ' || o || ' varchar']
t_text_key(x DATE, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: date ' || o || ' varchar']
t_text_key(x TIMESTAMP, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: timestamp ' || o || ' varchar']
t_text_key(x BOOLEAN, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: boolean ' || o || ' varchar']
t_text_key(x ZONED, o) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot apply operator: timestamp with time zone ' || o || ' varchar']

t_scale(x) = coalesce(try_cast(regexp_extract(typeof(x), ',(\d+)\)', 1) AS INTEGER), 0)
t_decimal_div(a, b) = CASE WHEN b = 0 THEN FAIL<DOUBLE>['DIVISION_BY_ZERO: Division by zero'] ELSE round(a / b, greatest(t_scale(a), t_scale(b))) END
k_div(a INTEGER, b INTEGER) = CASE WHEN b = 0 THEN FAIL<INTEGER>['DIVISION_BY_ZERO: Division by zero'] ELSE a // b END
k_div(a BIGINT, b BIGINT) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a // b END
k_div(a DECIMAL, b DECIMAL) = t_decimal_div(a, b)
k_div(a BIGINT, b DECIMAL) = t_decimal_div(a, b)
k_div(a DECIMAL, b BIGINT) = t_decimal_div(a, b)
k_div(a DOUBLE, b DOUBLE) = a / b
k_div(a, b) = a / b
k_mod(a DOUBLE, b DOUBLE) = a % b
k_mod(a BIGINT, b BIGINT) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a % b END
k_mod(a DECIMAL, b DECIMAL) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a % b END
k_mod(a, b) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a % b END
t_add(a DATE, b INTERVAL) = CAST(a + b AS DATE)
t_add(a INTERVAL, b DATE) = CAST(a + b AS DATE)
t_add(a ZONED, b INTERVAL) = t_instant(a.utc + b, a.zone)
t_add(a INTERVAL, b ZONED) = t_instant(b.utc + a, b.zone)
t_add(a, b) = a + b
t_sub(a DATE, b INTERVAL) = CAST(a - b AS DATE)
t_sub(a DATE, b DATE) = to_days(CAST(a - b AS INTEGER))
t_sub(a ZONED, b INTERVAL) = t_instant(a.utc - b, a.zone)
t_sub(a ZONED, b ZONED) = a.utc - b.utc
t_sub(a, b) = a - b
t_concat(a VARCHAR, b VARCHAR) = a || b
t_concat(a BLOB, b BLOB) = a || b
t_concat(a, b) = list_concat(a, b)
t_cardinality(a) = CAST(CASE WHEN typeof(a) LIKE 'MAP(%' THEN len(json_keys(to_json(a))) ELSE json_array_length(to_json(a)) END AS BIGINT)
let t_subscript(a, i BIGINT) = CASE WHEN typeof(a) LIKE 'MAP(%' OR i BETWEEN 1 AND t_cardinality(a) THEN a[i] WHEN a IS NOT NULL AND i IS NOT NULL THEN a[FAIL<INTEGER>['INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array length: ' || i || ' > ' || t_cardinality(a)]] END
let t_subscript(a, k) = CASE WHEN a IS NULL OR list_contains(map_keys(a), k) THEN a[k] ELSE a[FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: Key not present in map: ' || k]] END

t_digits(x) = regexp_replace(regexp_replace(replace(regexp_replace(CAST(abs(x) AS VARCHAR), 'e.*$', ''), '.', ''), '^0+', ''), '0+$', '')
t_exponent(x) = CASE WHEN contains(CAST(x AS VARCHAR), 'e') THEN CAST(regexp_extract(CAST(x AS VARCHAR), 'e(.*)$', 1) AS INTEGER) WHEN abs(x) >= 1 THEN strpos(CAST(abs(x) AS VARCHAR), '.') - 2 ELSE -1 - length(regexp_extract(CAST(abs(x) AS VARCHAR), '^0\.(0*)', 1)) END
t_number(x) = CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN if(x > 0, 'Infinity', '-Infinity') WHEN x = 0 OR (abs(x) >= 1e-3 AND abs(x) < 1e7) THEN CAST(x AS VARCHAR) ELSE if(x < 0, '-', '') || t_digits(x)[1] || '.' || coalesce(nullif(t_digits(x)[2:], ''), '0') || 'E' || t_exponent(x) END
t_span(x) = CASE WHEN datepart('year', x) <> 0 OR datepart('month', x) <> 0 THEN datepart('year', x) || '-' || datepart('month', x) ELSE datepart('day', x) || printf(' %02d:%02d:%02d.%03d', datepart('hour', x), datepart('minute', x), CAST(floor(datepart('second', x)) AS BIGINT), datepart('millisecond', x) % 1000) END
t_stamp(x) = strftime(x, '%Y-%m-%d %H:%M:%S.%g')
let k_varchar(x DOUBLE) = t_number(x)
let k_varchar(x FLOAT) = t_number(x)
k_varchar(x TIMESTAMP) = t_stamp(x)
let k_varchar(x ZONED) = t_stamp(t_local(x)) || ' ' || x.zone
k_varchar(x JSON) = x.json ->> '$'
k_varchar(x BIGINT) = CAST(x AS VARCHAR)
k_varchar(x HUGEINT) = CAST(x AS VARCHAR)
k_varchar(x DECIMAL) = CAST(x AS VARCHAR)
k_varchar(x DATE) = CAST(x AS VARCHAR)
k_varchar(x) = CAST(x AS VARCHAR)

t_cast_date(x ZONED) = CAST(t_local(x) AS DATE)
t_cast_date(x TIMESTAMP) = CAST(x AS DATE)
t_cast_date(x DATE) = x
let t_cast_date(x VARCHAR) = CASE WHEN x IS NULL OR regexp_full_match(x, '\s*\d{4}-\d{1,2}-\d{1,2}\s*') THEN CAST(x AS DATE) ELSE FAIL<DATE>['INVALID_CAST_ARGUMENT: Value cannot be cast to date: ' || x] END
t_cast_timestamp(x ZONED) = t_local(x)
t_cast_timestamp(x DATE) = CAST(x AS TIMESTAMP)
t_cast_timestamp(x TIMESTAMP) = x
let t_cast_timestamp(x VARCHAR) = CASE WHEN x IS NULL OR regexp_full_match(x, '\s*\d{4}-\d{1,2}-\d{1,2}( \d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?\s*') THEN CAST(x AS TIMESTAMP) ELSE FAIL<TIMESTAMP>['INVALID_CAST_ARGUMENT: Value cannot be cast to timestamp: ' || x] END
t_stamp_of(x) = CASE WHEN x IS NULL OR regexp_full_match(x, '\s*\d{4}-\d{1,2}-\d{1,2}( \d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?( ?([A-Za-z]\S*|[+-]\d\d:\d\d))?\s*') THEN CAST(regexp_extract(x, '^\s*([\d-]{8,10}( [\d:.]+)?)', 1) AS TIMESTAMP) ELSE FAIL<TIMESTAMP>['INVALID_CAST_ARGUMENT: Value cannot be cast to timestamp with time zone: ' || x] END
t_cast_zoned(x ZONED) = x
t_cast_zoned(x DATE) = t_instant(CAST(x AS TIMESTAMP), 'UTC')
t_cast_zoned(x TIMESTAMP) = t_instant(x, 'UTC')
let t_cast_zoned(x VARCHAR) = t_zoned(t_stamp_of(x), t_zone(coalesce(nullif(regexp_extract(x, '([A-Za-z]\S*|[+-]\d\d:\d\d)\s*$', 1), ''), 'UTC')))
let t_json(x) = CAST(CASE WHEN x IS NULL THEN NULL ELSE row(CAST(x AS VARCHAR)) END AS JSON)
t_plain(x JSON) = CAST(x.json AS JSON_TEXT)
t_plain(x) = x
t_cast_json(x JSON) = x
t_cast_json(x) = t_json(to_json(x))

t_second_of(x) = CAST(floor(date_part('second', x)) AS BIGINT)
t_millisecond_of(x) = CAST(floor(date_part('millisecond', x)) % 1000 AS BIGINT)
t_date_trunc(u, x DATE) = CAST(date_trunc(u, x) AS DATE)
t_date_trunc(u, x TIMESTAMP) = CAST(date_trunc(u, x) AS TIMESTAMP)
let t_date_trunc(u, x ZONED) = t_zoned(CAST(date_trunc(u, t_local(x)) AS TIMESTAMP), x.zone)
t_strptime(x, f) = CASE WHEN x IS NULL OR try_strptime(x, f) IS NOT NULL THEN CAST(strptime(x, f) AS TIMESTAMP) ELSE FAIL<TIMESTAMP>['INVALID_FUNCTION_ARGUMENT: Invalid format: "' || x || '"'] END
t_from_unixtime(n) = t_instant(make_timestamp(CAST(round(CAST(n AS DOUBLE) * 1000) AS BIGINT) * 1000), 'UTC')
t_from_unixtime(n, z) = t_instant(make_timestamp(CAST(round(CAST(n AS DOUBLE) * 1000) AS BIGINT) * 1000), t_zone(z))
t_iso_time(x) = replace(regexp_extract(x, 'T([\d:.,]*)', 1), ',', '.')
t_iso_local(x) = CASE WHEN x IS NULL OR regexp_full_match(x, '\d{4}-\d{2}-\d{2}(T(\d{2}(:\d{2}(:\d{2}([.,]\d+)?)?)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?') THEN CAST(x[1:10] || ' ' || t_iso_time(x) || substr('00:00:00', CAST(length(t_iso_time(x)) AS INTEGER) + 1) AS TIMESTAMP) ELSE FAIL<TIMESTAMP>['INVALID_FUNCTION_ARGUMENT: Invalid format: "' || x || '"'] END
let t_from_iso8601_timestamp(x) = t_zoned(t_iso_local(x), t_zone(coalesce(nullif(regexp_extract(x, 'T[\d:.,]*(Z|[+-].*)$', 1), ''), 'UTC')))
t_minutes(x) = CAST(date_diff('minute', x.utc, t_local(x)) AS INTEGER)
t_to_iso8601(x DATE) = CAST(x AS VARCHAR)
t_to_iso8601(x TIMESTAMP) = strftime(x, '%Y-%m-%dT%H:%M:%S.%g')
let t_to_iso8601(x ZONED) = strftime(t_local(x), '%Y-%m-%dT%H:%M:%S.%g') || CASE WHEN x.zone = 'UTC' THEN 'Z' ELSE printf('%s%02d:%02d', if(t_minutes(x) < 0, '-', '+'), abs(t_minutes(x)) // 60, abs(t_minutes(x)) % 60) END

t_substr(s, a) = CASE WHEN a = 0 OR abs(a) > length(s) THEN '' ELSE substr(s, a) END
t_substr(s, a, n) = CASE WHEN a = 0 OR abs(a) > length(s) OR n <= 0 THEN '' ELSE substr(s, a, n) END
t_split_part(s, d, i) = CASE WHEN i < 1 THEN FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: Index must be greater than zero'] ELSE string_split(s, d)[i] END
t_length(s VARCHAR) = length(s)
t_length(s BLOB) = octet_length(s)
t_replace(s, a) = replace(s, a, '')
t_replace(s, a, b) = replace(s, a, b)
t_trim(s) = trim(s, E' \t\n\r')
t_ltrim(s) = ltrim(s, E' \t\n\r')
t_rtrim(s) = rtrim(s, E' \t\n\r')
t_regexp_extract(s, p) = CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p) END
t_regexp_extract(s, p, g) = CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p, g) END
t_regexp_replace(s, p) = regexp_replace(s, p, '', 'g')
t_regexp_replace(s, p, r) = regexp_replace(s, p, regexp_replace(replace(r, '\', '\\'), '\$(\d)', '\\\1', 'g'), 'g')
t_repeat(x, n) = list_transform(range(n), lambda i: x)
t_from_base(s, r) = CAST(list_sum(list_transform(range(1, length(s) + 1), lambda i: (strpos('0123456789abcdefghijklmnopqrstuvwxyz', lower(s)[i]) - 1) * power(r, length(s) - i))) AS BIGINT)

t_array_distinct(a) = list_filter(a, lambda x, i: list_position(a, x) = i)
t_array_sort(a) = list_sort(a, 'ASC', 'NULLS LAST')
t_array_max(a) = CASE WHEN len(list_filter(a, lambda x: x IS NULL)) = 0 THEN list_max(a) END
t_array_min(a) = CASE WHEN len(list_filter(a, lambda x: x IS NULL)) = 0 THEN list_min(a) END
t_array_position(a, x) = CASE WHEN a IS NOT NULL AND x IS NOT NULL THEN CAST(coalesce(list_position(a, x), 0) AS BIGINT) END
t_array_remove(a, e) = list_filter(a, lambda x: x <> e)
t_array_intersect(a, b) = t_array_distinct(list_filter(a, lambda x: list_position(b, x) IS NOT NULL))
t_array_except(a, b) = t_array_distinct(list_filter(a, lambda x: list_position(b, x) IS NULL))
t_array_union(a, b) = t_array_distinct(list_concat(a, b))
t_contains(a, x) = CASE WHEN list_contains(a, x) THEN true WHEN x IS NULL OR len(list_filter(a, lambda e: e IS NULL)) > 0 THEN NULL ELSE list_contains(a, x) END
t_slice(a, s, n) = CASE WHEN s > 0 THEN list_slice(a, s, s + n - 1) ELSE list_slice(a, len(a) + s + 1, len(a) + s + n) END
t_sequence(a BIGINT, b BIGINT) = generate_series(a, b, CAST(if(a <= b, 1, -1) AS BIGINT))
t_sequence(a DATE, b DATE) = CAST(generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP), if(a <= b, to_days(1), to_days(-1))) AS DATE[])
t_sequence(a BIGINT, b BIGINT, s BIGINT) = generate_series(a, b, s)
t_sequence(a DATE, b DATE, s INTERVAL) = CAST(generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP), s) AS DATE[])
t_sequence(a TIMESTAMP, b TIMESTAMP, s INTERVAL) = generate_series(a, b, s)

t_text(x JSON) = x.json
t_text(x) = x
t_json_extract(x, p) = t_json(TRY(json_extract(t_text(x), p)))
t_json_extract_scalar(x, p) = CASE WHEN TRY(json_type(t_text(x), p)) NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN TRY(json_extract_string(t_text(x), p)) END
t_json_parse(x) = t_json(CASE WHEN x IS NULL OR json_valid(x) THEN CAST(CAST(x AS JSON_TEXT) AS VARCHAR) ELSE FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: Cannot convert value to JSON: ''' || x || ''''] END)
t_json_array_length(x) = TRY(CASE WHEN json_type(t_text(x)) = 'ARRAY' THEN CAST(json_array_length(t_text(x)) AS BIGINT) END)

t_map_of(p) = map_from_entries(list_filter(p, lambda e, i: e[1] IS NOT NULL AND list_position(list_transform(p, lambda o: o[1]), e[1]) = i))
k_narrow(x HUGEINT) = CAST(x AS BIGINT)
k_narrow(x DECIMAL) = x
k_narrow(x DOUBLE) = x
k_narrow(x) = x
"""

_NUMBERS = {"TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INTEGER": "INT", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE", "FLOAT": "REAL",
            "BOOLEAN": "BOOLEAN"}


def _cast_macros(duck: str, trino: str) -> str:
    """From varchar only the exact spelling; from double Trino rounds half away from zero, DuckDB half to even."""
    whole = trino.endswith("INT")
    good = r"regexp_full_match(x, '[+-]?\d+')" if whole else f"try_cast(x AS {duck}) IS NOT NULL"
    failure = f"FAIL<{duck}>['INVALID_CAST_ARGUMENT: Cannot cast ''' || x || ''' to {trino}']"
    name = f"k_cast_{duck.lower()}"
    return (f"{name}(x VARCHAR) = CASE WHEN x IS NULL OR {good} THEN CAST(x AS {duck}) ELSE {failure} END\n"
            f"{name}(x JSON) = CAST(x.json ->> '$' AS {duck})\n" + (f"{name}(x DOUBLE) = CAST(round(x) AS {duck})\n" if whole else "")
            + "".join(f"{name}(x {kind}) = CAST(x AS {duck})\n" for kind in ("BIGINT", "HUGEINT", "DECIMAL"))
            + f"{name}(x) = CAST(x AS {duck})\n")


def _fail(match: re.Match) -> str:
    kind, message = match.groups()
    failing = f"CAST('{MARK}' || {message} || '{MARK}' AS {'INTEGER' if kind == 'VARCHAR' else kind})"
    return f"CAST({failing} AS VARCHAR)" if kind == "VARCHAR" else failing


def _once(names: list[str], body: str) -> str:
    """`body` with its parameters evaluated once: a macro's argument is copied to every place that names it, and macros nest."""
    parts = re.split(r"('(?:[^']|'')*')", body)
    for place in range(0, len(parts), 2):
        parts[place] = re.sub(rf"(?<![.\w])({'|'.join(names)})(?!\w)", r"o_.\1", parts[place])
    return f"list_transform([{{{', '.join(f'{name!r}: {name}' for name in names)}}}], lambda o_: {''.join(parts)})[1]"


@cache
def prelude() -> str:
    """CREATE MACRO statements, one a name."""
    lines = _MACROS + "".join(_cast_macros(*pair) for pair in _NUMBERS.items())
    overloads: dict[str, list[str]] = {}
    for line in filter(None, lines.splitlines()):
        let, name, parameters, body = re.fullmatch(r"(let )?(\w+)\((.*?)\) = (.*)", line).groups()
        body = re.sub(r"AS JSON\)", f"AS {JSON})", body).replace("JSON_TEXT", "JSON")
        if let:
            body = _once([one.split()[0] for one in parameters.split(", ")], body)
        parameters = re.sub(r"\bZONED\b", ZONED, re.sub(r"\bJSON\b", JSON, parameters))
        body = re.sub(r"\bZONED\b", ZONED, body)
        if name.startswith("k_"):
            parameters = ", ".join(["k" + one for one in parameters.split(", ")] + [one.split()[0] for one in
            parameters.split(", ")])
        body = re.sub(r"FAIL<(.+?)>.(.+?)](?= ELSE| END|]| ?,|$)", _fail, body)
        overloads.setdefault(name, []).append(f"({parameters}) AS ({body})")
    return ";\n".join(f"CREATE MACRO {name} {', '.join(forms)}" for name, forms in overloads.items())


def call(name: str, *arguments: exp.Expression) -> exp.Expression:
    """A call of a function or macro. The overload of a macro is found by the arguments' types, which DuckDB does not know yet for
    aggregates, windows and subqueries: those are bound to a lambda's variable first."""
    return _bound(name, arguments, _is_late if name.startswith("t_") else lambda argument: False)


def dispatch(name: str, *arguments: exp.Expression) -> exp.Expression:
    """A call of a `k_...` macro: everything but plain values is bound first, so that doubling the arguments costs nothing."""
    return _bound(name, arguments, lambda argument: not isinstance(argument.this if isinstance(argument, exp.Cast) else
    argument, (
        exp.Literal, exp.Column, exp.Identifier, exp.Null, exp.Boolean)))


def _is_late(argument: exp.Expression) -> bool:
    return any(isinstance(node, (exp.Window, exp.Query)) or "late" in node.meta for node in argument.walk())


def _bound(name: str, arguments: tuple[exp.Expression, ...], late: Callable[[exp.Expression], bool]) -> exp.Expression:
    values, fields = list(arguments), {}
    # Named by depth, so that equal expressions (in SELECT and GROUP BY) stay equal.
    depth = 1 + max((node.meta.get("depth", 0) for argument in arguments for node in argument.walk()), default=0)
    variable = exp.to_identifier(f"v_{depth}")
    for number, argument in enumerate(arguments):
        if late(argument):
            fields[f"a{number}"] = argument
            values[number] = exp.Dot(this=variable.copy(), expression=exp.to_identifier(f"a{number}"))
    doubled = values + [value.copy() for value in values] if name.startswith("k_") else values
    result = exp.Anonymous(this=name, expressions=doubled)
    if not fields:
        return result
    row = exp.Struct(expressions=[exp.PropertyEQ(this=exp.to_identifier(key), expression=value) for key, value in fields.items()])
    result = exp.Bracket(expressions=[exp.Literal.number(1)], offset=1, this=exp.Anonymous(this="list_transform", expressions=[
        exp.Array(expressions=[row]), exp.Lambda(this=result, expressions=[variable])]))
    result.meta["depth"] = depth
    return result


def text(value: str) -> exp.Expression:
    return exp.Literal.string(value)


def literal(node: exp.Expression, what: str) -> str:
    """The text of a literal argument: where Trino takes any expression but the translation must know it beforehand."""
    node = node.this if isinstance(node, exp.Cast) else node
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise not_supported(f"{what} that is not a literal")
    return node.this


# --- formats ------------------------------------------------------------------------------------------------------------------
_MYSQL = {"a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "f": "%f", "H": "%H", "h": "%I", "I": "%I", "i": "%M", "j": "%j",
          "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p", "r": "%I:%M:%S %p", "S": "%S", "s": "%S",
          "T": "%H:%M:%S", "v": "%V",
          "W": "%A", "x": "%G", "Y": "%Y", "y": "%y", "%": "%%"}
_JODA = {"yyyy": "%Y", "y": "%Y", "YYYY": "%Y", "yy": "%y", "xxxx": "%G", "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B", "dd": "%d",
         "d": "%-d", "DDD": "%j", "E": "%a", "EEE": "%a", "EEEE": "%A", "e": "%u", "a": "%p", "HH": "%H", "H": "%-H", "hh": "%I",
         "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "ww": "%V"}


def _mysql(pattern: str) -> str:
    """A MySQL date format as strftime's."""
    def one(match: re.Match) -> str:
        if match[1] not in _MYSQL:
            raise not_supported(f"the date format %{match[1]}")
        return _MYSQL[match[1]]

    return re.sub(r"%(.)", one, pattern)


def _joda(pattern: str) -> str:
    """A Joda-Time date format as strftime's."""
    def one(match: re.Match) -> str:
        if match[1] is not None:
            return (match[1].replace("''", "'") or "'").replace("%", "%%")
        if match[0] not in _JODA:
            raise not_supported(f"the date format letter {match[0]}")
        return _JODA[match[0]]

    return re.sub(r"'((?:[^']|'')*)'|([A-Za-z])\2*", one, pattern)


# --- scalar functions ---------------------------------------------------------------------------------------------------------
_SPANS = {"millisecond": "to_milliseconds", "second": "to_seconds", "minute": "to_minutes", "hour": "to_hours", "day": "to_days",
          "week": "to_weeks", "month": "to_months", "year": "to_years"}


def _date_add(unit, count, moment):
    unit = literal(unit, "a date_add unit").lower()
    if unit == "quarter":
        unit, count = "month", exp.Mul(this=exp.Paren(this=count), expression=exp.Literal.number(3))
    if unit not in _SPANS:
        raise not_supported(f"the unit '{unit}'")
    return call("t_add", moment, call(_SPANS[unit], count))


def _format(convert: Callable[[str], str]):
    return lambda moment, pattern: call("strftime", call("t_wall", moment), text(convert(literal(pattern, "a date format"))))


def _parse(convert: Callable[[str], str], zoned: bool):
    def build(value, pattern):
        parsed = call("t_strptime", value, text(convert(literal(pattern, "a date format"))))
        return call("t_instant", parsed, text("UTC")) if zoned else parsed
    return build


_PARTS = {"year": "year", "quarter": "quarter", "month": "month", "week": "week", "week_of_year": "week", "day": "day",
          "day_of_month": "day", "hour": "hour", "minute": "minute", "day_of_week": "isodow", "dow": "isodow",
          "day_of_year": "doy",
          "doy": "doy", "year_of_week": "isoyear", "yow": "isoyear"}


def _part(part: str):
    return lambda moment: call("date_part", text(part), call("t_wall", moment))


def _array_join(items, delimiter, *null):
    """NULL elements are left out, or written as `null`."""
    x = exp.to_identifier("x")
    if not null:
        items = call("list_filter", items, exp.Lambda(this=exp.Not(this=exp.Is(this=x, expression=exp.null())), expressions=[x]))
    words = call("list_transform", items, exp.Lambda(this=call("coalesce", dispatch("k_varchar", x), *null), expressions=[x]))
    return call("array_to_string", words, delimiter)


def _nullable(name: str):
    """greatest, least: NULL as soon as one argument is (DuckDB leaves NULLs out)."""
    return lambda *items: exp.Case(
        ifs=[exp.If(this=exp.or_(*(exp.Is(this=item.copy(), expression=exp.null()) for item in items)), true=exp.null())],
        default=call(name, *items))


def _chain(*items):
    result = items[0]
    for item in items[1:]:
        result = call("t_concat", result, item)
    return result


def _json_path(function: str):
    def build(value, path):
        path = re.sub(r"\[[\"']([^\"']*)[\"']\]", r'."\1"', literal(path, "a JSON path"))
        return call(function, value, text(path))
    return build


def _reduce(items, start, step, finish):
    """`finish` is applied by putting the reduced value where its variable stands."""
    reduced = call("list_reduce", items, step, start)
    name = finish.expressions[0].name
    body = finish.this.copy()
    if isinstance(body, (exp.Identifier, exp.Column)) and body.name == name:
        return reduced
    return body.transform(lambda n: reduced.copy() if isinstance(n, (exp.Identifier, exp.Column)) and n.name == name else n)


def _printf(pattern, *values):
    if re.search(r"%[^a-zA-Z%]*[^sdfxXeobc%\d.,+\- 0#$]", literal(pattern, "a format")) or "$" in literal(pattern, "a format"):
        raise not_supported(f"the format '{literal(pattern, 'a format')}'")
    return call("printf", text(literal(pattern, "a format")), *values)


def _bytes(function: str):
    return lambda value: call("unhex", call(function, value))


def _match(test: Callable[[exp.Expression, exp.Expression], exp.Expression]):
    return lambda items, condition: test(items, call("list_filter", items, condition))


def _len(node):
    return call("len", node)


FUNCTIONS: dict[str, str | Callable] = {
    **{name: name for name in (
        "abs", "ceil", "floor", "round", "ln", "log10", "log2", "exp", "sqrt", "cbrt", "power", "degrees", "radians",
        "sin", "cos", "tan",
        "asin", "acos", "atan", "atan2", "pi", "sign", "lower", "upper", "reverse", "lpad", "rpad", "strpos", "translate",
        "chr", "coalesce",
        "nullif", "flatten", "map_keys", "map_values", "map_entries", "map_from_entries", "map_concat", "row",
        "url_encode", "url_decode",
        "concat_ws", "uuid", "grouping", "starts_with", "map", "try")},
    **{name: f"t_{name}" for name in (
        "date_trunc", "from_unixtime", "from_iso8601_timestamp", "to_iso8601", "at_timezone", "with_timezone",
        "length", "replace", "trim",
        "ltrim", "rtrim", "substr", "split_part", "regexp_extract", "regexp_replace", "repeat", "from_base", "cardinality",
        "array_distinct", "array_sort", "array_max", "array_min", "array_position", "array_remove", "array_intersect",
        "array_except", "array_union", "contains", "slice", "sequence", "json_parse", "json_array_length")},
    "ceiling": "ceil", "pow": "power", "random": "random", "rand": "random", "is_nan": "isnan", "is_finite": "isfinite",
    "is_infinite": "isinf", "truncate": "trunc", "mod": lambda a, b: dispatch("k_mod", a, b), "substring": "t_substr",
    "split": "string_split",
    "regexp_like": "regexp_matches", "regexp_extract_all": "regexp_extract_all", "regexp_split": "regexp_split_to_array",
    "levenshtein_distance": "levenshtein", "hamming_distance": "hamming", "codepoint": "unicode", "to_utf8": "encode",
    "from_utf8": "decode",
    "to_hex": "hex", "from_hex": "unhex", "to_base64": "base64", "from_base64": "from_base64", "arrays_overlap": "list_has_any",
    "filter": "list_filter", "transform": "list_transform", "zip": "list_zip", "date": "t_cast_date", "from_iso8601_date":
    "t_cast_date",
    "bitwise_and": lambda a, b: exp.BitwiseAnd(this=a, expression=b), "bitwise_or": lambda a, b: exp.BitwiseOr(this=a,
    expression=b),
    "bitwise_xor": lambda a, b: call("xor", a, b),
    "log": lambda base, x: call("log", base, x), "e": lambda: call("exp", exp.Literal.number(1)),
    "nan": lambda: exp.cast(exp.Literal.string("nan"), "double"), "infinity": lambda: exp.cast(exp.Literal.string("inf"),
    "double"),
    **{name: _part(part) for name, part in _PARTS.items()},
    "second": lambda x: call("t_second_of", call("t_wall", x)), "millisecond": lambda x: call("t_millisecond_of",
    call("t_wall", x)),
    "last_day_of_month": lambda x: call("last_day", call("t_wall", x)), "date_add": _date_add,
    "date_diff": lambda unit, a, b: call("date_sub", unit, call("t_utc", a), call("t_utc", b)),
    "array_join": _array_join, "to_unixtime": lambda x: call("epoch", call("t_utc", x)),
    "date_format": _format(_mysql), "format_datetime": _format(_joda), "date_parse": _parse(_mysql, False),
    "parse_datetime": _parse(_joda, True), "current_timezone": lambda: text("UTC"),
    "concat": _chain, "greatest": _nullable("greatest"), "least": _nullable("least"), "format": _printf,
    "to_base": lambda n, r: call("lower", call("to_base", n, r)),
    "md5": _bytes("md5"), "sha1": _bytes("sha1"), "sha256": _bytes("sha256"),
    "regexp_count": lambda s, p: _len(call("regexp_extract_all", s, p)),
    "element_at": lambda a, k: exp.Bracket(this=a, expressions=[k], offset=1),
    "any_match": _match(lambda a, kept: exp.GT(this=_len(kept), expression=exp.Literal.number(0))),
    "none_match": _match(lambda a, kept: exp.EQ(this=_len(kept), expression=exp.Literal.number(0))),
    "all_match": _match(lambda a, kept: exp.EQ(this=_len(kept), expression=_len(a.copy()))),
    "reduce": _reduce,
    "json_extract": _json_path("t_json_extract"), "json_extract_scalar": _json_path("t_json_extract_scalar"),
    "json_format": lambda x: call("t_text", x),
}


# --- aggregate and window functions -------------------------------------------------------------------------------------------
def _named(name: str):
    def build(wrap, *arguments):
        result = wrap(call(name, *arguments))
        result.meta["late"] = True
        return result
    return build


def _map_agg(wrap, key, value):
    """Trino keeps one of a repeated key's values, DuckDB's map refuses it: the last wins here."""
    pairs = _named("list")(wrap, call("row", key, value))
    return call("t_map_of", pairs)


def _approx_percentile(wrap, value, *rest):
    if len(rest) != 1:
        raise not_supported("approx_percentile with a weight")
    return _named("quantile_disc")(wrap, value, rest[0])


AGGREGATES: dict[str, Callable] = {
    **{name: _named(name) for name in (
        "count", "min", "max", "avg", "bool_and", "bool_or", "stddev", "stddev_samp", "stddev_pop", "variance",
        "var_samp", "var_pop", "corr",
        "covar_samp", "covar_pop", "array_agg", "histogram", "kurtosis", "skewness", "regr_slope", "regr_intercept",
        "row_number", "rank",
        "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value")},
    "every": _named("bool_and"), "arbitrary": _named("any_value"), "any_value": _named("any_value"),
    "sum": lambda wrap, *a: dispatch("k_narrow", _named("sum")(wrap, *a)),
    "count_if": lambda wrap, *a: exp.cast(_named("count_if")(wrap, *a), "bigint"),
    # Exact: within every error bound that Trino may be asked for.
    "approx_distinct": lambda wrap, x, *error: _named("count")(wrap, exp.Distinct(expressions=[x])),
    "approx_percentile": _approx_percentile, "max_by": _named("arg_max_null"), "min_by": _named("arg_min_null"), "map_agg":
    _map_agg,
    "geometric_mean": _named("geomean"),
}

# Trino has them, the local AWS does not: refused as such, not as unknown.
UNSUPPORTED = frozenset({
    "array_histogram", "bing_tile", "bit_count", "bitwise_not", "bitwise_left_shift", "bitwise_right_shift",
    "bitwise_and_agg", "bitwise_or_agg", "char2hexint", "checksum", "classifier", "combinations", "convex_hull_agg",
    "cosine_similarity", "crc32", "empty_approx_set", "entropy", "evaluate_classifier_predictions", "format_number",
    "from_big_endian_32", "from_big_endian_64", "from_ieee754_32", "from_ieee754_64", "from_iso8601_timestamp_nanos",
    "from_unixtime_nanos", "hmac_md5", "hmac_sha1", "hmac_sha256", "hmac_sha512", "human_readable_seconds", "index",
    "inverse_normal_cdf", "inverse_beta_cdf", "is_json_scalar", "jaccard_index", "json_array_contains",
    "json_array_get", "json_size", "json_exists", "json_query", "json_value", "json_object", "json_array",
    "learn_classifier", "luhn_check", "make_set_digest", "map_filter", "map_union", "map_zip_with", "merge",
    "merge_set_digest", "multimap_agg", "multimap_from_entries", "murmur3", "ngrams", "normal_cdf", "beta_cdf",
    "normalize", "numeric_histogram", "parse_data_size", "parse_duration", "parse_presto_data_size", "qdigest_agg",
    "quantile_at_value", "reduce_agg", "regexp_position", "render", "rgb", "sha512", "shuffle", "sinh", "cosh", "tanh",
    "soundex", "spatial_partitioning", "split_to_map", "split_to_multimap", "spooky_hash_v2_32", "spooky_hash_v2_64",
    "tdigest_agg", "timezone_hour", "timezone_minute", "to_big_endian_32", "to_big_endian_64", "to_char", "to_date",
    "to_timestamp", "to_geometry", "to_ieee754_32", "to_ieee754_64", "to_milliseconds", "transform_keys",
    "transform_values", "trim_array", "typeof", "url_extract_fragment", "url_extract_host", "url_extract_parameter",
    "url_extract_path", "url_extract_port", "url_extract_protocol", "url_extract_query", "value_at_quantile", "version",
    "width_bucket", "wilson_interval_lower", "wilson_interval_upper", "word_stem", "xxhash64", "zip_with",
    "array_first", "array_last", "bar", "color", "geometry_union", "st_point", "st_distance", "st_contains",
    "st_geometryfromtext", "great_circle_distance"})
