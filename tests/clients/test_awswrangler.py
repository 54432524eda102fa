"""awswrangler as its tutorials' first pages use it: S3 as data sets, the catalogue, Athena in its three ways of reading."""

import uuid

import awswrangler as wr
import boto3
import pandas as pd
import pytest

from .conftest import COLUMNS, ORDERS

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
BY_ID = "SELECT orderid, product_name, quantity, price FROM orders ORDER BY orderid"


def frame(*days: str) -> pd.DataFrame:
    """An order a day, with a column of every common type."""
    count = len(days)
    return pd.DataFrame({
        "id": pd.array(range(1, count + 1), dtype="Int64"), "name": [f"order {day}" for day in days], "price": [1.5] * count,
        "paid": [True] * count, "at": pd.to_datetime([f"2026-11-{day} 10:00:00.123456" for day in days]),
        "on": [pd.Timestamp(f"2026-11-{day}").date() for day in days], "day": list(days)})


@pytest.fixture
def table(lake) -> dict:
    """A new table's name, database and folder, as the writing functions want them."""
    return {"database": lake.name, "table": f"t_{uuid.uuid4().hex[:8]}", "path": lake.fresh("sets")}


def rows(lake, table: dict, columns: str = "name, day") -> list[tuple]:
    found = wr.athena.read_sql_query(f"SELECT {columns} FROM {table['table']} ORDER BY {columns}", database=lake.name, ctas_approach=False)
    return list(found.itertuples(index=False, name=None))


# --- S3 -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_file_is_written_found_and_read_back(lake, kind):
    path = f"{lake.fresh('files')}one.{kind}"
    written, options = frame("24", "25"), {"json": {"orient": "records", "lines": True}, "csv": {"index": False}}.get(kind, {})
    getattr(wr.s3, f"to_{kind}")(written, path, **options)
    assert wr.s3.does_object_exist(path) and wr.s3.list_objects(path.rpartition("/")[0] + "/") == [path]
    assert wr.s3.size_objects(path)[path] == wr.s3.describe_objects(path)[path]["ContentLength"] > 0
    options = {"json": {"lines": True, "dtype": {"day": str}}, "csv": {"dtype": {"day": str}}}.get(kind, {})
    found = getattr(wr.s3, f"read_{kind}")(path, **options)
    assert found["name"].tolist() == ["order 24", "order 25"] and found["id"].tolist() == [1, 2] and list(found.columns) == list(written.columns)
    wr.s3.delete_objects(path)
    assert not wr.s3.does_object_exist(path)


def test_objects_are_copied_listed_uploaded_and_downloaded(lake, tmp_path):
    source, target = lake.fresh("copies"), lake.fresh("copies")
    (tmp_path / "a.txt").write_text("Zürich")
    wr.s3.upload(str(tmp_path / "a.txt"), f"{source}a.txt")
    wr.s3.copy_objects([f"{source}a.txt"], source_path=source, target_path=target)
    wr.s3.download(f"{target}a.txt", str(tmp_path / "b.txt"))
    assert (tmp_path / "b.txt").read_text() == "Zürich"
    assert target in wr.s3.list_directories(lake.uri("copies/")) and lake.name in wr.s3.list_buckets()
    wr.s3.wait_objects_exist([f"{target}a.txt"])
    wr.s3.delete_objects(target)
    wr.s3.wait_objects_not_exist([f"{target}a.txt"])


def test_a_data_set_is_read_by_partition_column_and_in_chunks(lake, table):
    wr.s3.to_parquet(frame("23", "24", "25"), path=table["path"], dataset=True, partition_cols=["day"])
    read = wr.s3.read_parquet(table["path"], dataset=True, columns=["name"], partition_filter=lambda values: values["day"] != "24")
    assert sorted(read["name"]) == ["order 23", "order 25"]
    chunks = list(wr.s3.read_parquet(table["path"], dataset=True, chunked=True))
    assert sum(map(len, chunks)) == 3
    types, partitions = wr.s3.read_parquet_metadata(table["path"], dataset=True)
    assert types["price"] == "double" and types["at"] == "timestamp" and partitions == {"day": "string"}


# --- data sets that are tables ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_data_set_becomes_a_table_and_is_appended_and_overwritten(lake, table, kind):
    def write(data: pd.DataFrame, mode: str) -> dict:
        lines = {"orient": "records", "lines": True} if kind == "json" else {}
        return getattr(wr.s3, f"to_{kind}")(data[["name", "price", "day"]], dataset=True, partition_cols=["day"], mode=mode,
                                            index=False, **table, **lines)

    made = write(frame("24", "25"), "overwrite")
    assert len(made["paths"]) == 2 and sorted(made["partitions_values"].values()) == [["24"], ["25"]]
    assert rows(lake, table) == [("order 24", "24"), ("order 25", "25")]
    write(frame("25"), "append")
    assert [day for _, day in rows(lake, table)] == ["24", "25", "25"]
    write(frame("25", "26"), "overwrite_partitions")
    assert [day for _, day in rows(lake, table)] == ["24", "25", "26"]
    write(frame("27"), "overwrite")
    assert rows(lake, table) == [("order 27", "27")]


def test_every_common_type_goes_to_a_table_and_comes_back(lake, table):
    written = frame("24", "25")
    wr.s3.to_parquet(written, dataset=True, partition_cols=["day"], **table)
    assert wr.catalog.get_table_types(lake.name, table["table"]) == {
        "id": "bigint", "name": "string", "price": "double", "paid": "boolean", "at": "timestamp", "on": "date", "day": "string"}
    for options in ({}, {"ctas_approach": False}, {"ctas_approach": False, "unload_approach": True, "s3_output": lake.fresh("unload")}):
        found = wr.athena.read_sql_query(f'SELECT * FROM {table["table"]} ORDER BY id', database=lake.name, **options)
        assert found["id"].tolist() == [1, 2] and found["paid"].tolist() == [True, True] and found["on"].tolist() == written["on"].tolist()
        # Athena's SELECT keeps milliseconds, and a copy keeps what it read
        assert found["at"].dt.floor("ms").tolist() == written["at"].dt.floor("ms").tolist() and found["day"].tolist() == ["24", "25"]


def test_a_new_column_joins_the_table_unless_that_is_forbidden(lake, table):
    wr.s3.to_parquet(frame("24"), dataset=True, **table)
    wider = frame("25").assign(note="new")
    with pytest.raises(wr.exceptions.InvalidArgumentValue, match="Schema change detected"):
        wr.s3.to_parquet(wider, dataset=True, mode="append", schema_evolution=False, **table)
    wr.s3.to_parquet(wider, dataset=True, mode="append", schema_evolution=True, **table)
    assert rows(lake, table, "name, coalesce(note, 'none')") == [("order 24", "none"), ("order 25", "new")]


# --- the catalogue ------------------------------------------------------------------------------------------------------------------
def test_databases_are_made_listed_and_deleted():
    name = f"made_{uuid.uuid4().hex[:8]}"
    wr.catalog.create_database(name, description="for a test")
    assert name in [item["Name"] for item in wr.catalog.get_databases()]
    listed = wr.catalog.databases(limit=1000)
    assert listed.set_index("Database").loc[name, "Description"] == "for a test"
    with pytest.raises(wr.exceptions.AlreadyExists):
        wr.catalog.create_database(name)
    wr.catalog.delete_database(name)
    assert name not in wr.catalog.databases(limit=1000)["Database"].tolist()


def test_a_table_is_made_described_searched_and_deleted(lake, table):
    name = table["table"]
    wr.catalog.create_parquet_table(
        database=lake.name, table=name, path=table["path"], columns_types={"id": "bigint", "name": "string"},
        partitions_types={"day": "string"}, description="made by hand", columns_comments={"id": "the number"}, parameters={"owner": "shop"})
    assert wr.catalog.does_table_exist(lake.name, name) and wr.catalog.get_table_location(lake.name, name).rstrip("/") == table["path"].rstrip("/")
    assert wr.catalog.get_table_description(lake.name, name) == "made by hand"
    assert wr.catalog.get_columns_comments(lake.name, name)["id"] == "the number"
    assert wr.catalog.get_table_parameters(lake.name, name)["owner"] == "shop"
    wr.catalog.upsert_table_parameters({"team": "a"}, lake.name, name)
    assert {"owner": "shop", "team": "a"}.items() <= wr.catalog.get_table_parameters(lake.name, name).items()
    listed = wr.catalog.table(lake.name, name)
    assert listed["Column Name"].tolist() == ["id", "name", "day"] and listed["Partition"].tolist() == [False, False, True]
    for options in ({"name_contains": name[2:]}, {"name_prefix": name[:6]}, {"name_suffix": name[-6:]}):
        assert [found["Name"] for found in wr.catalog.get_tables(database=lake.name, **options)] == [name]
    assert name in wr.catalog.tables(database=lake.name, limit=1000)["Table"].tolist()
    assert name in [found["Name"] for found in wr.catalog.search_tables(text=name)]
    assert wr.catalog.delete_table_if_exists(lake.name, name) and not wr.catalog.delete_table_if_exists(lake.name, name)
    assert not wr.catalog.does_table_exist(lake.name, name)


def test_a_column_is_added_to_a_table_and_removed(lake, table):
    wr.s3.to_parquet(frame("24"), dataset=True, **table)
    wr.catalog.add_column(lake.name, table["table"], "note", "string", column_comment="free text")
    assert wr.catalog.get_table_types(lake.name, table["table"])["note"] == "string"
    wr.catalog.delete_column(lake.name, table["table"], "note")
    assert "note" not in wr.catalog.get_table_types(lake.name, table["table"])


def test_partitions_are_added_found_by_expression_and_deleted(lake, table):
    name, path = table["table"], table["path"]
    wr.s3.to_parquet(frame("24"), dataset=True, partition_cols=["day"], **table)
    for day in ("25", "26"):
        wr.s3.to_parquet(frame(day).drop(columns="day"), f"{path}day={day}/x.parquet")
    assert list(wr.catalog.get_partitions(lake.name, name).values()) == [["24"]]
    wr.catalog.add_parquet_partitions(lake.name, name, {f"{path}day={day}/": [day] for day in ("25", "26")})
    assert sorted(wr.catalog.get_parquet_partitions(lake.name, name).values()) == [["24"], ["25"], ["26"]]
    assert wr.catalog.get_partitions(lake.name, name, expression="day > '24' AND day < '26'") == {f"{path}day=25/": ["25"]}
    assert [day for _, day in rows(lake, table)] == ["24", "25", "26"]
    wr.catalog.delete_partitions(name, lake.name, [["25"]])
    assert [day for _, day in rows(lake, table)] == ["24", "26"]
    wr.catalog.delete_all_partitions(name, lake.name)
    assert wr.catalog.get_partitions(lake.name, name) == {}


def test_csv_partitions_are_registered_by_hand(lake, table):
    wr.catalog.create_csv_table(database=lake.name, table=table["table"], path=table["path"], columns_types={"name": "string"},
                                partitions_types={"day": "string"}, skip_header_line_count=1)
    wr.s3.to_csv(pd.DataFrame({"name": ["Lamp"]}), f"{table['path']}day=1/x.csv", index=False)
    wr.catalog.add_csv_partitions(lake.name, table["table"], {f"{table['path']}day=1/": ["1"]})
    assert rows(lake, table) == [("Lamp", "1")]


# --- Athena ---------------------------------------------------------------------------------------------------------------------------
MODES = {"ctas": {}, "unload": {"ctas_approach": False, "unload_approach": True}, "plain": {"ctas_approach": False}}


def reading(lake, mode: str) -> dict:
    return {"database": lake.name, **MODES[mode], **({"s3_output": lake.fresh("unload")} if mode == "unload" else {})}


@pytest.mark.parametrize("mode", MODES)
def test_a_query_becomes_a_frame_and_leaves_no_table(lake, mode):
    found = wr.athena.read_sql_query(BY_ID, **reading(lake, mode))
    assert list(found.columns) == list(COLUMNS) and found["orderid"].tolist() == [order[0] for order in ORDERS]
    assert found["quantity"].tolist() == [4, 2, 1, 5] and found["price"].tolist()[:3] == [29.9, 19.5, 89.0] and pd.isna(found["price"][3])
    assert found.query_metadata["Status"]["State"] == "SUCCEEDED" and found.query_metadata["Statistics"]["DataScannedInBytes"] > 0
    assert not [name for name in wr.catalog.tables(database=lake.name, limit=1000)["Table"] if name.startswith("temp_table_")]


@pytest.mark.parametrize("mode", MODES)
def test_a_query_is_read_in_chunks(lake, mode):
    sizes = [len(part) for part in wr.athena.read_sql_query(
        "SELECT n FROM UNNEST(sequence(1, 5)) AS t(n)", chunksize=2, **reading(lake, mode))]
    assert sum(sizes) == 5 and max(sizes) == 2


@pytest.mark.parametrize("mode", ["ctas", "plain"])
def test_an_empty_result_keeps_its_columns(lake, mode):
    found = wr.athena.read_sql_query("SELECT orderid, quantity FROM orders WHERE quantity > 99", **reading(lake, mode))
    assert found.empty and list(found.columns) == ["orderid", "quantity"]


def test_an_unload_of_nothing_writes_no_object(lake):
    with pytest.raises(wr.exceptions.EmptyDataFrame):
        wr.athena.read_sql_query("SELECT orderid FROM orders WHERE quantity > 99", **reading(lake, "unload"))


@pytest.mark.parametrize("style", ["named", "qmark"])
def test_a_query_takes_parameters(lake, style):
    where, values = {"named": (":name", {"name": "Mouse", "least": 3}), "qmark": ("?", ["'Mouse'", "3"])}[style]
    least = ":least" if style == "named" else "?"
    found = wr.athena.read_sql_query(f"SELECT orderid FROM orders WHERE product_name = {where} AND quantity >= {least}",
                                     database=lake.name, params=values, paramstyle=style, ctas_approach=False)
    assert found["orderid"].tolist() == ["o-4"]


def test_a_table_is_read_whole(lake):
    found = wr.athena.read_sql_table("orders", database=lake.name)
    assert sorted(found["orderid"]) == [order[0] for order in ORDERS]


def test_a_query_is_started_waited_for_and_its_result_read_later(lake):
    identifier = wr.athena.start_query_execution(BY_ID, database=lake.name)
    execution = wr.athena.wait_query(identifier)
    assert execution["Status"]["State"] == "SUCCEEDED" and execution["StatementType"] == "DML"
    assert wr.athena.get_query_execution(identifier)["Query"] == BY_ID
    assert wr.athena.get_query_executions([identifier])["QueryExecutionId"].tolist() == [identifier]
    assert identifier in wr.athena.list_query_executions()
    assert wr.athena.get_query_columns_types(identifier) == {"orderid": "varchar", "product_name": "varchar", "quantity": "integer", "price": "double"}
    assert wr.athena.get_query_results(identifier)["quantity"].tolist() == [4, 2, 1, 5]


def test_the_bucket_for_results_is_made_by_its_name_on_aws(lake):
    bucket = wr.athena.create_athena_bucket()
    assert bucket == f"s3://aws-athena-query-results-{lake.aws.account}-{lake.aws.region}/"
    assert wr.s3.list_objects(bucket) is not None


def test_a_query_is_stopped(lake):
    identifier = wr.athena.start_query_execution(
        "SELECT count(*) FROM UNNEST(sequence(1, 5000)) AS a(x), UNNEST(sequence(1, 5000)) AS b(y), UNNEST(sequence(1, 5000)) AS c(z) "
        "WHERE x * y % 7 = z", database=lake.name)
    wr.athena.stop_query_execution(identifier)
    with pytest.raises(wr.exceptions.QueryCancelled):
        wr.athena.wait_query(identifier)


def test_a_query_that_fails_raises_with_athenas_reason(lake):
    with pytest.raises(wr.exceptions.QueryFailed, match="COLUMN_NOT_FOUND: line 1:8: Column 'banana' cannot be resolved"):
        wr.athena.read_sql_query("SELECT banana FROM orders", database=lake.name, ctas_approach=False)


def test_a_query_becomes_a_table(lake, table):
    made = wr.athena.create_ctas_table(
        "SELECT orderid, quantity, product_name FROM orders", database=lake.name, ctas_table=table["table"], s3_output=table["path"],
        storage_format="parquet", write_compression="snappy", partitioning_info=["product_name"], wait=True)
    assert made["ctas_database"] == lake.name and made["ctas_query_metadata"].raw_payload["Status"]["State"] == "SUCCEEDED"
    assert rows(lake, table, "orderid, product_name")[0] == ("o-1", "Lamp")
    assert sorted(wr.catalog.get_partitions(lake.name, table["table"]).values()) == [["Keyboard"], ["Lamp"], ["Mouse"]]


def test_a_result_is_unloaded_to_a_folder(lake):
    path = lake.fresh("unload")
    done = wr.athena.unload(BY_ID, path=path, database=lake.name, file_format="PARQUET")
    assert done.raw_payload["Status"]["State"] == "SUCCEEDED"
    bucket, _, key = done.manifest_location.removeprefix("s3://").partition("/")  # it lies in the same folder, as it does on AWS
    files = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode().split()
    assert all(uri.startswith(path) for uri in files) and wr.s3.read_parquet(files)["quantity"].sum() == 12


def test_statements_about_tables_answer_in_frames(lake, table):
    wr.s3.to_parquet(frame("24"), dataset=True, partition_cols=["day"], **table)
    wr.s3.to_parquet(frame("25").drop(columns="day"), f"{table['path']}day=25/x.parquet")
    assert wr.athena.repair_table(table["table"], database=lake.name) == "SUCCEEDED"
    assert [day for _, day in rows(lake, table)] == ["24", "25"]
    described = wr.athena.describe_table(table["table"], database=lake.name)
    assert described[["Column Name", "Type", "Partition"]].values.tolist()[0] == ["id", "bigint", False]
    assert described[described["Partition"]]["Column Name"].tolist() == ["day"]
    text = wr.athena.show_create_table(table["table"], database=lake.name)
    assert text.startswith(f"CREATE EXTERNAL TABLE `{lake.name}.{table['table']}`(") and "PARTITIONED BY (" in text
    assert wr.athena.generate_create_query(table["table"], database=lake.name).startswith("CREATE EXTERNAL TABLE")


def test_a_workgroup_and_prepared_statements_serve(lake):
    athena, name = boto3.client("athena"), f"wr{uuid.uuid4().hex[:8]}"
    athena.create_work_group(Name=name, Configuration={
        "EnforceWorkGroupConfiguration": True, "ResultConfiguration": {"OutputLocation": lake.uri(f"enforced/{name}/")}})
    assert wr.athena.read_sql_query("SELECT 1 AS n", database=lake.name, workgroup=name, ctas_approach=False)["n"].tolist() == [1]
    assert wr.s3.list_objects(lake.uri(f"enforced/{name}/"))
    wr.athena.create_prepared_statement("SELECT orderid FROM orders WHERE quantity > ?", statement_name="large", workgroup=name)
    assert [item["StatementName"] for item in wr.athena.list_prepared_statements(workgroup=name)] == ["large"]
    found = wr.athena.read_sql_query("EXECUTE large USING 4", database=lake.name, workgroup=name, ctas_approach=False)
    assert found["orderid"].tolist() == ["o-4"]
    wr.athena.delete_prepared_statement("large", workgroup=name)
    assert wr.athena.list_prepared_statements(workgroup=name) == []
    athena.delete_work_group(WorkGroup=name, RecursiveDeleteOption=True)


def test_iceberg_is_refused_by_name(lake, table):
    with pytest.raises(Exception, match="(?i)iceberg"):
        wr.athena.to_iceberg(frame("24"), database=lake.name, table=table["table"], table_location=table["path"],
                             temp_path=lake.fresh("temporary"))
    assert not wr.catalog.does_table_exist(lake.name, table["table"])
