"""The order source: a shop's orders, simulated, and the DynamoDB table they live in.

`plan` decides from a seed what will happen, without touching AWS; an `OrderSource` makes it happen in a table and keeps
a `Ledger` of it: what the lake has to agree with in the end.

An item is {"orderid": "o-000001", "product_name": "Earbuds", "quantity": 2, "price": Decimal("39.95")}, the price being
that of one piece. Numbers go in as Decimal, because boto3 refuses float (FAILURES.md, row 12).
"""

from __future__ import annotations

import csv
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pandas as pd
from tqdm import tqdm

COLUMNS = ["orderid", "product_name", "quantity", "price"]
SHARES = {"insert": 60, "update_quantity": 18, "update_price": 12, "delete": 10}  # percent of the changes
QUANTITIES = {1: 70, 2: 16, 3: 8, 4: 4, 5: 2}  # percent of the orders
PRICE_FACTORS = [Decimal(factor) for factor in ("0.80", "0.90", "0.95", "1.00", "1.05")]  # of the catalogue's price
CENT = Decimal("0.01")
PRODUCTS_FILE = Path(__file__).parent.parent / "data" / "products.csv"


@dataclass(frozen=True)
class Product:
    product_name: str
    category: str
    price: Decimal


@dataclass(frozen=True)
class Change:
    """One change of one order, with the whole item before (None for an insert) and after (None for a delete)."""

    kind: str  # a key of SHARES
    orderid: str
    before: dict | None
    after: dict | None


@dataclass
class Ledger:
    """The changes that were made, in the order they were made."""

    made: list[Change] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """How many: as many distinct change events have to arrive in the lake."""
        return len(self.made)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind; 0 for a kind that did not happen."""
        counted = Counter(change.kind for change in self.made)
        return {kind: counted[kind] for kind in SHARES}

    @property
    def state(self) -> dict[str, dict]:
        """The items that the table has to hold now, by orderid."""
        last = {change.orderid: change.after for change in self.made}
        return {orderid: item for orderid, item in last.items() if item is not None}

    def state_frame(self) -> pd.DataFrame:
        """The items that the table has to hold now, in the shape of `read_table`."""
        return _frame(self.state.values())

    def to_frame(self) -> pd.DataFrame:
        """The changes, one row each; a delete shows the item as it was. Columns: kind and COLUMNS."""
        frame = pd.DataFrame([{"kind": change.kind, **(change.after or change.before)} for change in self.made],
                             columns=["kind", *COLUMNS])
        return frame.astype({"quantity": "int64", "price": "float64"})


class SourceError(RuntimeError):
    """The source had to stop. `ledger` holds what it did until then."""

    def __init__(self, message: str, ledger: Ledger):
        super().__init__(message)
        self.ledger = ledger


def read_products(path: Path = PRODUCTS_FILE) -> list[Product]:
    """The catalogue. Raises FileNotFoundError that tells how to get the file back."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [Product(row["product_name"], row["category"], Decimal(row["price"])) for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: `git checkout data/` brings it back.") from None


def plan(seed: int, changes: int, products: Sequence[Product]) -> list[Change]:
    """What will happen to an empty table: `changes` changes, the same for the same seed and products.

    The first is an insert; only orders that are there are updated or deleted, and an update always changes a value.
    """
    chance = random.Random(seed)
    ranking = chance.sample(products, len(products))  # the first sells best, the second half as often, and so on
    popularity = [1 / rank for rank in range(1, len(ranking) + 1)]
    catalogue = {product.product_name: product.price for product in products}
    planned: list[Change] = []
    live: list[dict] = []
    orders = 0
    for _ in range(changes):
        kind = chance.choices(list(SHARES), SHARES.values())[0] if live else "insert"
        if kind == "insert":
            orders += 1
            product = chance.choices(ranking, popularity)[0]
            item = {"orderid": f"o-{orders:06}", "product_name": product.product_name,
                    "quantity": chance.choices(list(QUANTITIES), QUANTITIES.values())[0], "price": product.price}
            live.append(item)
            planned.append(Change(kind, item["orderid"], None, item))
            continue
        position = chance.randrange(len(live))
        before = live[position]
        if kind == "delete":
            live[position] = live[-1]
            live.pop()
            planned.append(Change(kind, before["orderid"], before, None))
            continue
        if kind == "update_quantity":
            choices = [number for number in QUANTITIES if number != before["quantity"]]
            after = before | {"quantity": chance.choice(choices)}
        else:
            prices = [(catalogue[before["product_name"]] * factor).quantize(CENT) for factor in PRICE_FACTORS]
            after = before | {"price": chance.choice([price for price in prices if price != before["price"]])}
        live[position] = after
        planned.append(Change(kind, before["orderid"], before, after))
    return planned


class OrderSource:
    """Makes the changes of a plan in a table: a boto3 Table resource with partition key `orderid`."""

    def __init__(self, table, plan: Sequence[Change]):
        self._name, self._plan = table.name, plan
        # The client of a resource takes Decimals as the resource does and, unlike it, is safe between threads.
        self._client = table.meta.client

    def publish(self, rate: float = 0, progress: bool = True, workers: int = 1) -> Ledger:
        """Make every change, aiming at `rate` changes per second (0: as fast as it can), and return the ledger.

        With several `workers` (at most 10, boto3's connections) changes of different orders may overtake each other;
        those of one order never do. Raises SourceError at the first change that cannot be made.
        """
        ledger, lock, stop = Ledger(), threading.Lock(), threading.Event()
        failures: list[tuple[Change, Exception]] = []
        started = time.monotonic()

        def run(lane: list[tuple[int, Change]]) -> None:
            for number, change in lane:
                due = started + number / rate if rate else started
                if stop.wait(max(0.0, due - time.monotonic())):
                    return
                try:
                    self._make(change)
                except Exception as error:
                    failures.append((change, error))
                    stop.set()
                    return
                with lock:
                    ledger.made.append(change)
                    bar.update()

        lanes: list[list[tuple[int, Change]]] = [[] for _ in range(workers)]
        for number, change in enumerate(self._plan):
            lanes[hash(change.orderid) % workers].append((number, change))
        with _progress("orders", " changes", progress, len(self._plan)) as bar, ThreadPoolExecutor(workers) as pool:
            try:
                for lane in wait([pool.submit(run, lane) for lane in lanes]).done:
                    lane.result()  # of what is no failed change, nothing is swallowed
            finally:
                stop.set()  # an interrupted cell ends its threads too
        if failures:
            change, error = failures[0]
            raise SourceError(f"{ledger.changes} of {len(self._plan)} changes were made, then: "
                              f"{self._explain(change, error)}", ledger) from error
        return ledger

    def _make(self, change: Change) -> None:
        """Make one change, on the condition that the table holds what the plan expects: nothing is overwritten."""
        key = {"TableName": self._name, "Key": {"orderid": change.orderid}}
        try:
            if change.kind == "insert":
                self._client.put_item(TableName=self._name, Item=change.after,
                                      ConditionExpression="attribute_not_exists(orderid)")
            elif change.kind == "delete":
                self._client.delete_item(**key, ConditionExpression="attribute_exists(orderid)")
            else:
                attribute = change.kind.removeprefix("update_")
                self._client.update_item(
                    **key, UpdateExpression="SET #attribute = :after", ConditionExpression="#attribute = :before",
                    ExpressionAttributeNames={"#attribute": attribute},
                    ExpressionAttributeValues={":before": change.before[attribute], ":after": change.after[attribute]})
        except self._client.exceptions.ConditionalCheckFailedException as error:
            # boto3 tries again when an answer is lost on its way; then it is our own write that is in the way.
            retried = error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
            if not (retried and self._client.get_item(**key, ConsistentRead=True).get("Item") == change.after):
                raise

    def _explain(self, change: Change, error: Exception) -> str:
        if not isinstance(error, self._client.exceptions.ConditionalCheckFailedException):
            return f"{change.kind} of order {change.orderid} failed: {error}"
        found = "already holds" if change.kind == "insert" else "does not hold, as the plan expects it,"
        return (f"table {self._name!r} {found} order {change.orderid}. The source starts from an empty table: "
                "empty_table(table) makes it one.")


def empty_table(table, progress: bool = True) -> int:
    """Delete every item of a boto3 Table with partition key `orderid`; each is a change that its stream reports.

    Returns how many there were.
    """
    deleted = 0
    with _progress("emptying", " orders", progress) as bar, table.batch_writer() as batch:
        for item in _scan(table, ProjectionExpression="orderid"):
            batch.delete_item(Key=item)
            deleted += 1
            bar.update()
    return deleted


def read_table(table) -> pd.DataFrame:
    """Every item of a boto3 Table, by orderid. Columns: orderid, product_name, quantity (int), price (float)."""
    return _frame(_scan(table))


def _scan(table, **options) -> Iterator[dict]:
    """Every item, page after page (a page is 1 MB), as it is now."""
    pages = table.meta.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True, **options)
    return (item for page in pages for item in page["Items"])


def _frame(items: Iterable[dict]) -> pd.DataFrame:
    frame = pd.DataFrame(list(items), columns=COLUMNS).astype({"quantity": "int64", "price": "float64"})
    return frame.sort_values("orderid", ignore_index=True)


def _progress(what: str, unit: str, shown: bool, total: int | None = None) -> tqdm:
    """One plain line, renewed once a second. Not on stderr, which notebooks paint as if something were wrong."""
    return tqdm(desc=what, total=total, unit=unit, disable=not shown, mininterval=1, ncols=80, ascii=True,
                file=sys.stdout)
