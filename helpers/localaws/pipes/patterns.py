"""EventBridge event patterns, as a pipe's filters use them: which events a pattern matches."""

import fnmatch
import ipaddress
import json
import operator

_COMPARE = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Pattern:
    """One filter's pattern (JSON text). ValueError, with the reason, for what is not a pattern or is not supported.

    Supported: exact values, prefix, suffix, equals-ignore-case, wildcard, anything-but (values, prefix, suffix), numeric,
    exists, cidr and $or. `numeric` never matches a DynamoDB number, because that is a string in the event
    [C, AWS_FACTS.md part 2].
    """

    def __init__(self, text: str):
        try:
            pattern = json.loads(text)
        except ValueError as error:
            raise ValueError(f"Event pattern is not valid JSON: {error}") from None
        _check(pattern)
        self._pattern = pattern

    def matches(self, event: dict) -> bool:
        return _matches(self._pattern, event)


def _check(pattern) -> None:
    if not isinstance(pattern, dict):
        raise ValueError("Event pattern is not an object")  # noqa: TRY004 - callers are told of one kind of error
    for name, wanted in pattern.items():
        if name == "$or" and isinstance(wanted, list) and all(isinstance(option, dict) for option in wanted):
            for option in wanted:
                _check(option)
        elif isinstance(wanted, dict):
            _check(wanted)
        elif isinstance(wanted, list) and wanted:
            for rule in wanted:
                if isinstance(rule, list) or isinstance(rule, dict) and not _known(rule):
                    raise ValueError(f"Event pattern: {json.dumps(rule)} under {name!r} is not a rule that is supported")
        else:
            raise ValueError(f"Event pattern: {name!r} must be an object or a non-empty array")


def _known(rule: dict) -> bool:
    if len(rule) != 1:
        return False
    (kind, value), = rule.items()
    if kind in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        return isinstance(value, str)
    if kind == "exists":
        return isinstance(value, bool)
    if kind == "anything-but":
        return not isinstance(value, dict) or set(value) <= {"prefix", "suffix"} and _known(value)
    if kind == "numeric":
        return isinstance(value, list) and len(value) in (2, 4) and all(
            sign in _COMPARE and isinstance(number, (int, float)) for sign, number in zip(value[::2], value[1::2]))
    if kind == "cidr":
        ipaddress.ip_network(value)
        return True
    return False


def _matches(pattern: dict, event) -> bool:
    """Every name of the pattern must match; under a name, any of its rules. A list in the event matches by any member."""
    for name, wanted in pattern.items():
        if name == "$or" and isinstance(wanted, list):
            if not any(_matches(option, event) for option in wanted):
                return False
            continue
        there = isinstance(event, dict) and name in event
        value = event[name] if there else None
        if isinstance(wanted, dict):
            options = value if isinstance(value, list) else [value]
            if not any(_matches(wanted, option) for option in options):
                return False
        elif not any(_rule(rule, value, there) for rule in wanted):
            return False
    return True


def _rule(rule, value, there: bool) -> bool:
    if isinstance(rule, dict) and "exists" in rule:
        return rule["exists"] == (there and not isinstance(value, dict))
    if not there or isinstance(value, dict):  # only leaves have values
        return False
    values = value if isinstance(value, list) else [value]
    return any(_value(rule, one) for one in values)


def _value(rule, value) -> bool:
    if not isinstance(rule, dict):
        return _same(rule, value)
    (kind, wanted), = rule.items()
    if kind == "anything-but":
        if isinstance(wanted, dict):
            return not _value(wanted, value)
        return not any(_same(one, value) for one in (wanted if isinstance(wanted, list) else [wanted]))
    if kind == "numeric":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and all(
            _COMPARE[sign](value, number) for sign, number in zip(wanted[::2], wanted[1::2]))
    if not isinstance(value, str):
        return False
    if kind == "prefix":
        return value.startswith(wanted)
    if kind == "suffix":
        return value.endswith(wanted)
    if kind == "equals-ignore-case":
        return value.lower() == wanted.lower()
    if kind == "wildcard":
        return fnmatch.fnmatchcase(value, wanted.replace("[", "[[]").replace("?", "[?]"))
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
    except ValueError:
        return False


def _same(wanted, value) -> bool:
    return wanted == value and isinstance(wanted, bool) == isinstance(value, bool)
