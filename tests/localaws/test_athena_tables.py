"""Tables: how Athena reads objects by SerDe, compression, partition and place, and how DDL changes what it reads."""

import bz2
import datetime
import gzip
import time
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("duckdb")

from helpers.localaws.athena.errors import QueryFailure
from helpers.localaws.athena.objects import ObjectCache, list_objects

from .test_athena import COLUMNS, lake, orders  # noqa: F401  (a fixture)

LAZY, OPENCSV = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "org.apache.hadoop.hive.serde2.OpenCSVSerde"
HCATALOG = "org.apache.hive.hcatalog.data.JsonSerDe"


@pytest.fixture
def name():
    """A table's, not used before."""
    return f"t{uuid.uuid4().hex[:10]}"


def projected(lake, name, keys, properties, location=None):
    """A JSON table of the column `id` whose partitions are computed."""
    lake.table(name, [("id", "int")], keys=keys)
    table = lake.glue.get_table(DatabaseName=lake.name, Name=name)["Table"]
    lake.glue.update_table(DatabaseName=lake.name, TableInput={
        **{key: table[key] for key in ("Name", "TableType", "PartitionKeys", "StorageDescriptor")},
        "Parameters": {"projection.enabled": "true", **properties, **({"storage.location.template": location} if location else {})}})


# --- objects --------------------------------------------------------------------------------------------------------------------
def test_path_column_names_the_object(lake):
    """[C] AT/querying-hidden."""
    assert lake.rows('SELECT DISTINCT "$path" FROM orders ORDER BY 1')[1:] == [
        [f"s3://{lake.name}/orders/a.json"],
        [f"s3://{lake.name}/orders/b.json.gz"],
    ]
    assert lake.rows('SELECT *, "$path" AS p FROM orders LIMIT 1')[0] == [*(name for name, _ in COLUMNS), "p"]


def test_malformed_line_fails_the_query_unless_it_is_ignored(lake):
    """[C] AT/openx-json-serde, ignore.malformed.json; AT/troubleshooting-athena."""
    body = '{"orderid": "a", "quantity": 1}\noops\n{"orderid": "b"}\n'
    for name, properties in (("strict", {}), ("forgiving", {"ignore.malformed.json": "TRUE"})):
        lake.table(name, **properties)
        lake.put(f"{name}/x.json", body)
    assert lake.reason("SELECT count(*) FROM strict").startswith(
        "HIVE_CURSOR_ERROR: Row is not a valid JSON Object - JSONException: "
    )
    assert lake.rows("SELECT orderid, quantity FROM forgiving")[1:] == [["a", "1"], [None, None], ["b", None]]


def test_only_the_first_of_concatenated_objects_counts(lake):
    """[C] AT/troubleshooting-athena."""
    lake.table("joined")
    lake.put("joined/x.json", '{"orderid": "a"}{"orderid": "b"}{"orderid": "c"}')
    assert lake.rows("SELECT count(*), max(orderid) FROM joined")[1:] == [["1", "a"]]


def test_keys_match_in_any_case_and_a_missing_key_is_null(lake):
    """[C] AT/openx-json-serde, case.insensitive; the missing key [L]."""
    lake.table("cases")
    lake.put("cases/x.json", '{"OrderId": "a", "QUANTITY": 5}\n{"orderid": "b"}\n')
    assert lake.rows("SELECT orderid, quantity FROM cases")[1:] == [["a", "5"], ["b", None]]


@pytest.mark.parametrize("value", ["499.99", '"many"', "true"])
def test_value_of_the_wrong_type_fails_when_its_column_is_read(lake, value):
    """[C] AT/troubleshooting-athena, HIVE_BAD_DATA."""
    name = f"wrong{uuid.uuid4().hex[:6]}"
    lake.table(name)
    lake.put(f"{name}/x.json", f'{{"orderid": "a", "quantity": {value}}}\n')
    assert lake.reason(f"SELECT quantity FROM {name}").startswith("HIVE_BAD_DATA: Error parsing field value '")
    assert lake.rows(f"SELECT orderid FROM {name}")[1:] == [["a"]]


def test_nested_types_are_read_and_printed(lake):
    """[C] AT/openx-json-serde, structs, arrays and maps; how they are printed AL."""
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
    """[C] AT/partitions, MSCK REPAIR and ALTER TABLE ADD PARTITION."""
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
    """[C] AT/csv-serde."""
    lake.put("csv/x.csv", 'id,name\n1,"Mug, blue"\n2,Pen\n')
    lake.run(f"""CREATE EXTERNAL TABLE IF NOT EXISTS lines (id int, name string) ROW FORMAT SERDE
        'org.apache.hadoop.hive.serde2.OpenCSVSerde' LOCATION 's3://{lake.name}/csv/' TBLPROPERTIES ('skip.header.line.count' = '1')""")
    assert lake.rows("SELECT id, name FROM lines ORDER BY id")[1:] == [["1", "Mug, blue"], ["2", "Pen"]]


def test_many_lines_are_counted_in_seconds(lake):
    lake.table("million")
    lake.put("million/x.json", orders(1000) * 200)
    began = time.monotonic()
    assert lake.rows("SELECT product_name, count(*), sum(price) FROM million GROUP BY 1 ORDER BY 1")[1][:2] == ["Mug", "100000"]
    assert time.monotonic() - began < 10


def test_an_object_written_anew_is_read_anew(lake, name):
    """[C] S3's consistency: a read after a write sees it; only the object that changed is different."""
    lake.table(name)
    lake.put(f"{name}/a.json", orders(2))
    lake.put(f"{name}/b.json", orders(1, 5))
    assert lake.rows(f"SELECT orderid FROM {name} ORDER BY 1")[1:] == [["o0"], ["o1"], ["o5"]]
    size = lake.put(f"{name}/a.json", orders(2).replace("o1", "p1")) + lake.put(f"{name}/c.json", orders(1, 7))
    execution = lake.run(f"SELECT orderid FROM {name} ORDER BY 1")
    assert lake.read(execution["ResultConfiguration"]["OutputLocation"]) == '"orderid"\n"o0"\n"o5"\n"o7"\n"p1"\n'
    assert execution["Statistics"]["DataScannedInBytes"] == size + len(orders(1, 5))
    lake.s3.delete_object(Bucket=lake.name, Key=f"{name}/b.json")
    assert lake.rows(f"SELECT orderid FROM {name} ORDER BY 1")[1:] == [["o0"], ["o7"], ["p1"]]


def test_objects_of_the_same_content_are_several(lake, name):
    """[C] S3: an object is its key, whatever its ETag."""
    lake.table(name)
    for key in ("a", "b", "c"):
        lake.put(f"{name}/{key}.json", orders(2))
    assert lake.rows(f'SELECT count(*), count(DISTINCT "$path") FROM {name}')[1:] == [["6", "3"]]
    assert lake.rows(f"SELECT count(*) FROM {name} WHERE \"$path\" LIKE '%/b.json'")[1:] == [["2"]]


def test_two_partitions_may_read_one_place(lake, name):
    """[L] Trino reads each partition's location by itself."""
    lake.table(name, [("orderid", "string")], keys=[("dt", "string")])
    lake.put(f"shared/{name}/x.json", orders(1))
    lake.run(f"ALTER TABLE {name} ADD " + " ".join(f"PARTITION (dt = '{n}') LOCATION 's3://{lake.name}/shared/{name}/'" for n in (1, 2)))
    assert lake.rows(f"SELECT orderid, dt FROM {name} ORDER BY 2")[1:] == [["o0", "1"], ["o0", "2"]]


def test_an_object_that_changes_after_it_was_listed_fails_the_query(lake, name, tmp_path):
    """[L] other than wrong rows; what AWS says then is [U]."""
    lake.put(f"{name}/x.json", orders(1))
    found, = list_objects(lake.s3, f"s3://{lake.name}/{name}")
    lake.put(f"{name}/x.json", orders(1, 4))
    with pytest.raises(QueryFailure, match="HIVE_CANNOT_OPEN_SPLIT"):
        ObjectCache(tmp_path / "cache").fetch(lake.s3, [found])
    lake.s3.delete_object(Bucket=lake.name, Key=f"{name}/x.json")
    with pytest.raises(lake.s3.exceptions.NoSuchKey):
        ObjectCache(tmp_path / "cache").fetch(lake.s3, [found])


def test_two_tables_read_one_object_each_by_its_own_rules(lake, name):
    """[C] AT/openx-json-serde: a table's columns, types and properties are its own."""
    lake.put(f"{name}/x.json", '{"A": 1, "a.b": "x"}\n')
    for number, (columns, properties) in enumerate((([("a", "int")], {}), ([("a", "string"), ("a_b", "string")], {"dots.in.keys": "true"}),
                                                    ([("a", "int")], {"case.insensitive": "false"}))):
        lake.table(f"{name}_{number}", columns, **properties)
        lake.run(f"ALTER TABLE {name}_{number} SET LOCATION 's3://{lake.name}/{name}/'")
    assert [lake.rows(f"SELECT * FROM {name}_{number}")[1] for number in range(3)] == [["1"], ["1", "x"], [None]]


def test_a_location_is_a_folder_not_a_prefix(lake, name):
    """[C] AT/tables-location-format: a folder, whether or not it is written with its slash."""
    lake.table(name)
    lake.put(f"{name}/x.json", orders(1))
    lake.put(f"{name}more/x.json", orders(5))
    lake.run(f"ALTER TABLE {name} SET LOCATION 's3://{lake.name}/{name}'")
    assert lake.rows(f"SELECT count(*) FROM {name}")[1:] == [["1"]]


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".deflate", zlib.compress)])
def test_compressed_text_is_known_by_its_name(lake, name, suffix, pack):
    """[C] AT/compression-formats: GZIP, BZIP2, DEFLATE, by the file's extension; the compressed size is what counts as scanned."""
    lake.table(name)
    size = lake.put(f"{name}/x.json{suffix}", pack(orders(3).encode()))
    execution = lake.run(f"SELECT orderid, price FROM {name} ORDER BY 1")
    assert lake.read(execution["ResultConfiguration"]["OutputLocation"]).count("\n") == 4
    assert execution["Statistics"]["DataScannedInBytes"] == size


def test_files_that_start_with_an_underscore_or_a_dot_are_ignored(lake, name):
    """[C] AT/troubleshooting-athena."""
    lake.table(name)
    for key in ("_SUCCESS", ".x.json", "_folder/x.json", "sub/.x", "good/x.json"):
        lake.put(f"{name}/{key}", orders(1) if key.startswith("good") else "oops")
    assert lake.rows(f"SELECT count(*) FROM {name}")[1:] == [["1"]]


def test_a_table_without_objects_is_empty(lake, name):
    """[C] AT/troubleshooting-athena: zero records."""
    lake.table(name, keys=[("dt", "int")])
    assert lake.rows(f'SELECT *, "$path" FROM {name}') == [[*(column for column, _ in COLUMNS), "dt", "$path"]]


def test_hidden_columns_describe_the_object(lake, name):
    """[L] Trino reference, Hive connector: "$file_size", "$file_modified_time", "$partition"; "$path" is [C] AT/querying-hidden."""
    lake.table(name, [("orderid", "string")], keys=[("dt", "string")])
    size = lake.put(f"{name}/dt=1/x.json", orders(1))
    lake.run(f"MSCK REPAIR TABLE {name}")
    later = "\"$file_modified_time\" > timestamp '2020-01-01 00:00:00 UTC'"
    row = lake.rows(f'SELECT "$path", "$file_size", "$partition", {later} FROM {name}')[1]
    assert row == [f"s3://{lake.name}/{name}/dt=1/x.json", str(size), "dt=1", "true"]
    assert lake.rows(f"SELECT * FROM {name}")[0] == ["orderid", "dt"]


def test_more_objects_than_a_batch_are_each_read_once(lake, name):
    """[C] AT/querying: a table is all objects under its location, however many."""
    lake.table(name, [("id", "int")])
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: lake.put(f"{name}/{n % 7}/{n}.json", f'{{"id": {n}}}\n'), range(1100)))
    assert lake.rows(f'SELECT count(*), sum(id), count(DISTINCT "$path") FROM {name}')[1:] == [["1100", str(1099 * 550), "1100"]]
    assert lake.rows(f"SELECT id FROM {name} WHERE \"$path\" LIKE '%/1042.json'")[1:] == [["1042"]]


# --- JSON -----------------------------------------------------------------------------------------------------------------------
def test_dots_in_keys_become_underscores_if_asked(lake, name):
    """[C] AT/openx-json-serde, dots.in.keys."""
    lake.put(f"{name}/x.json", '{"a.b": 1, "c": {"d.e": 2}}\n{"a_b": 3, "c": {"d_e": 4}}\n')
    lake.table(name, [("a_b", "int"), ("c", "struct<d_e:int>")], **{"dots.in.keys": "true"})
    assert lake.rows(f"SELECT a_b, c.d_e FROM {name} ORDER BY 1")[1:] == [["1", "2"], ["3", "4"]]
    lake.table(f"{name}_plain", [("a_b", "int")])
    lake.run(f"ALTER TABLE {name}_plain SET LOCATION 's3://{lake.name}/{name}/'")
    assert lake.rows(f"SELECT a_b FROM {name}_plain ORDER BY 1")[1:] == [["3"], [None]]


def test_mapping_names_the_key_that_a_column_is_read_from(lake, name):
    """[C] AT/openx-json-serde, ColumnToJsonKeyMappings."""
    lake.put(f"{name}/x.json", '{"TS": 5, "ts": 6, "other": 1}\n')
    lake.table(name, [("stamp", "int"), ("again", "int"), ("other", "int")],
               **{"mapping.stamp": "TS", "mapping.again": "TS", "case.insensitive": "false"})
    assert lake.rows(f"SELECT * FROM {name}")[1:] == [["5", "5", "1"]]


def test_an_empty_line_is_a_row_of_nulls_in_json(lake, name):
    """[L] OpenX's SerDe, its handling of blank text."""
    lake.table(name, [("a", "int")])
    lake.put(f"{name}/x.json", '{"a": 1}\n\n{"a": 2}\n')
    assert lake.rows(f"SELECT count(*), count(a) FROM {name}")[1:] == [["3", "2"]]


def test_lines_may_end_in_carriage_return_and_line_feed(lake, name):
    """[L] Hadoop's LineRecordReader ends lines at either."""
    lake.table(name, [("a", "string"), ("b", "string")])
    lake.put(f"{name}/x.json", '{"a": "x", "b": "y"}\r\n{"a": "z", "b": "w"}\r\n')
    assert lake.rows(f"SELECT count(*), max(b) FROM {name}")[1:] == [["2", "y"]]
    for suffix, serde, properties in (("l", LAZY, {"field.delim": ","}), ("q", OPENCSV, {})):
        lake.table(f"{name}_{suffix}", [("a", "string"), ("b", "string")], serde=serde, **properties)
        lake.put(f"{name}_{suffix}/x.csv", "x,y\r\nz,w\r\n")
        assert lake.rows(f"SELECT b, length(b) FROM {name}_{suffix} ORDER BY 1")[1:] == [["w", "1"], ["y", "1"]], suffix


def test_hives_json_serde_reads_the_same_lines(lake, name):
    """[C] AT/hive-json-serde."""
    lake.table(name, [("orderid", "string"), ("quantity", "int")], serde=HCATALOG)
    lake.put(f"{name}/x.json", orders(2))
    assert lake.rows(f"SELECT orderid, quantity FROM {name} ORDER BY 1")[1:] == [["o0", "0"], ["o1", "1"]]


def test_a_serde_property_that_is_not_known_fails_by_name(lake, name):
    """[L] nothing is accepted and ignored."""
    lake.table(name, [("a", "int")], **{"explicit.null": "true"})
    lake.put(f"{name}/x.json", "{}\n")
    assert "explicit.null" in lake.reason(f"SELECT * FROM {name}")


@pytest.mark.parametrize(("kind", "text", "printed"), [
    ("string", '"x"', "x"), ("string", "12.50", "12.5"), ("string", "12345678901234567890123", "12345678901234567890123"),
    ("string", "true", "true"), ("string", '{"a":1}', '{"a":1}'), ("string", "null", None),
    ("bigint", "9223372036854775807", "9223372036854775807"), ("double", "5", "5.0"), ("double", "1e3", "1000.0"),
    ("boolean", "false", "false"),
    ("decimal(10,2)", "12.5", "12.50"), ("date", '"2024-02-29"', "2024-02-29"),
    ("timestamp", '"2024-01-02 03:04:05.678"', "2024-01-02 03:04:05.678"), ("string", '"\\u00e9\\n☃"', "é\n☃"),
    ("int", "2147483648", "HIVE_BAD_DATA"), ("int", '"x"', "HIVE_BAD_DATA"), ("array<int>", '{"a": 1}', "HIVE_BAD_DATA")])
def test_a_json_value_is_read_by_its_columns_type(lake, name, kind, text, printed):
    """[C] AT/troubleshooting-athena, HIVE_BAD_DATA; [L] for what fits."""
    lake.table(name, [("v", kind)])
    for key in ("v", "V"):  # which are read in two ways
        lake.put(f"{name}/x.json", f'{{"{key}": {text}}}\n')
        if printed == "HIVE_BAD_DATA":
            assert lake.reason(f"SELECT v FROM {name}").startswith("HIVE_BAD_DATA: Error parsing field value ")
        else:
            assert lake.rows(f"SELECT v FROM {name}")[1:] == [[printed]], key


# --- delimited text and CSV -----------------------------------------------------------------------------------------------------
def test_delimited_text_knows_no_quotes_and_nulls_what_does_not_fit(lake, name):
    """[C] AT/lazy-simple-serde: for values without quotes; a value that is none of its type is NULL [L, Hive]."""
    lake.table(name, [("a", "int"), ("b", "string"), ("c", "int")], serde=LAZY, **{"field.delim": ","})
    lake.put(f"{name}/x.csv", '1,"x,9\n2,\\N,many\n3\n')
    assert lake.rows(f"SELECT * FROM {name} ORDER BY a")[1:] == [["1", '"x', "9"], ["2", None, None], ["3", None, None]]


def test_delimited_text_has_control_a_between_fields_unless_told(lake, name):
    """[L] Hive's default delimiters: \\x01 for fields, \\x02 for items, \\x03 for keys, \\x04 and on for what is deeper."""
    lake.table(name, [("a", "int"), ("b", "array<int>"), ("c", "map<string,int>"), ("d", "array<array<array<int>>>")], serde=LAZY)
    lake.put(f"{name}/x", "1\x012\x023\x01k\x034\x02l\x035\x016\x047\x038\n")
    assert lake.rows(f"SELECT * FROM {name}")[1:] == [["1", "[2, 3]", "{k=4, l=5}", "[[[6, 7], [8]]]"]]


def test_nested_delimited_text_is_split_by_level(lake, name):
    """[C] AT/create-table, COLLECTION ITEMS and MAP KEYS TERMINATED BY."""
    lake.run(f"""CREATE EXTERNAL TABLE {name} (id int, tags array<string>, place struct<x:int,y:int>, stock map<string,int>)
        ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' COLLECTION ITEMS TERMINATED BY '|' MAP KEYS TERMINATED BY ':'
        LOCATION 's3://{lake.name}/{name}/'""")
    lake.put(f"{name}/x", "1,a|b,3|4,k:5|l:6\n2,,7,m\n")
    assert lake.rows(f"SELECT tags, place, stock FROM {name} ORDER BY id")[1:] == [
        ["[a, b]", "{x=3, y=4}", "{k=5, l=6}"], ["[]", "{x=7, y=null}", "{m=null}"]]


def test_escapes_protect_delimiters(lake, name):
    """[C] AT/create-table, ESCAPED BY."""
    lake.run(f"CREATE EXTERNAL TABLE {name} (a string, b string) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' ESCAPED BY '\\\\' "
             f"LOCATION 's3://{lake.name}/{name}/'")
    lake.put(f"{name}/x", "one\\,two,three\\\\\n,b\nonly\n")
    assert lake.rows(f"SELECT a, b FROM {name} ORDER BY b")[1:] == [["", "b"], ["one,two", "three\\"], ["only", None]]


def test_header_lines_are_skipped_in_each_file(lake, name):
    """[C] AT/lazy-simple-serde and AT/csv-serde, skip.header.line.count."""
    for suffix, serde in (("l", "DELIMITED FIELDS TERMINATED BY ','"), ("q", f"SERDE '{OPENCSV}'")):
        lake.run(f"CREATE EXTERNAL TABLE {name}{suffix} (a string, b int) ROW FORMAT {serde} LOCATION 's3://{lake.name}/{name}{suffix}/' "
                 "TBLPROPERTIES ('skip.header.line.count' = '1')")
        for key in ("x", "y"):
            lake.put(f"{name}{suffix}/{key}", f"a,b\n{key},1\n")
        assert lake.rows(f"SELECT a, b FROM {name}{suffix} ORDER BY a")[1:] == [["x", "1"], ["y", "1"]], suffix


def test_quoted_csv_reads_quotes_escapes_and_other_characters(lake, name):
    """[C] AT/csv-serde: separatorChar, quoteChar, escapeChar."""
    lake.table(name, [("a", "string"), ("b", "string")], serde=OPENCSV)
    lake.put(f"{name}/x", '"1,2","say \\"hi\\""\nplain,"dou""bled"\n')
    assert lake.rows(f"SELECT a, b FROM {name} ORDER BY a")[1:] == [["1,2", 'say "hi"'], ["plain", 'dou"bled']]
    lake.table(f"{name}_t", [("a", "string"), ("b", "string")], serde=OPENCSV, separatorChar="\t", quoteChar="`")
    lake.put(f"{name}_t/x", '`a\tb`\t"c"\n')
    assert lake.rows(f"SELECT a, b FROM {name}_t")[1:] == [["a\tb", '"c"']]


def test_quoted_csv_ends_a_row_at_the_line_even_inside_quotes(lake, name):
    """[C] AT/csv-serde: no embedded line breaks."""
    lake.table(name, [("a", "string"), ("b", "string")], serde=OPENCSV)
    lake.put(f"{name}/x", '"one\ntwo",b\n')
    assert lake.rows(f"SELECT count(*) FROM {name}")[1:] == [["2"]]


def test_quoted_csv_takes_days_and_milliseconds_and_no_empty_numbers(lake, name):
    """[C] AT/csv-serde: DATE as days and TIMESTAMP as milliseconds since 1970; an empty field is no number."""
    lake.table(name, [("d", "date"), ("t", "timestamp"), ("n", "int")], serde=OPENCSV)
    lake.put(f"{name}/x", '"19724","1704164645678","7"\n"19724","0",""\n')
    assert lake.rows(f"SELECT d, t FROM {name} ORDER BY t DESC")[1] == ["2024-01-02", "2024-01-02 03:04:05.678"]
    assert lake.reason(f"SELECT n FROM {name}").startswith("HIVE_BAD_DATA")


def test_quoted_csv_takes_no_nested_types(lake, name):
    """[C] AT/csv-serde: arrays and the like are not supported."""
    lake.table(name, [("a", "array<string>")], serde=OPENCSV)
    lake.put(f"{name}/x", "a\n")
    assert "array<string>" in lake.reason(f"SELECT * FROM {name}")


# --- Parquet --------------------------------------------------------------------------------------------------------------------
def test_parquet_columns_go_by_name_and_only_those_read_are_scanned(lake, name):
    """[C] AT/handling-schema-updates-chapter: Parquet is read by name; columnar formats scan less, AT/columnar-storage."""
    lake.run(f"CREATE TABLE {name} WITH (format = 'PARQUET', external_location = 's3://{lake.name}/{name}/') AS "
             "SELECT quantity, orderid, price FROM orders")
    lake.table(f"{name}_by", [("price", "double"), ("missing", "string"), ("orderid", "string")],
               serde="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")
    lake.run(f"ALTER TABLE {name}_by SET LOCATION 's3://{lake.name}/{name}/'")
    assert lake.rows(f"SELECT * FROM {name}_by ORDER BY orderid")[1] == ["0.0", None, "o0"]
    all_, price, both, where = (lake.run(f"SELECT {what}")["Statistics"]["DataScannedInBytes"] for what in (
        f"* FROM {name}", f"price FROM {name}", f"price, orderid FROM {name}", f"price FROM {name} WHERE orderid = 'o1'"))
    assert 0 < price < both < all_ and where == both


def test_parquet_of_another_type_fails_when_read(lake, name):
    """[C] AT/troubleshooting-athena, HIVE_BAD_DATA: type in Parquet is incompatible."""
    lake.run(f"CREATE TABLE {name} WITH (format = 'PARQUET', external_location = 's3://{lake.name}/{name}/') AS SELECT 'x' AS a, 1 AS b")
    lake.run(f"ALTER TABLE {name} REPLACE COLUMNS (a int, b int)")
    assert lake.rows(f"SELECT b FROM {name}")[1:] == [["1"]]
    assert lake.reason(f"SELECT a FROM {name}").startswith(
        "HIVE_BAD_DATA: Field a's type VARCHAR in parquet file is incompatible with type int")


# --- partitions -----------------------------------------------------------------------------------------------------------------
def test_partitions_have_locations_of_their_own(lake, name):
    """[C] AT/alter-table-add-partition, AT/alter-table-set-location, AT/alter-table-rename-partition."""
    lake.table(name, [("orderid", "string")], keys=[("dt", "string"), ("hour", "int")])
    for folder, count in (("a", 1), ("b", 2)):
        lake.put(f"elsewhere/{name}/{folder}/x.json", orders(count))
    lake.run(f"ALTER TABLE {name} ADD IF NOT EXISTS PARTITION (dt = 'd', hour = 1) LOCATION 's3://{lake.name}/elsewhere/{name}/a/'")
    assert lake.rows(f"SELECT dt, hour, count(*) FROM {name} GROUP BY 1, 2")[1:] == [["d", "1", "1"]]
    lake.run(f"ALTER TABLE {name} PARTITION (dt = 'd', hour = 1) SET LOCATION 's3://{lake.name}/elsewhere/{name}/b/'")
    lake.run(f"ALTER TABLE {name} PARTITION (dt = 'd', hour = 1) RENAME TO PARTITION (dt = 'e', hour = 2)")
    assert lake.rows(f"SELECT dt, hour, count(*) FROM {name} GROUP BY 1, 2")[1:] == [["e", "2", "2"]]
    assert "Partition not found dt=d/hour=1" in lake.reason(f"ALTER TABLE {name} PARTITION (dt = 'd', hour = 1) SET LOCATION 's3://x/y/'")
    for change in ("ADD", "PARTITION (dt = 'e', hour = 2) RENAME TO"):
        assert "already exists" in lake.reason(f"ALTER TABLE {name} {change} PARTITION (dt = 'e', hour = 2)")
    assert "Partition not found" in lake.reason(f"ALTER TABLE {name} DROP PARTITION (dt = 'z', hour = 1)")
    assert lake.run(f"ALTER TABLE {name} DROP IF EXISTS PARTITION (dt = 'z', hour = 1)")["Status"]["State"] == "SUCCEEDED"


def test_repair_adds_hive_style_folders_only(lake, name):
    """[C] AT/msck-repair-table."""
    lake.table(name, [("orderid", "string")], keys=[("dt", "string")])
    for folder in ("dt=1", "2", "other=3", "dt=4/deep"):
        lake.put(f"{name}/{folder}/x.json", orders(1))
    assert lake.rows(f"MSCK REPAIR TABLE {name}")[0] == [f"Partitions not in metastore:\t{name}:dt=1\t{name}:dt=4"]
    assert lake.rows(f"SHOW PARTITIONS {name}") == [["dt=1"], ["dt=4"]]


def test_a_partition_whose_type_does_not_fit_fails_the_query(lake, name):
    """[C] AT/troubleshooting-athena, HIVE_PARTITION_SCHEMA_MISMATCH."""
    lake.table(name, [("a", "string")], keys=[("dt", "string")])
    lake.put(f"{name}/dt=1/x.json", '{"a": 1}\n')
    lake.run(f"MSCK REPAIR TABLE {name}")
    lake.run(f"ALTER TABLE {name} REPLACE COLUMNS (a int)")
    assert lake.reason(f"SELECT * FROM {name}").startswith("HIVE_PARTITION_SCHEMA_MISMATCH: ")


def test_the_default_partition_holds_null(lake, name):
    """[L] Hive's __HIVE_DEFAULT_PARTITION__."""
    lake.table(name, [("orderid", "string")], keys=[("n", "int")])
    lake.put(f"{name}/n=__HIVE_DEFAULT_PARTITION__/x.json", orders(1))
    lake.put(f"{name}/n=3/x.json", orders(2))
    lake.run(f"MSCK REPAIR TABLE {name}")
    assert lake.rows(f"SELECT n, count(*) FROM {name} GROUP BY n ORDER BY n")[1:] == [["3", "2"], [None, "1"]]
    assert lake.rows(f"SELECT count(*) FROM {name} WHERE n IS NULL")[1:] == [["1"]]


# --- partition projection -------------------------------------------------------------------------------------------------------
def test_projected_partitions_need_no_registration_and_hide_registered_ones(lake, name):
    """[C] AT/partition-projection: metadata in the catalogue is not used for such a table."""
    projected(lake, name, [("kind", "string"), ("n", "int")], {
        "projection.kind.type": "enum", "projection.kind.values": "a,b", "projection.n.type": " integer ",
        "projection.n.range": "1,5", "projection.n.interval": "2", "projection.n.digits": "2"})
    for kind, n in (("a", "01"), ("a", "02"), ("b", "05"), ("c", "01")):
        lake.put(f"{name}/kind={kind}/n={n}/x.json", f'{{"id": {int(n)}}}\n')
    lake.run(f"ALTER TABLE {name} ADD PARTITION (kind = 'c', n = '01')")
    assert lake.rows(f"SELECT kind, n, id FROM {name} ORDER BY 1, 2")[1:] == [["a", "1", "1"], ["b", "5", "5"]]
    assert lake.run(f"SELECT id FROM {name} WHERE kind = 'b'")["Statistics"]["DataScannedInBytes"] == len('{"id": 5}\n')


def test_white_space_is_part_of_an_enumerated_value(lake, name):
    """[C] AT/partition-projection-supported-types."""
    projected(lake, name, [("kind", "string")], {"projection.kind.type": "enum", "projection.kind.values": "a, b"})
    for kind in ("a", "b"):
        lake.put(f"{name}/kind={kind}/x.json", '{"id": 1}\n')
    assert lake.rows(f"SELECT kind FROM {name}")[1:] == [["a"]]


def test_dates_are_projected_by_format_up_to_now(lake, name):
    """[C] AT/partition-projection-supported-types: NOW, units, and a location of any form through storage.location.template."""
    today = datetime.datetime.now(datetime.UTC).date()
    projected(lake, name, [("day", "string")], {
        "projection.day.type": "date", "projection.day.format": "yyyy/MM/dd", "projection.day.range": "NOW-3DAYS,NOW"},
        f"s3://{lake.name}/{name}/in/${{day}}/")
    for age in (0, 2, 9):
        day = f"{today - datetime.timedelta(age):%Y/%m/%d}"
        lake.put(f"{name}/in/{day}/x.json", f'{{"id": {age}}}\n')
    assert lake.rows(f"SELECT id FROM {name} ORDER BY day")[1:] == [["2"], ["0"]]
    lake.run(f"ALTER TABLE {name} SET TBLPROPERTIES ('projection.day.range' = '{today - datetime.timedelta(1):%Y/%m/%d},NOW')")
    assert lake.rows(f"SELECT id FROM {name}")[1:] == [["0"]]


def test_months_and_hours_are_projected(lake, name):
    """[C] AT/partition-projection-supported-types, projection.columnName.interval.unit."""
    projected(lake, name, [("month", "string")], {"projection.month.type": "date", "projection.month.format": "yyyy-MM",
                                                  "projection.month.range": "2023-11,2024-02"})
    projected(lake, f"{name}h", [("hour", "string")], {
        "projection.hour.type": "date", "projection.hour.format": "yyyy-MM-dd-HH", "projection.hour.range": "2024-01-01-22,2024-01-02-02",
        "projection.hour.interval": "2", "projection.hour.interval.unit": "HOURS"})
    for month in ("2023-10", "2023-11", "2024-02", "2024-03"):
        lake.put(f"{name}/month={month}/x.json", '{"id": 1}\n')
    for hour in ("01-22", "01-23", "02-00", "02-02", "02-04"):
        lake.put(f"{name}h/hour=2024-01-{hour}/x.json", '{"id": 1}\n')
    assert lake.rows(f"SELECT month FROM {name} ORDER BY 1")[1:] == [["2023-11"], ["2024-02"]]
    assert lake.rows(f"SELECT hour FROM {name}h ORDER BY 1")[1:] == [["2024-01-01-22"], ["2024-01-02-00"], ["2024-01-02-02"]]


@pytest.mark.parametrize(("properties", "words"), [
    ({}, "projection.k.type is missing"), ({"type": "enum"}, "projection.k.values is missing"),
    ({"type": "maybe"}, "projection.k.type is maybe"),
    ({"type": "date", "format": "yyyy-MM-dd-HH", "range": "2024-01-01-00,NOW"}, "projection.k.interval.unit is missing"),
    ({"type": "integer", "range": "0,2000000"}, "1,000,000")])
def test_a_projection_that_does_not_make_sense_fails_by_name(lake, name, properties, words):
    """[C] AT/partition-projection-supported-types, required properties; the error's name is [L], a limit of a million is ours."""
    projected(lake, name, [("k", "string")], {f"projection.k.{key}": value for key, value in properties.items()})
    assert words in lake.reason(f"SELECT * FROM {name}")


# --- changing tables ------------------------------------------------------------------------------------------------------------
def test_columns_are_added_and_replaced(lake, name):
    """[C] AT/alter-table-add-columns, AT/alter-table-replace-columns."""
    lake.table(name, [("orderid", "string")], keys=[("dt", "string")])
    lake.put(f"{name}/dt=1/x.json", orders(1, 3))
    lake.run(f"MSCK REPAIR TABLE {name}")
    lake.run(f"ALTER TABLE {name} ADD COLUMNS (quantity int COMMENT 'how many', price double)")
    assert lake.rows(f"SELECT * FROM {name}") == [["orderid", "quantity", "price", "dt"], ["o3", "3", "4.5", "1"]]
    lake.run(f"ALTER TABLE {name} REPLACE COLUMNS (price decimal(5,2))")
    assert lake.rows(f"SELECT * FROM {name}") == [["price", "dt"], ["4.50", "1"]]
    for column in ("price", "dt"):
        assert f"Duplicate column name: {column}" in lake.reason(f"ALTER TABLE {name} ADD COLUMNS ({column} int)")


def test_properties_of_tables_and_databases_are_set_beside_the_others(lake, name):
    """[C] AT/alter-table-set-tblproperties, AT/alter-database-set-dbproperties."""
    lake.table(name)
    for value in ("1", "2"):
        lake.run(f"ALTER TABLE {name} SET TBLPROPERTIES ('k{value}' = '{value}', 'same' = '{value}')")
        lake.run(f"ALTER DATABASE {lake.name} SET DBPROPERTIES ('k{value}' = '{value}', 'same' = '{value}')")
    expected = {"k1": "1", "k2": "2", "same": "2"}
    table = lake.glue.get_table(DatabaseName=lake.name, Name=name)["Table"]
    assert expected.items() <= table["Parameters"].items() and "Owner" not in table
    assert expected.items() <= lake.glue.get_database(Name=lake.name)["Database"]["Parameters"].items()


def test_views_and_tables_are_not_mistaken_for_each_other(lake, name):
    """[L] AL: DROP TABLE of a view, DROP VIEW of a table and ALTER TABLE of a view fail."""
    lake.run(f"CREATE VIEW {name} AS SELECT 1 AS a")
    assert "is a view" in lake.reason(f"DROP TABLE {name}") and "is a view" in lake.reason(f"ALTER TABLE {name} ADD COLUMNS (b int)")
    assert "is not a view" in lake.reason("DROP VIEW orders") and "view" in lake.reason(f"INSERT INTO {name} VALUES (1)")
    lake.run(f"DROP VIEW {name}")
    assert "TABLE_NOT_FOUND" in lake.reason(f"DROP VIEW {name}")
    assert lake.run(f"DROP VIEW IF EXISTS {name}")["Status"]["State"] == "SUCCEEDED"


def test_dropping_a_table_leaves_its_objects(lake, name):
    """[C] AT/drop-table: tables are external, so data stay."""
    lake.table(name)
    lake.put(f"{name}/x.json", orders(1))
    lake.run(f"DROP TABLE {name}")
    assert lake.read(f"s3://{lake.name}/{name}/x.json") == orders(1)
    assert "Table not found" in lake.reason(f"DROP TABLE {name}")


def test_a_database_with_tables_is_dropped_only_with_cascade(lake):
    """[C] AT/drop-database."""
    database = f"{lake.name}_full"
    lake.run(f"CREATE DATABASE IF NOT EXISTS {database} COMMENT 'c' WITH DBPROPERTIES ('a' = 'b')")
    assert "already exists" in lake.reason(f"CREATE DATABASE {database}")
    lake.run(f"CREATE EXTERNAL TABLE {database}.t (a int) LOCATION 's3://{lake.name}/none/'")
    assert "is not empty" in lake.reason(f"DROP DATABASE {database}")
    lake.run(f"DROP DATABASE {database} CASCADE")
    assert "does not exist" in lake.reason(f"DROP DATABASE {database}")


# --- INSERT INTO ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", [f"SERDE '{HCATALOG}'", "SERDE 'org.openx.data.jsonserde.JsonSerDe'",
                                  "DELIMITED FIELDS TERMINATED BY ','", "DELIMITED"])
def test_values_and_queries_are_inserted_by_the_tables_serde(lake, name, form):
    """[C] AT/insert-into: JSON, Parquet and LazySimpleSerDe are written; new files beside the old ones."""
    lake.run(f"CREATE EXTERNAL TABLE {name} (a int, b string, d double, t timestamp, k boolean) ROW FORMAT {form} "
             f"LOCATION 's3://{lake.name}/{name}/'")
    execution = lake.run(f"INSERT INTO {name} VALUES (1, 'x y', 1.5, timestamp '2024-01-02 03:04:05.678', true), "
                         "(2, '', null, null, false)")
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    lake.run(f"INSERT INTO {name} (b, a) SELECT orderid, quantity FROM orders WHERE quantity = 3")
    assert lake.rows(f"SELECT * FROM {name} ORDER BY a")[1:] == [
        ["1", "x y", "1.5", "2024-01-02 03:04:05.678", "true"], ["2", "", None, None, "false"], ["3", "o3", None, None, None]]
    assert lake.read(execution["Statistics"]["DataManifestLocation"]).count(f"s3://{lake.name}/{name}/") == 1


def test_inserting_makes_partitions_at_most_100_at_a_time(lake, name):
    """[C] AT/ctas-insert-into: 100 partitions a statement, HIVE_TOO_MANY_OPEN_PARTITIONS."""
    lake.run(f"CREATE EXTERNAL TABLE {name} (a int) PARTITIONED BY (p int) ROW FORMAT SERDE '{HCATALOG}' "
             f"LOCATION 's3://{lake.name}/{name}/'")
    lake.run(f"INSERT INTO {name} SELECT n, n FROM UNNEST(sequence(1, 100)) AS t(n)")
    assert len(lake.rows(f"SHOW PARTITIONS {name}")) == 100
    assert lake.reason(f"INSERT INTO {name} SELECT n, n FROM UNNEST(sequence(1, 101)) AS t(n)").startswith("HIVE_TOO_MANY_OPEN_PARTITIONS")
    assert lake.rows(f"SELECT count(*), max(p) FROM {name}")[1:] == [["100", "100"]]


def test_inserting_the_wrong_number_of_columns_fails(lake, name):
    """[L] Trino: Insert query has mismatched column types."""
    lake.run(f"CREATE EXTERNAL TABLE {name} (a int, b int) ROW FORMAT SERDE '{HCATALOG}' LOCATION 's3://{lake.name}/{name}/'")
    assert lake.reason(f"INSERT INTO {name} VALUES (1)").startswith("TYPE_MISMATCH: Insert query has mismatched column types")
