"""Athena through the network, as its clients use it: boto3, awswrangler, PyAthena."""

import gzip
import json
import time
import uuid

import boto3
import botocore.exceptions
import pytest

pytest.importorskip("duckdb")

OPENX = "org.openx.data.jsonserde.JsonSerDe"
COLUMNS = [("orderid", "string"), ("product_name", "string"), ("quantity", "int"), ("price", "double"), ("event_time", "string")]


def orders(count: int, first: int = 0) -> str:
    return "".join(json.dumps({"orderid": f"o{n}", "product_name": "Mug" if n % 2 else "Pen", "quantity": n, "price": n * 1.5,
                               "event_time": f"2024-01-0{n % 9 + 1}T10:00:00Z"}) + "\n" for n in range(first, first + count))


class Lake:
    """A bucket and a database of one test, and the calls that tests repeat."""

    def __init__(self, aws):
        self.aws, self.name = aws, f"ath{uuid.uuid4().hex[:10]}"
        self.s3, self.glue, self.athena = aws.client("s3"), aws.client("glue"), aws.client("athena")
        self.s3.create_bucket(Bucket=self.name)
        self.glue.create_database(DatabaseInput={"Name": self.name})
        self.output = f"s3://{self.name}/results"

    def put(self, key: str, body: str | bytes) -> int:
        body = body.encode() if isinstance(body, str) else body
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)
        return len(body)

    def read(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def table(self, name: str, columns=COLUMNS, keys=(), serde: str = OPENX, **properties: str) -> None:
        self.glue.create_table(
            DatabaseName=self.name,
            TableInput={
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "PartitionKeys": [{"Name": n, "Type": t} for n, t in keys],
                "StorageDescriptor": {
                    "Columns": [{"Name": n, "Type": t} for n, t in columns],
                    "Location": f"s3://{self.name}/{name}/",
                    "SerdeInfo": {"SerializationLibrary": serde, "Parameters": properties},
                },
            },
        )

    def run(self, sql: str, **request) -> dict:
        """Start, wait for the end, give the execution."""
        request = {
            "ResultConfiguration": {"OutputLocation": self.output},
            "QueryExecutionContext": {"Database": self.name},
            **request,
        }
        identifier = self.athena.start_query_execution(QueryString=sql, **request)["QueryExecutionId"]
        return self.wait(identifier)

    def wait(self, identifier: str) -> dict:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            execution = self.athena.get_query_execution(QueryExecutionId=identifier)["QueryExecution"]
            if execution["Status"]["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                return execution
            time.sleep(0.03)
        raise AssertionError("the query did not end in 20 s")

    def rows(self, sql: str, **request) -> list[list[str | None]]:
        """The result's rows, the header first."""
        execution = self.run(sql, **request)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]["StateChangeReason"]
        result = self.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
        return [[item.get("VarCharValue") for item in row["Data"]] for row in result["ResultSet"]["Rows"]]

    def reason(self, sql: str) -> str:
        execution = self.run(sql)
        assert execution["Status"]["State"] == "FAILED"
        return execution["Status"]["StateChangeReason"]


@pytest.fixture(scope="module")
def lake(aws):
    lake = Lake(aws)
    lake.table("orders")
    lake.put("orders/a.json", orders(6))
    lake.put("orders/b.json.gz", gzip.compress(orders(4, 6).encode()))
    lake.put("orders/_temporary/c.json", "not json")
    lake.put("orders/.hidden", "not json")
    yield lake
    for table in lake.glue.get_tables(DatabaseName=lake.name)["TableList"]:
        lake.glue.delete_table(DatabaseName=lake.name, Name=table["Name"])
    lake.glue.delete_database(Name=lake.name)
    bucket = boto3.resource("s3", **aws.options).Bucket(lake.name)
    bucket.objects.all().delete()
    bucket.delete()


# --- running ------------------------------------------------------------------------------------------------------------------
def test_query_succeeds_with_its_files_in_place(lake):
    execution = lake.run("SELECT count(*) FROM orders")
    identifier = execution["QueryExecutionId"]
    assert execution["ResultConfiguration"]["OutputLocation"] == f"{lake.output}/{identifier}.csv"
    assert lake.read(f"{lake.output}/{identifier}.csv") == '"_col0"\n"10"\n'
    assert lake.read(f"{lake.output}/{identifier}.csv.metadata")
    assert execution["StatementType"] == "DML" and execution["SubstatementType"] == "SELECT"
    assert execution["Status"]["SubmissionDateTime"] <= execution["Status"]["CompletionDateTime"]


def test_scanned_bytes_are_the_sizes_of_the_objects_read(lake):
    sizes = [item["Size"] for item in lake.s3.list_objects_v2(Bucket=lake.name, Prefix="orders/")["Contents"]
             if item["Key"].endswith((".json", ".gz")) and "_temporary" not in item["Key"]]
    assert lake.run("SELECT orderid FROM orders LIMIT 1")["Statistics"]["DataScannedInBytes"] == sum(sizes)


def test_null_is_empty_without_quotes_and_an_empty_string_is_quoted(lake):
    execution = lake.run("SELECT 'a\"b' AS x, NULL AS y, '' AS z")
    assert lake.read(execution["ResultConfiguration"]["OutputLocation"]) == '"x","y","z"\n"a""b",,""\n'
    row = lake.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["Rows"][1]["Data"]
    assert row == [{"VarCharValue": 'a"b'}, {}, {"VarCharValue": ""}]


def test_column_metadata_is_in_athenas_words(lake):
    execution = lake.run(
        "SELECT orderid, quantity, price, 1.25, count(*) c, true, current_timestamp, date '2024-01-01', timestamp "
        "'2024-01-01 00:00:00', array[1] FROM orders GROUP BY 1, 2, 3"
    )
    columns = lake.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["ResultSetMetadata"][
        "ColumnInfo"
    ]
    assert [(column["Name"], column["Type"]) for column in columns] == [
        ("orderid", "varchar"),
        ("quantity", "integer"),
        ("price", "double"),
        ("_col3", "decimal"),
        ("c", "bigint"),
        ("_col5", "boolean"),
        ("_col6", "timestamp with time zone"),
        ("_col7", "date"),
        ("_col8", "timestamp"),
        ("_col9", "array"),
    ]
    assert (columns[3]["Precision"], columns[3]["Scale"]) == (3, 2)


def test_results_come_in_pages(lake):
    execution = lake.run("SELECT n FROM UNNEST(sequence(1, 2500)) AS t(n) ORDER BY n")
    pages = list(lake.athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution["QueryExecutionId"]))
    values = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [1000, 1000, 501]
    assert values == ["n", *map(str, range(1, 2501))]


def test_same_token_starts_one_query(lake):
    request = {
        "QueryString": "SELECT 1",
        "ClientRequestToken": uuid.uuid4().hex,
        "ResultConfiguration": {"OutputLocation": lake.output},
    }
    first, second = (lake.athena.start_query_execution(**request)["QueryExecutionId"] for _ in range(2))
    assert first == second
    with pytest.raises(botocore.exceptions.ClientError, match="Idempotent parameters do not match"):
        lake.athena.start_query_execution(**{**request, "QueryString": "SELECT 2"})


def test_running_query_can_be_stopped(lake):
    sql = "SELECT count(*) FROM UNNEST(sequence(1, 5000)) AS a(x), UNNEST(sequence(1, 5000)) AS b(y), UNNEST(sequence(1, 5000)) AS c(z) WHERE x * y % 7 = z"
    identifier = lake.athena.start_query_execution(QueryString=sql, ResultConfiguration={"OutputLocation": lake.output})[
        "QueryExecutionId"
    ]
    lake.athena.stop_query_execution(QueryExecutionId=identifier)
    assert lake.wait(identifier)["Status"]["State"] == "CANCELLED"
    with pytest.raises(botocore.exceptions.ClientError, match="CANCELLED"):
        lake.athena.get_query_results(QueryExecutionId=identifier)


def test_query_without_an_output_location_is_refused(lake):
    with pytest.raises(lake.athena.exceptions.InvalidRequestException, match="No output location provided"):
        lake.athena.start_query_execution(QueryString="SELECT 1")


def test_malformed_query_is_refused_at_the_start(lake):
    with pytest.raises(lake.athena.exceptions.InvalidRequestException, match="line 1:8: mismatched input 'FROM'"):
        lake.run("SELECT FROM orders")


def test_result_reuse_is_refused_by_name(lake):
    with pytest.raises(lake.athena.exceptions.InvalidRequestException, match="ResultReuseConfiguration"):
        lake.run("SELECT 1", ResultReuseConfiguration={"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 5}})


def test_unresolved_names_fail_with_place_and_type(lake):
    execution = lake.run("SELECT banana FROM orders")
    reason = "COLUMN_NOT_FOUND: line 1:8: Column 'banana' cannot be resolved or requester is not authorized to access requested resources"
    assert execution["Status"]["StateChangeReason"] == reason
    assert execution["Status"]["AthenaError"] == {
        "ErrorCategory": 2,
        "ErrorType": 1006,
        "Retryable": False,
        "ErrorMessage": reason,
    }
    assert execution["Statistics"]["DataScannedInBytes"] == 0
    assert (
        lake.reason("SELECT * FROM nope") == f"TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.{lake.name}.nope' does not exist"
    )
    assert lake.reason("SELECT * FROM nodb.nope") == "SCHEMA_NOT_FOUND: line 1:15: Schema 'nodb' does not exist"


def test_alias_of_the_select_list_is_unknown_to_group_by(lake):
    assert lake.reason("SELECT upper(orderid) AS u, count(*) FROM orders GROUP BY u").startswith(
        "COLUMN_NOT_FOUND: line 1:59: Column 'u'"
    )


def test_execution_parameters_take_the_place_of_question_marks(lake):
    assert lake.rows(
        "SELECT orderid FROM orders WHERE quantity > ? AND product_name = ?", ExecutionParameters=["6", "'Mug'"]
    ) == [["orderid"], ["o7"], ["o9"]]


def test_executions_are_listed_newest_first(lake):
    first, second = (lake.run(f"SELECT {n}")["QueryExecutionId"] for n in (1, 2))
    listed = lake.athena.list_query_executions()["QueryExecutionIds"]
    assert listed[:2] == [second, first]
    batch = lake.athena.batch_get_query_execution(QueryExecutionIds=[first, str(uuid.uuid4())])
    assert len(batch["QueryExecutions"]) == len(batch["UnprocessedQueryExecutionIds"]) == 1


# --- tables -------------------------------------------------------------------------------------------------------------------
def test_names_are_case_insensitive_and_keep_their_spelling_in_the_header(lake):
    assert lake.rows("SELECT OrderID, QUANTITY AS Qty FROM Orders WHERE Quantity = 1") == [["OrderID", "Qty"], ["o1", "1"]]


def test_path_column_names_the_object(lake):
    assert lake.rows('SELECT DISTINCT "$path" FROM orders ORDER BY 1')[1:] == [
        [f"s3://{lake.name}/orders/a.json"],
        [f"s3://{lake.name}/orders/b.json.gz"],
    ]
    assert lake.rows('SELECT *, "$path" AS p FROM orders LIMIT 1')[0] == [*(name for name, _ in COLUMNS), "p"]


def test_malformed_line_fails_the_query_unless_it_is_ignored(lake):
    body = '{"orderid": "a", "quantity": 1}\noops\n{"orderid": "b"}\n'
    for name, properties in (("strict", {}), ("forgiving", {"ignore.malformed.json": "TRUE"})):
        lake.table(name, **properties)
        lake.put(f"{name}/x.json", body)
    assert lake.reason("SELECT count(*) FROM strict").startswith(
        "HIVE_CURSOR_ERROR: Row is not a valid JSON Object - JSONException: "
    )
    assert lake.rows("SELECT orderid, quantity FROM forgiving")[1:] == [["a", "1"], [None, None], ["b", None]]


def test_only_the_first_of_concatenated_objects_counts(lake):
    lake.table("joined")
    lake.put("joined/x.json", '{"orderid": "a"}{"orderid": "b"}{"orderid": "c"}')
    assert lake.rows("SELECT count(*), max(orderid) FROM joined")[1:] == [["1", "a"]]


def test_keys_match_in_any_case_and_a_missing_key_is_null(lake):
    lake.table("cases")
    lake.put("cases/x.json", '{"OrderId": "a", "QUANTITY": 5}\n{"orderid": "b"}\n')
    assert lake.rows("SELECT orderid, quantity FROM cases")[1:] == [["a", "5"], ["b", None]]


@pytest.mark.parametrize("value", ["499.99", '"many"', "true"])
def test_value_of_the_wrong_type_fails_when_its_column_is_read(lake, value):
    name = f"wrong{uuid.uuid4().hex[:6]}"
    lake.table(name)
    lake.put(f"{name}/x.json", f'{{"orderid": "a", "quantity": {value}}}\n')
    assert lake.reason(f"SELECT quantity FROM {name}").startswith("HIVE_BAD_DATA: Error parsing field value '")
    assert lake.rows(f"SELECT orderid FROM {name}")[1:] == [["a"]]


def test_nested_types_are_read_and_printed(lake):
    lake.table(
        "nested",
        [("id", "int"), ("item", "struct<name:string,size:int>"), ("tags", "array<string>"), ("stock", "map<string,int>")],
    )
    lake.put(
        "nested/x.json", '{"id": 1, "item": {"Name": "Mug", "size": 3}, "tags": ["a", null], "stock": {"x": 2}}\n{"id": 2}\n'
    )
    assert lake.rows("SELECT item.name, item, tags, stock, tags[1], stock['x'] FROM nested ORDER BY id")[1:] == [
        ["Mug", "{name=Mug, size=3}", "[a, null]", "{x=2}", "a", "2"], [None] * 6]
    assert lake.rows("SELECT id, tag FROM nested CROSS JOIN UNNEST(tags) AS t(tag)")[1:] == [["1", "a"], ["1", None]]


def test_only_registered_partitions_are_read_and_conditions_prune_them(lake):
    lake.table("parted", keys=[("dt", "string")])
    sizes = {day: lake.put(f"parted/dt={day}/x.json", orders(day)) for day in (1, 2, 3)}
    assert lake.rows("SELECT count(*) FROM parted")[1:] == [["0"]]
    lake.run("ALTER TABLE parted ADD PARTITION (dt = '1') PARTITION (dt = '2')")
    assert lake.rows("SHOW PARTITIONS parted") == [["dt=1"], ["dt=2"]]
    assert lake.rows("SELECT dt, count(*) FROM parted GROUP BY dt ORDER BY dt")[1:] == [["1", "1"], ["2", "2"]]
    assert lake.run("MSCK REPAIR TABLE parted")["Status"]["State"] == "SUCCEEDED"
    assert lake.rows("SELECT count(*) FROM parted")[1:] == [["6"]]
    for condition, days in (
        ("dt = '2'", [2]),
        ("dt > '1' AND quantity >= 0", [2, 3]),
        ("p.dt IN ('1', '3')", [1, 3]),
        ("quantity = 0", [1, 2, 3]),
    ):
        scanned = lake.run(f"SELECT orderid FROM parted AS p WHERE {condition}")["Statistics"]["DataScannedInBytes"]
        assert scanned == sum(sizes[day] for day in days), condition
    lake.run("ALTER TABLE parted DROP PARTITION (dt = '1')")
    assert lake.rows("SELECT min(dt) FROM parted")[1:] == [["2"]]


def test_delimited_text_is_read(lake):
    lake.put("csv/x.csv", 'id,name\n1,"Mug, blue"\n2,Pen\n')
    lake.run(f"""CREATE EXTERNAL TABLE IF NOT EXISTS lines (id int, name string) ROW FORMAT SERDE
        'org.apache.hadoop.hive.serde2.OpenCSVSerde' LOCATION 's3://{lake.name}/csv/' TBLPROPERTIES ('skip.header.line.count' = '1')""")
    assert lake.rows("SELECT id, name FROM lines ORDER BY id")[1:] == [["1", "Mug, blue"], ["2", "Pen"]]


# --- statements ---------------------------------------------------------------------------------------------------------------
def test_create_table_as_writes_parquet_that_reads_by_column(lake):
    execution = lake.run(
        f"CREATE TABLE copy WITH (format = 'PARQUET', external_location = 's3://{lake.name}/copy') AS SELECT * FROM orders"
    )
    files = lake.read(execution["Statistics"]["DataManifestLocation"]).split()
    assert execution["Statistics"]["DataManifestLocation"] == f"{lake.output}/{execution['QueryExecutionId']}-manifest.csv"
    assert [uri.startswith(f"s3://{lake.name}/copy/") for uri in files] == [True]
    assert lake.rows("SELECT count(*), sum(price) FROM copy")[1:] == [["10", "67.5"]]
    whole, one, none = (lake.run(sql)["Statistics"]["DataScannedInBytes"] for sql in (
        "SELECT * FROM copy", "SELECT orderid FROM copy", "SELECT count(*) FROM copy"))
    assert whole > one > none == 0
    lake.run("INSERT INTO copy SELECT * FROM orders WHERE quantity = 3")
    assert lake.rows("SELECT count(*) FROM copy")[1:] == [["11"]]
    assert "HIVE_PATH_ALREADY_EXISTS" in lake.reason(
        f"CREATE TABLE copy2 WITH (external_location = 's3://{lake.name}/copy') AS SELECT 1 AS a"
    )
    assert "already exists" in lake.reason("CREATE TABLE copy AS SELECT 1 AS a")
    lake.run("DROP TABLE copy")
    assert "TABLE_NOT_FOUND" in lake.reason("SELECT * FROM copy")


def test_create_table_as_partitions(lake):
    lake.run("CREATE TABLE byname WITH (partitioned_by = ARRAY['product_name']) AS SELECT orderid, product_name FROM orders")
    assert lake.rows("SHOW PARTITIONS byname") == [["product_name=Mug"], ["product_name=Pen"]]
    assert lake.rows("SELECT count(*) FROM byname WHERE product_name = 'Mug'")[1:] == [["5"]]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT current_timestamp AS t", "NOT_SUPPORTED: Unsupported Hive type: timestamp(3) with time zone"),
        ("SELECT 1", "Column name not specified at position 1"),
        ("SELECT 1 AS a, 2 AS a", "Column name 'a' specified more than once"),
        ("SELECT NULL AS a", "Column type is unknown"),
    ],
)
def test_create_table_as_refuses_what_hive_cannot_hold(lake, query, reason):
    assert reason in lake.reason(f"CREATE TABLE never AS {query}")


def test_unload_writes_only_to_an_empty_place(lake):
    sql = f"UNLOAD (SELECT orderid FROM orders ORDER BY 1) TO 's3://{lake.name}/unloaded/' WITH (format = 'JSON', compression = 'NONE')"
    uri, = lake.read(lake.run(sql)["Statistics"]["DataManifestLocation"]).split()
    assert lake.read(uri).splitlines()[0] == '{"orderid":"o0"}'
    assert "HIVE_PATH_ALREADY_EXISTS" in lake.reason(sql)


def test_views_can_be_made_read_and_dropped(lake):
    lake.run("CREATE OR REPLACE VIEW totals AS SELECT product_name, sum(price) AS revenue FROM orders GROUP BY product_name")
    assert lake.rows("SELECT * FROM totals ORDER BY 1") == [["product_name", "revenue"], ["Mug", "37.5"], ["Pen", "30.0"]]
    assert lake.rows("SHOW CREATE VIEW totals")[0] == [f"CREATE VIEW {lake.name}.totals AS"]
    lake.run("DROP VIEW totals")
    assert "TABLE_NOT_FOUND" in lake.reason("SELECT * FROM totals")


def test_ddl_result_is_text(lake):
    database = f"{lake.name}_x"
    execution = lake.run(f"CREATE DATABASE {database}")
    assert execution["ResultConfiguration"]["OutputLocation"].endswith(".txt") and execution["StatementType"] == "DDL"
    assert [database] in lake.rows("SHOW DATABASES")
    lake.run(f"DROP DATABASE {database}")
    assert [database] not in lake.rows("SHOW DATABASES LIKE 'ath*'")
    assert ["orders"] in lake.rows("SHOW TABLES")
    assert lake.rows("DESCRIBE orders")[0] == [f"{'orderid':<20}\t{'string':<20}\t{'':<20}"]


def test_statement_that_is_not_supported_fails_by_name(lake):
    assert lake.reason("EXPLAIN SELECT 1") == "NOT_SUPPORTED: The local AWS does not support EXPLAIN statements"


# --- workgroups and catalogue -------------------------------------------------------------------------------------------------
def test_workgroup_enforces_its_output_location_and_scan_limit(lake):
    name = lake.name
    lake.athena.create_work_group(Name=name, Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{name}/enforced/"}},
                                  Tags=[{"Key": "team", "Value": "a"}])
    assert lake.run("SELECT 1", WorkGroup=name)["ResultConfiguration"]["OutputLocation"].startswith(f"s3://{name}/enforced/")
    lake.athena.update_work_group(WorkGroup=name, ConfigurationUpdates={"BytesScannedCutoffPerQuery": 10_000_000})
    lake.table("wide", [("a", "string")])
    lake.put("wide/x.json", json.dumps({"a": "x" * 10_500_000}))
    execution = lake.run("SELECT count(a) FROM wide", WorkGroup=name)
    assert execution["Status"]["State"] == "CANCELLED" and "limit" in execution["Status"]["StateChangeReason"]
    arn = f"arn:aws:athena:{lake.aws.region}:{lake.aws.account}:workgroup/{name}"
    assert lake.athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    assert name in [group["Name"] for group in lake.athena.list_work_groups()["WorkGroups"]]
    lake.athena.delete_work_group(WorkGroup=name, RecursiveDeleteOption=True)
    with pytest.raises(lake.athena.exceptions.InvalidRequestException, match="is not found"):
        lake.athena.get_work_group(WorkGroup=name)


def test_primary_workgroup_exists_and_enforces_nothing(lake):
    group = lake.athena.get_work_group(WorkGroup="primary")["WorkGroup"]
    assert group["State"] == "ENABLED" and group["Configuration"]["EnforceWorkGroupConfiguration"] is False


def test_catalogue_is_glues(lake):
    assert lake.athena.list_data_catalogs()["DataCatalogsSummary"] == [{"CatalogName": "AwsDataCatalog", "Type": "GLUE"}]
    metadata = lake.athena.get_table_metadata(CatalogName="awsdatacatalog", DatabaseName=lake.name, TableName="orders")[
        "TableMetadata"
    ]
    assert [column["Name"] for column in metadata["Columns"]] == [name for name, _ in COLUMNS]
    assert lake.athena.get_database(CatalogName="AwsDataCatalog", DatabaseName=lake.name)["Database"]["Name"] == lake.name


# --- clients ------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def wrangler(lake, monkeypatch):
    wr = pytest.importorskip("awswrangler")
    for name, value in {
        "AWS_ENDPOINT_URL": lake.aws.endpoint,
        "AWS_DEFAULT_REGION": lake.aws.region,
        "AWS_ACCESS_KEY_ID": lake.aws.account,
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return wr


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "mode",
    [{}, {"ctas_approach": False}, {"ctas_approach": False, "unload_approach": True, "s3_output": "unload"}],
    ids=["ctas", "csv", "unload"],
)
def test_awswrangler_reads_a_query_into_pandas(lake, wrangler, mode):
    if "s3_output" in mode:
        mode = {**mode, "s3_output": f"s3://{lake.name}/{uuid.uuid4().hex}/"}
    frame = wrangler.athena.read_sql_query(
        "SELECT product_name, sum(quantity) AS n, sum(quantity * price) AS revenue, max(cast(from_iso8601_timestamp(event_time) AS timestamp)) AS last "
        "FROM orders GROUP BY 1 ORDER BY 1",
        database=lake.name,
        **mode,
    )
    assert frame["product_name"].tolist() == ["Mug", "Pen"] and frame["n"].tolist() == [25, 20]
    assert frame["revenue"].tolist() == [247.5, 180.0] and str(frame["last"].iloc[1]) == "2024-01-09 10:00:00"


@pytest.mark.filterwarnings("ignore")
def test_awswrangler_reads_an_empty_result_with_its_columns(lake, wrangler):
    frame = wrangler.athena.read_sql_query("SELECT orderid, quantity FROM orders WHERE quantity > 99", database=lake.name)
    assert list(frame.columns) == ["orderid", "quantity"] and frame.empty


@pytest.mark.filterwarnings("ignore")
def test_awswrangler_runs_statements(lake, wrangler):
    wr, options = wrangler, {"database": lake.name, "s3_output": lake.output}
    made = wr.athena.create_ctas_table("SELECT orderid FROM orders", ctas_table="wrangled", wait=True, **options)
    assert made["ctas_table"] == "wrangled"
    frame = wr.athena.describe_table("orders", **options)
    assert frame["Column Name"].tolist() == [name for name, _ in COLUMNS] and frame["Type"].tolist()[2] == "int"
    assert wr.athena.show_create_table("orders", **options).startswith(f"CREATE EXTERNAL TABLE `{lake.name}.orders`(")
    assert wr.athena.repair_table("orders", **options) == "SUCCEEDED"
    identifier = wr.athena.start_query_execution("SELECT 1", **options)
    assert wr.athena.wait_query(identifier)["Status"]["State"] == "SUCCEEDED"


def test_awswrangler_written_parquet_is_read_with_its_timestamps(lake, wrangler):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": [1, 2], "at": pandas.to_datetime(["2024-01-01 10:00:00", None]), "dt": ["a", "b"]})
    wrangler.s3.to_parquet(
        frame, path=f"s3://{lake.name}/frames/", dataset=True, database=lake.name, table="frames", partition_cols=["dt"]
    )
    assert lake.rows("SELECT id, at, dt FROM frames ORDER BY id")[1:] == [["1", "2024-01-01 10:00:00.000", "a"], ["2", None, "b"]]


def test_pyathena_reads_typed_rows(lake):
    pyathena = pytest.importorskip("pyathena")
    options = lake.aws.options
    with pyathena.connect(s3_staging_dir=lake.output, schema_name=lake.name, poll_interval=0.05, **options) as connection:
        cursor = connection.cursor().execute("SELECT orderid, quantity, price FROM orders WHERE quantity = 3")
        assert cursor.fetchall() == [("o3", 3, 4.5)] and [item[0] for item in cursor.description] == [
            "orderid",
            "quantity",
            "price",
        ]


def test_many_lines_are_counted_in_seconds(lake):
    lake.table("million")
    lake.put("million/x.json", orders(1000) * 200)
    began = time.monotonic()
    assert lake.rows("SELECT product_name, count(*), sum(price) FROM million GROUP BY 1 ORDER BY 1")[1][:2] == ["Mug", "100000"]
    assert time.monotonic() - began < 10
