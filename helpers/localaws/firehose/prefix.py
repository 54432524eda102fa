"""S3 prefixes of a delivery stream: their expressions, checked when they are set and evaluated for every object.

AWS_FACTS.md part 4, "S3 keys": an object's time is the arrival of its oldest record, in UTC or the CustomTimeZone [C].
"""

import datetime
import random
import re
import string
from collections.abc import Callable

DEFAULT_TIME = "yyyy/MM/dd/HH/"
LONGEST = 512  # characters of a prefix once it is evaluated [C, FH s3-prefixes]
_EXPRESSION = re.compile(r"!\{(.*?)\}")
# Java's DateTimeFormatter: '' is a quote, '…' literal text, a run of one letter a field, []{}# reserved, anything else itself.
_TIME_TOKEN = re.compile(r"''|'(?P<quoted>(?:[^']|'')*)'|(?P<field>([A-Za-z])\3*)|(?P<plain>[^A-Za-z'\[\]{}#])")


class PrefixError(ValueError):
    """A prefix that AWS refuses, or that the local AWS does not support."""


def check(prefix: str | None, error_prefix: str | None) -> None:
    """PrefixError if the two are not right together: an expression that is unknown, or one that AWS requires and is missing."""
    for name, text in (("Prefix", prefix), ("ErrorOutputPrefix", error_prefix)):
        if name == "Prefix" and "firehose:error-output-type" in _EXPRESSION.findall(text or ""):
            raise PrefixError("Prefix cannot contain !{firehose:error-output-type}.")
        if "!{" in _EXPRESSION.sub("", text or ""):
            raise PrefixError(f"{name} has an expression that is not closed: {text}")
        if len(_fill(text or "", _EPOCH, "processing-failed")) > LONGEST:
            raise PrefixError(f"{name} is longer than {LONGEST} characters after it is evaluated.")
    if _EXPRESSION.search(prefix or "") and not error_prefix:
        raise PrefixError("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions.")
    if _EXPRESSION.search(error_prefix or "") and "!{firehose:error-output-type}" not in error_prefix:
        raise PrefixError("ErrorOutputPrefix that contains expressions must contain !{firehose:error-output-type}.")


def data_prefix(prefix: str | None, arrival: datetime.datetime) -> str:
    """Where records go: a prefix without expressions gets yyyy/MM/dd/HH/ put behind it, without a slash between [C].

    An older edition of the guide says so of every prefix without a timestamp expression; with a random string alone, what
    AWS does is therefore unknown [U], and nothing is put behind it here, as behind any other expression.
    """
    if _EXPRESSION.search(prefix or ""):
        return _fill(prefix, arrival, "")
    return (prefix or "") + format_time(DEFAULT_TIME, arrival)


def error_prefix(prefix: str | None, error_output_prefix: str | None, error_type: str, arrival: datetime.datetime) -> str:
    """Where failed records go: `error_output_prefix` as it stands, or by default beneath the records' own prefix [C]."""
    if error_output_prefix:
        return _fill(error_output_prefix, arrival, error_type)
    return f"{prefix or ''}{error_type}/{format_time(DEFAULT_TIME, arrival)}"


def format_time(pattern: str, when: datetime.datetime) -> str:
    """`when`, in its zone, by a pattern of Java's DateTimeFormatter, names in English; PrefixError for one that cannot be read."""
    parts, position = [], 0
    while position < len(pattern):
        token = _TIME_TOKEN.match(pattern, position)
        if token is None:
            problem = "has a quote that is not closed" if pattern[position] == "'" else f"has the reserved {pattern[position]}"
            raise PrefixError(f"!{{timestamp:{pattern}}} {problem}.")
        position = token.end()
        if field := token["field"]:
            longest, text = _FIELDS.get(field[0], (0, None))
            if len(field) > longest:
                raise PrefixError(f"!{{timestamp:{pattern}}}: {field} is not supported by the local AWS.")
            parts.append(text(when, len(field)))
        else:
            parts.append(token["plain"] or (token["quoted"] or "").replace("''", "'") or "'")
    return "".join(parts)


def _number(value: Callable[[datetime.datetime], int]) -> Callable[[datetime.datetime, int], str]:
    return lambda when, count: f"{value(when):0{count}d}"


def _year(when: datetime.datetime, count: int) -> str:
    return f"{when.year % 100:02d}" if count == 2 else f"{when.year:0{count}d}"


def _month(when: datetime.datetime, count: int) -> str:
    return f"{when.month:0{count}d}" if count < 3 else _name(f"{when:%B}", count)


def _name(name: str, count: int) -> str:
    """A name in full at four letters, its first three at fewer, its first at five."""
    return name if count == 4 else name[:1 if count == 5 else 3]


def _quarter(when: datetime.datetime, count: int) -> str:
    number = (when.month + 2) // 3
    return f"{number:0{count}d}" if count < 3 else f"Q{number}"


def _offset(when: datetime.datetime, count: int, zero: str = "") -> str:
    """+hh or +hhmm, by count: 1 minutes if there are any, 2 both, 3 with a colon; `zero`, if given, for UTC."""
    minutes = int(when.utcoffset().total_seconds()) // 60
    if zero and not minutes:
        return zero
    hours, rest = divmod(abs(minutes), 60)
    return ("-" if minutes < 0 else "+") + f"{hours:02d}" + (
        f"{':' if count == 3 else ''}{rest:02d}" if count > 1 or rest else "")


def _of_day(when: datetime.datetime) -> int:
    """Microseconds since midnight."""
    return (((when.hour * 60 + when.minute) * 60) + when.second) * 1_000_000 + when.microsecond


# A field's letter: how often it may stand in a row, and its text. Java's Y, w, W, e and c depend on AWS's locale, so they are
# unknown [U] and refused, as are names of zones, ordinals and padding.
_FIELDS: dict[str, tuple[int, Callable[[datetime.datetime, int], str]]] = {
    "G": (3, lambda when, count: "AD"), "y": (9, _year), "u": (9, _year), "M": (5, _month), "L": (5, _month),
    "Q": (3, _quarter), "q": (3, _quarter), "d": (2, _number(lambda when: when.day)),
    "D": (3, _number(lambda when: when.timetuple().tm_yday)), "E": (5, lambda when, count: _name(f"{when:%A}", count)),
    "a": (1, lambda when, count: "AM" if when.hour < 12 else "PM"), "H": (2, _number(lambda when: when.hour)),
    "k": (2, _number(lambda when: when.hour or 24)), "K": (2, _number(lambda when: when.hour % 12)),
    "h": (2, _number(lambda when: when.hour % 12 or 12)), "m": (2, _number(lambda when: when.minute)),
    "s": (2, _number(lambda when: when.second)), "S": (9, lambda when, count: f"{when.microsecond:06d}000"[:count]),
    "A": (9, _number(lambda when: _of_day(when) // 1000)), "n": (9, _number(lambda when: when.microsecond * 1000)),
    "N": (9, _number(lambda when: _of_day(when) * 1000)), "X": (3, lambda when, count: _offset(when, count, "Z")),
    "x": (3, _offset), "Z": (3, lambda when, count: _offset(when, 2)),
}
_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)


def _fill(prefix: str, arrival: datetime.datetime, error_type: str) -> str:
    return _EXPRESSION.sub(lambda found: _evaluate(found[1], arrival, error_type), prefix)


def _evaluate(expression: str, arrival: datetime.datetime, error_type: str) -> str:
    namespace, _, value = expression.partition(":")
    if namespace == "timestamp" and value:
        return format_time(value, arrival)
    if expression == "firehose:error-output-type":
        return error_type
    if expression == "firehose:random-string":
        return "".join(random.choices(string.ascii_letters + string.digits, k=11))
    needs = " without DynamicPartitioningConfiguration, which it does not have" if namespace.startswith("partitionKeyFrom") else ""
    raise PrefixError(f"The expression !{{{expression}}} is not supported by the local AWS{needs}.")
