"""Trino's functions, defined over DuckDB.

`define()` gives a query's connection the macros that its SQL calls, named `t_...` and overloaded by type where Trino's answer
depends on it, and the Python functions of scalars.py, named `p_...`. `FUNCTIONS` says what each Trino function becomes: the name of such a macro, or of a DuckDB function that
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

from .errors import QueryFailure, not_supported
from .scalars import MARK, mysql, register, tokens

ZONED = "STRUCT(utc TIMESTAMP, zone VARCHAR)"
JSON = "STRUCT(json VARCHAR)"

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
t_unscaled(x) = CAST(replace(CAST(x AS VARCHAR), '.', '') AS HUGEINT)
t_power10(n) = CAST('1' || repeat('0', n) AS HUGEINT)
t_rounded(n, d) = (2 * abs(n) + abs(d)) // nullif(2 * abs(d), 0) * sign(n) * sign(d)
t_padded(q, s) = lpad(CAST(abs(q) AS VARCHAR), CAST(greatest(s + 1, length(CAST(abs(q) AS VARCHAR))) AS INTEGER), '0')
t_point(q, s) = CASE WHEN s = 0 THEN CAST(q AS VARCHAR) ELSE if(q < 0, '-', '') || left(t_padded(q, s), -s) || '.' || right(t_padded(q, s), s) END
t_quotient(a, b, s) = t_point(t_rounded(t_unscaled(a) * t_power10(s + t_scale(b) - t_scale(a)), t_unscaled(b)), s)
t_decimal_div(a, b) = cast_to_type(CASE WHEN b = 0 THEN FAIL<VARCHAR>['DIVISION_BY_ZERO: Division by zero'] ELSE t_quotient(a, b, greatest(t_scale(a), t_scale(b))) END, (a + b) * CAST(1 AS DECIMAL(38, 0)))
k_div(a INTEGER, b INTEGER) = CASE WHEN b = 0 THEN FAIL<INTEGER>['DIVISION_BY_ZERO: Division by zero'] ELSE a // b END
k_div(a BIGINT, b BIGINT) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a // b END
k_div(a DECIMAL, b DECIMAL) = t_decimal_div(a, b)
k_div(a BIGINT, b DECIMAL) = t_decimal_div(a, b)
k_div(a DECIMAL, b BIGINT) = t_decimal_div(a, b)
k_div(a DOUBLE, b DOUBLE) = a / b
k_div(a INTERVAL, b DOUBLE) = a / b
k_mod(a DOUBLE, b DOUBLE) = a % b
k_mod(a BIGINT, b BIGINT) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a % b END
k_mod(a DECIMAL, b DECIMAL) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a % b END
k_mod(a, b) = CASE WHEN b = 0 THEN FAIL<BIGINT>['DIVISION_BY_ZERO: Division by zero'] ELSE a % b END
t_months(x) = datepart('year', x) * 12 + datepart('month', x)
t_days(x) = CASE WHEN datepart('hour', x) % 24 = 0 AND datepart('minute', x) = 0 AND datepart('microsecond', x) = 0 THEN x ELSE x + to_days(FAIL<INTEGER>['INVALID_FUNCTION_ARGUMENT: Cannot add hour, minutes or seconds to a date']) END
let t_add_local(a DATE, b INTERVAL) = CAST(a + t_days(b) AS DATE)
t_add_local(a TIMESTAMP, b INTERVAL) = a + b
let t_add_local(a ZONED, b INTERVAL) = t_zoned(t_local(a) + b, a.zone)
let t_later(a, b) = CASE WHEN t_months(b) <> 0 THEN t_add_local(a, b) ELSE t_instant(a.utc + b, a.zone) END
let t_add(a DATE, b INTERVAL) = CAST(a + t_days(b) AS DATE)
let t_add(a INTERVAL, b DATE) = CAST(b + t_days(a) AS DATE)
t_add(a DATE, b BIGINT) = FAIL<DATE>['TYPE_MISMATCH: Cannot apply operator: date + bigint']
t_add(a ZONED, b INTERVAL) = t_later(a, b)
t_add(a INTERVAL, b ZONED) = t_later(b, a)
t_add(a, b) = a + b
let t_sub(a DATE, b INTERVAL) = CAST(a - t_days(b) AS DATE)
t_sub(a DATE, b BIGINT) = FAIL<DATE>['TYPE_MISMATCH: Cannot apply operator: date - bigint']
t_sub(a DATE, b DATE) = to_days(CAST(a - b AS INTEGER))
t_sub(a ZONED, b INTERVAL) = t_later(a, -b)
t_sub(a ZONED, b ZONED) = a.utc - b.utc
t_sub(a, b) = a - b
t_concat(a VARCHAR, b VARCHAR) = a || b
t_concat(a BLOB, b BLOB) = a || b
t_concat(a, b) = list_concat(a, b)
t_cardinality(a) = CAST(CASE WHEN typeof(a) = 'VARCHAR' THEN FAIL<BIGINT>['FUNCTION_NOT_FOUND: Unexpected parameters (varchar) for function cardinality'] WHEN typeof(a) LIKE 'MAP(%' THEN len(json_keys(to_json(a))) ELSE json_array_length(to_json(a)) END AS BIGINT)
t_bad_index(a, i) = FAIL<INTEGER>['INVALID_FUNCTION_ARGUMENT: ' || CASE WHEN i = 0 THEN 'SQL array indices start at 1' WHEN i < 0 THEN 'Array subscript is negative: ' || i ELSE 'Array subscript must be less than or equal to array length: ' || i || ' > ' || t_cardinality(a) END]
let t_subscript(a, i BIGINT) = CASE WHEN typeof(a) LIKE 'MAP(%' OR i BETWEEN 1 AND t_cardinality(a) THEN a[i] WHEN a IS NOT NULL AND i IS NOT NULL THEN a[t_bad_index(a, i)] END
let t_subscript(a, k) = CASE WHEN a IS NULL OR list_contains(map_keys(a), k) THEN a[k] ELSE a[FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: Key not present in map: ' || k]] END

let t_element_at(a, i BIGINT) = CASE WHEN typeof(a) = 'VARCHAR' THEN a[FAIL<INTEGER>['FUNCTION_NOT_FOUND: Unexpected parameters (varchar, bigint) for function element_at']] WHEN i = 0 AND typeof(a) NOT LIKE 'MAP(%' THEN a[t_bad_index(a, i)] ELSE a[i] END
t_element_at(a, k) = a[k]

t_digits(x) = regexp_replace(regexp_replace(replace(regexp_replace(CAST(abs(x) AS VARCHAR), 'e.*$', ''), '.', ''), '^0+', ''), '0+$', '')
t_exponent(x) = CASE WHEN contains(CAST(x AS VARCHAR), 'e') THEN CAST(regexp_extract(CAST(x AS VARCHAR), 'e(.*)$', 1) AS INTEGER) WHEN abs(x) >= 1 THEN strpos(CAST(abs(x) AS VARCHAR), '.') - 2 ELSE -1 - length(regexp_extract(CAST(abs(x) AS VARCHAR), '^0\.(0*)', 1)) END
t_number(x) = CASE WHEN isnan(x) THEN 'NaN' WHEN isinf(x) THEN if(x > 0, 'Infinity', '-Infinity') WHEN x = 0 OR (abs(x) >= 1e-3 AND abs(x) < 1e7) THEN CAST(x AS VARCHAR) ELSE if(x < 0, '-', '') || t_digits(x)[1] || '.' || coalesce(nullif(t_digits(x)[2:], ''), '0') || 'E' || t_exponent(x) END
t_milliseconds(x) = CAST(round(epoch(x) * 1000) AS BIGINT)
let t_span(x) = CASE WHEN t_months(x) <> 0 THEN if(t_months(x) < 0, '-', '') || abs(t_months(x)) // 12 || '-' || abs(t_months(x)) % 12 ELSE list_transform([t_milliseconds(x)], lambda n: if(n < 0, '-', '') || abs(n) // 86400000 || printf(' %02d:%02d:%02d.%03d', abs(n) // 3600000 % 24, abs(n) // 60000 % 60, abs(n) // 1000 % 60, abs(n) % 1000))[1] END
t_time(x) = strftime(DATE '2000-01-01' + x, '%H:%M:%S.%g')
t_stamp(x) = strftime(x, '%Y-%m-%d %H:%M:%S.%g')
let k_varchar(x DOUBLE) = t_number(x)
let k_varchar(x FLOAT) = t_number(x)
k_varchar(x TIMESTAMP) = t_stamp(x)
let k_varchar(x ZONED) = t_stamp(t_local(x)) || ' ' || x.zone
k_varchar(x TIME) = t_time(x)
k_varchar(x INTERVAL) = t_span(x)
k_varchar(x BLOB) = FAIL<VARCHAR>['TYPE_MISMATCH: Cannot cast varbinary to varchar']
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
t_decimal(x, y, t) = CASE WHEN x IS NULL OR y IS NOT NULL THEN y ELSE cast_to_type(FAIL<VARCHAR>['INVALID_CAST_ARGUMENT: Cannot cast ' || CASE typeof(x) WHEN 'VARCHAR' THEN 'VARCHAR' ELSE p_type_name(typeof(x)) END || ' ''' || CAST(x AS VARCHAR) || ''' to ' || t], y) END
t_cast_json(x JSON) = x
t_cast_json(x DATE) = t_json(to_json(x))
t_cast_json(x TIMESTAMP) = t_json(to_json(t_stamp(x)))
t_cast_json(x) = t_json(CASE WHEN typeof(x) LIKE 'MAP(%' THEN p_json_parse(CAST(to_json(x) AS VARCHAR)) ELSE CAST(to_json(x) AS VARCHAR) END)

t_second_of(x) = CAST(floor(date_part('second', x)) AS BIGINT)
t_millisecond_of(x) = CAST(floor(date_part('millisecond', x)) % 1000 AS BIGINT)
t_unit(u, k) = CASE WHEN lower(u) IN ('day', 'week', 'month', 'quarter', 'year') OR k <> 'DATE' AND lower(u) IN ('millisecond', 'second', 'minute', 'hour') THEN lower(u) ELSE FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: ''' || u || ''' is not a valid ' || k || ' field'] END
t_date_trunc(u, x DATE) = CAST(date_trunc(t_unit(u, 'DATE'), x) AS DATE)
t_date_trunc(u, x TIME) = CAST(date_trunc(t_unit(u, 'Time'), DATE '2000-01-01' + x) AS TIME)
t_date_trunc(u, x TIMESTAMP) = CAST(date_trunc(t_unit(u, 'Timestamp'), x) AS TIMESTAMP)
let t_date_trunc(u, x ZONED) = t_zoned(CAST(date_trunc(t_unit(u, 'Timestamp'), t_local(x)) AS TIMESTAMP), x.zone)
let t_zoned_diff(u, a, b) = CASE WHEN lower(u) IN ('millisecond', 'second', 'minute', 'hour') THEN date_sub(lower(u), a.utc, b.utc) ELSE date_sub(t_unit(u, 'Timestamp'), t_local(a), t_shift(b.utc, a.zone)) END
t_date_diff(u, a DATE, b DATE) = date_sub(t_unit(u, 'DATE'), a, b)
t_date_diff(u, a TIME, b TIME) = date_sub(t_unit(u, 'Time'), a, b)
t_date_diff(u, a TIMESTAMP, b TIMESTAMP) = date_sub(t_unit(u, 'Timestamp'), a, b)
t_date_diff(u, a ZONED, b ZONED) = t_zoned_diff(u, a, b)
t_date_diff(u, a ZONED, b TIMESTAMP) = t_zoned_diff(u, a, t_instant(b, 'UTC'))
t_date_diff(u, a TIMESTAMP, b ZONED) = t_zoned_diff(u, t_instant(a, 'UTC'), b)
t_date_parse(x, f, q) = CASE WHEN regexp_matches(x, '^\S.*\S$') AND try_strptime(x, f) IS NOT NULL THEN CAST(try_strptime(x, f) AS TIMESTAMP) ELSE p_date_parse(x, q) END
t_from_unixtime(n) = t_instant(make_timestamp(CAST(round(CAST(n * 1 AS DOUBLE) * 1000) AS BIGINT) * 1000), 'UTC')
t_from_unixtime(n, h, m) = t_instant(make_timestamp(CAST(round(CAST(n * 1 AS DOUBLE) * 1000) AS BIGINT) * 1000), printf('%s%02d:%02d', if(h < 0 OR m < 0, '-', '+'), abs(h), abs(m)))
t_from_unixtime(n, z) = t_instant(make_timestamp(CAST(round(CAST(n * 1 AS DOUBLE) * 1000) AS BIGINT) * 1000), t_zone(z))
t_iso_time(x) = replace(regexp_extract(x, 'T([\d:.,]*)', 1), ',', '.')
t_iso_local(x) = CASE WHEN x IS NULL OR regexp_full_match(x, '[^T]*(T(\d{2}(:\d{2}(:\d{2}([.,]\d+)?)?)?)?(Z|[+-]\d{2}(:?\d{2})?)?)?') THEN p_from_iso8601_date(regexp_extract(x, '^[^T]*')) + CAST(coalesce(nullif(t_iso_time(x), ''), '00') || substr(':00:00', CAST(greatest(length(t_iso_time(x)), 2) AS INTEGER) - 1) AS TIME) ELSE FAIL<TIMESTAMP>['INVALID_FUNCTION_ARGUMENT: Invalid format: "' || x || '"'] END
let t_from_iso8601_timestamp(x) = t_zoned(t_iso_local(x), t_zone(coalesce(nullif(regexp_extract(x, 'T[\d:.,]*(Z|[+-].*)$', 1), ''), 'UTC')))
t_zone_of(x ZONED) = x.zone
t_zone_of(x) = 'UTC'
t_minutes(x) = CAST(date_diff('minute', x.utc, t_local(x)) AS INTEGER)
t_to_iso8601(x DATE) = CAST(x AS VARCHAR)
t_to_iso8601(x TIMESTAMP) = strftime(x, '%Y-%m-%dT%H:%M:%S.%g')
t_offset(x ZONED) = t_minutes(x)
t_offset(x) = CASE WHEN x IS NOT NULL THEN 0 END
t_timezone_hour(x ZONED) = CAST(trunc(t_minutes(x) / 60) AS BIGINT)
t_timezone_minute(x ZONED) = CAST(t_minutes(x) % 60 AS BIGINT)
let t_to_iso8601(x ZONED) = strftime(t_local(x), '%Y-%m-%dT%H:%M:%S.%g') || CASE WHEN x.zone = 'UTC' THEN 'Z' ELSE printf('%s%02d:%02d', if(t_minutes(x) < 0, '-', '+'), abs(t_minutes(x)) // 60, abs(t_minutes(x)) % 60) END

t_substr(s VARCHAR, a BIGINT) = CASE WHEN a = 0 OR abs(a) > length(s) THEN '' ELSE substr(s, a) END
t_substr(s BLOB, a BIGINT) = p_substr_bytes(s, a, octet_length(s))
t_substr(s VARCHAR, a BIGINT, n BIGINT) = CASE WHEN a = 0 OR abs(a) > length(s) OR n <= 0 THEN '' ELSE substr(s, a, n) END
t_substr(s BLOB, a BIGINT, n BIGINT) = p_substr_bytes(s, a, n)
t_split(s, d) = CASE WHEN d = '' THEN [FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: The delimiter may not be the empty string']] ELSE string_split(s, d) END
t_split(s, d, n) = p_split(s, d, n)
t_split_part(s, d, i) = CASE WHEN i < 1 THEN FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: Index must be greater than zero'] ELSE string_split(s, d)[i] END
t_strpos(s, t) = strpos(s, t)
t_strpos(s, t, n) = p_strpos(s, t, n)
t_joined(d, a) = CASE WHEN typeof(a) NOT IN ('VARCHAR[]', '"NULL"[]') THEN FAIL<VARCHAR>['FUNCTION_NOT_FOUND: Unexpected parameters for function concat_ws'] WHEN d IS NOT NULL THEN array_to_string(a, d) END
t_concat_ws(d, a VARCHAR) = t_joined(d, [a])
t_concat_ws(d, a) = t_joined(d, a)
t_reverse(s VARCHAR) = reverse(s)
t_reverse(s BLOB) = p_reverse_bytes(s)
t_reverse(a) = list_reverse(a)
t_lpad(s VARCHAR, n, p) = CASE WHEN n < 0 OR p = '' THEN FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: ' || CASE WHEN p = '' THEN 'Padding string must not be empty' ELSE 'Target length must be in the range [0..2147483647]' END] ELSE lpad(s, n, p) END
t_lpad(s BLOB, n, p) = p_pad_bytes(s, n, p, true)
t_rpad(s VARCHAR, n, p) = CASE WHEN n < 0 OR p = '' THEN FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: ' || CASE WHEN p = '' THEN 'Padding string must not be empty' ELSE 'Target length must be in the range [0..2147483647]' END] ELSE rpad(s, n, p) END
t_rpad(s BLOB, n, p) = p_pad_bytes(s, n, p, false)
t_hamming_distance(a, b) = CASE WHEN length(a) = length(b) THEN hamming(a, b) WHEN a IS NOT NULL AND b IS NOT NULL THEN FAIL<BIGINT>['INVALID_FUNCTION_ARGUMENT: The input strings to hamming_distance function must have the same length'] END
t_codepoint(s) = CASE WHEN length(s) = 1 THEN unicode(s) WHEN s IS NOT NULL THEN FAIL<INTEGER>['INVALID_FUNCTION_ARGUMENT: Input string must be a single character string'] END
t_chr(n) = CASE WHEN n BETWEEN 0 AND 1114111 AND n NOT BETWEEN 55296 AND 57343 THEN chr(CAST(n AS INTEGER)) WHEN n IS NOT NULL THEN FAIL<VARCHAR>['INVALID_FUNCTION_ARGUMENT: Not a valid Unicode code point: ' || n] END
t_normalize(s) = p_normalize(s, 'NFC')
t_from_utf8(s) = p_from_utf8(s, '�')
t_from_utf8(s, r) = p_from_utf8(s, r)
t_index(s, t) = strpos(s, t)
t_length(s VARCHAR) = length(s)
t_length(s BLOB) = octet_length(s)
t_replace(s, a) = replace(s, a, '')
t_replace(s, a, b) = CASE WHEN a = '' THEN p_replace_all(s, a, b) ELSE replace(s, a, b) END
t_trim(s) = trim(s, E' \t\n\r')
t_ltrim(s) = ltrim(s, E' \t\n\r')
t_rtrim(s) = rtrim(s, E' \t\n\r')
t_regexp_extract(s, p) = CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p) END
t_regexp_replace(s, p, r) = regexp_replace(s, p, r, 'g')
t_repeat(x, n) = list_transform(range(n), lambda i: x)
k_floor(x BIGINT) = x
k_floor(x DECIMAL) = floor(x)
k_floor(x DOUBLE) = floor(x)
k_ceil(x BIGINT) = x
k_ceil(x DECIMAL) = ceil(x)
k_ceil(x DOUBLE) = ceil(x)
k_sign(x BIGINT) = CAST(sign(x) AS BIGINT)
k_sign(x DECIMAL) = CAST(sign(x) AS DECIMAL(1, 0))
k_sign(x DOUBLE) = CAST(sign(x) AS DOUBLE)
k_truncate(x BIGINT) = x
k_truncate(x DECIMAL) = trunc(x)
k_truncate(x DOUBLE) = trunc(x)
k_truncate(x DECIMAL, n BIGINT) = cast_to_type(trunc(x, n), x)
k_round(x BIGINT) = x
k_round(x DECIMAL) = round(x)
k_round(x DOUBLE) = round(x)
k_round(x BIGINT, n BIGINT) = CAST(round(x, n) AS BIGINT)
k_round(x DECIMAL, n BIGINT) = cast_to_type(round(x, n), x + x)
k_round(x DOUBLE, n BIGINT) = round(x, n)
t_cbrt(x) = CASE WHEN round(cbrt(x)) * round(cbrt(x)) * round(cbrt(x)) = x THEN round(cbrt(x)) ELSE cbrt(x) END
t_sqrt(x) = CASE WHEN x < 0 THEN CAST('nan' AS DOUBLE) ELSE sqrt(x) END
t_ln(x) = CASE WHEN x < 0 THEN CAST('nan' AS DOUBLE) WHEN x = 0 THEN CAST('-inf' AS DOUBLE) ELSE ln(x) END
t_log2(x) = CASE WHEN x < 0 THEN CAST('nan' AS DOUBLE) WHEN x = 0 THEN CAST('-inf' AS DOUBLE) ELSE log2(x) END
t_log10(x) = CASE WHEN x < 0 THEN CAST('nan' AS DOUBLE) WHEN x = 0 THEN CAST('-inf' AS DOUBLE) ELSE log10(x) END
t_asin(x) = CASE WHEN abs(x) > 1 THEN CAST('nan' AS DOUBLE) ELSE asin(x) END
t_acos(x) = CASE WHEN abs(x) > 1 THEN CAST('nan' AS DOUBLE) ELSE acos(x) END
t_log(b, x) = t_ln(x) / t_ln(b)
t_width_bucket(x, lo, hi, n) = CAST(CASE WHEN n <= 0 THEN FAIL<BIGINT>['INVALID_FUNCTION_ARGUMENT: bucketCount must be greater than 0'] WHEN lo = hi THEN FAIL<BIGINT>['INVALID_FUNCTION_ARGUMENT: bounds cannot equal each other'] WHEN lo < hi THEN CASE WHEN x < lo THEN 0 WHEN x >= hi THEN n + 1 ELSE floor(CAST(n AS DOUBLE) * (x - lo) / (hi - lo)) + 1 END ELSE CASE WHEN x > lo THEN 0 WHEN x <= hi THEN n + 1 ELSE floor(CAST(n AS DOUBLE) * (lo - x) / (lo - hi)) + 1 END END AS BIGINT)
t_width_bucket(x, bins) = CASE WHEN len(bins) = 0 THEN FAIL<BIGINT>['INVALID_FUNCTION_ARGUMENT: Bins cannot be an empty array'] ELSE len(list_filter(bins, lambda b: b <= x)) END
t_random() = random()
t_random(n) = CAST(floor(random() * n) AS BIGINT)
t_random(a, b) = CAST(a + floor(random() * (b - a)) AS BIGINT)
t_wilson_interval_lower(s, n, z) = p_wilson_interval(s, n, z, -1)
t_wilson_interval_upper(s, n, z) = p_wilson_interval(s, n, z, 1)
t_bitwise_and(a BIGINT, b BIGINT) = a & b
t_bitwise_or(a BIGINT, b BIGINT) = a | b
t_bitwise_xor(a BIGINT, b BIGINT) = xor(a, b)
t_bitwise_not(a BIGINT) = ~a
t_bitwise_left_shift(x, n) = cast_to_type(CASE WHEN typeof(x) = 'BIGINT' THEN p_bitwise_shift(x, n) ELSE ((CAST(x AS BIGINT) & 4294967295) * CAST(power(2, least(n, 31)) AS BIGINT) + 2147483648) % 4294967296 - 2147483648 END, x)
t_bitwise_right_shift(x, n) = cast_to_type(CASE WHEN typeof(x) = 'BIGINT' THEN p_bitwise_shift(x, -n) ELSE (CAST(x AS BIGINT) & 4294967295) // CAST(power(2, least(n, 32)) AS BIGINT) END, x)
t_bitwise_right_shift_arithmetic(x, n) = cast_to_type(CAST(floor(CAST(x AS HUGEINT) // CAST(power(2, least(n, 62)) AS BIGINT)) AS BIGINT), x)

t_array_distinct(a) = list_filter(a, lambda x, i: list_position(a, x) = i)
t_array_sort(a) = list_sort(a, 'ASC', 'NULLS LAST')
t_array_max(a) = CASE WHEN len(list_filter(a, lambda x: x IS NULL)) = 0 THEN list_max(a) END
t_array_min(a) = CASE WHEN len(list_filter(a, lambda x: x IS NULL)) = 0 THEN list_min(a) END
t_array_position(a, x) = CASE WHEN a IS NOT NULL AND x IS NOT NULL THEN CAST(coalesce(list_position(a, x), 0) AS BIGINT) END
t_array_remove(a, e) = CASE WHEN e IS NOT NULL THEN list_filter(a, lambda x: x IS NULL OR x <> e) END
t_array_intersect(a, b) = t_array_distinct(list_filter(a, lambda x: list_position(b, x) IS NOT NULL))
t_array_except(a, b) = t_array_distinct(list_filter(a, lambda x: list_position(b, x) IS NULL))
t_array_union(a, b) = t_array_distinct(list_concat(a, b))
t_contains(a, x) = CASE WHEN list_contains(a, x) THEN true WHEN x IS NULL OR len(list_filter(a, lambda e: e IS NULL)) > 0 THEN NULL ELSE list_contains(a, x) END
t_slice_failure(s) = FAIL<INTEGER>['INVALID_FUNCTION_ARGUMENT: ' || if(s = 0, 'SQL array indices start at 1', 'length must be greater than or equal to 0')]
t_slice(a, s, n) = CASE WHEN n < 0 OR s = 0 THEN a[t_slice_failure(s) : 1] WHEN s > 0 THEN list_slice(a, s, s + n - 1) WHEN -s > len(a) THEN list_slice(a, 1, 0) ELSE list_slice(a, len(a) + s + 1, len(a) + s + n) END
t_trim_array(a, n) = CASE WHEN n BETWEEN 0 AND len(a) THEN list_slice(a, 1, len(a) - n) WHEN n IS NOT NULL AND a IS NOT NULL THEN a[FAIL<INTEGER>['INVALID_FUNCTION_ARGUMENT: size must not ' || CASE WHEN n < 0 THEN 'be negative: ' || n ELSE 'exceed array cardinality ' || len(a) || ': ' || n END] : 1] END
t_arrays_overlap(a, b) = CASE WHEN list_has_any(a, b) THEN true WHEN a IS NULL OR b IS NULL OR len(a) > 0 AND len(b) > 0 AND len(list_filter(list_concat(a, b), lambda e: e IS NULL)) > 0 THEN NULL ELSE false END
t_combinations(a, n) = list_transform(p_combinations(len(a), n), lambda c: list_transform(c, lambda i: a[i]))
t_ngrams(a, n) = CASE WHEN n <= 0 THEN [a[FAIL<INTEGER>['INVALID_FUNCTION_ARGUMENT: N must be positive'] : 1]] ELSE list_transform(range(1, greatest(len(a) - n + 1, 1) + 1), lambda i: list_slice(a, i, i + n - 1)) END
t_shuffle(a) = list_transform(p_shuffle(len(a)), lambda i: a[i])
t_flatten(a) = flatten(list_filter(a, lambda x: x IS NOT NULL))
t_sequence(a BIGINT, b BIGINT) = generate_series(a, b, CAST(if(a <= b, 1, -1) AS BIGINT))
t_sequence(a DATE, b DATE) = CAST(generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP), if(a <= b, to_days(1), to_days(-1))) AS DATE[])
t_sequence(a BIGINT, b BIGINT, s BIGINT) = generate_series(a, b, s)
t_sequence(a DATE, b DATE, s INTERVAL) = CAST(generate_series(CAST(a AS TIMESTAMP), CAST(b AS TIMESTAMP), s) AS DATE[])
t_sequence(a TIMESTAMP, b TIMESTAMP, s INTERVAL) = generate_series(a, b, s)

t_text(x JSON) = x.json
t_text(x) = x
t_json_extract(x, p) = t_json(TRY(json_extract(t_text(x), p)))
t_json_extract_scalar(x, p) = CASE WHEN TRY(json_type(t_text(x), p)) NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN TRY(json_extract_string(t_text(x), p)) END
t_json_parse(x) = t_json(p_json_parse(x))
t_json_array_length(x) = TRY(CASE WHEN json_type(t_text(x)) = 'ARRAY' THEN CAST(json_array_length(t_text(x)) AS BIGINT) END)
t_json_array_get(x, i) = t_json(p_json_array_get(t_text(x), i))
t_json_array_contains(x, v) = p_json_array_contains(t_text(x), v)
t_json_size(x, p) = TRY(CASE json_type(t_text(x), p) WHEN 'OBJECT' THEN CAST(len(json_keys(t_text(x), p)) AS BIGINT) WHEN 'ARRAY' THEN CAST(json_array_length(t_text(x), p) AS BIGINT) ELSE if(json_type(t_text(x), p) IS NULL, NULL, 0) END)
t_is_json_scalar(x) = json_type(p_json_parse(t_text(x))) NOT IN ('OBJECT', 'ARRAY')
t_json_exists(x, p) = CASE WHEN x IS NOT NULL THEN coalesce(len(p_json_items(x, p)) > 0, false) END
t_one(i) = CASE WHEN len(i) = 1 THEN i[1] END
t_json_value(x, p) = list_transform([t_one(p_json_items(x, p))], lambda i: CASE WHEN json_type(i) NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN i ->> '$' END)[1]
t_json_query(x, p, w) = list_transform([p_json_items(x, p)], lambda i: CASE WHEN len(i) = 0 THEN NULL WHEN w = 'WITH' OR w = 'WITH CONDITIONAL' AND (len(i) > 1 OR json_type(i[1]) NOT IN ('OBJECT', 'ARRAY')) THEN '[' || array_to_string(i, ',') || ']' ELSE t_one(i) END)[1]

t_map_of(p) = map_from_entries(list_filter(p, lambda e, i: e[1] IS NOT NULL AND list_position(list_transform(p, lambda o: o[1]), e[1]) = i))
t_multimap_of(p) = map_from_entries(list_transform(t_array_distinct(list_transform(p, lambda e: e[1])), lambda k: row(k, list_transform(list_filter(p, lambda e: e[1] = k), lambda e: e[2]))))
t_rows(m) = list_transform(map_entries(m), lambda e: row(struct_extract(e, 'key'), struct_extract(e, 'value')))
t_top(h, n) = map_from_entries(list_transform(list_slice(list_sort(list_transform(map_entries(h), lambda e: {'c': -CAST(e.value AS BIGINT), 'k': e.key})), 1, n), lambda e: row(e.k, -e.c)))
k_sum(x BIGINT) = CAST(sum(x) AS BIGINT)
k_sum(x DECIMAL) = sum(x)
k_sum(x FLOAT) = CAST(sum(x) AS FLOAT)
k_sum(x DOUBLE) = sum(x)
k_sum(x INTERVAL) = sum(x)
t_average(s, n, x) = CASE WHEN n > 0 THEN cast_to_type(t_quotient(s, n, t_scale(s)), x) END
k_avg(x BIGINT) = avg(x)
k_avg(x DECIMAL) = t_average(sum(x), count(x), min(x))
k_avg(x FLOAT) = CAST(avg(x) AS FLOAT)
k_avg(x DOUBLE) = avg(x)
k_average(s DECIMAL, n BIGINT, x DECIMAL, a DOUBLE) = t_average(s, n, x)
k_average(s HUGEINT, n BIGINT, x BIGINT, a DOUBLE) = a
k_average(s DOUBLE, n BIGINT, x FLOAT, a DOUBLE) = CAST(a AS FLOAT)
k_average(s DOUBLE, n BIGINT, x DOUBLE, a DOUBLE) = a
t_typeof(x, c) = CASE WHEN c OR NOT contains(typeof(x), 'VARCHAR') OR typeof(x) LIKE 'STRUCT(%' THEN p_type_name(typeof(x)) ELSE FAIL<VARCHAR>['NOT_SUPPORTED: The local AWS does not support typeof of a derived varchar, whose length it does not know'] END
k_narrow(x HUGEINT) = CAST(x AS BIGINT)
k_narrow(x DECIMAL) = x
k_narrow(x DOUBLE) = x
k_narrow(x) = x
"""

_NUMBERS = {"TINYINT": "TINYINT", "SMALLINT": "SMALLINT", "INTEGER": "INT", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE", "FLOAT": "REAL",
            "BOOLEAN": "BOOLEAN"}


def _cast_macros(duck: str, trino: str) -> str:
    """From varchar only the exact spelling; from double Trino rounds half away from zero, DuckDB half to even."""
    whole, name, given = trino.endswith("INT"), f"k_cast_{duck.lower()}", f"try_cast(x AS {duck})"
    good = rf"regexp_full_match(x, '[+-]?\d+') AND {given} IS NOT NULL" if whole else f"{given} IS NOT NULL"
    failure = f"FAIL<{duck}>['INVALID_CAST_ARGUMENT: Cannot cast ''' || x || ''' to {trino}']"
    large = f"FAIL<{duck}>['NUMERIC_VALUE_OUT_OF_RANGE: Out of range for {duck.lower()}: ' || CAST(x AS VARCHAR)]"
    rounded = f"try_cast(round(x) AS {duck})" if whole else given
    return (f"{name}(x VARCHAR) = CASE WHEN x IS NULL OR {good} THEN CAST(x AS {duck}) ELSE {failure} END\n"
            f"{name}(x JSON) = CAST(x.json ->> '$' AS {duck})\n"
            f"{name}(x DOUBLE) = CASE WHEN x IS NULL OR {rounded} IS NOT NULL THEN {rounded} ELSE {large} END\n"
            + "".join(f"{name}(x {kind}) = CASE WHEN x IS NULL OR {given} IS NOT NULL THEN {given} ELSE {large} END\n"
                      for kind in ("BIGINT", "HUGEINT", "DECIMAL", "BOOLEAN")))


def _fail(match: re.Match) -> str:
    kind, message = match.groups()
    failing = f"CAST('{MARK}' || {message} || '{MARK}' AS {'INTEGER' if kind == 'VARCHAR' else kind})"
    return f"CAST({failing} AS VARCHAR)" if kind == "VARCHAR" else failing


def _once(names: list[str], body: str) -> str:
    """`body` with its parameters evaluated once: a macro's argument is copied to every place that names it, and macros nest."""
    parts = re.split(r"('(?:[^']|'')*')", body)
    for place in range(0, len(parts), 2):
        parts[place] = re.sub(rf"(?<![.\w])({'|'.join(names)})(?!\w)", r"struct_extract(o_, '\1')", parts[place])
    return f"list_transform([{{{', '.join(f'{name!r}: {name}' for name in names)}}}], lambda o_: {''.join(parts)})[1]"


_OWN = re.compile(r"\b[tkp]_\w+(?=\()")


@cache
def _macros() -> dict[str, tuple[str, set[str]]]:
    """Each macro's CREATE MACRO statement and the names that it calls, in the order of their definition."""
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
            parts = parameters.split(", ")
            parameters = ", ".join(["k" + one for one in parts] + [one.split()[0] for one in parts])
        body = re.sub(r"FAIL<(.+?)>.(.+?)](?= ELSE| END| WHEN|]| ?[,:)]|$)", _fail, body)
        overloads.setdefault(name, []).append(f"({parameters}) AS ({body})")
    return {name: (f"CREATE MACRO {name} {', '.join(forms)}", set(_OWN.findall(" ".join(forms))) - {name})
            for name, forms in overloads.items()}


def define(connection, sql: str, known: set[str]) -> None:
    """Define what `sql` calls, and what that calls: all of it would take longer than most queries. `known`: what the connection has."""
    macros, wanted, found = _macros(), set(), set(_OWN.findall(sql.lower())) - known
    while found:
        wanted |= found
        found = {name for one in found if one in macros for name in macros[one][1]} - wanted - known
    for name in sorted(wanted):
        if name.startswith("p_"):
            register(connection, name.removeprefix("p_"))
    if statements := [statement for name, (statement, _) in macros.items() if name in wanted]:
        connection.execute(";\n".join(statements))
    known |= wanted


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
            # Not v.a0: in HAVING, DuckDB takes that for a column.
            values[number] = exp.Anonymous(this="struct_extract", expressions=[variable.copy(), exp.Literal.string(f"a{number}")])
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


def number(value: int) -> exp.Expression:
    return exp.Literal.number(value)


def plain_text(node: exp.Expression) -> str | None:
    """The text of a literal; None for anything else."""
    node = node.this if isinstance(node, exp.Cast) else node
    return node.this if isinstance(node, exp.Literal) and node.is_string else None


def literal(node: exp.Expression, what: str) -> str:
    """The text of a literal argument: where Trino takes any expression but the translation must know it beforehand."""
    if plain_text(node) is None:
        raise not_supported(f"{what} that is not a literal")
    return plain_text(node)


def invalid(message: str) -> QueryFailure:
    return QueryFailure("INVALID_FUNCTION_ARGUMENT", message)


# --- lambdas ------------------------------------------------------------------------------------------------------------------
def applied(function: exp.Expression, *values: exp.Expression) -> exp.Expression:
    """The body of a lambda with values where its variables stand."""
    if not isinstance(function, exp.Lambda) or len(function.expressions) != len(values):
        raise TypeError("not a lambda of that many variables")
    named = {variable.name: value for variable, value in zip(function.expressions, values)}

    def put(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.Column) and not node.table and node.name in named:
            return named[node.name].copy()
        if isinstance(node, exp.Identifier) and node.name in named and not isinstance(node.parent, (exp.Column, exp.Dot, exp.Lambda)):
            return named[node.name].copy()
        if isinstance(node, exp.Column) and node.table in named:
            return exp.Dot(this=named[node.table].copy(), expression=node.this.copy())
        return node

    return function.this.copy().transform(put)


def _each(items: exp.Expression, build: Callable[..., exp.Expression], *, keep: bool = False, places: bool = False) -> exp.Expression:
    """list_transform, or list_filter, with a lambda built from its variable and, if wanted, the place's."""
    depth = 1 + max((node.meta.get("depth", 0) for node in [*items.walk(), *build(*[exp.null()] * (1 + places)).walk()]), default=0)
    variables = [exp.to_identifier(f"w_{depth}{suffix}") for suffix in ("", "i")[: 1 + places]]
    result = call("list_filter" if keep else "list_transform", items, exp.Lambda(this=build(*variables), expressions=variables))
    result.meta["depth"] = depth
    return result


def _field(row: exp.Expression, place: int | str) -> exp.Expression:
    return call("struct_extract", row.copy(), number(place) if isinstance(place, int) else text(place))


def _entry(function: exp.Expression):
    return lambda entry: applied(function, _field(entry, "key"), _field(entry, "value"))


def _sorted(items, *comparator):
    """By a comparator: each element goes where the number of those before it says."""
    if not comparator:
        return call("t_array_sort", items)

    def before(other, place, one, number_):
        order = applied(comparator[0], other, one)
        return exp.or_(exp.LT(this=order, expression=number(0)), exp.and_(exp.EQ(this=order.copy(), expression=number(0)),
                       exp.LT(this=place.copy(), expression=number_.copy())))

    def ranked(one, place):
        rank = call("len", _each(items.copy(), lambda other, at: before(other, at, one, place), keep=True, places=True))
        return call("struct_pack", exp.PropertyEQ(this=exp.to_identifier("r"), expression=rank),
                    exp.PropertyEQ(this=exp.to_identifier("x"), expression=one.copy()))

    return _each(call("list_sort", _each(items, ranked, places=True)), lambda entry: _field(entry, "x"))


def _reduce(items, start, step, finish):
    return exp.Bracket(this=call("list_transform", exp.Array(expressions=[call("list_reduce", items, step, start)]), finish),
                       expressions=[number(1)], offset=1)


def _map_zip_with(left, right, function):
    keys = call("t_array_union", call("map_keys", left), call("map_keys", right))
    return call("map_from_entries", _each(keys, lambda key: call("row", key.copy(), applied(
        function, key, *(exp.Bracket(this=side.copy(), expressions=[key.copy()], offset=1) for side in (left, right))))))


# --- formats ------------------------------------------------------------------------------------------------------------------
# Joda-Time's date format letters as strftime's: what is not here is formatted in Python.
_STRFTIME = {"yyyy": "%Y", "y": "%Y", "YYYY": "%Y", "Y": "%Y", "yy": "%y", "xxxx": "%G", "MM": "%m", "M": "%-m", "MMM": "%b", "MMMM": "%B",
             "dd": "%d", "d": "%-d", "DDD": "%j", "E": "%a", "EEE": "%a", "EEEE": "%A", "e": "%u", "a": "%p", "HH": "%H", "H": "%-H",
             "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "ww": "%V"}
_STRPTIME = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


def _strftime(pattern: str, codes: dict[str, str]) -> str | None:
    """A Joda-Time format as strftime's; None if `codes` lacks one of its letters."""
    out = [letter.replace("%", "%%") if not count else codes.get(letter * count) for letter, count in tokens(pattern)]
    return None if None in out else "".join(out)


def _format(convert: Callable[[str], str]):
    def build(moment, pattern):
        pattern = convert(literal(pattern, "a date format"))
        fast = _strftime(pattern, _STRFTIME)
        if fast is not None:
            return call("strftime", call("t_wall", moment), text(fast))
        return call("p_format_datetime", *(call(part, moment.copy()) for part in ("t_wall", "t_offset", "t_zone_of")), text(pattern))
    return build


def _date_parse(value, pattern):
    pattern = mysql(literal(pattern, "a date format"))
    fast = _strftime(pattern, _STRPTIME)
    return call("p_date_parse", value, text(pattern)) if fast is None else call("t_date_parse", value, text(fast), text(pattern))


# --- regular expressions ------------------------------------------------------------------------------------------------------
# What DuckDB's RE2 and Java read alike: no anchor at the end, no class inside a class, no possessive quantifier, no look-around.
_ALIKE = re.compile(r"(?:\((?:\?:)?|[|^]|(?:[^\\\[\](){}*+?|^$]|\\[dDwW]|\\[^\w\s]|\[\^?(?:[^\\\[\]&]|\\[dw]|\\[^\w\s])+\]|\))"
                    r"(?:(?:[*+?]|\{\d{1,3}(?:,(?:\d{1,3})?)?\})\??(?![+?*]))?)*")


def _alike(pattern: exp.Expression) -> str | None:
    """The pattern, if it is a literal that RE2 reads as Java does, or has classes by Unicode property, which only RE2 has."""
    known = plain_text(pattern)
    if known is None:
        return None
    return known if _ALIKE.fullmatch(re.sub(r"\\[pP]\{\w+\}", "x", re.sub(r"^\(\?i\)", "", known))) else None


def _regexp_like(value, pattern):
    return call("regexp_matches" if _alike(pattern) is not None else "p_regexp_like", value, pattern)


def _regexp_extract(value, pattern, group=None):
    if _alike(pattern) is not None and (group is None or group.name == "0"):
        return call("t_regexp_extract", value, pattern)
    return call("p_regexp_extract", value, pattern, number(0) if group is None else group)


def _regexp_replace(value, pattern, instead=None):
    if isinstance(instead, exp.Lambda):
        pieces = _each(call("p_regexp_pieces", value, pattern), lambda piece: exp.DPipe(
            this=_field(piece, "gap"), expression=exp.Case(
                ifs=[exp.If(this=exp.Is(this=_field(piece, "groups"), expression=exp.null()), true=text(""))],
                default=applied(instead, _field(piece, "groups")))))
        return call("array_to_string", pieces, text(""))
    instead = text("") if instead is None else instead
    known, plain = _alike(pattern), plain_text(instead)
    # RE2 sees no empty match behind another match, and its replacement has other escapes.
    if known is not None and plain is not None and not re.search(r"[\\$]|\\[pP]", plain + known.replace("\\d", "")) and not re.search(
            known, ""):
        return call("t_regexp_replace", value, pattern, instead)
    return call("p_regexp_replace", value, pattern, instead)


# --- scalar functions ---------------------------------------------------------------------------------------------------------
_SPANS = {"millisecond": "to_milliseconds", "second": "to_seconds", "minute": "to_minutes", "hour": "to_hours", "day": "to_days",
          "week": "to_weeks", "month": "to_months", "year": "to_years"}


def _date_add(unit, count, moment):
    unit = literal(unit, "a date_add unit").lower()
    if unit == "quarter":
        unit, count = "month", exp.Mul(this=exp.Paren(this=count), expression=number(3))
    if unit not in _SPANS:
        raise invalid(f"'{unit}' is not a valid Timestamp field")
    clock = unit in ("millisecond", "second", "minute", "hour")
    return call("t_add" if clock else "t_add_local", moment, call(_SPANS[unit], count))


_PARTS = {"year": "year", "quarter": "quarter", "month": "month", "week": "week", "week_of_year": "week", "day": "day",
          "day_of_month": "day", "hour": "hour", "minute": "minute", "day_of_week": "isodow", "dow": "isodow", "day_of_year": "doy",
          "doy": "doy", "year_of_week": "isoyear", "yow": "isoyear"}


EXTRACTED = frozenset(_PARTS) | {"second"}  # EXTRACT's fields, time zones apart


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
    """Of texts, binaries or arrays; a literal beside an array that is written out is an element."""
    arrays = any(isinstance(item, exp.Array) for item in items)
    result, *rest = [exp.Array(expressions=[item]) if arrays and isinstance(item.this if isinstance(item, exp.Cast) else item, exp.Literal)
                     else item for item in items]
    for item in rest:
        result = call("t_concat", result, item)
    return result


_JSON_PATH = re.compile(r"\$(?:\.[\w:-]+|\[\d+\]|\[\"[^\"]*\"\]|\['[^']*'\]|\[[A-Za-z_][\w-]*\])*")


def _json_path(function: str):
    def build(value, path):
        path = literal(path, "a JSON path")
        if not _JSON_PATH.fullmatch(path):
            raise invalid(f"Invalid JSON path: '{path}'")
        path = re.sub(r"\[([\"']?)([^\"'\]]*[^\"'\]\d][^\"'\]]*)\1\]|\[([\"'])([^\"']*)\3\]", lambda m: f'."{m[2] or m[4] or ""}"', path)
        return call(function, value, text(re.sub(r"\.([\w:-]+)", r'."\1"', path)))
    return build


def _typeof(value):
    """The length of a varchar is known of literals only; a quotient's precision and an interval's kind are not known."""
    known = plain_text(value)
    if known is not None and isinstance(value, exp.Cast):
        return text(f"varchar({len(known)})" if value.to.is_type("varchar") else "varchar")
    if isinstance(value, exp.Anonymous) and value.name == "k_varchar":
        return text("varchar")
    if any(isinstance(node, exp.Anonymous) and node.name == "k_div" for node in value.walk()):
        raise not_supported("typeof of a quotient")
    return call("t_typeof", value, exp.Boolean(this=isinstance(value, exp.Column)))


def _shape(function: str, *kinds: str):
    return lambda value: call(function, value, *map(text, kinds))


def _k(name: str):
    return lambda *arguments: dispatch(f"k_{name}", *arguments)


def _match(wanted: bool, negate: bool):
    def build(items, condition):
        found = call("t_contains", call("list_transform", items, condition), exp.Boolean(this=wanted))
        return exp.Not(this=exp.Paren(this=found)) if negate else found
    return build


def _entries(build: Callable[..., exp.Expression]):
    """A map made from a map's entries."""
    return lambda items, function: call("map_from_entries", build(call("map_entries", items), _entry(function)))


FUNCTIONS: dict[str, str | Callable] = {
    **{name: name for name in (
        "abs", "exp", "power", "degrees", "radians", "sin", "cos", "tan", "atan", "atan2", "sinh", "cosh", "tanh", "pi", "lower", "upper",
        "translate", "coalesce", "nullif", "map_keys", "map_values", "map_from_entries", "map_concat", "row", "uuid",
        "starts_with", "map", "try")},
    **{name: f"t_{name}" for name in (
        "sqrt", "cbrt", "ln", "log2", "log10", "log", "asin", "acos", "date_trunc", "from_unixtime", "from_iso8601_timestamp", "to_iso8601",
        "at_timezone", "with_timezone", "length", "replace", "trim", "ltrim", "rtrim", "substr", "split", "split_part", "strpos",
        "reverse", "lpad", "rpad", "hamming_distance", "codepoint", "chr", "index", "repeat", "cardinality", "element_at",
        "width_bucket", "random", "wilson_interval_lower", "wilson_interval_upper", "bitwise_and", "bitwise_or", "bitwise_xor",
        "bitwise_not", "bitwise_left_shift", "bitwise_right_shift", "bitwise_right_shift_arithmetic", "from_utf8", "array_distinct",
        "array_max", "array_min", "array_position", "array_remove", "array_intersect", "array_except", "array_union", "arrays_overlap",
        "contains", "slice", "trim_array", "combinations", "ngrams", "shuffle", "flatten", "sequence", "json_parse",
        "json_array_length", "json_array_get", "json_array_contains", "is_json_scalar", "json_exists", "json_value", "timezone_hour",
        "timezone_minute")},
    **{name: f"p_{name}" for name in (
        "from_base", "to_base", "bit_count", "normal_cdf", "inverse_normal_cdf", "cosine_similarity", "split_to_map", "split_to_multimap",
        "luhn_check", "soundex", "char2hexint", "regexp_split", "from_base64", "to_base64url", "from_base64url", "to_base32",
        "from_base32", "from_hex", "crc32", "to_hex", "parse_datetime", "parse_duration", "human_readable_seconds", "url_encode",
        "url_decode", "url_extract_parameter", "format", "format_number", "from_iso8601_date")},
    **{name: _k(name) for name in ("floor", "ceil", "round", "truncate", "sign", "mod")},
    **{name: _part(part) for name, part in _PARTS.items()},
    **{f"url_extract_{part}": _shape("p_url_extract", kind) for part, kind in (
        ("host", "host"), ("path", "path"), ("protocol", "scheme"), ("query", "query"), ("fragment", "fragment"))},
    **{f"hmac_{kind}": lambda data, key, kind=kind: call("p_hmac", data, key, text(kind)) for kind in ("md5", "sha1", "sha256", "sha512")},
    **{f"{way}_big_endian_{bits}": lambda x, way=way, bits=bits: call(f"p_{way}_bytes", x, number(bits // 8))
       for way in ("to", "from") for bits in (32, 64)},
    **{f"{way}_ieee754_{bits}": _shape(f"p_{way}_ieee754", {32: ">f", 64: ">d"}[bits]) for way in ("to", "from") for bits in (32, 64)},
    **{kind: _shape("p_digest", kind) for kind in ("md5", "sha1", "sha256", "sha512")},
    "ceiling": _k("ceil"), "pow": "power", "rand": "t_random", "is_nan": "isnan", "is_finite": "isfinite", "is_infinite": "isinf",
    "e": lambda: call("exp", number(1)), "nan": lambda: exp.cast(text("nan"), "double"), "infinity": lambda: exp.cast(text("inf"), "double"),
    "substring": "t_substr", "levenshtein_distance": "levenshtein", "to_utf8": "encode", "to_base64": "base64",
    "regexp_like": _regexp_like, "regexp_extract": _regexp_extract, "regexp_replace": _regexp_replace, "regexp_count": "p_regexp_count",
    "regexp_extract_all": lambda s, p, g=None: call("p_regexp_extract_all", s, p, g or number(0)),
    "regexp_position": lambda s, p, start=None, nth=None: call("p_regexp_position", s, p, start or number(1), nth or number(1)),
    "normalize": lambda s, form=None: call("p_normalize", s, text("NFC") if form is None else text(form.name.upper())),
    "url_extract_port": lambda url: exp.cast(call("p_url_extract", url, text("port")), "bigint"),
    "parse_data_size": lambda x: exp.cast(call("p_parse_data_size", x), "decimal(38,0)"),
    "concat_ws": lambda by, first, *more: call("t_joined", by, exp.Array(expressions=[first, *more])) if more else call(
        "t_concat_ws", by, first), "typeof": _typeof, "concat": _chain, "greatest": _nullable("greatest"), "least": _nullable("least"),
    "date": "t_cast_date", "date_add": _date_add, "date_diff": "t_date_diff", "to_milliseconds": "t_milliseconds",
    "second": lambda x: call("t_second_of", call("t_wall", x)), "millisecond": lambda x: call("t_millisecond_of", call("t_wall", x)),
    "last_day_of_month": lambda x: call("last_day", call("t_wall", x)), "to_unixtime": lambda x: call("epoch", call("t_utc", x)),
    "date_format": _format(mysql), "format_datetime": _format(str), "date_parse": _date_parse, "current_timezone": lambda: text("UTC"),
    "filter": "list_filter", "transform": "list_transform", "zip": "list_zip", "array_join": _array_join, "array_sort": _sorted,
    "any_match": _match(True, False), "none_match": _match(True, True), "all_match": _match(False, True), "reduce": _reduce,
    "zip_with": lambda a, b, f: _each(call("list_zip", a, b), lambda pair: applied(f, _field(pair, 1), _field(pair, 2))),
    "map_entries": "t_rows", "multimap_from_entries": "t_multimap_of", "map_zip_with": _map_zip_with,
    "map_filter": _entries(lambda items, test: _each(items, test, keep=True)),
    "transform_keys": _entries(lambda items, new: _each(items, lambda entry: call("row", new(entry), _field(entry, "value")))),
    "transform_values": _entries(lambda items, new: _each(items, lambda entry: call("row", _field(entry, "key"), new(entry)))),
    "json_extract": _json_path("t_json_extract"), "json_extract_scalar": _json_path("t_json_extract_scalar"),
    "json_size": _json_path("t_json_size"), "json_format": lambda x: call("t_text", x),
    "json_query": lambda x, p, wrapper=None: call("t_json_query", x, p, wrapper or text("")),
}


# --- aggregate and window functions -------------------------------------------------------------------------------------------
def _late(node: exp.Expression) -> exp.Expression:
    node.meta["late"] = True
    return node


def _named(name: str):
    return lambda wrap, *arguments: _late(wrap(call(name, *arguments)))


def _alone(wrap, arguments) -> bool:
    """Nothing stands around the aggregate, and DuckDB knows its argument's type: a macro may be the aggregate."""
    mark = exp.null()
    return wrap(mark) is mark and not any(isinstance(one, exp.Distinct) or _is_late(one) for one in arguments)


def _sum(wrap, x):
    if _alone(wrap, [x]):
        return _late(exp.Anonymous(this="k_sum", expressions=[x, x.copy()]))
    return dispatch("k_narrow", _named("sum")(wrap, x))


def _avg(wrap, x):
    """Of decimals a decimal of their scale, rounded."""
    if _alone(wrap, [x]):
        return _late(exp.Anonymous(this="k_avg", expressions=[x, x.copy()]))
    return dispatch("k_average", *(_named(name)(wrap, x.copy()) for name in ("sum", "count", "min", "avg")))


def _map_agg(build: str):
    """Trino keeps one of a repeated key's values, DuckDB's map refuses it: the first stays here."""
    return lambda wrap, key, value: call(build, _named("list")(wrap, call("row", key, value)))


def _approx_percentile(wrap, value, *rest):
    if len(rest) != 1:
        raise not_supported("approx_percentile with a weight")
    return _named("quantile_disc")(wrap, value, rest[0])


def _by(name: str):
    """One value, NULL or not, or the values of the n greatest (least)."""
    return lambda wrap, x, y, n=None: _named(f"{name}_null")(wrap, x, y) if n is None else _named(f"{name}_nulls_last")(wrap, x, y, n)


def _skewness(wrap, x):
    """Trino's is the population's, DuckDB's the sample's."""
    n = _named("count")(wrap, x.copy())
    whole = [_named("skewness")(wrap, x), exp.Paren(this=exp.Sub(this=n, expression=number(2)))]
    root = call("sqrt", exp.Mul(this=n.copy(), expression=exp.Paren(this=exp.Sub(this=n.copy(), expression=number(1)))))
    return _late(exp.Paren(this=exp.Div(this=exp.Mul(this=whole[0], expression=whole[1]), expression=root)))


def _bitwise(name: str):
    return lambda wrap, x: exp.cast(_named(name)(wrap, x), "bigint")


AGGREGATES: dict[str, Callable] = {
    **{name: _named(name) for name in (
        "count", "min", "max", "grouping", "bool_and", "bool_or", "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop", "corr",
        "covar_samp", "covar_pop", "array_agg", "histogram", "kurtosis", "regr_slope", "regr_intercept", "row_number", "rank",
        "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value")},
    "every": _named("bool_and"), "arbitrary": _named("any_value"), "any_value": _named("any_value"), "sum": _sum, "avg": _avg,
    "count_if": lambda wrap, x: exp.cast(_named("count_if")(wrap, x), "bigint"),
    # Exact: within every error bound that Trino may be asked for.
    "approx_distinct": lambda wrap, x, *error: _named("count")(wrap, exp.Distinct(expressions=[x])),
    "approx_most_frequent": lambda wrap, n, x, capacity: call("t_top", _named("histogram")(wrap, x), n),
    "approx_percentile": _approx_percentile, "max_by": _by("arg_max"), "min_by": _by("arg_min"), "map_agg": _map_agg("t_map_of"),
    "multimap_agg": _map_agg("t_multimap_of"),
    "map_union": lambda wrap, m: call("t_map_of", call("flatten", _named("list")(wrap, call("t_rows", m)))),
    "reduce_agg": lambda wrap, x, start, step, merge: call("list_reduce", _named("list")(wrap, x), step, start),
    "geometric_mean": _named("geomean"), "skewness": _skewness, "bitwise_and_agg": _bitwise("bit_and"), "bitwise_or_agg": _bitwise("bit_or"),
}

# The functions of Trino's reference by its chapters (docs "List of functions by topic"; special forms such as CAST apart). Those that are
# in neither table above are refused as not supported here; all other names are unknown to Trino.
REFERENCE: dict[str, str] = {
    "Aggregate": "any_value approx_distinct approx_most_frequent approx_percentile approx_set arbitrary array_agg avg bitwise_and_agg "
                 "bitwise_or_agg bitwise_xor_agg bool_and bool_or checksum corr count count_if covar_pop covar_samp every geometric_mean grouping "
                 "histogram kurtosis listagg map_agg map_union max max_by merge min min_by multimap_agg numeric_histogram qdigest_agg "
                 "reduce_agg regr_intercept regr_slope skewness sum stddev stddev_pop stddev_samp tdigest_agg variance var_pop var_samp",
    "Array": "all_match any_match array_distinct array_except array_first array_histogram array_intersect array_join array_last array_max "
             "array_min array_position array_remove array_sort array_union arrays_overlap cardinality combinations contains element_at "
             "filter flatten ngrams none_match reduce repeat sequence shuffle slice transform trim_array zip zip_with",
    "Binary": "crc32 from_base32 from_base64 from_base64url from_big_endian_32 from_big_endian_64 from_hex from_ieee754_32 from_ieee754_64 "
              "hmac_md5 hmac_sha1 hmac_sha256 hmac_sha512 md5 murmur3 sha1 sha256 sha512 spooky_hash_v2_32 spooky_hash_v2_64 to_base32 "
              "to_base64 to_base64url to_big_endian_32 to_big_endian_64 to_hex to_ieee754_32 to_ieee754_64 xxhash64",
    "Bitwise": "bit_count bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_right_shift_arithmetic bitwise_xor",
    "Color": "bar color render rgb",
    "Comparison": "greatest least",
    "Conditional": "coalesce if nullif try",
    "Conversion": "cast format format_number parse_data_size parse_presto_data_size try_cast typeof",
    "Date and time": "current_date current_time current_timestamp current_timezone at_timezone date date_add date_diff date_format date_parse "
                     "date_trunc day day_of_month day_of_week day_of_year dow doy extract format_datetime from_iso8601_date "
                     "from_iso8601_timestamp from_iso8601_timestamp_nanos from_unixtime from_unixtime_nanos hour human_readable_seconds "
                     "last_day_of_month localtime localtimestamp millisecond minute month now parse_datetime parse_duration quarter second "
                     "timezone timezone_hour timezone_minute to_iso8601 to_milliseconds to_unixtime week week_of_year with_timezone year "
                     "year_of_week yow",
    "Geospatial": "bing_tile bing_tile_at bing_tile_coordinates bing_tile_polygon bing_tile_quadkey bing_tile_zoom_level bing_tiles_around "
                  "convex_hull_agg from_encoded_polyline from_geojson_geometry geometry_from_hadoop_shape geometry_invalid_reason "
                  "geometry_nearest_points geometry_to_bing_tiles geometry_union geometry_union_agg great_circle_distance "
                  "line_interpolate_point line_interpolate_points line_locate_point simplify_geometry spatial_partitioning "
                  "spatial_partitions st_area st_asbinary st_astext st_boundary st_buffer st_centroid st_contains st_convexhull st_coorddim "
                  "st_crosses st_difference st_dimension st_disjoint st_distance st_endpoint st_envelope st_envelopeaspts st_equals "
                  "st_exteriorring st_geometries st_geometryfromtext st_geometryn st_geometrytype st_geomfrombinary st_interiorringn "
                  "st_interiorrings st_intersection st_intersects st_isclosed st_isempty st_isring st_issimple st_isvalid st_length "
                  "st_linefromtext st_linestring st_multipoint st_numgeometries st_numinteriorring st_numpoints st_overlaps st_point "
                  "st_pointn st_points st_polygon st_relate st_startpoint st_symdifference st_touches st_union st_within st_x st_xmax "
                  "st_xmin st_y st_ymax st_ymin to_encoded_polyline to_geojson_geometry to_geometry to_spherical_geography",
    "HyperLogLog": "empty_approx_set",
    "JSON": "is_json_scalar json_array json_array_contains json_array_get json_array_length json_exists json_extract json_extract_scalar "
            "json_format json_object json_parse json_query json_size json_value",
    "Machine learning": "classify features learn_classifier learn_libsvm_classifier learn_libsvm_regressor learn_regressor regress",
    "Map": "map map_concat map_entries map_filter map_from_entries map_keys map_values map_zip_with multimap_from_entries transform_keys "
           "transform_values",
    "Math": "abs acos asin atan atan2 beta_cdf cbrt ceil ceiling cos cosh cosine_distance cosine_similarity degrees e exp floor from_base "
            "infinity inverse_beta_cdf inverse_normal_cdf is_finite is_infinite is_nan ln log log10 log2 mod nan normal_cdf pi pow power "
            "radians rand random round sign sin sinh sqrt tan tanh to_base truncate width_bucket wilson_interval_lower "
            "wilson_interval_upper",
    "Quantile digest and T-Digest": "value_at_quantile values_at_quantiles quantile_at_value",
    "Regular expression": "regexp_count regexp_extract regexp_extract_all regexp_like regexp_position regexp_replace regexp_split",
    "Row": "row",
    "Row pattern recognition": "classifier match_number",
    "Session and system": "current_catalog current_groups current_schema current_user version",
    "Set digest": "hash_counts intersection_cardinality jaccard_index make_set_digest merge_set_digest",
    "String": "chr codepoint concat concat_ws ends_with from_utf8 hamming_distance length levenshtein_distance lower lpad ltrim luhn_check "
              "normalize position replace reverse rpad rtrim soundex split split_part split_to_map split_to_multimap starts_with strpos "
              "substr substring to_utf8 translate trim upper word_stem",
    "Teradata": "char2hexint index to_char to_date to_timestamp",
    "URL": "url_decode url_encode url_extract_fragment url_extract_host url_extract_parameter url_extract_path url_extract_port "
           "url_extract_protocol url_extract_query",
    "UUID": "uuid",
    "Window": "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number",
}
KNOWN = frozenset(" ".join(REFERENCE.values()).split())
