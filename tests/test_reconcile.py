"""The proof has to notice whatever can be wrong with a lake."""

from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest

from helpers.reconcile import expected_rows, problems
from helpers.transform import FIELDS

EARLIER = {"orderid": {"S": "o-1"}, "product_name": {"S": "Earbuds"}, "quantity": {"N": "1"}, "price": {"N": "39.95"}}
LATER = EARLIER | {"quantity": {"N": "2"}}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000"


def named(number):
    return f"{number:08}" + "0" * 24


def event(number, name, **images):
    return {"eventID": named(number), "eventName": name, "eventSource": "aws:dynamodb",
            "dynamodb": {"SequenceNumber": f"{number:021}", "ApproximateCreationDateTime": datetime(2026, 1, 1, tzinfo=UTC), **images}}


EVENTS = [event(9, "INSERT", NewImage=EARLIER), event(10, "MODIFY", OldImage=EARLIER, NewImage=LATER),
          event(100, "MODIFY", OldImage=LATER, NewImage=LATER | {"note": {"S": "gift wrap"}}), event(1000, "REMOVE", OldImage=LATER)]


@pytest.fixture
def expected():
    return expected_rows(EVENTS, ARN)


def found_problems(expected, found, key="event_id"):
    return list(problems(expected, found, key).itertuples(index=False, name=None))


def test_rows_are_what_the_transform_makes_in_order_and_without_what_it_drops(expected):
    assert list(expected.columns) == list(FIELDS)
    assert list(expected["event_name"]) == ["INSERT", "MODIFY", "REMOVE"]
    assert list(expected["event_id"]) == [named(9), named(10), named(1000)]


def test_events_are_ordered_by_number_whatever_order_they_come_in(expected):
    pd.testing.assert_frame_equal(expected_rows(EVENTS[::-1], ARN), expected)


def test_rows_before_the_start_are_left_out(expected):
    assert list(expected_rows(EVENTS, ARN, since=10)["event_id"]) == [named(10), named(1000)]


def test_a_lake_that_agrees_has_no_problems(expected):
    assert found_problems(expected, expected) == []


def test_types_of_the_reader_do_not_matter_values_do(expected):
    read = expected.astype({"quantity": "Int32", "previous_quantity": "Int32", "event_name": "string"}).assign(hour="09")
    assert found_problems(expected, read) == []


def test_a_column_of_nulls_agrees_with_one_that_was_read_as_text(expected):
    inserts = expected.head(1)
    assert found_problems(inserts, inserts.astype({"previous_price": "string", "previous_quantity": "string"})) == []


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_missing_row_is_found(expected, place):
    assert found_problems(expected, expected.drop(index=place)) == [(expected["event_id"][place], "missing")]


def test_a_row_that_nobody_made_is_found(expected):
    stray = expected.tail(1).assign(event_id="stray")
    assert found_problems(expected, pd.concat([expected, stray])) == [("stray", "unexpected")]


def test_a_row_that_is_there_twice_is_found_even_where_the_copies_stand_apart(expected):
    assert found_problems(expected, pd.concat([expected, expected.tail(1)])) == [(named(1000), "twice")]
    assert (named(9), "twice") in found_problems(expected, pd.concat([expected, expected.head(1)]))


@pytest.mark.parametrize("column, value", [("price", 39.96), ("quantity", 3), ("product_name", "Earbud"), ("event_name", "MODIFY"),
                                           ("event_time", "2026-01-01T00:00:01Z"),
                                           ("previous_price", 1.0), ("sequence_number", "8"), ("quantity", None)])
def test_a_changed_value_is_found_and_its_column_named(expected, column, value):
    found = expected.astype("object")
    found.loc[0, column] = value
    assert found_problems(expected, found) == [(named(9), f"changed: {column}")]


def test_a_value_in_the_place_of_a_null_and_a_null_in_the_place_of_a_value_are_found(expected):
    found = expected.astype({"previous_quantity": "float64"})
    found["previous_quantity"] = [7.0, None, None]
    assert found_problems(expected, found) == [(named(9), "changed: previous_quantity"), (named(10), "changed: previous_quantity")]


def test_rows_out_of_order_are_found_by_number_not_by_text(expected):
    unpadded = expected.assign(sequence_number=["9", "10", "1000"])
    assert found_problems(unpadded, unpadded) == [], "as text, 10 would come before 9"
    assert found_problems(unpadded, unpadded.iloc[[1, 0, 2]]) == [(named(9), "out of order")]
    assert found_problems(unpadded, unpadded.iloc[[2, 1, 0]]) == [(named(10), "out of order"), (named(9), "out of order")]


def test_states_are_compared_by_order():
    table = pd.DataFrame({"orderid": ["o-1", "o-2", "o-3"], "product_name": "Earbuds", "quantity": [1, 2, 3], "price": 39.95})
    lake = pd.DataFrame({"orderid": ["o-2", "o-3", "o-4"], "product_name": "Earbuds", "quantity": [2, 4, 1], "price": Decimal("39.95")})
    assert found_problems(table, lake, "orderid") == [("o-1", "missing"), ("o-4", "unexpected"), ("o-3", "changed: quantity")]


def test_nothing_agrees_with_nothing_and_only_with_that(expected):
    assert found_problems(expected.head(0), expected.head(0)) == []
    assert [problem for _, problem in found_problems(expected, expected.head(0))] == ["missing"] * 3
