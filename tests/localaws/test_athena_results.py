"""What a query leaves behind: result files, their pages, statistics, and the texts of statements that are no queries."""

import pytest

from .test_athena import lake, orders  # noqa: F401  (a fixture)

pytest.importorskip("duckdb")


def test_query_succeeds_with_its_files_in_place(lake):
    """[C] AT/querying, `<id>.csv` and its metadata; AL."""
    execution = lake.run("SELECT count(*) FROM orders")
    identifier = execution["QueryExecutionId"]
    assert execution["ResultConfiguration"]["OutputLocation"] == f"{lake.output}/{identifier}.csv"
    assert lake.read(f"{lake.output}/{identifier}.csv") == '"_col0"\n"10"\n'
    assert lake.read(f"{lake.output}/{identifier}.csv.metadata")
    assert execution["StatementType"] == "DML" and execution["SubstatementType"] == "SELECT"
    assert execution["Status"]["SubmissionDateTime"] <= execution["Status"]["CompletionDateTime"]


def test_scanned_bytes_are_the_sizes_of_the_objects_read(lake):
    """[C] BC:athena, DataScannedInBytes; text is read whole."""
    sizes = [item["Size"] for item in lake.s3.list_objects_v2(Bucket=lake.name, Prefix="orders/")["Contents"]
             if item["Key"].endswith((".json", ".gz")) and "_temporary" not in item["Key"]]
    assert lake.run("SELECT orderid FROM orders LIMIT 1")["Statistics"]["DataScannedInBytes"] == sum(sizes)


def test_null_is_empty_without_quotes_and_an_empty_string_is_quoted(lake):
    """[C] PyAthena docs/null_handling.rst; AL."""
    execution = lake.run("SELECT 'a\"b' AS x, NULL AS y, '' AS z")
    assert lake.read(execution["ResultConfiguration"]["OutputLocation"]) == '"x","y","z"\n"a""b",,""\n'
    row = lake.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["Rows"][1]["Data"]
    assert row == [{"VarCharValue": 'a"b'}, {}, {"VarCharValue": ""}]


def test_column_metadata_is_in_athenas_words(lake):
    """[C] BC:athena, ColumnInfo; PyAthena's converters read these names."""
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
    """[C] BC:athena, GetQueryResults: MaxResults at most 1000, the header is the first row."""
    execution = lake.run("SELECT n FROM UNNEST(sequence(1, 2500)) AS t(n) ORDER BY n")
    pages = list(lake.athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution["QueryExecutionId"]))
    values = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [1000, 1000, 501]
    assert values == ["n", *map(str, range(1, 2501))]


def test_ddl_result_is_text(lake):
    """[C] AT/querying, `.txt`; how `WR` reads it."""
    database = f"{lake.name}_x"
    execution = lake.run(f"CREATE DATABASE {database}")
    assert execution["ResultConfiguration"]["OutputLocation"].endswith(".txt") and execution["StatementType"] == "DDL"
    assert [database] in lake.rows("SHOW DATABASES")
    lake.run(f"DROP DATABASE {database}")
    assert [database] not in lake.rows("SHOW DATABASES LIKE 'ath*'")
    assert ["orders"] in lake.rows("SHOW TABLES")
    assert lake.rows("DESCRIBE orders")[0] == [f"{'orderid':<20}\t{'string':<20}\t{'':<20}"]


def test_output_location_may_end_in_a_slash_or_not(lake):
    """[C] `WR` strips the slash; AT/querying, `<location>/<id>.csv`."""
    for location in (f"s3://{lake.name}/slash", f"s3://{lake.name}/slash/"):
        execution = lake.run("SELECT 1", ResultConfiguration={"OutputLocation": location})
        assert execution["ResultConfiguration"]["OutputLocation"] == f"s3://{lake.name}/slash/{execution['QueryExecutionId']}.csv"


def test_statistics_add_up(lake):
    """[C] BC:athena, QueryExecutionStatistics; planning is part of the engine's time."""
    execution = lake.run("SELECT count(*) FROM orders")
    found = execution["Statistics"]
    assert found["TotalExecutionTimeInMillis"] >= found["EngineExecutionTimeInMillis"] >= found["QueryPlanningTimeInMillis"] >= 0
    assert found["DataScannedInBytes"] > 0 and found["ResultReuseInformation"] == {"ReusedPreviousResult": False}
    runtime = lake.athena.get_query_runtime_statistics(QueryExecutionId=execution["QueryExecutionId"])["QueryRuntimeStatistics"]
    assert runtime["Rows"]["InputBytes"] == found["DataScannedInBytes"]
    assert runtime["Timeline"]["EngineExecutionTimeInMillis"] == found["EngineExecutionTimeInMillis"]


@pytest.mark.parametrize(("sql", "kind"), [
    ("CREATE VIEW unscanned AS SELECT * FROM orders", "DDL"), ("DROP VIEW unscanned", "DDL"), ("SHOW TABLES", "UTILITY"),
    ("DESCRIBE orders", "UTILITY"), ("MSCK REPAIR TABLE orders", "DDL"), ("EXPLAIN SELECT * FROM orders", "UTILITY"),
    ("CREATE TABLE shape WITH (format = 'PARQUET') AS SELECT * FROM orders WITH NO DATA", "DDL")])
def test_what_reads_no_data_scans_nothing(lake, sql, kind):
    """[C] AT/athena-explain-statement, AT/ctas, and the price list: statements without data are free."""
    execution = lake.run(sql)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert execution["Statistics"]["DataScannedInBytes"] == 0 and execution["StatementType"] == kind


def test_a_failed_query_has_no_results(lake):
    """[C] BC:athena, GetQueryResults: InvalidRequestException; [C] captured 2023-10-23, 0 bytes."""
    execution = lake.run("SELECT banana FROM orders")
    assert execution["Status"]["State"] == "FAILED" and execution["Statistics"]["DataScannedInBytes"] == 0
    with pytest.raises(lake.athena.exceptions.InvalidRequestException, match="FAILED"):
        lake.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])


def test_a_plan_is_text_in_one_column_and_names_tables_and_steps(lake):
    """[C] AT/athena-explain-statement; the plan is the local engine's and says so."""
    sql = ("EXPLAIN SELECT o.product_name, count(*) AS n FROM orders o JOIN orders p ON o.orderid = p.orderid "
           "WHERE o.quantity > 3 GROUP BY 1 ORDER BY 2 DESC LIMIT 3")
    execution = lake.run(sql)
    assert execution["ResultConfiguration"]["OutputLocation"].endswith(".txt") and execution["SubstatementType"] == "EXPLAIN"
    result = lake.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]
    assert [column["Name"] for column in result["ResultSetMetadata"]["ColumnInfo"]] == ["Query Plan"]
    lines = [row["Data"][0]["VarCharValue"] for row in result["Rows"]]
    assert "not of Trino" in lines[0]
    assert sum(f"- TableScan[table = awsdatacatalog:{lake.name}:orders" in line for line in lines) == 2
    for step in ("- TopN[", "- Aggregate[", "- InnerJoin["):
        assert any(step in line for line in lines), (step, lines)


def test_a_query_can_be_validated_without_running(lake):
    """[C] AT/athena-explain-statement, TYPE VALIDATE."""
    assert lake.rows("EXPLAIN (TYPE VALIDATE) SELECT orderid FROM orders") == [["true"]]
    assert lake.reason("EXPLAIN (TYPE VALIDATE) SELECT banana FROM orders").startswith("COLUMN_NOT_FOUND: line 1:32: ")


def test_explain_resolves_names_and_reads_no_object(lake):
    """[C] AT/athena-explain-statement: EXPLAIN scans no data, so a broken object does not fail it."""
    lake.table("broken")
    lake.put("broken/x.json", "oops\n")
    assert lake.run("EXPLAIN SELECT * FROM broken")["Status"]["State"] == "SUCCEEDED"
    assert lake.reason("SELECT * FROM broken").startswith("HIVE_CURSOR_ERROR")
    assert lake.reason("EXPLAIN SELECT banana FROM broken").startswith("COLUMN_NOT_FOUND")


def test_show_statements_answer_in_plain_lines(lake):
    """[C] AT/show-columns, AT/show-tables, AT/show-views, AT/show-tblproperties, AT/show-databases."""
    lake.run("CREATE OR REPLACE VIEW shown AS SELECT 1 AS a")
    assert [row[0].strip() for row in lake.rows("SHOW COLUMNS IN orders")][:2] == ["orderid", "product_name"]
    assert lake.rows("SHOW VIEWS") == [["shown"]] and ["shown"] in lake.rows("SHOW TABLES 'sh.*|nothing'")
    assert lake.rows(f"SHOW SCHEMAS LIKE '{lake.name[:-1]}*'") == [[lake.name]]
    lake.run("ALTER TABLE orders SET TBLPROPERTIES ('owner_team' = 'a b')")
    assert ["owner_team\ta b"] in lake.rows("SHOW TBLPROPERTIES orders")
    lake.run("DROP VIEW shown")


def test_show_create_table_makes_the_same_table_again(lake):
    """[C] AT/show-create-table."""
    lake.run(f"""CREATE EXTERNAL TABLE first_made (id int COMMENT 'a key', tags array<string>) PARTITIONED BY (dt string)
        ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
        LOCATION 's3://{lake.name}/made/' TBLPROPERTIES ('classification' = 'json')""")
    shown = "\n".join(row[0] for row in lake.rows("SHOW CREATE TABLE first_made"))
    lake.run(shown.replace("first_made", "second_made"))
    first, second = (lake.glue.get_table(DatabaseName=lake.name, Name=name)["Table"] for name in ("first_made", "second_made"))
    assert first["StorageDescriptor"]["SerdeInfo"]["Parameters"]["ignore.malformed.json"] == "true"
    for member in ("StorageDescriptor", "PartitionKeys", "Parameters", "TableType"):
        assert first[member] == second[member], member


def test_describe_shows_partition_keys_twice(lake):
    """[C] `WR`, which reads the lines until the first empty one."""
    lake.table("described", [("a", "int")], keys=[("dt", "string")])
    lines = [row[0] for row in lake.rows("DESCRIBE described")]
    assert [line.split("\t")[0].strip() for line in lines] == ["a", "dt", "", "# Partition Information", "# col_name", "", "dt"]
