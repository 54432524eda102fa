"""Athena through the network, as its clients use it: boto3, awswrangler, PyAthena."""

import gzip
import json
import re
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


def test_same_token_starts_one_query(lake):
    """[C] BC:athena, StartQueryExecution ClientRequestToken."""
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
    """[C] AL, QUEUED, RUNNING, then CANCELLED."""
    sql = "SELECT count(*) FROM UNNEST(sequence(1, 5000)) AS a(x), UNNEST(sequence(1, 5000)) AS b(y), UNNEST(sequence(1, 5000)) AS c(z) WHERE x * y % 7 = z"
    identifier = lake.athena.start_query_execution(QueryString=sql, ResultConfiguration={"OutputLocation": lake.output})[
        "QueryExecutionId"
    ]
    lake.athena.stop_query_execution(QueryExecutionId=identifier)
    assert lake.wait(identifier)["Status"]["State"] == "CANCELLED"
    with pytest.raises(botocore.exceptions.ClientError, match="CANCELLED"):
        lake.athena.get_query_results(QueryExecutionId=identifier)


def test_query_without_an_output_location_is_refused(lake):
    """[C] BC:athena, ResultConfiguration; the sentence AL."""
    with pytest.raises(lake.athena.exceptions.InvalidRequestException, match="No output location provided"):
        lake.athena.start_query_execution(QueryString="SELECT 1")


def test_malformed_query_is_refused_at_the_start(lake):
    """[L] AL, consistent with `WR`: InvalidRequestException, never FAILED."""
    with pytest.raises(lake.athena.exceptions.InvalidRequestException, match="line 1:8: mismatched input 'FROM'"):
        lake.run("SELECT FROM orders")


def test_unresolved_names_fail_with_place_and_type(lake):
    """[C] captured 2023-10-23 (column); [L] AL (table)."""
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
    """[C] Trino reference, SELECT: GROUP BY takes input columns and ordinals."""
    assert lake.reason("SELECT upper(orderid) AS u, count(*) FROM orders GROUP BY u").startswith(
        "COLUMN_NOT_FOUND: line 1:59: Column 'u'"
    )


def test_execution_parameters_take_the_place_of_question_marks(lake):
    """[C] BC:athena, ExecutionParameters."""
    assert lake.rows(
        "SELECT orderid FROM orders WHERE quantity > ? AND product_name = ?", ExecutionParameters=["6", "'Mug'"]
    ) == [["orderid"], ["o7"], ["o9"]]


def test_executions_are_listed_newest_first(lake):
    """[C] BC:athena, ListQueryExecutions and BatchGetQueryExecution; the order [L]."""
    first, second = (lake.run(f"SELECT {n}")["QueryExecutionId"] for n in (1, 2))
    listed = lake.athena.list_query_executions()["QueryExecutionIds"]
    assert listed[:2] == [second, first]
    batch = lake.athena.batch_get_query_execution(QueryExecutionIds=[first, str(uuid.uuid4())])
    assert len(batch["QueryExecutions"]) == len(batch["UnprocessedQueryExecutionIds"]) == 1


# --- tables -------------------------------------------------------------------------------------------------------------------
def test_names_are_case_insensitive_and_keep_their_spelling_in_the_header(lake):
    """[C] AT/tables-databases-columns-names."""
    assert lake.rows("SELECT OrderID, QUANTITY AS Qty FROM Orders WHERE Quantity = 1") == [["OrderID", "Qty"], ["o1", "1"]]


# --- statements ---------------------------------------------------------------------------------------------------------------
def test_create_table_as_writes_parquet_that_reads_by_column(lake):
    """[C] AT/ctas; AT/querying, the manifest; HIVE_PATH_ALREADY_EXISTS AT/troubleshooting-athena."""
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


def test_create_table_as_without_a_location_writes_beside_the_results(lake):
    """[L] AL, `tables/<id>`; the manifest lies beside, [C] AT/querying."""
    execution = lake.run("CREATE TABLE beside AS SELECT 1 AS a")
    place = f"{lake.output}/tables/{execution['QueryExecutionId']}"
    assert execution["ResultConfiguration"]["OutputLocation"] == place
    assert lake.read(execution["Statistics"]["DataManifestLocation"]).startswith(f"{place}/")
    assert lake.glue.get_table(DatabaseName=lake.name, Name="beside")["Table"]["StorageDescriptor"]["Location"].rstrip("/") == place


def test_create_table_as_partitions(lake):
    """[C] AT/ctas, partitioned_by."""
    lake.run("CREATE TABLE byname WITH (partitioned_by = ARRAY['product_name']) AS SELECT orderid, product_name FROM orders")
    assert lake.rows("SHOW PARTITIONS byname") == [["product_name=Mug"], ["product_name=Pen"]]
    assert lake.rows("SELECT count(*) FROM byname WHERE product_name = 'Mug'")[1:] == [["5"]]


@pytest.mark.parametrize("form", ["PARQUET", "JSON", "TEXTFILE"])
@pytest.mark.parametrize("keys", ["", ", partitioned_by = ARRAY['product_name']"])
def test_create_table_as_writes_each_format_so_that_it_reads_the_same(lake, form, keys):
    """[C] AT/create-table-as, format; JSON and text are GZIP-compressed, AT/compression-support."""
    name = f"as_{form.lower()}_{len(keys)}"
    query = "SELECT quantity, price, timestamp '2024-01-02 03:04:05.678' AS t, nullif(orderid, 'o3') AS orderid, product_name FROM orders"
    execution = lake.run(f"CREATE TABLE {name} WITH (format = '{form}'{keys}) AS {query}")
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    files = lake.read(execution["Statistics"]["DataManifestLocation"]).split()
    assert len(files) == (2 if keys else 1) and all(uri.endswith(".gz") == (form != "PARQUET") for uri in files)
    assert lake.rows(f"SELECT * FROM {name} ORDER BY 1") == lake.rows(f"{query} ORDER BY 1")


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
    """[C] `WR`, which reads these sentences."""
    assert reason in lake.reason(f"CREATE TABLE never AS {query}")


def test_unload_writes_only_to_an_empty_place(lake):
    """[C] AT/unload."""
    sql = f"UNLOAD (SELECT orderid FROM orders ORDER BY 1) TO 's3://{lake.name}/unloaded/' WITH (format = 'JSON', compression = 'NONE')"
    uri, = lake.read(lake.run(sql)["Statistics"]["DataManifestLocation"]).split()
    assert lake.read(uri).splitlines()[0] == '{"orderid":"o0"}'
    assert "HIVE_PATH_ALREADY_EXISTS" in lake.reason(sql)


def test_views_can_be_made_read_and_dropped(lake):
    """[C] AT/create-view, AT/drop-view, AT/show-create-view."""
    lake.run("CREATE OR REPLACE VIEW totals AS SELECT product_name, sum(price) AS revenue FROM orders GROUP BY product_name")
    assert lake.rows("SELECT * FROM totals ORDER BY 1") == [["product_name", "revenue"], ["Mug", "37.5"], ["Pen", "30.0"]]
    assert lake.rows("SHOW CREATE VIEW totals")[0] == [f"CREATE VIEW {lake.name}.totals AS"]
    lake.run("DROP VIEW totals")
    assert "TABLE_NOT_FOUND" in lake.reason("SELECT * FROM totals")


# --- workgroups and catalogue -------------------------------------------------------------------------------------------------
def test_workgroup_enforces_its_output_location_and_scan_limit(lake):
    """[C] AT/workgroups-settings-override, AT/workgroups-setting-control-limits-cloudwatch."""
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
    """[C] `WR`, which asks for it before every query."""
    group = lake.athena.get_work_group(WorkGroup="primary")["WorkGroup"]
    assert group["State"] == "ENABLED" and group["Configuration"]["EnforceWorkGroupConfiguration"] is False


def test_catalogue_is_glues(lake):
    """[C] BC:athena, GetTableMetadata; PyAthena asks in lower case."""
    assert lake.athena.list_data_catalogs()["DataCatalogsSummary"] == [{"CatalogName": "AwsDataCatalog", "Type": "GLUE"}]
    metadata = lake.athena.get_table_metadata(CatalogName="awsdatacatalog", DatabaseName=lake.name, TableName="orders")[
        "TableMetadata"
    ]
    assert [column["Name"] for column in metadata["Columns"]] == [name for name, _ in COLUMNS]
    assert lake.athena.get_database(CatalogName="AwsDataCatalog", DatabaseName=lake.name)["Database"]["Name"] == lake.name


# --- what is refused ------------------------------------------------------------------------------------------------------------
def _table(clauses: str) -> str:
    return f"CREATE EXTERNAL TABLE refused (a int) {clauses} LOCATION 's3://bucket/refused/'"


def _as(options: str) -> str:
    return f"CREATE TABLE refused WITH ({options}) AS SELECT 1 AS a, 2 AS b"


def _result(**settings) -> dict:
    return {"operation": "start_query_execution", "QueryString": "SELECT 1", **settings}


def _group(**configuration) -> dict:
    return {"operation": "create_work_group", "Name": "refused", "Configuration": configuration}


# The feature, the statement or the request, and what the refusal says.
REFUSED = [
    *((f"{word} (Iceberg tables)", sql, word) for word, sql in (
        ("UPDATE", "UPDATE orders SET quantity = 1"), ("DELETE", "DELETE FROM orders WHERE quantity = 1"),
        ("MERGE", "MERGE INTO orders USING orders AS n ON orders.orderid = n.orderid WHEN MATCHED THEN DELETE"),
        ("OPTIMIZE", "OPTIMIZE orders REWRITE DATA USING BIN_PACK"), ("VACUUM", "VACUUM orders"))),
    ("CREATE TABLE without EXTERNAL (Iceberg tables)", "CREATE TABLE refused (a int) LOCATION 's3://b/c/'",
     "CREATE TABLE without EXTERNAL"),
    ("CREATE TABLE AS with table_type ICEBERG", _as("table_type = 'ICEBERG'"), "table_type"),
    ("time travel (FOR TIMESTAMP AS OF)", "SELECT * FROM orders FOR TIMESTAMP AS OF current_timestamp", "time travel"),
    *((f"{word} statements", sql, word) for word, sql in (
        ("TRUNCATE", "TRUNCATE TABLE orders"), ("GRANT", "GRANT SELECT ON orders TO joe"), ("REVOKE", "REVOKE SELECT ON orders FROM joe"),
        ("ANALYZE", "ANALYZE orders"), ("CALL", "CALL system.sync_partition_metadata()"), ("USE", "USE other"),
        ("SET", "SET SESSION a = 1"),
        ("COMMENT", "COMMENT ON TABLE orders IS 'x'"))),
    ("PREPARE of a DDL statement", "PREPARE p FROM DROP TABLE t", "PREPARE of DROP_TABLE"),
    ("EXPLAIN ANALYZE", "EXPLAIN ANALYZE SELECT 1", "EXPLAIN ANALYZE"),
    ("EXPLAIN (FORMAT JSON or GRAPHVIZ)", "EXPLAIN (FORMAT JSON) SELECT 1", "EXPLAIN (FORMAT JSON)"),
    ("EXPLAIN (TYPE DISTRIBUTED or IO)", "EXPLAIN (TYPE IO) SELECT 1", "EXPLAIN (TYPE IO)"),
    ("EXPLAIN of CREATE TABLE AS, INSERT INTO or UNLOAD", "EXPLAIN INSERT INTO orders SELECT * FROM orders", "EXPLAIN INSERT"),
    ("DESCRIBE FORMATTED and EXTENDED", "DESCRIBE FORMATTED orders", "DESCRIBE FORMATTED"),
    ("SHOW FUNCTIONS", "SHOW FUNCTIONS", "SHOW FUNCTIONS"), ("SHOW SESSION", "SHOW SESSION", "SHOW SESSION"),
    ("ALTER TABLE CHANGE COLUMN", "ALTER TABLE orders CHANGE COLUMN quantity amount int", "ALTER TABLE CHANGE"),
    ("ALTER TABLE RENAME", "ALTER TABLE orders RENAME TO commands", "ALTER TABLE RENAME"),
    ("ALTER TABLE PARTITION ADD COLUMNS", "ALTER TABLE orders PARTITION (dt = '1') ADD COLUMNS (a int)", "ALTER TABLE PARTITION ADD"),
    ("CREATE TABLE AS with bucketed_by", _as("bucketed_by = ARRAY['a'], bucket_count = 3"), "bucketed_by"),
    ("CREATE EXTERNAL TABLE with CLUSTERED BY", _table("CLUSTERED BY (a) INTO 3 BUCKETS"), "CLUSTERED BY"),
    *((f"CREATE TABLE AS with the format {form}", _as(f"format = '{form}'"), form) for form in ("ORC", "AVRO", "ION")),
    *((f"CREATE EXTERNAL TABLE STORED AS {form}", _table(f"STORED AS {form}"), form)
      for form in ("ORC", "AVRO", "ION", "RCFILE", "SEQUENCEFILE")),
    ("UNLOAD to formats other than Parquet, JSON and text", "UNLOAD (SELECT 1 AS a) TO 's3://b/c/' WITH (format = 'ORC')", "ORC"),
    ("compressions other than GZIP, SNAPPY and ZSTD for Parquet", _as("format = 'PARQUET', write_compression = 'LZ4'"), "LZ4"),
    ("compressions other than GZIP for JSON and text", _as("format = 'JSON', write_compression = 'ZSTD'"), "ZSTD"),
    ("INSERT INTO a table with OpenCSVSerde (AWS writes such tables if all columns are strings)", "INSERT INTO quoted VALUES ('a')", "OpenCSVSerde"),
    ("INSERT INTO delimited text with nested types", "INSERT INTO nested_text SELECT array[1]", "array<int>"),
    ("INSERT INTO delimited text with escapes, another NULL or header lines", "INSERT INTO escaped_text VALUES ('a')", "escape.delim"),
    *((f"tables with the SerDe {serde}", f"SELECT * FROM serde_{number}", serde) for number, serde in enumerate((
        "com.amazonaws.glue.serde.GrokSerDe", "org.apache.hadoop.hive.serde2.RegexSerDe", "org.apache.hadoop.hive.serde2.avro.AvroSerDe",
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde", "com.amazon.ionhiveserde.IonHiveSerDe"))),
    ("tables of Iceberg made elsewhere", "SELECT * FROM iceberg", "Iceberg"),
    *((f"objects compressed as {suffix}", f"SELECT * FROM packed_{suffix}", f".{suffix}") for suffix in ("snappy", "lz4")),
    ("partition projection of the type injected", "SELECT * FROM injected", "injected"),
    ("data catalogs other than AwsDataCatalog, in a query", "SELECT * FROM other.d.t", "Catalog 'other'"),
    ("table functions", "SELECT * FROM TABLE(sequence(1, 2))", "table functions"),
    ("WITH RECURSIVE", "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t", "WITH RECURSIVE"),
    ("TABLESAMPLE", "SELECT * FROM orders TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE"),
    ("data catalogs other than AwsDataCatalog, in a request", _result(QueryExecutionContext={"Catalog": "other"}),
     "the data catalog other"),
    ("result reuse", _result(ResultReuseConfiguration={"ResultReuseByAgeConfiguration": {"Enabled": True}}), "ResultReuseConfiguration"),
    *((f"results encrypted with {option}", _result(ResultConfiguration={
        "OutputLocation": "s3://b/c/", "EncryptionConfiguration": {"EncryptionOption": option, "KmsKey": "k"}}), option)
      for option in ("SSE_KMS", "CSE_KMS")),
    ("results with an ACL", _result(ResultConfiguration={
        "OutputLocation": "s3://b/c/", "AclConfiguration": {"S3AclOption": "BUCKET_OWNER_FULL_CONTROL"}}), "AclConfiguration"),
    ("workgroups for Spark", _group(EngineVersion={"SelectedEngineVersion": "PySpark engine version 3"}), "PySpark engine version 3"),
    ("workgroups with an execution role", _group(ExecutionRole="arn:aws:iam::123456789012:role/r"), "ExecutionRole"),
    ("workgroups with managed query results", _group(ManagedQueryResultsConfiguration={"Enabled": True}),
     "ManagedQueryResultsConfiguration"),
    ("workgroups with requester-pays buckets", _group(RequesterPaysEnabled=True), "RequesterPaysEnabled"),
    ("workgroups with minimum encryption", _group(EnableMinimumEncryptionConfiguration=True), "EnableMinimumEncryptionConfiguration"),
    ("workgroups with customer content encryption",
     _group(CustomerContentEncryptionConfiguration={"KmsKey": "arn:aws:kms:us-east-1:123456789012:key/k"}),
     "CustomerContentEncryptionConfiguration"),
    ("workgroups with identity center", _group(IdentityCenterConfiguration={"EnableIdentityCenter": True}), "IdentityCenterConfiguration"),
    *((f"{name} (Spark, notebooks, capacity, other catalogs)", {"operation": name, **request}, "".join(map(str.title, name.split("_"))))
      for name, request in (
        ("start_session", {"WorkGroup": "primary", "EngineConfiguration": {"MaxConcurrentDpus": 20}}),
        ("create_notebook", {"WorkGroup": "primary", "Name": "n"}), ("create_data_catalog", {"Name": "other", "Type": "LAMBDA"}),
        ("create_capacity_reservation", {"TargetDpus": 24, "Name": "c"}))),
]


@pytest.fixture(scope="module")
def unreadable(lake):
    """Tables that the statements of REFUSED mention."""
    opencsv, lazy = "org.apache.hadoop.hive.serde2.OpenCSVSerde", "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
    lake.table("quoted", [("a", "string")], serde=opencsv)
    lake.table("nested_text", [("a", "array<int>")], serde=lazy)
    lake.table("escaped_text", [("a", "string")], serde=lazy, **{"escape.delim": "\\"})
    for number, (_, _, serde) in enumerate(row for row in REFUSED if row[0].startswith("tables with the SerDe")):
        lake.table(f"serde_{number}", [("a", "string")], serde=serde)
        lake.put(f"serde_{number}/x", "a\n")
    for suffix in ("snappy", "lz4"):
        lake.table(f"packed_{suffix}")
        lake.put(f"packed_{suffix}/x.json.{suffix}", "a")
    for name, keys, parameters in (("iceberg", [], {"table_type": "ICEBERG"}), (
            "injected", [{"Name": "k", "Type": "string"}], {"projection.enabled": "true", "projection.k.type": "injected"})):
        lake.glue.create_table(DatabaseName=lake.name, TableInput={
            "Name": name, "PartitionKeys": keys, "Parameters": parameters, "StorageDescriptor": {
                "Columns": [{"Name": "a", "Type": "string"}], "Location": f"s3://{lake.name}/{name}/",
                "SerdeInfo": {"SerializationLibrary": OPENX}}})
    return lake


@pytest.mark.parametrize(("what", "words"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_is_not_supported_is_refused_by_name(unreadable, what, words):
    """[L] nothing is accepted and ignored: FAILED with NOT_SUPPORTED, or an error of the API."""
    if isinstance(what, str):
        reason = unreadable.reason(what)
        assert reason.startswith(("NOT_SUPPORTED: ", "CATALOG_NOT_FOUND: ")) and words in reason
        return
    request = dict(what)
    with pytest.raises(botocore.exceptions.ClientError, match=re.escape(words)) as caught:
        getattr(unreadable.athena, request.pop("operation"))(**request)
    assert caught.value.response["Error"]["Code"] in ("InvalidRequestException", "UnsupportedOperationException")


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
    """[C] `WR`, its three modes."""
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
    """[C] `WR`."""
    frame = wrangler.athena.read_sql_query("SELECT orderid, quantity FROM orders WHERE quantity > 99", database=lake.name)
    assert list(frame.columns) == ["orderid", "quantity"] and frame.empty


@pytest.mark.filterwarnings("ignore")
def test_awswrangler_runs_statements(lake, wrangler):
    """[C] `WR`, describe_table, show_create_table and repair_table read the `.txt`."""
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
    """[C] `WR`, timestamps as INT96."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": [1, 2], "at": pandas.to_datetime(["2024-01-01 10:00:00", None]), "dt": ["a", "b"]})
    wrangler.s3.to_parquet(
        frame, path=f"s3://{lake.name}/frames/", dataset=True, database=lake.name, table="frames", partition_cols=["dt"]
    )
    assert lake.rows("SELECT id, at, dt FROM frames ORDER BY id")[1:] == [["1", "2024-01-01 10:00:00.000", "a"], ["2", None, "b"]]


def test_pyathena_reads_typed_rows(lake):
    """[C] PyAthena, its converters."""
    pyathena = pytest.importorskip("pyathena")
    options = lake.aws.options
    with pyathena.connect(s3_staging_dir=lake.output, schema_name=lake.name, poll_interval=0.05, **options) as connection:
        cursor = connection.cursor().execute("SELECT orderid, quantity, price FROM orders WHERE quantity = 3")
        assert cursor.fetchall() == [("o3", 3, 4.5)] and [item[0] for item in cursor.description] == [
            "orderid",
            "quantity",
            "price",
        ]
