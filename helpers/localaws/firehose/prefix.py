"""S3 prefixes of a delivery stream: their expressions, checked when they are set and evaluated for every object.

AWS_FACTS.md part 4, "S3 keys": times are UTC, and an object's is the arrival of its oldest record [C].
"""

import datetime
import random
import re
import string

DEFAULT_TIME = "yyyy/MM/dd/HH/"
_EXPRESSION = re.compile(r"!\{(.*?)\}")
_LETTERS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
# Java's DateTimeFormatter: '' is a quote, '…' literal text, a run of one letter a field, anything else itself.
_TIME_TOKEN = re.compile(r"''|'(?P<quoted>(?:[^']|'')*)'|(?P<field>([A-Za-z])\3*)|(?P<plain>[^A-Za-z'])")


class PrefixError(ValueError):
    """A prefix that AWS refuses, or that the local AWS does not support."""


def check(prefix: str | None, error_prefix: str | None) -> None:
    """PrefixError if the two are not right together: an expression that is unknown, or one that AWS requires and is missing."""
    for name, text in (("Prefix", prefix), ("ErrorOutputPrefix", error_prefix)):
        for expression in _EXPRESSION.findall(text or ""):
            if expression == "firehose:error-output-type" and name == "Prefix":
                raise PrefixError("Prefix cannot contain !{firehose:error-output-type}.")
            _evaluate(expression, _EPOCH, "processing-failed")
        if "!{" in _EXPRESSION.sub("", text or ""):
            raise PrefixError(f"{name} has an expression that is not closed: {text}")
    if _EXPRESSION.search(prefix or "") and not error_prefix:
        raise PrefixError("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions.")
    if _EXPRESSION.search(error_prefix or "") and "!{firehose:error-output-type}" not in error_prefix:
        raise PrefixError("ErrorOutputPrefix that contains expressions must contain !{firehose:error-output-type}.")


def data_prefix(prefix: str | None, arrival: datetime.datetime) -> str:
    """Where records go: a prefix without expressions gets yyyy/MM/dd/HH/ put behind it, without a slash between [C]."""
    if _EXPRESSION.search(prefix or ""):
        return _fill(prefix, arrival, "")
    return (prefix or "") + format_time(DEFAULT_TIME, arrival)


def error_prefix(prefix: str | None, error_output_prefix: str | None, error_type: str, arrival: datetime.datetime) -> str:
    """Where failed records go: `error_output_prefix` as it stands, or by default beneath the records' own prefix [C]."""
    if error_output_prefix:
        return _fill(error_output_prefix, arrival, error_type)
    return f"{prefix or ''}{error_type}/{format_time(DEFAULT_TIME, arrival)}"


def format_time(pattern: str, when: datetime.datetime) -> str:
    """`when` by a Java pattern of yyyy MM dd HH mm ss and literals; PrefixError for any other field, YYYY among them."""
    parts, position = [], 0
    while position < len(pattern):
        token = _TIME_TOKEN.match(pattern, position)
        if token is None:
            raise PrefixError(f"!{{timestamp:{pattern}}} has a quote that is not closed.")
        position = token.end()
        if token["field"]:
            if token["field"] not in _LETTERS:
                raise PrefixError(f"!{{timestamp:{pattern}}}: {token['field']} is not supported by the local AWS, "
                                  f"only {' '.join(_LETTERS)} and 'quoted text'.")
            parts.append(when.strftime(_LETTERS[token["field"]]))
        else:
            parts.append(token["plain"] or (token["quoted"] or "").replace("''", "'") or "'")
    return "".join(parts)


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
    raise PrefixError(f"The expression !{{{expression}}} is not supported by the local AWS.")
