"""The order source: its plan, which needs no AWS, and a table that ends up as the ledger says."""

import time
import uuid
from decimal import Decimal

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.orders import (
    COLUMNS,
    SHARES,
    Change,
    Ledger,
    OrderSource,
    Product,
    SourceError,
    empty_table,
    plan,
    read_products,
    read_table,
)

PRODUCTS = read_products()


def test_the_catalogue_is_small_and_believable():
    assert len(PRODUCTS) == len({product.product_name for product in PRODUCTS}) == 24
    prices = [product.price for product in PRODUCTS]
    assert (min(prices), max(prices)) == (Decimal("9.90"), Decimal("1899.00"))
    assert all(price == price.quantize(Decimal("0.01")) for price in prices)


def test_a_missing_catalogue_is_named_with_the_way_to_get_it_back(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv is missing: `git checkout data/`"):
        read_products(tmp_path / "nothing.csv")


@given(seed=st.integers(0, 2**63), changes=st.integers(1, 120))
@settings(max_examples=60)
def test_a_plan_is_a_story_that_can_happen(seed, changes):
    planned = plan(seed, changes, PRODUCTS)
    assert len(planned) == changes
    assert planned[0].kind == "insert"
    table: dict[str, dict] = {}
    for change in planned:
        assert change.kind in SHARES
        assert table.get(change.orderid) == change.before
        if change.kind == "insert":
            assert change.before is None and list(change.after) == COLUMNS
        elif change.kind == "delete":
            assert change.after is None
        else:
            attribute = change.kind.removeprefix("update_")
            assert [name for name in COLUMNS if change.before[name] != change.after[name]] == [attribute]
        if change.after is None:
            del table[change.orderid]
        else:
            assert change.after["price"] > 0 and 1 <= change.after["quantity"] <= 5
            table[change.orderid] = change.after
    ledger = Ledger(planned)
    assert ledger.state == table
    assert ledger.changes == sum(ledger.counts.values()) == changes
    assert len(ledger.to_frame()) == changes and len(ledger.state_frame()) == len(table)


def test_the_same_seed_tells_the_same_story_and_another_seed_another():
    assert plan(7, 300, PRODUCTS) == plan(7, 300, PRODUCTS)
    assert plan(7, 300, PRODUCTS) != plan(8, 300, PRODUCTS)
    assert plan(7, 300, PRODUCTS)[:100] == plan(7, 100, PRODUCTS)


def test_kinds_products_and_quantities_are_as_mixed_as_they_are_said_to_be():
    ledger = Ledger(plan(42, 10_000, PRODUCTS))
    for kind, percent in SHARES.items():
        assert ledger.counts[kind] / 100 == pytest.approx(percent, abs=2)
    inserted = ledger.to_frame().query("kind == 'insert'")
    assert inserted["quantity"].mode()[0] == 1
    sold = inserted["product_name"].value_counts()
    assert len(sold) == 24 and sold.iloc[0] > 5 * sold.iloc[-1]
    assert list(inserted["orderid"]) == sorted(inserted["orderid"])


def test_an_update_changes_something_even_where_products_are_cheap():
    planned = plan(1, 500, [Product("Sticker", "accessories", Decimal("0.10"))])
    assert all(change.before != change.after for change in planned)


@pytest.fixture
def table(aws):
    resource = boto3.resource("dynamodb", **aws.options)
    table = resource.create_table(
        TableName=f"orders-{uuid.uuid4().hex[:8]}", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}])
    table.wait_until_exists()
    yield table
    table.delete()


@pytest.mark.parametrize(("seed", "workers"), [(1, 1), (2, 1), (3, 4)])
def test_the_table_ends_as_the_ledger_says(table, seed, workers):
    planned = plan(seed, 200, PRODUCTS)
    ledger = OrderSource(table, planned).publish(progress=False, workers=workers)
    assert ledger.changes == 200
    assert sorted(map(repr, ledger.made)) == sorted(map(repr, planned))
    found = read_table(table)
    assert list(found.columns) == COLUMNS
    assert (found["quantity"].dtype, found["price"].dtype) == ("int64", "float64")
    assert found.equals(ledger.state_frame())
    assert empty_table(table, progress=False) == len(ledger.state)
    assert read_table(table).empty


def test_an_insert_never_overwrites_an_order(table):
    planned = plan(1, 10, PRODUCTS)
    OrderSource(table, planned).publish(progress=False)
    before = read_table(table)
    with pytest.raises(SourceError, match=r"^0 of 10 changes were made, then: table '.*' already holds order o-000001"
                                          r".*empty_table\(table\)") as stopped:
        OrderSource(table, planned).publish(progress=False)
    assert stopped.value.ledger.changes == 0
    assert read_table(table).equals(before)


def test_a_source_that_stops_midway_says_how_far_it_came_and_keeps_its_ledger(table):
    item = {"orderid": "o-000001", "product_name": "Earbuds", "quantity": 1, "price": Decimal("39.95")}
    planned = [Change("insert", "o-000001", None, item),
               Change("update_quantity", "o-000001", item | {"quantity": 3}, item | {"quantity": 2}),
               Change("delete", "o-000001", item, None)]
    with pytest.raises(SourceError, match=r"^1 of 3 changes were made, then: table .* does not hold.* o-000001") as stopped:
        OrderSource(table, planned).publish(progress=False)
    assert stopped.value.ledger.made == planned[:1]
    assert read_table(table).equals(stopped.value.ledger.state_frame())


def test_a_delete_of_an_order_that_is_gone_is_no_change(table):
    item = {"orderid": "o-000001", "product_name": "Earbuds", "quantity": 1, "price": Decimal("39.95")}
    with pytest.raises(SourceError, match="does not hold.* o-000001") as stopped:
        OrderSource(table, [Change("delete", "o-000001", item, None)]).publish(progress=False)
    assert stopped.value.ledger.changes == 0, "its stream reports nothing, so the ledger must not either"


def test_the_table_is_read_as_it_is_now_not_as_it_was(table):
    asked = []
    table.meta.client.meta.events.register("provide-client-params.dynamodb.Scan", lambda params, **_: asked.append(params))
    read_table(table)
    assert [params["ConsistentRead"] for params in asked] == [True]


def test_a_table_that_is_not_there_is_said_to_be_missing(aws):
    missing = boto3.resource("dynamodb", **aws.options).Table("orders-nowhere")
    with pytest.raises(SourceError, match="^0 of 5 changes were made, then: insert of order o-000001 failed.*not found"):
        OrderSource(missing, plan(1, 5, PRODUCTS)).publish(progress=False)


def test_a_write_whose_answer_was_lost_counts_once(table):
    def lose_the_answer(attempts, **_):
        return 0 if attempts == 1 else None  # seconds to wait before trying again

    for operation in ("PutItem", "UpdateItem", "DeleteItem"):
        table.meta.client.meta.events.register_first(f"needs-retry.dynamodb.{operation}", lose_the_answer)
    planned = plan(4, 40, PRODUCTS)
    ledger = OrderSource(table, planned).publish(progress=False)
    assert ledger.made == planned
    assert read_table(table).equals(ledger.state_frame())


def test_rate_is_what_the_source_aims_at(table):
    started = time.monotonic()
    OrderSource(table, plan(1, 21, PRODUCTS)).publish(rate=40, progress=False)
    assert time.monotonic() - started >= 0.5  # the last of 21 is due after 20/40 s


def test_progress_is_plain_text_on_stdout(table, capsys):
    OrderSource(table, plan(1, 5, PRODUCTS)).publish()
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "orders: 100%" in shown.out and "5/5" in shown.out
