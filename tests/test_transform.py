"""The Lambda function: whatever comes in, a valid answer goes out, and one bad record never harms another."""

import ast
import base64
import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import transform
from helpers.transform import FIELDS, Unreadable, handler, transform_event

EVENTS = Path(__file__).parent.parent / "data" / "events"
TYPES = {"orderid": str, "product_name": (str, type(None)), "quantity": (int, type(None)),
         "price": (float, type(None)), "event_name": str, "event_time": str, "event_id": str, "sequence_number": str,
         "previous_quantity": (int, type(None)), "previous_price": (float, type(None))}


def sample(name: str) -> dict:
    return json.loads((EVENTS / f"{name}.json").read_text("utf-8"))


def with_attribute(name: str, value, event: str = "insert", image: str = "NewImage") -> dict:
    changed = sample(event)
    changed["dynamodb"][image][name] = value
    return changed


def encoded(value) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(data).decode()


def answers(*datas: str) -> list[dict]:
    """The answers to records with these data, checked for what Firehose wants of every answer (AWS_FACTS.md part 4)."""
    records = [{"recordId": f"{number:05}", "approximateArrivalTimestamp": 0, "data": data}
               for number, data in enumerate(datas)]
    response = handler({"invocationId": "x", "records": copy.deepcopy(records)}, None)
    assert set(response) == {"records"}
    assert [each["recordId"] for each in response["records"]] == [each["recordId"] for each in records]
    for before, answer in zip(records, response["records"], strict=True):
        assert set(answer) == {"recordId", "result", "data"}
        assert answer["result"] in ("Ok", "Dropped", "ProcessingFailed")
        if answer["result"] == "Ok":
            row_of(answer)
        else:
            assert answer["data"] == before["data"]
    json.dumps(response, allow_nan=False)
    return response["records"]


def row_of(answer: dict) -> dict:
    """The row of an Ok answer, checked: one line, the columns in order, each of its type."""
    line = base64.b64decode(answer["data"]).decode()
    assert line.endswith("\n") and len(line.splitlines()) == 1
    row = json.loads(line, parse_constant=pytest.fail)
    assert tuple(row) == FIELDS
    for name, value in row.items():
        assert isinstance(value, TYPES[name]) and not isinstance(value, bool), (name, value)
    return row


def test_an_insert_has_no_previous_values():
    assert transform_event(sample("insert")) == {
        "orderid": "o-000007", "product_name": "Mini Projector", "quantity": 1, "price": 449.49,
        "event_name": "INSERT", "event_time": "2024-07-30T17:24:52Z", "event_id": "5f1d6c0b7a3e49c2a8d40e6b9f217c35",
        "sequence_number": "100000000093582842802", "previous_quantity": None, "previous_price": None}


def test_a_modify_has_the_new_values_and_the_previous_ones():
    row = transform_event(sample("good"))
    assert (row["quantity"], row["previous_quantity"]) == (2, 1)
    assert (row["price"], row["previous_price"]) == (449.49, 449.49)


def test_a_remove_carries_the_values_the_order_had():
    row = transform_event(sample("remove"))
    assert (row["event_name"], row["quantity"], row["price"]) == ("REMOVE", 2, 449.49)
    assert (row["previous_quantity"], row["previous_price"]) == (None, None)


def test_a_change_that_no_column_shows_is_dropped():
    assert transform_event(sample("ignored")) is None
    assert [each["result"] for each in answers(encoded(sample("ignored")))] == ["Dropped"]


@pytest.mark.parametrize(("written", "price"), [("499", 499.0), ("499.99", 499.99), ("1E+3", 1000.0), ("-0.5", -0.5)])
def test_a_price_is_a_json_float_whatever_dynamodb_wrote(written, price):
    [answer] = answers(encoded(with_attribute("price", {"N": written})))
    assert row_of(answer)["price"] == price
    assert b'"price": ' + repr(price).encode() in base64.b64decode(answer["data"])


def test_an_attribute_that_is_absent_or_null_is_null():
    event = with_attribute("price", {"NULL": True})
    del event["dynamodb"]["NewImage"]["product_name"], event["dynamodb"]["NewImage"]["quantity"]
    row = transform_event(event)
    assert (row["product_name"], row["quantity"], row["price"]) == (None, None, None)


def without(event: str, *path: str) -> dict:
    changed = sample(event)
    *parents, last = path
    inner = changed
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return changed


UNREADABLE = {
    "another source": sample("good") | {"eventSource": "aws:kinesis"},
    "no source": without("good", "eventSource"),
    "unknown event name": sample("good") | {"eventName": "UPSERT"},
    "an event name in lower case": sample("good") | {"eventName": "modify"},
    "no event id": without("good", "eventID"),
    "no dynamodb part": without("good", "dynamodb"),
    "a dynamodb part that is a list": sample("good") | {"dynamodb": []},
    "an insert without its image": without("insert", "dynamodb", "NewImage"),
    "a modify without the old image": without("good", "dynamodb", "OldImage"),
    "a remove without the old image": without("remove", "dynamodb", "OldImage"),
    "no order id": without("insert", "dynamodb", "NewImage", "orderid"),
    "an empty order id": with_attribute("orderid", {"S": ""}),
    "no sequence number": without("good", "dynamodb", "SequenceNumber"),
    "no time": without("good", "dynamodb", "ApproximateCreationDateTime"),
    "a quantity of type S": with_attribute("quantity", {"S": "1"}),
    "a quantity without a type": with_attribute("quantity", 1),
    "a quantity that is a JSON number": with_attribute("quantity", {"N": 1}),
    "a quantity that is no whole number": with_attribute("quantity", {"N": "1.5"}),
    "a quantity that is hardly no whole number": with_attribute("quantity", {"N": "2.00000000000000000001"}),
    "a quantity too large for the column": with_attribute("quantity", {"N": "2147483648"}),
    "a quantity that takes a computer down": with_attribute("quantity", {"N": "1E+99999999"}),
    "a price that is text": with_attribute("price", {"N": "cheap"}),
    "a price that is NaN": with_attribute("price", {"N": "NaN"}),
    "a price that is a signalling NaN": with_attribute("price", {"N": "sNaN"}),
    "a price that is infinite": with_attribute("price", {"N": "Infinity"}),
    "a price beyond a float": with_attribute("price", {"N": "1E+400"}),
    "a product name of type N": with_attribute("product_name", {"N": "1"}),
    "a product name with half a character": with_attribute("product_name", {"S": "\ud800"}),
}
for wrong in ("", "abc", "1.5", "9" * 39):
    UNREADABLE[f"the sequence number {wrong!r}"] = sample("good") | {
        "dynamodb": sample("good")["dynamodb"] | {"SequenceNumber": wrong}}
for wrong in (None, True, "1722360292", float("nan"), float("inf"), 10**400, -(10**18)):
    UNREADABLE[f"the time {str(wrong)[:20]}"] = sample("good") | {
        "dynamodb": sample("good")["dynamodb"] | {"ApproximateCreationDateTime": wrong}}


@pytest.mark.parametrize("event", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_event_that_cannot_be_read_fails_alone(event):
    with pytest.raises(Unreadable):
        transform_event(event)
    results = [each["result"] for each in answers(encoded(sample("good")), encoded(event), encoded(sample("remove")))]
    assert results == ["Ok", "ProcessingFailed", "Ok"]


@pytest.mark.parametrize("data", [
    "not base64!", "!" + encoded(sample("good")), "ü", None, 5, "", encoded(b""), encoded(b"\xff\xfe"), encoded(b"{"), encoded(b"[" * 100_000),
    encoded(b"null"), encoded(b"[]"), encoded(b"1" * 5000), encoded('{"a": 1}'.encode("utf-16")),
    encoded((EVENTS / "malformed.txt").read_bytes())], ids=lambda data: repr(data)[:20])
def test_bytes_that_are_no_json_fail_alone(data):
    results = [each["result"] for each in answers(encoded(sample("good")), data, encoded(sample("insert")))]
    assert results == ["Ok", "ProcessingFailed", "Ok"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8)
members = [("eventName",), ("eventSource",), ("eventID",), ("dynamodb",), ("dynamodb", "ApproximateCreationDateTime"),
           ("dynamodb", "SequenceNumber"), ("dynamodb", "NewImage"), ("dynamodb", "OldImage")]
members += [("dynamodb", image, name) for image in ("NewImage", "OldImage")
            for name in ("orderid", "product_name", "quantity", "price")]
typed_values = st.dictionaries(st.sampled_from(["S", "N", "NULL", "BOOL"]),
                               st.text(max_size=8) | st.integers().map(str) | st.decimals().map(str) | json_values,
                               min_size=1, max_size=2)


@st.composite
def spoilt_events(draw) -> dict:
    """A good event with one or two members replaced by anything."""
    event = sample(draw(st.sampled_from(["good", "insert", "remove", "ignored"])))
    for path in draw(st.lists(st.sampled_from(members), min_size=1, max_size=2)):
        inner = event
        for name in path[:-1]:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner[path[-1]] = draw(typed_values | json_values)
    return event


@given(st.binary(max_size=64) | json_values | spoilt_events())
@settings(max_examples=300)
def test_anything_gets_a_valid_answer_and_its_neighbours_are_unharmed(anything):
    first, _, last = answers(encoded(sample("good")), encoded(anything), encoded(sample("insert")))
    assert row_of(first) == transform_event(sample("good"))
    assert row_of(last) == transform_event(sample("insert"))


@given(st.text(max_size=40))
@settings(max_examples=50)
def test_any_text_of_data_gets_a_valid_answer(data):
    assert answers(data)[0]["result"] == "ProcessingFailed"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**31) + 1, 2**31 - 1),
       st.decimals(-(10**30), 10**30, places=2))
@settings(max_examples=100)
def test_a_readable_event_keeps_its_values(name, quantity, price):
    event = with_attribute("product_name", {"S": name})
    event["dynamodb"]["NewImage"] |= {"quantity": {"N": str(quantity)}, "price": {"N": str(price)}}
    row = row_of(answers(encoded(event))[0])
    assert (row["product_name"], row["quantity"], row["price"]) == (name, quantity, float(price))


def test_the_log_adds_up_and_gives_reasons_but_no_data(capsys):
    secret = with_attribute("quantity", {"N": "secret"})
    answers(encoded(sample("good")), encoded(sample("ignored")), encoded(secret), encoded(b"secret"))
    *reasons, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert summary == {"ok": 1, "dropped": 1, "failed": 2, "records": 4}
    assert [each["recordId"] for each in reasons] == ["00002", "00003"]
    assert "quantity" in reasons[0]["reason"]
    assert "secret" not in json.dumps(reasons)


def test_an_empty_batch_gets_an_empty_answer(capsys):
    assert handler({"records": []}, None) == {"records": []}
    assert json.loads(capsys.readouterr().out) == {"ok": 0, "dropped": 0, "failed": 0, "records": 0}


def test_the_file_runs_alone_as_aws_runs_it(tmp_path):
    code = Path(transform.__file__).read_text("utf-8")
    imported = {name.name.split(".")[0] for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import)
                for name in node.names}
    imported |= {node.module.split(".")[0] for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names
    (tmp_path / "transform.py").write_text(code, "utf-8")
    program = ("import sys, json; sys.path.insert(0, sys.argv[1]); import transform; "
               "print(json.dumps(transform.handler(json.load(sys.stdin), None)))")
    event = {"records": [{"recordId": "1", "data": encoded(sample("good"))}]}
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program, str(tmp_path)], input=json.dumps(event),
                          capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["records"][0]["result"] == "Ok"
