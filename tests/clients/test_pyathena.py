"""PyAthena as its documentation's first pages use it: every cursor, parameters, results about results, SQLAlchemy, pandas."""

import asyncio
import datetime
import decimal
import time

import pandas as pd
import pyathena
import pytest
import sqlalchemy
from pyathena.aio.connection import AioConnection
from pyathena.arrow.cursor import ArrowCursor
from pyathena.async_cursor import AsyncCursor
from pyathena.cursor import DictCursor
from pyathena.error import OperationalError
from pyathena.model import AthenaQueryExecution
from pyathena.pandas.cursor import PandasCursor
from pyathena.pandas.util import as_pandas, to_sql
from pyathena.s3fs.cursor import S3FSCursor
from pyathena.util import RetryConfig

from .conftest import COLUMNS, ORDERS

BY_ID = "SELECT orderid, product_name, quantity, price FROM orders ORDER BY orderid"
ENDLESS = ("SELECT count(*) FROM UNNEST(sequence(1, 5000)) AS a(x), UNNEST(sequence(1, 5000)) AS b(y), "
           "UNNEST(sequence(1, 5000)) AS c(z) WHERE x * y % 7 = z")


def arguments(lake) -> dict:
    return {"s3_staging_dir": lake.uri("results/"), "schema_name": lake.name, "poll_interval": 0.05,
            "retry_config": RetryConfig(attempt=1)}


@pytest.fixture(scope="module")
def connection(lake):
    with pyathena.connect(**arguments(lake)) as connection:
        yield connection


# --- cursors ------------------------------------------------------------------------------------------------------------------
def test_a_cursor_gives_typed_rows_one_by_one_in_parts_and_all(connection):
    cursor = connection.cursor()
    assert cursor.execute(BY_ID).fetchall() == ORDERS
    cursor.execute(BY_ID)
    assert cursor.fetchone() == ORDERS[0] and cursor.fetchmany(2) == ORDERS[1:3] and list(cursor) == ORDERS[3:]
    assert [(name, kind) for name, kind, *_ in cursor.description] == [
        ("orderid", "varchar"), ("product_name", "varchar"), ("quantity", "integer"), ("price", "double")]


def test_a_cursor_converts_every_type_to_pythons(connection):
    row = connection.cursor().execute(
        "SELECT true, tinyint '1', smallint '2', 3, bigint '4', real '1.5', 2.5e0, decimal '1.25', 'text', date '2026-11-25', "
        "timestamp '2026-11-25 10:00:00.123', time '10:00:00.000', array[1, 2], map(array['a'], array[1]), "
        "cast(row(1, 'x') AS row(n integer, s varchar)), x'00ff', json '{\"a\": 1}', null",
        result_set_type_hints={13: "map(varchar, integer)", 14: "row(n integer, s varchar)"}).fetchone()  # else texts inside them
    assert row == (True, 1, 2, 3, 4, 1.5, 2.5, decimal.Decimal("1.25"), "text", datetime.date(2026, 11, 25),
                   datetime.datetime(2026, 11, 25, 10, 0, 0, 123000), datetime.time(10), [1, 2], {"a": 1},
                   {"n": 1, "s": "x"}, b"\x00\xff", {"a": 1}, None)


def test_a_timestamp_with_a_zone_keeps_it(connection):
    (found,) = connection.cursor().execute("SELECT timestamp '2026-11-25 10:00:00.000 Europe/Berlin'").fetchone()
    assert found.replace(tzinfo=None) == datetime.datetime(2026, 11, 25, 10) and found.utcoffset() == datetime.timedelta(hours=1)


def test_a_dict_cursor_gives_rows_by_name(connection):
    assert connection.cursor(DictCursor).execute(BY_ID).fetchall() == [dict(zip(COLUMNS, order)) for order in ORDERS]


def test_more_rows_than_a_page_are_fetched(connection):
    cursor = connection.cursor().execute("SELECT n FROM UNNEST(sequence(1, 2500)) AS t(n) ORDER BY n")
    assert [n for (n,) in cursor] == list(range(1, 2501))


@pytest.mark.parametrize("options", [{}, {"unload": True}], ids=["csv", "unload"])
def test_a_pandas_cursor_gives_a_frame(connection, options):
    frame = connection.cursor(PandasCursor, **options).execute(BY_ID).as_pandas()
    assert frame["orderid"].tolist() == [order[0] for order in ORDERS] and frame["quantity"].tolist() == [4, 2, 1, 5]
    assert frame["price"].tolist()[:3] == [29.9, 19.5, 89.0] and pd.isna(frame["price"][3])


def test_a_pandas_cursor_gives_a_frame_in_chunks(connection):
    frames = list(connection.cursor(PandasCursor).execute(BY_ID, chunksize=3).as_pandas())
    assert [len(frame) for frame in frames] == [3, 1] and pd.concat(frames)["quantity"].tolist() == [4, 2, 1, 5]


@pytest.mark.parametrize("options", [{}, {"unload": True}], ids=["csv", "unload"])
def test_an_arrow_cursor_gives_a_table(connection, options):
    table = connection.cursor(ArrowCursor, **options).execute(BY_ID).as_arrow()
    assert [tuple(row.values()) for row in table.to_pylist()] == ORDERS
    assert [str(kind) for kind in table.schema.types][2:] == ["int32", "double"]


def test_a_cursor_on_files_reads_the_results_file(connection):
    assert connection.cursor(S3FSCursor).execute(BY_ID).fetchall() == ORDERS


@pytest.mark.parametrize("cursor", [PandasCursor, ArrowCursor, S3FSCursor])
def test_no_row_is_no_error(connection, cursor):
    assert connection.cursor(cursor).execute("SELECT orderid FROM orders WHERE quantity > 99").fetchall() == []


def test_a_plain_cursor_becomes_a_frame(connection):
    assert as_pandas(connection.cursor().execute(BY_ID)).shape == (4, 4)


def test_an_async_cursor_gives_futures(lake):
    with pyathena.connect(cursor_class=AsyncCursor, **arguments(lake)) as connection, connection.cursor() as cursor:
        started = [cursor.execute(f"SELECT {number} AS n") for number in range(5)]
        assert [future.result(60).fetchall() for _, future in started] == [[(number,)] for number in range(5)]
        identifier, _ = started[0]
        assert cursor.query_execution(identifier).result(60).state == AthenaQueryExecution.STATE_SUCCEEDED
        assert cursor.description(identifier).result(60)[0][:2] == ("n", "integer")


def test_asyncio_awaits_rows(lake):
    async def rows():
        async with await AioConnection.create(**arguments(lake)) as connection, connection.cursor() as cursor:
            await cursor.execute(BY_ID)
            return await cursor.fetchall()

    assert asyncio.run(rows()) == ORDERS


# --- parameters ---------------------------------------------------------------------------------------------------------------
def test_pyformat_parameters_are_put_into_the_text(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT orderid FROM orders WHERE product_name = %(name)s AND quantity IN %(wanted)s",
                   {"name": "Mouse", "wanted": [2, 3]})
    assert cursor.fetchall() == [("o-2",)]
    awkward = {"text": "it's 100% \"so\"", "day": datetime.date(2026, 11, 25), "at": datetime.datetime(2026, 11, 25, 10),
               "exact": decimal.Decimal("1.50"), "none": None, "yes": True}
    cursor.execute("SELECT %(text)s, %(day)s, %(at)s, %(exact)s, %(none)s, %(yes)s", awkward)
    assert cursor.fetchone() == tuple(awkward.values())


def test_qmark_parameters_are_the_services(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT orderid FROM orders WHERE product_name = ? AND quantity > ?", ["'Mouse'", "2"], paramstyle="qmark")
    assert cursor.fetchall() == [("o-4",)]


# --- results about results, cancelling ------------------------------------------------------------------------------------------
def test_a_cursor_tells_about_its_query(connection, lake):
    cursor = connection.cursor().execute(BY_ID)
    assert cursor.state == AthenaQueryExecution.STATE_SUCCEEDED and cursor.statement_type == "DML"
    assert cursor.output_location == lake.uri(f"results/{cursor.query_id}.csv")
    assert cursor.data_scanned_in_bytes > 0 and cursor.database == lake.name and cursor.work_group == "primary"
    assert cursor.engine_execution_time_in_millis >= 0 and cursor.total_execution_time_in_millis >= 0
    assert cursor.submission_date_time <= cursor.completion_date_time
    assert cursor.effective_engine_version == "Athena engine version 3"


def test_a_query_that_fails_raises_with_athenas_reason(connection):
    with pytest.raises(OperationalError, match="COLUMN_NOT_FOUND: line 1:8: Column 'banana' cannot be resolved"):
        connection.cursor().execute("SELECT banana FROM orders")


def test_a_running_query_is_cancelled(lake):
    with pyathena.connect(cursor_class=AsyncCursor, **arguments(lake)) as connection, connection.cursor() as cursor:
        identifier, future = cursor.execute(ENDLESS)
        time.sleep(0.3)
        cursor.cancel(identifier).result(60)
        assert future.result(60).state == AthenaQueryExecution.STATE_CANCELLED


def test_a_cached_result_is_found_again(connection):
    first, second = (connection.cursor().execute("SELECT 'cached'", cache_size=10) for _ in range(2))
    assert first.query_id == second.query_id and second.fetchall() == [("cached",)]


def test_reuse_of_results_is_refused_by_name(connection):
    with pytest.raises(pyathena.error.DatabaseError, match="ResultReuseConfiguration"):
        connection.cursor().execute("SELECT 1", result_reuse_enable=True, result_reuse_minutes=5)


# --- SQLAlchemy and pandas ------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=["rest", "pandas", "arrow"])
def engine(lake, request):
    engine = sqlalchemy.create_engine(
        f"awsathena+{request.param}://:@athena.{lake.aws.region}.amazonaws.com:443/{lake.name}?s3_staging_dir={lake.uri('results/')}"
        "&poll_interval=0.05")
    yield engine
    engine.dispose()


def test_sqlalchemy_reflects_a_table_and_selects_from_it(engine, lake):
    table = sqlalchemy.Table("orders", sqlalchemy.MetaData(), autoload_with=engine)
    assert list(table.columns.keys()) == list(COLUMNS)
    assert [str(column.type) for column in table.columns] == ["VARCHAR", "VARCHAR", "INTEGER", "DOUBLE"]
    with engine.connect() as connection:
        mice = sqlalchemy.select(table.c.orderid, table.c.quantity).where(table.c.product_name == "Mouse").order_by(table.c.orderid)
        assert [tuple(row) for row in connection.execute(mice)] == [("o-2", 2), ("o-4", 5)]
        total = sqlalchemy.select(sqlalchemy.func.sum(table.c.quantity), sqlalchemy.func.count()).select_from(table)
        assert tuple(connection.execute(total).one()) == (12, 4)
        bound = sqlalchemy.text("SELECT count(*) FROM orders WHERE quantity >= :least")
        assert connection.execute(bound, {"least": 4}).scalar_one() == 2


def test_sqlalchemy_inspects_schemas_tables_columns_and_views(engine, lake):
    inspector = sqlalchemy.inspect(engine)
    assert lake.name in inspector.get_schema_names() and "orders" in inspector.get_table_names()
    assert inspector.has_table("orders") and not inspector.has_table("nowhere")
    assert [column["name"] for column in inspector.get_columns("orders")] == list(COLUMNS)
    assert inspector.get_view_names() == []


def test_pandas_reads_sql_through_sqlalchemy(engine):
    with engine.connect() as connection:
        frame = pd.read_sql(sqlalchemy.text(BY_ID), connection)
    assert frame["orderid"].tolist() == [order[0] for order in ORDERS] and frame["quantity"].sum() == 12
    assert frame["price"].isna().tolist() == [False, False, False, True]


def test_sqlalchemy_creates_fills_and_drops_a_table(lake):
    """As PyAthena's documentation: a table's location is an option of the dialect."""
    engine = sqlalchemy.create_engine(
        f"awsathena+rest://:@athena.{lake.aws.region}.amazonaws.com:443/{lake.name}?s3_staging_dir={lake.uri('results/')}"
        "&poll_interval=0.05")
    table = sqlalchemy.Table(
        "made", sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.Integer), sqlalchemy.Column("name", sqlalchemy.String),
        awsathena_location=lake.fresh("made"), awsathena_file_format="parquet", awsathena_compression="snappy")
    with engine.connect() as connection:
        table.create(connection)
        connection.execute(table.insert().values(id=1, name="it's"))
        assert [tuple(row) for row in connection.execute(sqlalchemy.select(table))] == [(1, "it's")]
        table.drop(connection)
        assert not sqlalchemy.inspect(connection).has_table("made")
    engine.dispose()


def test_a_frame_becomes_a_table_and_is_appended_and_replaced(connection, lake):
    frame = pd.DataFrame({"name": ["Lamp", "Mouse"], "price": [1.5, 2.5], "at": pd.to_datetime(["2026-11-25 10:00:00"] * 2),
                          "day": ["1", "2"]})
    options = {"name": "framed", "conn": connection, "location": lake.fresh("framed"), "schema": lake.name,
               "partitions": ["day"], "max_workers": 2}
    to_sql(frame, **options)
    read = "SELECT name, price, at, day FROM framed ORDER BY name"
    rows = [("Lamp", 1.5, datetime.datetime(2026, 11, 25, 10), "1"), ("Mouse", 2.5, datetime.datetime(2026, 11, 25, 10), "2")]
    assert connection.cursor().execute(read).fetchall() == rows
    with pytest.raises(OperationalError, match="already exists"):
        to_sql(frame, **options)
    to_sql(frame.head(1), **options, if_exists="append")
    assert connection.cursor().execute("SELECT day, count(*) FROM framed GROUP BY day ORDER BY day").fetchall() == [("1", 2), ("2", 1)]
    to_sql(frame.tail(1), **options, if_exists="replace")
    assert connection.cursor().execute(read).fetchall() == rows[1:]


def test_pandas_writes_sql_through_sqlalchemy(lake):
    """As PyAthena's documentation: `DataFrame.to_sql` with the table's location in the engine's address."""
    engine = sqlalchemy.create_engine(
        f"awsathena+rest://:@athena.{lake.aws.region}.amazonaws.com:443/{lake.name}?s3_staging_dir={lake.uri('results/')}"
        f"&location={lake.fresh('written')}&file_format=parquet&compression=snappy&poll_interval=0.05")
    frame = pd.DataFrame({"id": [1, 2, 3], "name": ["Lamp", "Mouse", None]})
    with engine.connect() as connection:
        frame.to_sql("written", connection, schema=lake.name, index=False, if_exists="append", method="multi")
        found = pd.read_sql(sqlalchemy.text("SELECT id, name FROM written ORDER BY id"), connection)
    assert found["id"].tolist() == [1, 2, 3] and found["name"].tolist()[:2] == ["Lamp", "Mouse"] and pd.isna(found["name"][2])
    engine.dispose()
