"""The proof that the lake is whole: what is in it, compared row for row with what has to be in it. Pure functions over frames."""

from collections.abc import Iterable
from itertools import accumulate

import pandas as pd

from .look import piped, sequence_number
from .transform import FIELDS, transform_event

NUMBERS = ("quantity", "price", "previous_quantity", "previous_price")


def expected_rows(change_events: Iterable[dict], stream_arn: str, since: int = 0) -> pd.DataFrame:
    """The rows, with the columns FIELDS, that change events have to become in the lake, in the order of the changes.

    change_events  as `look.change_events` reads them from the table's stream
    since          the sequence number to start with; what the transform drops makes no row
    """
    events = sorted((event for event in change_events if sequence_number(event) >= since), key=sequence_number)
    rows = (transform_event(piped(event, stream_arn)) for event in events)
    return pd.DataFrame([row for row in rows if row is not None], columns=FIELDS)


def problems(expected: pd.DataFrame, found: pd.DataFrame, key: str) -> pd.DataFrame:
    """How `found` differs from `expected`, whose `key` is unique: columns `key` and problem, and no row if they agree.

    A row can be missing, unexpected, there twice, or changed in some columns; and where there is a sequence_number, a row
    can come out of order, after one with a greater number. Columns that only `found` has are not looked at.
    """
    expected, found = _plain(expected, expected.columns), _plain(found, expected.columns)
    once = found.drop_duplicates(key)
    both = expected.merge(once, on=key, suffixes=("", " found"))
    noted = [(name, "missing") for name in expected.loc[~expected[key].isin(once[key]), key]]
    noted += [(name, "unexpected") for name in once.loc[~once[key].isin(expected[key]), key]]
    noted += [(name, "twice") for name in found.loc[found[key].duplicated(), key].unique()]
    for column in expected.columns.drop(key):
        before, after = both[column], both[f"{column} found"]
        differs = (before != after) & ~(before.isna() & after.isna())
        noted += [(name, f"changed: {column}") for name in both.loc[differs, key]]
    if "sequence_number" in expected:
        numbers = [int(number) for number in found["sequence_number"]]
        noted += [(name, "out of order") for name, number, greatest in zip(found[key], numbers, accumulate(numbers, max))
                  if number < greatest]
    return pd.DataFrame(noted, columns=[key, "problem"])


def _plain(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Numbers as floats and the rest as objects, whatever types the reader of a CSV or Parquet file chose; nulls as nulls."""
    return pd.DataFrame({column: pd.to_numeric(frame[column]).astype("float64") if column in NUMBERS
                         else frame[column].astype("object") for column in columns})
