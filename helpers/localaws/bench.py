"""Figures of the local AWS itself; `make bench` prints them beside the workbook's."""

import json
import random
import statistics
import tempfile
import time
import uuid
from pathlib import Path

import boto3

from .lifecycle import LocalAws

LINES, OBJECTS, PAIRS = 1_000_000, 50, 7
_COLUMNS = {"orderid": ("string", "VARCHAR"), "product_name": ("string", "VARCHAR"), "quantity": ("int", "INTEGER"),
            "price": ("double", "DOUBLE"), "event_time": ("string", "VARCHAR")}
_QUERY = "SELECT product_name, count(*) AS orders, sum(price) AS value FROM {} GROUP BY product_name ORDER BY product_name"


def athena_ratio(local: LocalAws) -> dict[str, float]:
    """Athena's time over DuckDB's for the same query over the same million lines in 50 objects, median of pairs within one run.

    Athena's time is a client's: from StartQueryExecution to the rows, asking every 10 ms. DuckDB's is that of a fresh connection
    in this process that reads the same files from disk with the columns given. `ratio` is of queries over objects that Athena
    has read before, which it keeps as columns; the first one fetches them through S3's API, and is a figure of its own.
    """
    import duckdb

    status = local.status()
    clients = [boto3.client(name, endpoint_url=status.endpoint, region_name=status.region, aws_access_key_id=status.account,
                            aws_secret_access_key="test") for name in ("s3", "glue", "athena")]
    name = f"athena-bench-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        files = write_lines(Path(folder))
        make_table(*clients[:2], name, files)
        shape = ", ".join(f"{column}: '{kind}'" for column, (_, kind) in _COLUMNS.items())
        source = f"read_json({[str(path) for path in files]}, format='newline_delimited', columns={{{shape}}})"

        def alone() -> list:
            with duckdb.connect() as connection:
                return connection.execute(_QUERY.format(source)).fetchall()

        def through() -> list:
            return query(clients[2], name)

        try:
            first, rows = timed(through)
            if [[key, str(count)] for key, count, _ in alone()] != [row[:2] for row in rows]:
                raise AssertionError("Athena and DuckDB do not agree")
            pairs = [(timed(through)[0], timed(alone)[0]) for _ in range(PAIRS)]
        finally:
            drop_table(*clients[:2], name)
    return {"the first query, objects fetched, in seconds": first,
            "a later query, in seconds": statistics.median(athena for athena, _ in pairs),
            "DuckDB alone, in seconds": statistics.median(duck for _, duck in pairs),
            "ratio": statistics.median(athena / duck for athena, duck in pairs)}


def write_lines(folder: Path) -> list[Path]:
    chance, files = random.Random(7), []
    for number in range(OBJECTS):
        files.append(folder / f"{number:02}.json")
        first = number * LINES // OBJECTS
        files[-1].write_text("".join(json.dumps(
            {"orderid": f"o{order:07}", "product_name": chance.choice(("Mug", "Pen", "Lamp", "Desk")), "quantity": chance.randint(1, 9),
             "price": chance.randint(100, 99_999) / 100, "event_time": "2024-01-01T10:00:00Z"}) + "\n"
            for order in range(first, first + LINES // OBJECTS)), "utf-8")
    return files


def make_table(s3, glue, name: str, files: list[Path]) -> None:
    """A bucket and a database `name` with one table `orders` over the files."""
    s3.create_bucket(Bucket=name)
    for path in files:
        s3.put_object(Bucket=name, Key=f"orders/{path.name}", Body=path.read_bytes())
    glue.create_database(DatabaseInput={"Name": name})
    glue.create_table(DatabaseName=name, TableInput={"Name": "orders", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": {
        "Columns": [{"Name": column, "Type": kind} for column, (kind, _) in _COLUMNS.items()], "Location": f"s3://{name}/orders/",
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}}})


def drop_table(s3, glue, name: str) -> None:
    glue.delete_table(DatabaseName=name, Name="orders")
    glue.delete_database(Name=name)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def query(athena, database: str) -> list[list[str]]:
    """The rows of the query, without their header."""
    identifier = athena.start_query_execution(QueryString=_QUERY.format("orders"), QueryExecutionContext={"Database": database},
                                              ResultConfiguration={"OutputLocation": f"s3://{database}/results/"})["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            rows = athena.get_query_results(QueryExecutionId=identifier)["ResultSet"]["Rows"][1:]
            return [[item["VarCharValue"] for item in row["Data"]] for row in rows]
        if status["State"] in ("FAILED", "CANCELLED"):
            raise RuntimeError(status["StateChangeReason"])
        time.sleep(0.01)


def timed(action) -> tuple[float, list]:
    started = time.monotonic()
    found = action()
    return time.monotonic() - started, found
