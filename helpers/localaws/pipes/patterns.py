"""EventBridge event patterns, as a pipe's filters use them: which events a pattern matches.

The grammar is that of the EventBridge user guide, "Comparison operators", whose table says what pipes have of it [C]; its fine
print (what is refused, what a leaf is, when `$or` is one) is that of AWS's own open matcher, the aws/event-ruler README [C].
"""

import ipaddress
import json
import operator
from collections.abc import Callable

_COMPARE = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_OPERATORS = frozenset({"prefix", "suffix", "equals-ignore-case", "wildcard", "anything-but", "numeric", "exists", "cidr"})
_LARGEST = 5e9  # numeric compares between -5e9 and 5e9 only
_ABSENT = object()

Test = Callable[[object], bool]


class Pattern:
    """One filter's pattern (JSON text); `matches` says whether an event does. ValueError, with the reason, for what is none.

    Every name of a pattern must match, under a name any of its rules, and of an array in the event any element. Event buses
    know more than pipes: `wildcard`, and `anything-but` with an operator in it, are refused here, because the table says that
    pipes do not support them [C]. `numeric` never matches a DynamoDB number, which is a string in the event [C, AWS_FACTS.md part 2].
    """

    def __init__(self, text: str):
        try:
            pattern = json.loads(text, parse_constant=_no_constant)
        except ValueError as error:
            raise ValueError(f"Event pattern is not valid JSON: {error}") from None
        self.matches = _object(pattern)


def _no_constant(word: str):
    raise ValueError(f"{word} is not JSON")


def _wrong(what: str):
    raise ValueError(f"Event pattern is not valid: {what}")


def _object(pattern) -> Test:
    """Whether an object (or an array, by any of its elements) has every member that `pattern` wants."""
    if not isinstance(pattern, dict):
        _wrong("it is not an object")
    if not pattern:
        _wrong("an object in it is empty")
    members = [_member(name, wanted) for name, wanted in pattern.items()]

    def matches(value) -> bool:
        options = value if isinstance(value, list) and value else [value]
        return any(all(member(option) for member in members) for option in options)

    return matches


def _member(name: str, wanted) -> Test:
    """Whether an object's member `name` is as wanted. Names are joined by dots: `a.b` is also `b` in `a`, in pattern and event [L]."""
    if name == "$or" and _is_or(wanted):
        options = [_object(option) for option in wanted]
        return lambda value: any(option(value) for option in options)
    first, _, rest = name.partition(".")
    if first and rest:
        return _member(first, {rest: wanted})
    if isinstance(wanted, dict):
        test = _object(wanted)
    elif isinstance(wanted, list) and wanted:
        test = _field(wanted, name)
    else:
        _wrong(f"{name!r} must be an object or an array that is not empty")

    def matches(value) -> bool:
        if not isinstance(value, dict):
            return test(_ABSENT)
        if name not in value:
            value = {name: {key[len(name) + 1:]: item for key, item in value.items() if key.startswith(f"{name}.")} or _ABSENT}
        return test(value[name])

    return matches


def _is_or(wanted) -> bool:
    """`$or` is a relation over two objects or more whose names are no operators; anything else is a field of that name [C]."""
    return isinstance(wanted, list) and len(wanted) > 1 and all(
        isinstance(option, dict) and not option.keys() & _OPERATORS for option in wanted)


def _field(rules: list, name: str) -> Test:
    """Whether a field's value passes any of `rules`. Only leaves have values: an object or an empty array is as absent [C]."""
    exists = {_exists(rule["exists"], name) for rule in rules if isinstance(rule, dict) and rule.keys() == {"exists"}}
    tests = [_leaf(rule, name) for rule in rules if not (isinstance(rule, dict) and rule.keys() == {"exists"})]

    def matches(value) -> bool:
        leaves = list(_leaves(value))
        return bool(leaves) in exists or any(test(leaf) for leaf in leaves for test in tests)

    return matches


def _leaves(value):
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    elif value is not _ABSENT and not isinstance(value, dict):
        yield value


def _exists(value, name: str) -> bool:
    return value if isinstance(value, bool) else _wrong(f"exists under {name!r} must be true or false")


def _leaf(rule, name: str) -> Test:
    """Whether one leaf passes one rule: a value, or one operator with what it wants."""
    if isinstance(rule, list):
        _wrong(f"{name!r} holds an array in its array")
    if not isinstance(rule, dict):
        return _equals(rule)
    if len(rule) != 1 or not rule.keys() <= _OPERATORS:
        _wrong(f"{json.dumps(rule)} under {name!r} is no comparison")
    (kind, wanted), = rule.items()
    if kind in ("prefix", "suffix"):
        return _affix(kind, wanted)
    if kind == "equals-ignore-case":
        lower = _text(kind, wanted).lower()
        return lambda leaf: isinstance(leaf, str) and leaf.lower() == lower
    if kind == "anything-but":
        return _anything_but(wanted)
    if kind == "numeric":
        return _numeric(wanted)
    if kind == "cidr":
        return _cidr(wanted)
    return _wrong("pipes do not support wildcard")


def _equals(wanted) -> Test:
    """Numbers equal by value, everything else by type and value: `1` is neither `true` nor "1"."""
    if isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
        return lambda leaf: type(leaf) is type(wanted) and leaf == wanted
    return lambda leaf: _is_number(leaf) and leaf == wanted


def _affix(kind: str, wanted) -> Test:
    """How a text begins or ends; `{"equals-ignore-case": …}` in it ignores case."""
    method = str.startswith if kind == "prefix" else str.endswith
    if isinstance(wanted, dict) and wanted.keys() == {"equals-ignore-case"}:
        lower = _text(kind, wanted["equals-ignore-case"]).lower()
        return lambda leaf: isinstance(leaf, str) and method(leaf.lower(), lower)
    text = _text(kind, wanted)
    return lambda leaf: isinstance(leaf, str) and method(leaf, text)


def _anything_but(wanted) -> Test:
    if isinstance(wanted, dict):
        _wrong(f"pipes do not support anything-but with {', '.join(map(repr, wanted)) or 'an object'} in it")
    unwanted = wanted if isinstance(wanted, list) else [wanted]
    if not unwanted or not (all(isinstance(one, str) for one in unwanted) or all(map(_is_number, unwanted))):
        _wrong("anything-but takes a text, a number, or a list that has only texts or only numbers")
    tests = [_equals(one) for one in unwanted]
    return lambda leaf: not any(test(leaf) for test in tests)


def _numeric(wanted) -> Test:
    """`=`, one bound, or a lower and then an upper bound above it."""
    if not isinstance(wanted, list) or len(wanted) not in (2, 4):
        _wrong("numeric takes a sign and a number, or a range of two of each")
    signs, numbers = wanted[::2], wanted[1::2]
    if not all(isinstance(sign, str) and sign in _COMPARE for sign in signs):
        _wrong(f"numeric knows the signs {', '.join(_COMPARE)}")
    if not all(_is_number(number) and abs(number) <= _LARGEST for number in numbers):
        _wrong("numeric compares with numbers between -5.0E9 and 5.0E9")
    if len(signs) == 2 and not (signs[0] in (">", ">=") and signs[1] in ("<", "<=") and numbers[0] < numbers[1]):
        _wrong("a range of numeric has a lower bound first and then an upper one above it")
    bounds = [(_COMPARE[sign], number) for sign, number in zip(signs, numbers)]
    return lambda leaf: _is_number(leaf) and all(compare(leaf, number) for compare, number in bounds)


def _cidr(wanted) -> Test:
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        network = None
    if network is None or "/" not in _text("cidr", wanted):
        _wrong(f"cidr takes an address, a slash and a number of bits, not {wanted!r}")

    def matches(leaf) -> bool:
        try:
            return isinstance(leaf, str) and ipaddress.ip_address(leaf) in network
        except ValueError:
            return False

    return matches


def _text(kind: str, wanted) -> str:
    return wanted if isinstance(wanted, str) else _wrong(f"{kind} takes a text")


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
