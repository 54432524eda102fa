"""Trino's answers, as its reference states them, from SQL that reads no table. One query each, as Athena prints it."""

import time
from pathlib import Path

import pytest

duckdb = pytest.importorskip("duckdb")

from helpers.localaws.athena.engine import Job, Run, check
from helpers.localaws.athena.errors import ParseFailure, QueryFailure
from helpers.localaws.athena.results import page
from helpers.localaws.athena.serde import ObjectCache


class Shelf:
    """As much of S3 as a query without tables needs."""

    def __init__(self):
        self.objects = {}

    def put_object(self, *, Bucket, Key, Body, **_):
        self.objects[Key] = Body if isinstance(Body, bytes) else Body.read()

    def head_object(self, *, Bucket, Key):
        return {"ContentLength": len(self.objects[Key])}

    def get_object(self, *, Bucket, Key, Range):
        class Body:
            read = staticmethod(lambda: self.objects[Key])
        return {"Body": Body}


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """The rows of a query, as GetQueryResults would give them, without the header."""
    folder: Path = tmp_path_factory.mktemp("athena")
    cache, numbers = ObjectCache(folder / "objects"), iter(range(10_000))

    def run(sql: str) -> list[list[str | None]]:
        shelf, job = Shelf(), Job(f"q{next(numbers)}", sql, check(sql), "default", "s3://b/")
        outcome = Run(job, None, shelf, cache, folder)()
        return page(shelf, "b", f"{job.id}.csv", len(outcome.columns), 1000, None)[0][1:]

    return run


ANSWERS = [
    # numbers
    ("5/2", "2"),
    ("-5/2", "-2"),
    ("5 % 3", "2"),
    ("-5 % 3", "-2"),
    ("5/2.0", "2.5"),
    ("5e0/2", "2.5"),
    ("1.0/3", "0.3"),
    ("2/3.00", "0.67"),
    ("100.0 * 1 / 3", "33.3"),
    ("1e0/0", "Infinity"),
    ("cast(7 as double)", "7.0"),
    ("1e10", "1.0E10"),
    ("1.5e-7", "1.5E-7"),
    ("12345678.9e0", "1.23456789E7"),
    ("0.1e0 + 0.2e0", "0.30000000000000004"),
    ("1.5 + 1", "2.5"),
    ("round(2.5e0)", "3.0"),
    ("round(1.2345e0, 2)", "1.23"),
    ("floor(-1.5e0)", "-2.0"),
    ("abs(-3)", "3"),
    ("mod(7, 4)", "3"),
    ("power(2, 3)", "8.0"),
    ("log(2, 8)", "3.0"),
    ("greatest(1, 3, 2)", "3"),
    ("least(1, null)", None),
    ("to_base(255, 16)", "ff"),
    ("from_base('ff', 16)", "255"),
    ("cast(2.5e0 as integer)", "3"),
    ("cast('12' as bigint)", "12"),
    ("cast(12345678901234567 as bigint)", "12345678901234567"),
    ("cast(1.005 as decimal(10,2))", "1.01"),
    ("decimal '1.10' + 1", "2.10"),
    ("cast('1.5' as decimal(10,2)) * 2", "3.00"),
    ("try_cast('x' as integer)", None),
    ("try(1/0)", None),
    ("is_nan(nan())", "true"),
    # text
    ("substr('hello', 2, 3)", "ell"),
    ("substr('hello', -3)", "llo"),
    ("substr('hello', 0)", ""),
    ("'a' || 'b'", "ab"),
    ("concat('a', null)", None),
    ("split_part('a,b', ',', 3)", None),
    ("split_part('a,b', ',', 2)", "b"),
    ("split('a,b,c', ',')", "[a, b, c]"),
    ("lpad('7', 3, '0')", "007"),
    ("rpad('abcdef', 3, 'x')", "abc"),
    ("replace('aXbX', 'X')", "ab"),
    ("trim('  a ')", "a"),
    ("strpos('hello', 'l')", "3"),
    ("position('l' in 'hello')", "3"),
    ("length('añb')", "3"),
    ("reverse('abc')", "cba"),
    ("upper('a')", "A"),
    ("regexp_like('1a 2b', '\\d+b')", "true"),
    ("regexp_extract('1a 2b', '(\\d+)([a-z])', 2)", "a"),
    ("regexp_extract('abc', '\\d')", None),
    ("regexp_replace('1a 2b', '\\d')", "a b"),
    ("regexp_replace('1a 2b', '(\\d)([a-z])', '$2$1')", "a1 b2"),
    ("to_hex(md5(to_utf8('a')))", "0CC175B9C0F1B6A831C399E269772661"),
    ("to_utf8('ab')", "61 62"),
    ("from_utf8(from_base64('YWI='))", "ab"),
    ("format('%05d %.2f %s', 42, 1.5e0, 'x')", "00042 1.50 x"),
    ("coalesce(null, 'x')", "x"),
    ("nullif(1, 1)", None),
    ("if(1 > 2, 'a', 'b')", "b"),
    ("case when null then 1 else 2 end", "2"),
    ("cast(1.0e0 as varchar)", "1.0"),
    ("cast(1234567890.5e0 as varchar)", "1.2345678905E9"),
    ("cast(12 as varchar)", "12"),
    ("cast(date '2024-01-02' as varchar)", "2024-01-02"),
    ("cast('abcdef' as varchar(3))", "abc"),
    # dates and times
    ("date '2024-01-02'", "2024-01-02"),
    ("timestamp '2024-01-02 03:04:05'", "2024-01-02 03:04:05.000"),
    ("from_iso8601_timestamp('2024-01-02T03:04:05Z')", "2024-01-02 03:04:05.000 UTC"),
    ("from_iso8601_timestamp('2024-01-02T03:04:05.123+02:00')", "2024-01-02 03:04:05.123 +02:00"),
    ("from_iso8601_timestamp('2024-01-02')", "2024-01-02 00:00:00.000 UTC"),
    (
        "at_timezone(from_iso8601_timestamp('2024-07-02T03:04:05Z'), 'America/New_York')",
        "2024-07-01 23:04:05.000 America/New_York",
    ),
    ("from_iso8601_timestamp('2024-07-02T03:04:05Z') at time zone 'Asia/Tokyo'", "2024-07-02 12:04:05.000 Asia/Tokyo"),
    ("hour(from_iso8601_timestamp('2024-01-02T03:04:05Z') at time zone '+05:30')", "8"),
    ("cast(from_iso8601_timestamp('2024-01-02T23:00:00Z') at time zone 'Asia/Tokyo' as date)", "2024-01-03"),
    ("from_iso8601_timestamp('2024-01-02T03:00:00+01:00') = timestamp '2024-01-02 02:00:00 UTC'", "true"),
    ("date_trunc('hour', timestamp '2024-01-02 03:04:05')", "2024-01-02 03:00:00.000"),
    ("date_trunc('month', date '2024-02-20')", "2024-02-01"),
    ("date_add('month', 1, date '2024-01-31')", "2024-02-29"),
    ("date_add('hour', -1, timestamp '2024-01-01 00:00:00')", "2023-12-31 23:00:00.000"),
    ("date_diff('day', date '2024-01-01', date '2024-02-01')", "31"),
    ("date_diff('hour', timestamp '2024-01-01 00:59:00', timestamp '2024-01-01 02:00:00')", "1"),
    ("date '2024-01-31' + interval '1' day", "2024-02-01"),
    ("date '2024-02-01' - date '2024-01-01'", "31 00:00:00.000"),
    ("to_unixtime(timestamp '1970-01-01 00:01:00')", "60.0"),
    ("from_unixtime(1.5e0)", "1970-01-01 00:00:01.500 UTC"),
    ("date_format(timestamp '2024-01-02 15:04:05', '%Y-%m-%d %H:%i:%s')", "2024-01-02 15:04:05"),
    ("date_format(timestamp '2024-01-02 15:04:05', '%M %e, %W')", "January 2, Tuesday"),
    ("format_datetime(timestamp '2024-01-02 15:04:05', 'dd/MM/yyyy''T''HH:mm')", "02/01/2024T15:04"),
    ("parse_datetime('2024-01-02 03:04', 'yyyy-MM-dd HH:mm')", "2024-01-02 03:04:00.000 UTC"),
    ("date_parse('02.01.2024', '%d.%m.%Y')", "2024-01-02 00:00:00.000"),
    ("to_iso8601(date '2024-01-02')", "2024-01-02"),
    ("to_iso8601(from_iso8601_timestamp('2024-01-02T03:04:05Z'))", "2024-01-02T03:04:05.000Z"),
    ("day_of_week(date '2024-01-07')", "7"),
    ("extract(year from date '2024-01-07')", "2024"),
    ("week(date '2024-01-01')", "1"),
    ("last_day_of_month(date '2024-02-03')", "2024-02-29"),
    ("current_timestamp > timestamp '2020-01-01 00:00:00'", "true"),
    ("date(timestamp '2024-01-02 03:04:05')", "2024-01-02"),
    # arrays, maps, rows
    ("array[1, null, 2]", "[1, null, 2]"),
    ("map(array['a', 'b'], array[1, 2])", "{a=1, b=2}"),
    ("cast(row(1, 'x') as row(a integer, b varchar))", "{a=1, b=x}"),
    ("array[1, 2][2]", "2"),
    ("map(array['a'], array[1])['a']", "1"),
    ("element_at(array[1, 2], 3)", None),
    ("element_at(array[1, 2], -1)", "2"),
    ("element_at(map(array['a'], array[1]), 'b')", None),
    ("cardinality(array['a', 'b'])", "2"),
    ("cardinality(map(array['a'], array[1]))", "1"),
    ("contains(array[1, 2], 2)", "true"),
    ("array_distinct(array[3, 1, 3])", "[3, 1]"),
    ("array_sort(array[3, null, 1])", "[1, 3, null]"),
    ("array_join(array['a', null, 'b'], '-')", "a-b"),
    ("array_join(array[1, null], '-', '?')", "1-?"),
    ("array_max(array[1, 3])", "3"),
    ("array_max(array[1, null])", None),
    ("array_position(array['a'], 'z')", "0"),
    ("sequence(1, 3)", "[1, 2, 3]"),
    ("sequence(3, 1)", "[3, 2, 1]"),
    ("sequence(date '2024-01-30', date '2024-02-01')", "[2024-01-30, 2024-01-31, 2024-02-01]"),
    ("slice(array[1, 2, 3], 2, 2)", "[2, 3]"),
    ("filter(array[1, 2, 3], x -> x > 1)", "[2, 3]"),
    ("transform(array[1, 2], x -> x * 10)", "[10, 20]"),
    ("reduce(array[1, 2, 3], 0, (s, x) -> s + x, s -> s * 2)", "12"),
    ("any_match(array[1, 2], x -> x > 1)", "true"),
    ("flatten(array[array[1], array[2]])", "[1, 2]"),
    ("repeat('a', 2)", "[a, a]"),
    ("concat(array[1], array[2])", "[1, 2]"),
    # JSON
    ("json_extract_scalar('{\"a\": {\"b\": 5}}', '$.a.b')", "5"),
    ("json_extract_scalar('{\"a\": [1]}', '$.a')", None),
    ("json_extract('{\"a\": [1, 2]}', '$.a')", "[1,2]"),
    ("json_extract_scalar('no json', '$.a')", None),
    ("json_array_length('[1, 2]')", "2"),
    ("cast(json_extract('{\"a\": 5}', '$.a') as integer)", "5"),
    ("json_extract_scalar('{\"a b\": 1}', '$[\"a b\"]')", "1"),
    # NULL and comparison
    ("null = null", None),
    ("1 in (2, null)", None),
    ("1 is distinct from null", "true"),
    ("'a' like 'A'", "false"),
    ("2 between 1 and 3", "true"),
    ("true", "true"),
    ("null", None),
]


@pytest.mark.parametrize(("expression", "expected"), ANSWERS, ids=[expression for expression, _ in ANSWERS])
def test_expression_answers_as_trino(answer, expression, expected):
    assert answer(f"SELECT {expression}") == [[expected]]


T = "(VALUES ('a', 1, 1.5e0), ('a', 2, 2.5e0), ('b', 3, null)) AS t(k, n, x)"
QUERIES = [
    (f"SELECT sum(n)/count(*), avg(n), sum(x), count(x), count(*) FROM {T}", [["2", "2.0", "4.0", "2", "3"]]),
    (f"SELECT k, max_by(n, x), min_by(x, n) FROM {T} GROUP BY k ORDER BY k", [["a", "2", "1.5"], ["b", None, None]]),
    (f"SELECT k, sum(n) FROM {T} GROUP BY ROLLUP (k) ORDER BY k", [["a", "3"], ["b", "3"], [None, "6"]]),
    (
        f"SELECT approx_distinct(k), count_if(n > 1), arbitrary(k) IS NOT NULL, approx_percentile(n, 0.5) FROM {T}",
        [["2", "2", "true", "2"]],
    ),
    (
        f"SELECT array_agg(n ORDER BY n DESC), map_agg(k, n) FILTER (WHERE n > 1), histogram(k) FROM {T}",
        [["[3, 2, 1]", "{a=2, b=3}", "{a=2, b=1}"]],
    ),
    (
        f"SELECT n, lag(n) OVER (ORDER BY n), n - lag(n) OVER (ORDER BY n), row_number() OVER (PARTITION BY k ORDER BY n DESC) FROM {T} ORDER BY n",
        [["1", None, None, "2"], ["2", "1", "1", "1"], ["3", "2", "1", "1"]],
    ),
    (f"SELECT listagg(k, '+') WITHIN GROUP (ORDER BY n) FROM {T}", [["a+a+b"]]),
    ("SELECT x, y FROM UNNEST(ARRAY[1, 2], ARRAY['p', 'q']) AS t(x, y) ORDER BY x DESC", [["2", "q"], ["1", "p"]]),
    ("SELECT v, i FROM UNNEST(ARRAY['a', 'b']) WITH ORDINALITY AS t(v, i)", [["a", "1"], ["b", "2"]]),
    ("SELECT a FROM (VALUES 2, NULL, 1) AS t(a) ORDER BY a DESC", [["2"], ["1"], [None]]),
    (
        f"WITH q AS (SELECT k, n, row_number() OVER (PARTITION BY k ORDER BY n DESC) AS r FROM {T}) SELECT k, n FROM q WHERE r = 1 ORDER BY 1",
        [["a", "2"], ["b", "3"]],
    ),
    ("VALUES (1, 'a'), (2, 'b')", [["1", "a"], ["2", "b"]]),
    (f"SELECT n/2 + 1, count(*) FROM {T} GROUP BY n/2 ORDER BY 1", [["1", "1"], ["2", "2"]]),
    ("SELECT 1 UNION SELECT 1 UNION ALL SELECT 2 ORDER BY 1", [["1"], ["2"]]),
    (f"SELECT t.k FROM {T} WHERE EXISTS (SELECT 1 FROM (VALUES 3) AS u(m) WHERE u.m = t.n)", [["b"]]),
    ("SELECT 'it''s', '', NULL, 'a\"b,\nc'", [["it's", "", None, 'a"b,\nc']]),
]


@pytest.mark.parametrize(("sql", "rows"), QUERIES, ids=[sql[:60] for sql, _ in QUERIES])
def test_query_answers_as_trino(answer, sql, rows):
    assert answer(sql) == rows


UNRESOLVED = " cannot be resolved or requester is not authorized to access requested resources"
FAILURES = [
    ("SELECT 1/0", "DIVISION_BY_ZERO: Division by zero"),
    ("SELECT cast('x' AS integer)", "INVALID_CAST_ARGUMENT: Cannot cast 'x' to INT"),
    ("SELECT cast('2.7' AS integer)", "INVALID_CAST_ARGUMENT: Cannot cast '2.7' to INT"),
    (
        "SELECT cast('2024-01-01T00:00:00Z' AS timestamp)",
        "INVALID_CAST_ARGUMENT: Value cannot be cast to timestamp: 2024-01-01T00:00:00Z",
    ),
    ("SELECT array[1, 2][3]", "INVALID_FUNCTION_ARGUMENT: Array subscript must be less than or equal to array length: 3 > 2"),
    ("SELECT no_such_function(1)", "FUNCTION_NOT_FOUND: line 1:8: Function 'no_such_function' not registered"),
    ("SELECT strftime(current_date, '%Y')", "FUNCTION_NOT_FOUND: line 1:8: Function 'strftime' not registered"),
    ("SELECT a AS b FROM (VALUES 1) AS t(a) WHERE b = 1", "COLUMN_NOT_FOUND: line 1:45: Column 'b'" + UNRESOLVED),
    ("SELECT\n  t.nope FROM (VALUES 1) AS t(a)", "COLUMN_NOT_FOUND: line 2:3: Column 't.nope'" + UNRESOLVED),
    ("SELECT typeof(1)", "NOT_SUPPORTED: line 1:8: The local AWS does not support the function typeof"),
    ("SELECT 1 FROM (VALUES 1) AS t(a) WHERE a = '1'", "TYPE_MISMATCH: Cannot apply operator: integer = varchar"),
    (
        "SELECT 1 FROM (VALUES current_date) AS t(a) WHERE a IN ('2024-01-01')",
        "TYPE_MISMATCH: Cannot apply operator: date IN varchar",
    ),
    ("SELECT date_format(current_timestamp, '%q')", "NOT_SUPPORTED: line 1:8: The local AWS does not support the date format %q"),
]


@pytest.mark.parametrize(("sql", "reason"), FAILURES, ids=[sql[:60] for sql, _ in FAILURES])
def test_query_fails_as_trino(answer, sql, reason):
    with pytest.raises(QueryFailure) as failure:
        answer(sql)
    assert failure.value.reason(sql) == reason


@pytest.mark.parametrize(("sql", "place"), [
    ("SELEC 1", "line 1:1: mismatched input 'SELEC'"), ("SELECT 1 +", "line 1:11: mismatched input '<EOF>'"),
    ("SELECT a\nFROM t\nWHERE", "line 3:6: mismatched input '<EOF>'"), ("SELECT 1 1", "line 1:10: mismatched input '1'"),
    ("SELECT a, FROM t", "line 1:11: mismatched input 'FROM'"), ("SHOW TABLES FROM", "line 1:17: mismatched input '<EOF>'")])
def test_text_that_is_no_statement_is_refused_with_its_place(sql, place):
    with pytest.raises(ParseFailure) as failure:
        check(sql)
    assert str(failure.value).startswith(place)


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT 1",
        "PREPARE p FROM SELECT 1",
        "CREATE TABLE t (a int) LOCATION 's3://b/' ",
        "DELETE FROM t",
        "ALTER TABLE t ADD COLUMNS (a int)",
    ],
)
def test_statement_that_is_not_supported_is_refused_by_name(sql):
    with pytest.raises(QueryFailure, match="NOT_SUPPORTED: The local AWS does not support"):
        check(sql)


def test_query_cannot_read_the_machine(answer):
    with pytest.raises(QueryFailure):
        answer("SELECT * FROM read_csv('/etc/hosts')")


def test_nested_dates_are_planned_at_once(answer):
    began = time.monotonic()
    answer(
        "SELECT date_format(date_trunc('day', at_timezone(date_add('day', 1, from_iso8601_timestamp('2024-01-01T00:00:00Z')), 'Asia/Tokyo')), '%Y')"
    )
    assert time.monotonic() - began < 5
