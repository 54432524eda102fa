"""Trino's functions that DuckDB cannot express, in Python: DuckDB calls them row by row under their name with `p_` before it.

The annotations are the types: DuckDB converts the arguments to them and the answer from them. A NULL argument answers NULL without a
call, except where an argument is `Any`, which comes as it is. `Problem` fails the query with a Trino error name; TRY() catches it.
"""

import base64
import datetime
import decimal
import hashlib
import hmac
import inspect
import itertools
import json
import math
import random
import re
import statistics
import struct
import unicodedata
import zlib
from collections.abc import Callable
from decimal import Decimal
from functools import cache, wraps
from typing import Any
from urllib.parse import SplitResult, quote_plus, unquote, unquote_plus, urlsplit

MARK = "\x02"  # at both ends of an error's message inside DuckDB's own
_TYPES = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", bytes: "BLOB", datetime.date: "DATE", datetime.datetime: "TIMESTAMP",
          datetime.timedelta: "INTERVAL", dict[str, str]: "MAP(VARCHAR, VARCHAR)", dict[str, list[str]]: "MAP(VARCHAR, VARCHAR[])",
          list[str]: "VARCHAR[]", list[int]: "BIGINT[]", list[list[int]]: "BIGINT[][]", dict: "STRUCT(utc TIMESTAMP, zone VARCHAR)",
          list[dict]: "STRUCT(gap VARCHAR, groups VARCHAR[])[]", dict[str, float]: "MAP(VARCHAR, DOUBLE)"}


class Problem(Exception):
    """`NAME`, message: what a row makes fail."""

    def __init__(self, name: str, message: str):
        super().__init__(f"{MARK}{name}: {message}{MARK}")
        self.name, self.message = name, message


def invalid(message: str) -> Problem:
    return Problem("INVALID_FUNCTION_ARGUMENT", message)


def register(connection, name: str) -> None:
    """Define the function behind `p_<name>`."""
    function = SCALARS[name]
    types = inspect.get_annotations(function)
    result = _TYPES[types.pop("return")]
    if Any in types.values():
        connection.create_function(f"p_{name}", function, None, result, null_handling="special")
        return

    @wraps(function)
    def guarded(*arguments):
        return None if any(argument is None for argument in arguments) else function(*arguments)

    connection.create_function(f"p_{name}", guarded, [_TYPES[kind] for kind in types.values()], result, null_handling="special")


# --- numbers ------------------------------------------------------------------------------------------------------------------
def shown(value: float) -> str:
    """A double as Java writes it."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value) if "e" not in repr(value) else format(Decimal(repr(value)), "f")
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    whole = "".join(map(str, digits)).rstrip("0") or "0"
    return f"{'-' * sign}{whole[0]}.{whole[1:] or '0'}E{exponent + len(digits) - 1}"


def from_base(text: str, radix: int) -> int:
    if not 2 <= radix <= 36:
        raise invalid("Radix must be between 2 and 36")
    try:
        return int(re.fullmatch(r"[+-]?[0-9a-zA-Z]+", text)[0], radix)
    except (TypeError, ValueError):
        raise invalid(f"Not a valid base-{radix} number: {text}") from None


def to_base(number: int, radix: int) -> str:
    if not 2 <= radix <= 36:
        raise invalid("Radix must be between 2 and 36")
    digits, rest = "", abs(number)
    while rest or not digits:
        rest, digit = divmod(rest, radix)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return "-" * (number < 0) + digits


def bit_count(number: int, bits: int) -> int:
    if not 2 <= bits <= 64:
        raise invalid("Bits specified in bit_count must be between 2 and 64, got " + str(bits))
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise invalid(f"Number must be representable with the bits specified. {number} can not be represented with {bits} bits")
    return (number & (1 << bits) - 1).bit_count()


def bitwise_shift(number: int, places: int) -> int:
    """To the left, or by negative places to the right without the sign."""
    unsigned = number & (1 << 64) - 1
    moved = (unsigned << places if places >= 0 else unsigned >> -places) & (1 << 64) - 1 if abs(places) < 64 else 0
    return moved - (1 << 64) if moved >> 63 else moved


def normal_cdf(mean: float, deviation: float, value: float) -> float:
    if deviation <= 0:
        raise invalid("standardDeviation must be > 0")
    return statistics.NormalDist(mean, deviation).cdf(value)


def inverse_normal_cdf(mean: float, deviation: float, chance: float) -> float:
    if not 0 < chance < 1:
        raise invalid("p must be 0 > p > 1")
    if deviation <= 0:
        raise invalid("sd must be > 0")
    return statistics.NormalDist(mean, deviation).inv_cdf(chance)


def wilson_interval(successes: int, trials: int, z: float, side: float) -> float:
    if not 0 <= successes <= trials or trials <= 0 or z < 0:
        raise invalid("number of successes must not be larger than number of trials" if successes > trials else
                      "number of successes, number of trials and z must not be negative")
    share, square = successes / trials, z * z
    spread = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return (share + square / (2 * trials) + side * spread) / (1 + square / trials)


def cosine_similarity(left: dict[str, float], right: dict[str, float]) -> float:
    size = math.sqrt(sum(x * x for x in left.values())) * math.sqrt(sum(x * x for x in right.values()))
    return sum(x * right[key] for key, x in left.items() if key in right) / size if size else math.nan


def combinations(size: int, length: int) -> list[list[int]]:
    """The places, from 1, of the elements of each combination."""
    if not 0 <= length <= 5:
        raise invalid("combination size must not exceed 5")
    return [list(reversed(one)) for one in sorted(tuple(reversed(one)) for one in itertools.combinations(range(1, size + 1), length))]


def shuffle(size: int) -> list[int]:
    return random.sample(range(1, size + 1), size)


# --- text ---------------------------------------------------------------------------------------------------------------------
def replace_all(text: str, search: str, instead: str) -> str:
    return text.replace(search, instead)


def split(text: str, delimiter: str, limit: int) -> list[str]:
    if limit <= 0:
        raise invalid("limit must be positive")
    if not delimiter:
        raise invalid("The delimiter may not be the empty string")
    return text.split(delimiter, limit - 1)


def strpos(text: str, part: str, instance: int) -> int:
    if instance == 0:
        raise invalid("'instance' must not be a positive or negative number.")
    if not part:
        return 1
    at = -1 if instance > 0 else len(text)
    for _ in range(abs(instance)):
        at = text.find(part, at + 1) if instance > 0 else text.rfind(part, 0, max(0, at + len(part) - 1))
        if at < 0:
            return 0
    return at + 1


def _pairs(text: str, entries: str, inside: str) -> list[list[str]]:
    if not entries or not inside or entries == inside:
        raise invalid("entryDelimiter and keyValueDelimiter must not be empty or the same")
    pairs = [entry.split(inside, 1) for entry in text.split(entries)] if text else []
    if bad := [pair for pair in pairs if len(pair) < 2 and pair != [""]]:
        raise invalid(f"Key-value delimiter must appear exactly once in each entry. Bad input: '{bad[0][0]}'")
    return [pair for pair in pairs if len(pair) == 2]


def split_to_map(text: str, entries: str, inside: str) -> dict[str, str]:
    pairs = _pairs(text, entries, inside)
    if len({key for key, _ in pairs}) < len(pairs):
        twice = next(key for number, (key, _) in enumerate(pairs) if key in [other for other, _ in pairs[:number]])
        raise invalid(f"Duplicate keys ({twice}) are not allowed")
    return dict(pairs)


def split_to_multimap(text: str, entries: str, inside: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in _pairs(text, entries, inside):
        found.setdefault(key, []).append(value)
    return found


def normalize(text: str, form: str) -> str:
    return unicodedata.normalize(form, text)


def from_utf8(data: bytes, instead: str) -> str:
    if len(instead) > 1:
        raise invalid("Replacement string must be empty or a single character")
    return data.decode("utf-8", "replace").replace("\ufffd", instead) if instead != "\ufffd" else data.decode("utf-8", "replace")


def luhn_check(text: str) -> bool:
    if not re.fullmatch(r"[0-9]*", text):
        raise invalid("Input contains non-digit character")
    digits = [int(digit) for digit in reversed(text)]
    return bool(digits) and sum(digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(digits)) % 10 == 0


def soundex(text: str) -> str:
    codes = {letter: code for code, letters in zip("123456", ("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R")) for letter in letters}
    letters = [letter for letter in text.upper() if letter.isalpha()]
    if not letters:
        return ""
    result, last = letters[0], codes.get(letters[0])
    for letter in letters[1:]:
        code = codes.get(letter)
        if code and code != last:
            result += code
        if letter not in "HW":
            last = code
    return (result + "000")[:4]


def char2hexint(text: str) -> str:
    return text.encode("utf-16-be").hex().upper()


def parse_data_size(text: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|TB|PB|EB|ZB|YB)\s*", text)
    if not match:
        raise invalid(f"Invalid data size: '{text}'")
    return float(int(Decimal(match[1]) * 1024 ** ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB").index(match[2])))


def format_number(number: float) -> str:
    power = 0
    while abs(number) >= 1000 and power < 5:
        number, power = number / 1000, power + 1
    whole = len(str(int(abs(number))))
    return f"{round(Decimal(repr(float(number))), max(0, 3 - whole)).normalize():f}{['', 'K', 'M', 'B', 'T', 'Q'][power]}"


_CONVERSION = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(<]*)(\d+)?(?:\.(\d+))?([tT]?)([a-zA-Z%])")


def format_(pattern: Any, *values: Any) -> str:
    """Java's Formatter, as far as its conversions mean something for SQL values."""
    if pattern is None:
        return None
    following = iter(values)

    def one(match: re.Match) -> str:
        index, flags, width, digits, time, kind = match.groups()
        if kind in "n%" and not time:
            return "\n" if kind == "n" else "%".rjust(int(width or 0))
        if "<" in flags or (not time and kind not in "sSdxXoeEfbBc"):
            raise Problem("NOT_SUPPORTED", f"The local AWS does not support the format '{match[0]}'")
        try:
            value = values[int(index) - 1] if index else next(following)
        except (IndexError, StopIteration):
            raise invalid(f"Invalid format string: {pattern} (Format specifier '{match[0]}')") from None
        text = _converted(value, flags, digits, time, kind, match[0], pattern)
        numeric = kind in "dxXoeEf" and not time and isinstance(value, (int, float, Decimal))
        if "0" in flags and numeric and width:
            sign = text[0] if text[0] in "+- " else ""
            return sign + text[len(sign):].rjust(int(width) - len(sign), "0")
        return text.ljust(int(width or 0)) if "-" in flags else text.rjust(int(width or 0))

    bare = _CONVERSION.sub("", pattern)
    if "%" in bare:
        raise invalid(f"Invalid format string: {pattern} (Conversion = '%')")
    return _CONVERSION.sub(one, pattern)


def _converted(value, flags: str, digits, time: str, kind: str, written: str, pattern: str) -> str:
    if value is None:
        return "null"
    if time:
        joda = {"A": "EEEE", "a": "EEE", "B": "MMMM", "b": "MMM", "e": "d", "d": "dd", "m": "MM", "Y": "yyyy", "y": "yy", "H": "HH", "M": "mm",
                "S": "ss", "L": "SSS", "j": "DDD", "F": "yyyy-MM-dd", "T": "HH:mm:ss", "R": "HH:mm", "D": "MM/dd/yy", "I": "hh", "k": "H",
                "l": "h", "p": "a"}.get(kind)
        if joda is None or not isinstance(value, datetime.date):
            raise Problem("NOT_SUPPORTED", f"The local AWS does not support the format '{written}'")
        moment = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
        text = format_datetime(moment, 0, "UTC", joda)
        return text.lower() if kind == "p" else text
    if kind in "sSbBc":
        if isinstance(value, (list, dict, tuple, bytes)):
            raise Problem("NOT_SUPPORTED", f"The local AWS does not support the format '{written}' of such a value")
        text = str(value).lower() if isinstance(value, bool) else shown(value) if isinstance(value, float) else (
            re.sub(r":00$", "", value.isoformat(timespec="auto")) if isinstance(value, datetime.datetime) else str(value))
        return (text.upper() if kind.isupper() else text)[: int(digits) if digits else None]
    whole = isinstance(value, int) and not isinstance(value, bool)
    if kind in "dxXo" and not whole or kind in "eEf" and not isinstance(value, (float, Decimal)):
        raise invalid(f"Invalid format string: {pattern} ({kind} != {type(value).__name__})")
    if kind in "xXo":
        value &= (1 << 64) - 1
    exact = value if whole else Decimal(repr(value)) if isinstance(value, float) else value
    number = f"{abs(value):{kind}}" if whole else f"{_half_up(abs(exact), kind, int(digits or 6)):{',' if ',' in flags else ''}.{digits or 6}{kind}}"
    if whole and kind == "d" and "," in flags:
        number = f"{abs(value):,}"
    if kind in "eE":
        number = re.sub(r"([eE][+-])(\d)$", r"\g<1>0\2", number)
    if value < 0:
        return f"({number})" if "(" in flags else "-" + number
    return ("+" if "+" in flags else " " if " " in flags else "") + number


def _half_up(number: Decimal, kind: str, digits: int) -> Decimal:
    if kind == "f":
        return number.quantize(Decimal(1).scaleb(-digits), decimal.ROUND_HALF_UP, decimal.Context(prec=400))
    return decimal.Context(prec=digits + 1, rounding=decimal.ROUND_HALF_UP).plus(number)


# --- regular expressions ------------------------------------------------------------------------------------------------------
_JAVA = re.compile(r"\\Q(?P<quoted>.*?)(?:\\E|$)|\\k<(?P<back>\w+)>|\\(?P<escape>.)|\(\?<(?P<name>[A-Za-z]\w*)>|(?P<flags>\(\?[a-zA-Z-]+\))"
                   r"|\[(?P<set>\^?(?:\]?(?:\\.|[^\]\\])*))\]", re.DOTALL)
_CLASSES = {"d": "0-9", "w": "a-zA-Z0-9_", "s": " \\t\\n\\x0b\\f\\r", "h": " \\t\\xa0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000"}


@cache
def java(pattern: str) -> re.Pattern:
    """A Java regular expression as Python's. Classes such as \\w are ASCII, as Java's reference says; whether Athena's engine agrees: [U]."""
    def refuse(what: str) -> Problem:
        return Problem("NOT_SUPPORTED", f"The local AWS does not support {what} in a regular expression: {pattern}")

    def escape(letter: str, inside: bool) -> str:
        if letter.lower() in _CLASSES:
            if letter.islower():
                return _CLASSES[letter] if inside else f"[{_CLASSES[letter]}]"
            if not inside:
                return f"[^{_CLASSES[letter.lower()]}]"
        if letter == "z" and not inside:
            return r"\Z"
        if letter == "Z" and not inside:
            return r"(?=\n?\Z)"
        if letter == "e":
            return r"\x1b"
        if letter.isalpha() and letter not in ("bBAtnrfaux" if not inside else "tnrfaux"):
            raise refuse("\\" + letter)
        return "\\" + letter

    def one(match: re.Match) -> str:
        if match["quoted"] is not None:
            return re.escape(match["quoted"])
        if match["back"]:
            return f"(?P={match['back']})"
        if match["escape"]:
            return escape(match["escape"], False)
        if match["name"]:
            return f"(?P<{match['name']}>"
        if match["flags"]:
            if match.start() or set(match["flags"][2:-1]) - set("imsx"):
                raise refuse(match["flags"])
            return match["flags"]
        inside = match["set"]
        if "&&" in inside or "[" in inside.replace("\\[", ""):
            raise refuse("a class inside a class")
        return "[" + re.sub(r"\\(.)", lambda escaped: escape(escaped[1], True), inside, flags=re.DOTALL) + "]"

    try:
        return re.compile(_JAVA.sub(one, pattern))
    except re.error as error:
        raise invalid(f"{error}: {pattern}") from None


def _group(match: re.Match, group: int) -> str | None:
    if not 0 <= group <= match.re.groups:
        raise invalid(f"Pattern has {match.re.groups} groups. Cannot access group {group}")
    return match[group]


def regexp_like(text: str, pattern: str) -> bool:
    return java(pattern).search(text) is not None


def regexp_extract(text: str, pattern: str, group: int) -> str:
    match = java(pattern).search(text)
    return match and _group(match, group)


def regexp_extract_all(text: str, pattern: str, group: int) -> list[str]:
    return [_group(match, group) for match in java(pattern).finditer(text)]


def regexp_count(text: str, pattern: str) -> int:
    return sum(1 for _ in java(pattern).finditer(text))


def regexp_position(text: str, pattern: str, start: int, occurrence: int) -> int:
    if start < 1 or occurrence < 1:
        raise invalid(f"{'start position' if start < 1 else 'occurrence'} cannot be smaller than 1")
    found = itertools.islice(java(pattern).finditer(text, start - 1), occurrence - 1, None)
    return next((match.start() + 1 for match in found), -1)


def regexp_split(text: str, pattern: str) -> list[str]:
    parts, last = [], 0
    for match in java(pattern).finditer(text):
        parts.append(text[last:match.start()])
        last = match.end()
    return [*parts, text[last:]]


def regexp_replace(text: str, pattern: str, instead: str) -> str:
    compiled = java(pattern)

    def one(match: re.Match) -> str:
        def put(mark: re.Match) -> str:
            escaped, number, name = mark.groups()
            if escaped:
                return escaped
            rest = ""
            while number and len(number) > 1 and int(number) > compiled.groups:  # as many digits as make a group
                number, rest = number[:-1], number[-1] + rest
            if not (number and int(number) <= compiled.groups or name in compiled.groupindex):
                raise invalid(f"Illegal replacement sequence: {instead}")
            return (match[int(number) if number else name] or "") + rest

        return re.sub(r"\\(.)|\$(?:(\d+)|\{(\w+)\}|)", put, instead, flags=re.DOTALL)

    return compiled.sub(one, text)


def regexp_pieces(text: str, pattern: str) -> list[dict]:
    """What stands before each match and its groups; at last what stands behind all of them, without groups."""
    pieces, last = [], 0
    for match in java(pattern).finditer(text):
        pieces.append({"gap": text[last:match.start()], "groups": list(match.groups())})
        last = match.end()
    return [*pieces, {"gap": text[last:], "groups": None}]


# --- binary -------------------------------------------------------------------------------------------------------------------
def _decoded(decode: Callable[[str], bytes], text: str) -> bytes:
    try:
        return decode(text)
    except ValueError as error:
        raise invalid(str(error)) from None


def from_base64(text: str) -> bytes:
    return _decoded(lambda one: base64.b64decode(one + "=" * (-len(one) % 4), validate=True), text)


def to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def from_base64url(text: str) -> bytes:
    return _decoded(lambda one: base64.b64decode(one + "=" * (-len(one) % 4), altchars=b"-_", validate=True), text)


def to_base32(data: bytes) -> str:
    return base64.b32encode(data).decode()


def from_base32(text: str) -> bytes:
    return _decoded(base64.b32decode, text)


def from_hex(text: str) -> bytes:
    return _decoded(bytes.fromhex, text)


def crc32(data: bytes) -> int:
    return zlib.crc32(data)


def to_hex(data: bytes) -> str:
    return data.hex().upper()


def digest(data: bytes, kind: str) -> bytes:
    return hashlib.new(kind, data).digest()


def hmac_(data: bytes, key: bytes, kind: str) -> bytes:
    return hmac.digest(key, data, kind)


def to_bytes(number: int, size: int) -> bytes:
    return (number & (1 << 8 * size) - 1).to_bytes(size, "big")


def from_bytes(data: bytes, size: int) -> int:
    if len(data) != size:
        raise invalid(f"expected {size}-byte input, but got instead: {len(data)}")
    return int.from_bytes(data, "big", signed=True)


def to_ieee754(number: float, kind: str) -> bytes:
    return struct.pack(kind, number)


def from_ieee754(data: bytes, kind: str) -> float:
    if len(data) != struct.calcsize(kind):
        raise invalid(f"Input floating-point value must be exactly {struct.calcsize(kind)} bytes long")
    return struct.unpack(kind, data)[0]


def reverse_bytes(data: bytes) -> bytes:
    return data[::-1]


def substr_bytes(data: bytes, start: int, length: int) -> bytes:
    start = start - 1 if start > 0 else len(data) + start if start else len(data)
    return data[start:start + max(0, length)] if 0 <= start < len(data) else b""


def pad_bytes(data: bytes, size: int, padding: bytes, left: bool) -> bytes:
    if size < 0 or not padding:
        raise invalid("Target length must be in the range [0..2147483647]" if padding else "Padding bytes must not be empty")
    fill = (padding * size)[:max(0, size - len(data))]
    return fill + data if left and fill else (data + fill)[:size]


# --- date and time ------------------------------------------------------------------------------------------------------------
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MYSQL = {"a": "EEE", "b": "MMM", "c": "M", "d": "dd", "e": "d", "f": "SSSSSS", "H": "HH", "h": "hh", "I": "hh", "i": "mm", "j": "DDD",
          "k": "H", "l": "h", "M": "MMMM", "m": "MM", "p": "a", "r": "hh:mm:ss a", "S": "ss", "s": "ss", "T": "HH:mm:ss", "v": "ww",
          "W": "EEEE", "x": "xxxx", "Y": "yyyy", "y": "yy"}


def mysql(pattern: str) -> str:
    """A MySQL date format as Joda-Time's."""
    out, literal = "", ""
    for letter, other in re.findall(r"%(.)|([^%]+)", pattern, re.DOTALL):
        if letter and letter in "DUuVwX":
            raise invalid(f"%{letter} not supported in date format string")
        if letter in _MYSQL:
            out, literal = out + _quoted(literal) + _MYSQL[letter], ""
        else:
            literal += letter + other
    return out + _quoted(literal)


def _quoted(literal: str) -> str:
    return "'" + literal.replace("'", "''") + "'" if literal else ""


@cache
def tokens(pattern: str) -> tuple[tuple[str, int], ...]:
    """A Joda-Time date format's parts: (letter, how often), or (literal text, 0)."""
    parts = []
    for match in re.finditer(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+", pattern):
        literal = match[0] if match[2] is None else None
        if match[1] is not None:
            literal = match[1].replace("''", "'") or "'"
        if literal is None and match[2] not in "GCYxweEyDMdaKhHkmsSzZ":
            raise invalid(f"Illegal pattern component: {match[2]}")
        parts.append((match[2], len(match[0])) if literal is None else (literal, 0))
    return tuple(parts)


def format_datetime(moment: datetime.datetime, offset: int, zone: str, pattern: str) -> str:
    """`moment` on the wall clock of `zone`, which is `offset` minutes before UTC."""
    year, week, day = moment.isocalendar()
    numbers = {"y": moment.year, "Y": moment.year, "x": year, "w": week, "e": day, "D": moment.timetuple().tm_yday, "M": moment.month,
               "d": moment.day, "H": moment.hour, "k": moment.hour or 24, "K": moment.hour % 12, "h": moment.hour % 12 or 12,
               "m": moment.minute, "s": moment.second, "C": moment.year // 100}
    out = ""
    for letter, count in tokens(pattern):
        if not count:
            out += letter
        elif letter == "M" and count > 2:
            out += _MONTHS[moment.month - 1][: None if count > 3 else 3]
        elif letter == "E":
            out += _DAYS[day - 1][: None if count > 3 else 3]
        elif letter in "yYx" and count == 2:
            out += f"{numbers[letter] % 100:02}"
        elif letter in numbers:
            out += f"{numbers[letter]:0{count}}"
        elif letter == "S":
            out += f"{moment.microsecond:06}".ljust(count, "0")[:count]
        elif letter == "a":
            out += "AM" if moment.hour < 12 else "PM"
        elif letter == "G":
            out += "AD"
        elif letter == "Z":
            sign, (hours, minutes) = "-" if offset < 0 else "+", divmod(abs(offset), 60)
            out += zone if count > 2 else f"{sign}{hours:02}{':' if count == 2 else ''}{minutes:02}"
        else:
            raise Problem("NOT_SUPPORTED", f"The local AWS does not support the date format letter {letter}")
    return out


@cache
def _reader(pattern: str) -> re.Pattern:
    """A regular expression with a group for each letter of a date format."""
    parts, out = tokens(pattern), ""
    for number, (letter, count) in enumerate(parts):
        following = number + 1 < len(parts) and parts[number + 1][1] and parts[number + 1][0] in "yYxwdDMHhKkmsSe"
        if not count:
            out += re.escape(letter)
            continue
        if letter == "M" and count > 2:
            item = "|".join(sorted({part for name in _MONTHS for part in (name, name[:3])}, key=len, reverse=True))
        elif letter == "E":
            item = "|".join(sorted({part for name in _DAYS for part in (name, name[:3])}, key=len, reverse=True))
        elif letter == "a":
            item = "AM|PM"
        elif letter == "Z":
            item = r"[A-Za-z][\w/+-]*|[+-]\d\d:?\d\d" if count > 2 else r"[+-]\d\d:?\d\d|Z"
        elif letter in "yY":
            item = rf"\d{{1,{count}}}" if following else r"[+-]?\d{1,9}"
        elif letter == "S":
            item = rf"\d{{1,{count}}}" if count != 6 else r"\d{1,9}"
        elif letter in "dMHhKkms":
            item = r"\d{1,2}"
        elif letter == "D":
            item = r"\d{1,3}"
        else:
            raise Problem("NOT_SUPPORTED", f"The local AWS does not support the date format letter {letter} for parsing")
        out += f"(?P<{letter}{number}>{item})"
    return re.compile(out, re.IGNORECASE)


def parse_datetime(text: str, pattern: str) -> dict:
    """{utc, zone} of Trino's parse_datetime: what the format does not name is 1970-01-01T00:00 UTC, or the year 2000 beside a day or month."""
    return _parsed(text, pattern, datetime.datetime.now().year - 30)


def date_parse(text: str, pattern: str) -> datetime.datetime:
    """MySQL's format; two-digit years are 1970 to 2069; the fraction is cut to milliseconds."""
    moment = _parsed(text, pattern, 2020)["utc"]
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _parsed(text: str, pattern: str, pivot: int) -> dict:
    match = _reader(pattern).fullmatch(text)
    failure = invalid(f'Invalid format: "{text}"')
    if not match:
        raise failure
    found = {key[0]: value for key, value in match.groupdict().items()}
    counts = {letter: count for letter, count in tokens(pattern) if count}
    day_or_month = {"d", "M", "D"} & set(found)
    year = int(found.get("y") or found.get("Y") or (2000 if day_or_month else 1970))
    written = found.get("y") or found.get("Y") or ""
    if 2 in (counts.get("y"), counts.get("Y")) and re.fullmatch(r"\d\d", written):
        low = pivot - 50
        year = low + (year - low) % 100
    try:
        month = found.get("M", "1")
        month = int(month) if month.isdigit() else [name[:3].lower() for name in _MONTHS].index(month[:3].lower()) + 1
        hour = int(found.get("H") or found.get("k") or 0) % (24 if "k" in found and "H" not in found else 100)
        if "h" in found or "K" in found:
            half = int(found.get("h") or found.get("K"))
            if not (1 <= half <= 12 if "h" in found else 0 <= half < 12):
                raise failure
            hour = half % 12 + 12 * (found.get("a", "AM").upper() == "PM")
        moment = datetime.datetime(year, month, int(found.get("d", 1)), hour, int(found.get("m", 0)), int(found.get("s", 0)),
                                   int(found.get("S", "0").ljust(6, "0")[:6]))
        if "D" in found:
            moment = moment.replace(month=1, day=1) + datetime.timedelta(days=int(found["D"]) - 1)
            if moment.year != year or found["D"].lstrip("0") == "":
                raise failure
        if "E" in found and _DAYS[moment.weekday()][:3].lower() != found["E"][:3].lower() and day_or_month:
            raise failure
    except ValueError:
        raise failure from None
    zone = found.get("Z", "UTC")
    if re.fullmatch(r"[+-]\d\d:?\d\d", zone):
        sign, hours, minutes = zone[0], int(zone[1:3]), int(zone[-2:])
        offset = datetime.timedelta(hours=hours, minutes=minutes)
        return {"utc": moment - offset if sign == "+" else moment + offset,
                "zone": f"{sign}{hours:02}:{minutes:02}" if offset else "UTC"}
    if zone not in ("UTC", "Z", "z"):
        raise Problem("NOT_SUPPORTED", f"The local AWS does not support the time zone {zone} in parse_datetime")
    return {"utc": moment, "zone": "UTC"}


def from_iso8601_date(text: str) -> datetime.date:
    """A calendar date, a week date (Monday if no day is given) or a day of the year."""
    match = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?|-W(\d\d)(?:-(\d))?|-(\d{3}))?", text)
    try:
        year, month, day, week, weekday, ordinal = (part and int(part) for part in match.groups())
        if week:
            return datetime.date.fromisocalendar(year, week, weekday or 1)
        if ordinal and not (ordinal == 366 and not datetime.date(year, 12, 31).timetuple().tm_yday == 366):
            return datetime.date(year, 1, 1) + datetime.timedelta(days=ordinal - 1)
        return datetime.date(year, month or 1, day or 1) if ordinal is None else datetime.date(year, 13, 1)
    except (AttributeError, ValueError):
        raise invalid(f'Invalid format: "{text}"') from None


def parse_duration(text: str) -> datetime.timedelta:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    units = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    if not match or match[2] not in units:
        raise invalid(f"duration is not a valid data duration string: {text}" if not match else f"Unknown time unit: {match[2]}")
    return datetime.timedelta(milliseconds=math.floor(float(match[1]) * units[match[2]] + 0.5))


def human_readable_seconds(seconds: float) -> str:
    if not math.isfinite(seconds):
        raise invalid(f"Invalid argument found: {shown(seconds)}")
    rest, words = abs(round(seconds)), []
    for name, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {name}{'s' * (count != 1)}")
    return ", ".join(words) or "0 seconds"


# --- JSON ---------------------------------------------------------------------------------------------------------------------
def _written(value) -> str:
    """JSON text as Trino's json_parse keeps it: no spaces, keys sorted."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{_written(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return shown(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _loaded(text: str):
    def constant(name: str):
        raise ValueError(name)

    return json.loads(text, parse_constant=constant)


def json_parse(text: str) -> str:
    try:
        return _written(_loaded(text))
    except ValueError:
        raise invalid(f"Cannot convert value to JSON: '{text}'") from None


def json_array_contains(text: Any, wanted: Any) -> bool:
    try:
        items = None if text is None or wanted is None else _loaded(text)
    except ValueError:
        return None
    wanted = float(wanted) if isinstance(wanted, Decimal) else wanted
    kinds = (bool,) if isinstance(wanted, bool) else (str,) if isinstance(wanted, str) else (int, float)
    return any(isinstance(item, kinds) and isinstance(item, bool) == isinstance(wanted, bool) and item == wanted
               for item in items) if isinstance(items, list) else None


def json_array_get(text: str, index: int) -> str:
    """A string comes without its quotes: broken, as the reference itself says, but so."""
    try:
        items = _loaded(text)
        item = items[index] if isinstance(items, list) else None
    except (ValueError, IndexError):
        return None
    return item if item is None or isinstance(item, str) else _written(item)


_STEP = re.compile(r"\.(?P<all>\*)|\.(?P<key>[A-Za-z_]\w*)|\.\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|\[\s*(?P<every>\*)\s*\]|\[(?P<places>[\s\w,]+)\]")


@cache
def _path(written: str) -> tuple[bool, tuple[re.Match, ...]]:
    """(lax?, steps) of an SQL/JSON path: members, elements and wildcards."""
    head = re.match(r"\s*(?:(lax|strict)\s+)?\$", written)
    steps, at = [], head.end() if head else 0
    while head and at < len(written.rstrip()):
        step = _STEP.match(written, at)
        if not step:
            raise Problem("NOT_SUPPORTED", f"The local AWS does not support the JSON path {written}")
        steps.append(step)
        at = step.end()
    if not head:
        raise Problem("PATH_EVALUATION_ERROR", f"invalid JSON path: {written}")
    return head[1] != "strict", tuple(steps)


def json_items(text: str, written: str) -> list[str]:
    """What an SQL/JSON path finds, each as JSON text. None for an error in strict mode or of the input."""
    lax, steps = _path(written)
    try:
        items = [_loaded(text)]
        for step in steps:
            items = list(_taken(items, step, lax))
    except (ValueError, LookupError):
        return None
    return [_kept(item) for item in items]


def _kept(value) -> str:
    """JSON text with its keys in their order."""
    if isinstance(value, float):
        return shown(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _taken(items: list, step: re.Match, lax: bool):
    for item in items:
        if step["every"] or step["places"]:
            if not isinstance(item, list):
                if not lax:
                    raise LookupError
                item = [item]
            for place in (["*"] if step["every"] else step["places"].split(",")):
                if place == "*":
                    yield from item
                    continue
                ends = [int(end.strip().replace("last", str(len(item) - 1))) for end in place.split(" to ")]
                for number in range(ends[0], ends[-1] + 1):
                    if 0 <= number < len(item):
                        yield item[number]
                    elif not lax:
                        raise LookupError
            continue
        for one in item if lax and isinstance(item, list) else [item]:
            key = step["key"] if step["key"] is not None else step["quoted"]
            if not isinstance(one, dict) or key is not None and key not in one:
                if not lax:
                    raise LookupError
            elif key is None:
                yield from one.values()
            else:
                yield one[key]


# --- URLs ---------------------------------------------------------------------------------------------------------------------
def _url(text: str) -> SplitResult | None:
    """None for what is no URI."""
    if re.search(r"[\s<>\"{}|\\^`]", text) or re.search(r"%(?![0-9A-Fa-f]{2})", text):
        return None
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for a port that is no number
        return parts
    except ValueError:
        return None


def url_extract(text: str, part: str) -> str:
    """One part, empty if it is absent; NULL for what is no URI, and for an absent port."""
    parts = _url(text)
    if parts is None:
        return None
    if part == "port":
        return str(parts.port) if parts.port is not None else None
    if part == "host":
        return parts.netloc.rpartition("@")[2].partition(":")[0]
    return unquote(getattr(parts, part))


def url_extract_parameter(text: str, name: str) -> str:
    """The first one of that name; NULL if there is none, empty if it has no value."""
    parts = _url(text)
    for one in parts.query.split("&") if parts else ():
        key, _, value = one.partition("=")
        if unquote_plus(key) == name:
            return unquote_plus(value)
    return None


def url_encode(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def url_decode(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise invalid(f"Illegal hex characters in escape (%) pattern: {text}")
    return unquote_plus(text)


# --- types --------------------------------------------------------------------------------------------------------------------
def type_name(duck: str) -> str:
    """DuckDB's spelling of a type as Trino's."""
    for pattern, name in ((r'STRUCT\(utc TIMESTAMP, "?zone"? VARCHAR\)', "timestamp(3) with time zone"), (r'STRUCT\("?json"? VARCHAR\)', "json"),
                          (r"\bTIMESTAMP\b", "timestamp(3)"), (r"\bFLOAT\b", "real"), (r"\bBLOB\b", "varbinary"), (r'"NULL"', "unknown"),
                          (r"\bHUGEINT\b", "bigint"), (r"\bSTRUCT\(", "row("), (r"\bTIME\b", "time(3)"), (r"\bINTERVAL\b", "interval")):
        duck = re.sub(pattern, name, duck)
    while (nested := re.sub(r"((?:map|array|row|decimal)\((?:[^()]|\([^()]*\))*\)|[\w ]+(?:\(\d\)[\w ]*)?)\[\]", r"array(\1)", duck.replace("MAP(", "map("))) != duck:
        duck = nested
    return duck.lower().replace("decimal(", "decimal(").replace('"', "")


SCALARS: dict[str, Callable] = {
    name.rstrip("_"): function for name, function in dict(globals()).items()
    if inspect.isfunction(function) and not name.startswith("_") and function.__module__ == __name__
    and inspect.get_annotations(function).get("return") in _TYPES and inspect.signature(function).parameters}
