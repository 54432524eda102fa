"""The rules of pipes that have many cases and need no network: event patterns, paths, input templates, checkpoints."""

import json
import re

import pytest

from helpers.localaws.pipes.event import parse_path, select
from helpers.localaws.pipes.patterns import Pattern
from helpers.localaws.pipes.template import Template
from helpers.localaws.pipes.worker import Entry, Lane, Shard

# -- event patterns --------------------------------------------------------------------------------------------------


def matches(pattern, event) -> bool:
    return Pattern(json.dumps(pattern)).matches(event)


@pytest.mark.parametrize("rule, value, expected", [
    ("a", "a", True), ("a", "A", False), ("a", "ab", False), ("", "", True), ("", None, False),
    (1, 1, True), (1, 1.0, True), (1, "1", False), ("1", 1, False), (1, True, False), (0, False, False),
    (True, True, True), (True, 1, False), (True, "true", False), (False, False, True), (None, None, True), (None, "", False),
])
def test_a_value_equals_by_type_and_exactly(rule, value, expected):
    """[C] EventBridge user guide, event patterns: matching is exact, character by character, without case folding."""
    assert matches({"field": [rule]}, {"field": value}) is expected


@pytest.mark.parametrize("rule, value, expected", [
    ({"prefix": "or"}, "order", True), ({"prefix": "or"}, "for", False), ({"prefix": "or"}, "Order", False), ({"prefix": "1"}, 12, False),
    ({"prefix": {"equals-ignore-case": "OR"}}, "oRder", True), ({"prefix": {"equals-ignore-case": "OR"}}, "for", False),
    ({"suffix": "er"}, "order", True), ({"suffix": "er"}, "orders", False), ({"suffix": "2"}, 12, False),
    ({"suffix": {"equals-ignore-case": "ER"}}, "ordEr", True), ({"suffix": {"equals-ignore-case": "ER"}}, "era", False),
    ({"equals-ignore-case": "ORDER"}, "order", True), ({"equals-ignore-case": "ORDER"}, "orders", False),
    ({"equals-ignore-case": ""}, "", True), ({"equals-ignore-case": ""}, "a", False), ({"equals-ignore-case": "1"}, 1, False),
    ({"anything-but": "a"}, "b", True), ({"anything-but": "a"}, "a", False), ({"anything-but": "a"}, None, True),
    ({"anything-but": 1}, 2, True), ({"anything-but": 1}, 1, False), ({"anything-but": 1}, "1", True), ({"anything-but": 0}, 0, False),
    ({"anything-but": ["a", "b"]}, "c", True), ({"anything-but": ["a", "b"]}, "b", False),
    ({"anything-but": [1, 2]}, 3, True), ({"anything-but": [1, 2]}, 2, False),
    ({"numeric": ["=", 5]}, 5, True), ({"numeric": ["=", 5]}, 5.5, False), ({"numeric": ["=", 5]}, "5", False),
    ({"numeric": ["=", 1]}, True, False), ({"numeric": ["=", 3.018e2]}, 301.8, True),
    ({"numeric": ["<", 5]}, 4, True), ({"numeric": ["<", 5]}, 5, False), ({"numeric": ["<=", 5]}, 5, True),
    ({"numeric": [">", 5]}, 5, False), ({"numeric": [">", 5]}, 6, True), ({"numeric": [">=", 5]}, 5, True),
    ({"numeric": [">", 0, "<=", 5]}, 5, True), ({"numeric": [">", 0, "<=", 5]}, 0, False), ({"numeric": [">=", 0, "<", 5]}, 5, False),
    ({"exists": True}, "x", True), ({"exists": True}, None, True), ({"exists": True}, [], False), ({"exists": True}, {"a": 1}, False),
    ({"exists": False}, "x", False), ({"exists": False}, [], True), ({"exists": False}, {"a": 1}, True),
    ({"cidr": "10.0.0.0/24"}, "10.0.0.7", True), ({"cidr": "10.0.0.0/24"}, "10.0.1.7", False), ({"cidr": "10.0.0.9/24"}, "10.0.0.7", True),
    ({"cidr": "2001:db8::/32"}, "2001:db8::1", True), ({"cidr": "2001:db8::/32"}, "10.0.0.7", False), ({"cidr": "10.0.0.0/8"}, "x", False),
    ({"cidr": "10.0.0.0/8"}, 167772161, False),
])
def test_each_comparison_of_pipes_matches_as_documented(rule, value, expected):
    """[C] EventBridge user guide, comparison operators; aws/event-ruler README; validated cases in `LS` events/event_pattern_templates."""
    assert matches({"field": [rule]}, {"field": value}) is expected


@pytest.mark.parametrize("rule, expected", [({"exists": False}, True), ({"exists": True}, False), ({"anything-but": "a"}, False),
                                            (None, False), ({"prefix": ""}, False)])
def test_a_field_that_is_not_there_only_passes_exists_false(rule, expected):
    """[C] `LS` events/event_pattern_templates: content_anything_but_string_missing_NEG, content_exists_false."""
    assert matches({"a": {"field": [rule]}}, {"a": {"other": 1}}) is expected
    assert matches({"a": {"field": [rule]}}, {"b": 1}) is expected


def test_every_name_of_a_pattern_must_match_and_any_rule_under_it():
    """[C] EventBridge user guide, event patterns."""
    pattern = {"a": ["x", {"prefix": "y"}], "b": {"c": [1]}}
    assert matches(pattern, {"a": "x", "b": {"c": 1}, "d": "ignored"}) and matches(pattern, {"a": "yz", "b": {"c": 1}})
    assert not matches(pattern, {"a": "x", "b": {"c": 2}}) and not matches(pattern, {"a": "z", "b": {"c": 1}})
    assert not matches(pattern, {"a": "x", "b": 1}) and not matches(pattern, {"a": "x", "B": {"c": 1}})


def test_an_array_of_the_event_matches_by_any_of_its_elements():
    """[C] EventBridge user guide, arrays in event patterns; the elements of one match together: aws/event-ruler README."""
    assert matches({"a": ["x"]}, {"a": ["w", "x"]}) and not matches({"a": ["x"]}, {"a": ["w"]}) and not matches({"a": [None]}, {"a": []})
    assert matches({"a": ["x"]}, {"a": [["w"], ["x"]]})
    assert matches({"a": [{"anything-but": "x"}]}, {"a": ["x", "y"]})
    assert matches({"a": {"b": [{"exists": True}]}}, {"a": [{"c": 1}, {"b": 1}]})
    assert matches({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1, "c": 2}, {"b": 3}]})
    assert not matches({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1, "c": 3}, {"b": 3, "c": 2}]})


def test_or_is_a_relation_over_two_objects_or_more():
    """[C] aws/event-ruler README, the "$or" primitive."""
    pattern = {"s": ["x"], "$or": [{"a": [1]}, {"b": [2], "$or": [{"c": [3]}, {"d": {"e": [4]}}]}]}
    assert matches(pattern, {"s": "x", "a": 1}) and matches(pattern, {"s": "x", "b": 2, "c": 3})
    assert matches(pattern, {"s": "x", "b": 2, "d": {"e": 4}})
    assert not matches(pattern, {"s": "x", "b": 2}) and not matches(pattern, {"a": 1}) and not matches(pattern, {"s": "x"})
    assert matches({"a": {"$or": [{"b": [1]}, {"c": [1]}]}}, {"a": {"c": 1}})
    assert matches({"$or": {"a": [1]}}, {"$or": {"a": 1}})  # an object, so a field of that name


def test_a_parent_that_is_not_there_leaves_its_leaves_absent():
    """[C] `LS` events/event_pattern_templates/or-exists-parent."""
    pattern = {"dynamodb": {"NewImage": {"homemade": {"S": [{"anything-but": ["roses"]}, {"exists": False}]}}}}
    assert matches(pattern, {"dynamodb": {"NewImage": {"purchased": {"N": "789"}}}})
    assert not matches(pattern, {"dynamodb": {"NewImage": {"homemade": {"S": "roses"}}}})


def test_dots_join_names_in_patterns_and_events():
    """[L] EventBridge user guide, considerations when creating event patterns; `LS` event_pattern_templates/dot_joining_pattern."""
    for pattern in ({"a": {"b.c": [1]}}, {"a": {"b": {"c": [1]}}}, {"a.b.c": [1]}):
        for event in ({"a": {"b": {"c": 1}}}, {"a": {"b.c": 1}}):
            assert matches(pattern, event), (pattern, event)
    assert not matches({"a.b": [1]}, {"a": {"c": 1}}) and matches({"a.b": [{"exists": False}]}, {"a": {"c": 1}})


@pytest.mark.parametrize("text, word", [
    ("", "JSON"), ("{", "JSON"), ('{"a": [NaN]}', "JSON"), ("[]", "object"), ('"a"', "object"), ("{}", "empty"), ('{"a": {}}', "empty"),
    ('{"a": []}', "'a'"), ('{"a": "b"}', "'a'"), ('{"a": 1}', "'a'"), ('{"a": null}', "'a'"), ('{"a": [["b"]]}', "array"),
    ('{"a": [{"like": "b"}]}', "like"), ('{"a": [{"Prefix": "b"}]}', "Prefix"), ('{"a": [{"prefix": "b", "suffix": "c"}]}', "prefix"),
    ('{"a": [{}]}', "'a'"), ('{"a": [{"exists": "yes"}]}', "exists"), ('{"a": [{"exists": null}]}', "exists"),
    ('{"a": [{"prefix": 1}]}', "prefix"), ('{"a": [{"prefix": ["b"]}]}', "prefix"), ('{"a": [{"suffix": {"prefix": "b"}}]}', "suffix"),
    ('{"a": [{"prefix": {"equals-ignore-case": 1}}]}', "prefix"), ('{"a": [{"equals-ignore-case": ["b"]}]}', "equals-ignore-case"),
    ('{"a": [{"anything-but": null}]}', "anything-but"), ('{"a": [{"anything-but": ["b", null]}]}', "anything-but"),
    ('{"a": [{"anything-but": ["b", 1]}]}', "anything-but"), ('{"a": [{"anything-but": []}]}', "anything-but"),
    ('{"a": [{"anything-but": true}]}', "anything-but"), ('{"a": [{"numeric": []}]}', "numeric"), ('{"a": [{"numeric": 5}]}', "numeric"),
    ('{"a": [{"numeric": [">", 0, "<"]}]}', "numeric"), ('{"a": [{"numeric": ["!=", 0]}]}', "numeric"),
    ('{"a": [{"numeric": [">", "0"]}]}', "numeric"), ('{"a": [{"numeric": [">", true]}]}', "numeric"),
    ('{"a": [{"numeric": ["<", 5, ">", 0]}]}', "numeric"), ('{"a": [{"numeric": [">", 5, "<", 5]}]}', "numeric"),
    ('{"a": [{"numeric": ["=", 1, "<", 5]}]}', "numeric"), ('{"a": [{"numeric": ["<", 5000000001]}]}', "numeric"),
    ('{"a": [{"cidr": "10.0.0.1"}]}', "cidr"), ('{"a": [{"cidr": "10.0.0.1/33"}]}', "cidr"), ('{"a": [{"cidr": "bad/24"}]}', "cidr"),
    ('{"a": [{"cidr": 10}]}', "cidr"), ('{"$or": [{"a": [1]}]}', "a"), ('{"$or": [{"prefix": [1]}, {"a": [1]}]}', "prefix"),
    ('{"$or": [{"a": [1]}, {"b": []}]}', "'b'"), ('{"$or": []}', "or"),
])
def test_what_is_no_pattern_is_refused_with_the_reason(text, word):
    """[C] EventBridge user guide, Pipes filtering: an exception when the pipe is made or updated; cases as in `LS` …_EXC."""
    with pytest.raises(ValueError, match="(?i)event pattern is not valid.*" + re.escape(word)):
        Pattern(text)


@pytest.mark.parametrize("rule, name", [
    ({"wildcard": "a*b"}, "wildcard"), ({"anything-but": {"prefix": "a"}}, "prefix"), ({"anything-but": {"suffix": "a"}}, "suffix"),
    ({"anything-but": {"wildcard": "a*"}}, "wildcard"), ({"anything-but": {"equals-ignore-case": "a"}}, "equals-ignore-case"),
    ({"anything-but": {"prefix": ["a", "b"]}}, "prefix"),
])
def test_comparisons_that_only_event_buses_have_are_refused_by_name(rule, name):
    """[C] EventBridge user guide, comparison operators, the column "Pipe support"; how AWS words the refusal is unknown."""
    with pytest.raises(ValueError, match=f"pipes do not support.*{name}"):
        Pattern(json.dumps({"field": [rule]}))


# -- paths -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path, value", [
    ("$.a.b_c", "x"), ("$.a.b-c", "y"), ("$.a.b/c", "z"), ("$.list[0].S", "first"), ("$.list[1].S", "second"), ("$.list[2].S", None),
    ("$.list[*].S", ["first", "second"]), ("$.list[*].M.k", ["v"]), ("$.list[*].none", None), ("$.a[*]", None), ("$.a[0]", None),
    ("$.a.none.S", None), ("$.text[0]", None), ("$.list.S", None), ("$.nested[*][0]", [1, 3]), ("$.number", 5), ("$.no", False),
])
def test_a_path_selects_members_elements_and_all_elements(path, value):
    """[C] EventBridge user guide, Pipes input transformation: dots, dashes, underscores, alphanumerics, indices, wildcards."""
    event = {"a": {"b_c": "x", "b-c": "y", "b/c": "z"}, "list": [{"S": "first"}, {"S": "second", "M": {"k": "v"}}],
             "nested": [[1, 2], [3, 4]], "text": "abc", "number": 5, "no": False}
    assert select(event, parse_path(path)) == value


@pytest.mark.parametrize("path", ["a", "$a", "$.", "$.a.", "$.a b", "$..a", "$.a['b']", "$.a[-1]", "$.a[0:2]", "$.a[?(@.b)]", "$[0]", "$.é",
                                  "$.*"])
def test_what_is_not_in_the_documented_syntax_of_paths_is_refused(path):
    """[C] botocore model pipes, PathParameter, pattern."""
    with pytest.raises(ValueError, match="path|start"):
        parse_path(path)


# -- input templates -------------------------------------------------------------------------------------------------

EVENT = {"text": 'a "b"', "number": 5, "object": {"k": ["v"]}, "eventID": "e", "list": [{"S": "x"}, {"S": "y"}], "no": False, "é": "ü"}


@pytest.mark.parametrize("template, expected", [
    ('{"a": <$.text>, "b": "<$.text>"}', '{"a": "a \\"b\\"", "b": "a \\"b\\""}'),       # quotes are allowed and not needed
    ('{"a": <$.number>, "b": "<$.number>", "c": <$.no>}', '{"a": 5, "b": "5", "c": false}'),
    ('{"a": <$.object>, "b": "is <$.object>"}', '{"a": {"k":["v"]}, "b": "is {k:[v]}"}'),  # inside quotes it loses its own
    ('{"a": <$.object.k[0]>, "b": "\\"<$.eventID>"}', '{"a": "v", "b": "\\"e"}'),
    ('{"a": <$.list[*].S>, "b": "<$.eventID> and <$.eventID>"}', '{"a": ["x","y"], "b": "e and e"}'),
    ('{"a": <$.none>, "b": "<$.none>!"}', '{"a": "", "b": "!"}'),
    ("<$.eventID>", '"e"'), ('"Hello, <$.eventID>"', '"Hello, e"'), ("Hello, <$.eventID> <b>", "Hello, e <b>"),
    ('{"k": "v"}\n', '{"k": "v"}\n'), ('"Hello, sender"', '"Hello, sender"'), ('{"é": "ü <$.eventID>"}', '{"é": "ü e"}'),
    ("[<aws.pipes.pipe-arn>, <aws.pipes.source-arn>, <aws.pipes.target-arn>]", '["arn", "s", "t"]'),
    ("<aws.pipes.event.json>", json.dumps(EVENT, separators=(",", ":"), ensure_ascii=False)),
    ('{"e": <aws.pipes.event>}', json.dumps({"e": EVENT}, separators=(",", ":"), ensure_ascii=False).replace('{"e":', '{"e": ')),
    ('{"e": "<aws.pipes.event>"}', json.dumps({"e": json.dumps(EVENT, separators=(",", ":"), ensure_ascii=False)}, ensure_ascii=False)),
    ('{"by": <aws.pipes.enrichment-arn>}', '{"by": ""}'),
])
def test_an_input_template_is_filled_as_documented(template, expected):
    """[C] EventBridge user guide, Pipes input transformation; escaping inside quotes and what stands for nothing: unknown."""
    assert Template(template, {"Arn": "arn", "Name": "n", "Source": "s", "Target": "t"}).body_of(EVENT).decode() == expected


def test_the_ingestion_time_is_in_iso_8601():
    """[C] EventBridge user guide, Pipes input transformation, reserved variables."""
    body = Template('"<aws.pipes.event.ingestion-time>"', {}).body_of(EVENT).decode()
    assert re.fullmatch(r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', body)


@pytest.mark.parametrize("template", ["<aws.pipes.event.color>", '{"a": <$.dynamodb.*>}', '{"a": <$.a..b>}', '{"a": <$.eventID>',
                                      '{"a": b}'])
def test_an_input_template_that_is_wrong_is_refused(template):
    """[L] an object is checked to be JSON once its variables are filled; [C] which variables and paths there are, as above."""
    with pytest.raises(ValueError):
        Template(template, {})


# -- checkpoints -----------------------------------------------------------------------------------------------------

def test_a_checkpoint_stays_behind_the_oldest_change_that_is_not_delivered():
    """[C] EB dynamodb: the checkpoint moves only after complete success."""
    shard = Shard("shard", None, read="12", lanes=[Lane(), Lane(), Lane()])
    assert shard.delivered == "12"
    shard.lanes[0].waiting = [Entry("10", "9", 0, {}, b"")]
    shard.lanes[1].batch = [Entry("9", "8", 0, {}, b"")]
    assert shard.delivered == "8"
