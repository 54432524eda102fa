"""What Glue's crawlers find in a file, through the network: built-in and custom classifiers, formats, compressions.

All files are crawled in one round, side by side: one crawler over all folders of `BUILT_IN`, one for each custom classifier.
"""
import bz2
import gzip
import io
import json
import zipfile

import pyarrow
import pyarrow.parquet
import pytest

from .lakes import BUCKET, ORDER, ORDER_COLUMNS, columns, keys, lake, lines, refused  # noqa: F401 - lake is a fixture

LAZY, OPEN = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "org.apache.hadoop.hive.serde2.OpenCSVSerde"
SNAPPY = pyarrow.compress(lines(ORDER), codec="snappy", asbytes=True)
LENGTH = len(SNAPPY).to_bytes(4, "big")
LONG = "n" * 150


def parquet(rows: dict, **types) -> bytes:
    file = io.BytesIO()
    table = pyarrow.table({name: pyarrow.array(values, types.get(name)) for name, values in rows.items()})
    pyarrow.parquet.write_table(table, file, compression="snappy")
    return file.getvalue()


def zipped(*bodies) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, body in enumerate(bodies):
            archive.writestr(str(number), body)
    return file.getvalue()


MAP = pyarrow.map_(pyarrow.string(), pyarrow.int32())
PARQUET = parquet(
    {"Id": [1, 2], "Small": [1, 2], "Text": ["a", "b"], "At": [0, 0], "Day": [0, 0], "Cost": [None, None], "Yes": [True, False],
     "Half": [0.5, 1], "Raw": [b"", b""], "Tags": [["a"], []], "Inner": [{"X": 1}, {"X": 2}], "Map": [[("k", 1)], []]},
    Small=pyarrow.int32(), At=pyarrow.timestamp("ms"), Day=pyarrow.date32(), Cost=pyarrow.decimal128(10, 2),
    Half=pyarrow.float32(), Map=MAP)
PARQUET_COLUMNS = {
    "id": "bigint", "small": "int", "text": "string", "at": "timestamp", "day": "date", "cost": "decimal(10,2)", "yes": "boolean",
    "half": "float", "raw": "binary", "tags": "array<string>", "inner": "struct<x:bigint>", "map": "map<string,int>"}

# Folder -> objects: crawled without custom classifiers
BUILT_IN = {
    "comma": {"a.csv": b"Id,Name,Price\n1,Tea,4.5\n2,Mug,5\n"},
    "pipe": {"a": b"id|x\n1|2\n"}, "tab": {"a": b"id\tx\n1\t2\n"}, "semicolon": {"a": b"id;x\n1;2\n"},
    "control_a": {"a": b"id\x01x\n1\x012\n"},
    "no_header": {"a": b"Tea,1\nMug,2\n"}, "all_strings": {"a": b"id,name\nx,y\n"},
    "long_name": {"a": f"id,{LONG},z\n1,2,3\n".encode()}, "long_last": {"a": f"id,z,{LONG}\n1,2,3\n".encode()},
    "last_empty": {"a": b"id,x,\n1,2,\n"}, "inner_empty": {"a": b"id,,x\n1,2,3\n"},
    "one_column": {"a": b"id\n1\n2\n"}, "one_row": {"a": b"id,x\n"}, "ragged": {"a": b"id,x\n1,2\n1,2,3\n"},
    "quoted": {"a": b'id,note\n1,"a, b"\n2,"c"\n'}, "empty_values": {"a": b"id,x\n1,\n,\n"},
    "thousand": {"a": b"id,x\n" + b"1,1\n" * 1200 + b"1,text\n"}, "types": {"a": b"a,b,c,d\n1,1.5,2026-11-25,true\n-2,1e3,x,false\n"},
    "twice": {"a": b"id,id\n1,2\n"},
    "parquet": {"day=1/a.parquet": PARQUET, "day=2/b.parquet": PARQUET}, "parquet_broken": {"a.parquet": PARQUET[:-4]},
    "wide_footer": {"a.parquet": parquet({f"column_with_a_long_name_{n}": [n] for n in range(2000)})},
    "bz": {"a.bz2": bz2.compress(lines(ORDER))}, "zip": {"a.zip": zipped(lines(ORDER))},
    "zip_of_two": {"a.zip": zipped(lines(ORDER), lines(ORDER))},
    "snappy_java": {"a.snappy": b"\x82SNAPPY\x00" + b"\x00\x00\x00\x01" * 2 + LENGTH + SNAPPY},
    "snappy_hadoop": {"a.snappy": (len(lines(ORDER)).to_bytes(4, "big") + LENGTH + SNAPPY) * 2},
    "snappy_framed": {"a.sz": b"\xff\x06\x00\x00sNaPpY" + b"\x00" + (len(SNAPPY) + 4).to_bytes(3, "little") + bytes(4) + SNAPPY},
    "zstd": {"a.zst": pyarrow.compress(lines(ORDER), codec="zstd", asbytes=True)},
    "lz_four": {"a.lz4": pyarrow.compress(lines(ORDER), codec="lz4", asbytes=True)},
    "csv_gzip": {"a.csv.gz": gzip.compress(b"id,x\n1,2\n")},
    "malformed": {"a.json": lines(ORDER, ORDER) + b"{oops\n" + lines({"late": 1})},
    "malformed_first": {"a.json": b"{oops\n" + lines(ORDER)},
    "long_value": {"a.json": json.dumps([{"id": n, "text": "x" * 100} for n in range(12_000)]).encode()},
    "megabyte": {"a.json": lines(ORDER) * 20_000 + lines({"late": 1})},
    "mixed_formats": {"a.json": ORDER, "b.csv": b"id,x\n1,2\n"}, "mixed_delimiters": {"a.csv": b"id,x\n1,2\n", "b.csv": b"id;x\n1;2\n"},
    "xml": {"a.xml": b"<?xml version='1.0'?>\n<a/>\n"}, "no_rights": {"a.avro": b"Obj\x01" + bytes(50)},
}
UNKNOWN = {"one_column": "nothing that a classifier recognises", "one_row": "nothing", "ragged": "nothing",
           "parquet_broken": "begins as Parquet", "zip_of_two": "nothing", "zstd": "Zstandard", "lz_four": "LZ4",
           "malformed_first": "nothing", "xml": "XML", "no_rights": "Avro"}

LOG_LINES = b"2026-11-25 07:00:01,123 WARN [web-1] took 17 ms\n2026-11-25 07:00:02 info [web-2] took 3 ms\n"
GROK = {"Classification": "shop-log", "CustomPatterns": "THREAD web-\\d+\n",
        "GrokPattern": "%{TIMESTAMP_ISO8601:At} %{LOGLEVEL:level} \\[%{THREAD:thread}\\] took %{INT:millis:int} %{WORD:UNWANTED}"}
APACHE = b'127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326\n'
# Crawler -> (kind and members of its classifier, the one object that it crawls)
CUSTOM = {
    "cf-grok": ("GrokClassifier", GROK, LOG_LINES),
    "cf-grok-most": ("GrokClassifier", GROK, LOG_LINES + b"id,x\n"),
    "cf-grok-apache": ("GrokClassifier", {"Classification": "web", "GrokPattern": "%{COMMONAPACHELOG}"}, APACHE * 3),
    "cf-grok-types": ("GrokClassifier", {"Classification": "t", "GrokPattern": " ".join(
        f"%{{NOTSPACE:{name}:{name}}}" for name in ("byte", "boolean", "double", "short", "int", "long", "float"))}, b"1 2 3 4 5 6 7\n"),
    "cf-csv-delimiter": ("CsvClassifier", {"Delimiter": "^"}, b"id^x\n1^2\n"),
    "cf-csv-absent": ("CsvClassifier", {"ContainsHeader": "ABSENT"}, b"id,x\n1,2\n"),
    "cf-csv-present": ("CsvClassifier", {"ContainsHeader": "PRESENT"}, b"id,x\na,b\n"),
    "cf-csv-names": ("CsvClassifier", {"ContainsHeader": "ABSENT", "Header": ["Key", "value"]}, b"1,b\n2,d\n"),
    "cf-csv-renamed": ("CsvClassifier", {"ContainsHeader": "PRESENT", "Header": ["key", "value"]}, b"id,x\n1,d\n"),
    "cf-csv-few": ("CsvClassifier", {"Header": ["key"], "Delimiter": ";"}, b"id,x\n1,2\n"),
    "cf-csv-single": ("CsvClassifier", {"AllowSingleColumn": True}, b"id\n1\n2\n"),
    "cf-csv-spaces": ("CsvClassifier", {"Delimiter": ","}, b"id,x\n1, 2\n"),
    "cf-csv-trimmed": ("CsvClassifier", {"DisableValueTrimming": False}, b"id,x\n1, 2\n"),
    "cf-csv-quote": ("CsvClassifier", {"QuoteSymbol": "'"}, b"id,x\n1,'a,b'\n"),
    "cf-csv-unquoted": ("CsvClassifier", {"QuoteSymbol": "'"}, b"id,x\n1,2\n"),
    "cf-csv-open": ("CsvClassifier", {"Serde": "OpenCSVSerDe"}, b"id,x\n1,2\n"),
    "cf-csv-lazy": ("CsvClassifier", {"QuoteSymbol": "'", "Serde": "LazySimpleSerDe"}, b"id,x\n1,'a,b'\n"),
    "cf-csv-of-json": ("CsvClassifier", {"Delimiter": ",", "QuoteSymbol": "'"}, b'{"a": 1, "b": 2}\n' * 2),
}


@pytest.fixture(scope="module")
def crawls(lake):
    """The last crawls of the round by crawler."""
    for folder, objects in BUILT_IN.items():
        lake.put({f"formats/{folder}/{key}": body for key, body in objects.items()})
    lake.crawler("cf-built-in", S3Targets=[{"Path": f"s3://{BUCKET}/formats/{folder}/"} for folder in BUILT_IN])
    for name, (kind, members, body) in CUSTOM.items():
        lake.put({f"{name}/a": body})
        lake.classifier(name, **{kind: members})
        lake.crawler(name, Classifiers=[name])
    names = ["cf-built-in", *CUSTOM]
    return dict(zip(names, lake.crawl(*names)))


@pytest.fixture(scope="module")
def built_in(lake, crawls):
    """The tables of the crawler without custom classifiers, by name."""
    assert {crawl["Status"] for crawl in crawls.values()} == {"SUCCEEDED"}
    return lake.tables("cf-built-in")


@pytest.fixture(scope="module")
def custom(lake, crawls):
    """The one table of each crawler whose custom classifier makes one."""
    return {name: lake.table(name) for name in CUSTOM if name != "cf-grok-most"}


def serde(table) -> tuple[str, dict]:
    info = table["StorageDescriptor"]["SerdeInfo"]
    return info["SerializationLibrary"], info["Parameters"]


def test_csv_table_is_written_as_a_crawler_of_aws_writes_it(crawls, built_in):
    """[C] DDL: TBLPROPERTIES of crawled CSV tables; GL/add-classifier, built-in CSV classifier."""
    table, size = built_in["comma"], len(BUILT_IN["comma"]["a.csv"])
    parameters = {
        "CRAWL_RUN_ID": crawls["cf-built-in"]["MessagePrefix"], "CrawlerSchemaDeserializerVersion": "1.0",
        "CrawlerSchemaSerializerVersion": "1.0", "UPDATED_BY_CRAWLER": "cf-built-in", "areColumnsQuoted": "false",
        "averageRecordSize": str(size // 2), "classification": "csv", "columnsOrdered": "true", "compressionType": "none",
        "delimiter": ",", "objectCount": "1", "recordCount": "2", "sizeKey": str(size), "skip.header.line.count": "1",
        "typeOfData": "file"}
    assert table["Parameters"] == table["StorageDescriptor"]["Parameters"] == parameters
    assert columns(table) == {"id": "bigint", "name": "string", "price": "double"}
    assert serde(table) == (LAZY, {"field.delim": ","})
    assert table["StorageDescriptor"]["InputFormat"] == "org.apache.hadoop.mapred.TextInputFormat"
    assert table["StorageDescriptor"]["OutputFormat"] == "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"


@pytest.mark.parametrize(("folder", "delimiter"), [("pipe", "|"), ("tab", "\t"), ("semicolon", ";"), ("control_a", "\x01")])
def test_built_in_csv_classifier_finds_the_delimiter(built_in, folder, delimiter):
    """[C] GL/add-classifier: comma, pipe, tab, semicolon and Ctrl-A."""
    assert columns(built_in[folder]) == {"id": "bigint", "x": "bigint"}
    assert built_in[folder]["Parameters"]["delimiter"] == delimiter and serde(built_in[folder]) == (LAZY, {"field.delim": delimiter})


@pytest.mark.parametrize(("folder", "found"), [
    ("no_header", {"col0": "string", "col1": "bigint"}), ("all_strings", {"col0": "string", "col1": "string"}),
    ("long_name", {"col0": "string", "col1": "string", "col2": "string"}),
    ("inner_empty", {"col0": "string", "col1": "bigint", "col2": "string"})])
def test_first_row_that_is_no_header_is_data_and_columns_are_numbered(built_in, folder, found):
    """[C] GL/add-classifier: a header parses as strings, below 150 characters, and differs in type from a later row. DDL: col0."""
    assert columns(built_in[folder]) == found and "skip.header.line.count" not in built_in[folder]["Parameters"]


def test_last_name_of_a_csv_header_may_be_long_or_empty(built_in):
    """[C] GL/add-classifier: except for the last column."""
    assert columns(built_in["long_last"]) == {"id": "bigint", "z": "bigint", LONG: "bigint"}
    assert columns(built_in["last_empty"]) == {"id": "bigint", "x": "bigint", "col2": "string"}


def test_csv_types_are_bigint_double_and_string(built_in):
    """[C] DDL: whole numbers bigint, decimals double, dates string; [U] booleans, here string."""
    assert columns(built_in["types"]) == {"a": "bigint", "b": "double", "c": "string", "d": "string"}
    assert columns(built_in["empty_values"]) == {"id": "bigint", "x": "string"}


def test_repeated_name_of_a_csv_header_gets_its_number(built_in):
    """[U] on AWS: no column is lost."""
    assert columns(built_in["twice"]) == {"id": "bigint", "id1": "bigint"}


def test_built_in_csv_classifier_writes_lazysimpleserde_even_for_quoted_values(built_in):
    """[C] GL/add-classifier; DDL: areColumnsQuoted."""
    assert serde(built_in["quoted"]) == (LAZY, {"field.delim": ","}) and built_in["quoted"]["Parameters"]["areColumnsQuoted"] == "true"
    assert columns(built_in["quoted"]) == {"id": "bigint", "note": "string"}


def test_first_thousand_records_of_csv_decide_its_types(built_in):
    """[C] AWS KB glue-crawler-multiple-tables: the first 1,000 records or 1 MB."""
    assert columns(built_in["thousand"]) == {"id": "bigint", "x": "bigint"}


@pytest.mark.parametrize("folder", UNKNOWN)
def test_file_that_is_not_recognised_makes_no_table_and_says_why(lake, crawls, built_in, folder):
    """[C] GL/add-classifier: classification UNKNOWN; CSV needs two columns and two rows; Zstandard is in no list. Avro: ours."""
    assert folder not in built_in
    events = lake.logs.get_log_events(logGroupName="/aws-glue/crawlers", logStreamName="cf-built-in", startFromHead=True)["events"]
    (line,) = (event["message"] for event in events if f"/formats/{folder}/" in event["message"] and "UNKNOWN" in event["message"])
    assert UNKNOWN[folder] in line


def test_parquet_table_is_written_from_the_footers(lake, crawls, built_in):
    """[C] DDL: crawled Parquet tables, compressionType none; GL/add-classifier: schema at the end of the file. [L] types."""
    table, storage, size = built_in["parquet"], built_in["parquet"]["StorageDescriptor"], 2 * len(PARQUET)
    assert columns(table) == PARQUET_COLUMNS and list(columns(table)) == list(PARQUET_COLUMNS)
    assert serde(table) == ("org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe", {"serialization.format": "1"})
    assert storage["InputFormat"] == "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    assert storage["OutputFormat"] == "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
    assert table["Parameters"] == {
        "CRAWL_RUN_ID": crawls["cf-built-in"]["MessagePrefix"], "CrawlerSchemaDeserializerVersion": "1.0",
        "CrawlerSchemaSerializerVersion": "1.0", "UPDATED_BY_CRAWLER": "cf-built-in", "averageRecordSize": str(size // 4),
        "classification": "parquet", "compressionType": "none", "objectCount": "2", "partition_filtering.enabled": "true",
        "recordCount": "4", "sizeKey": str(size), "typeOfData": "file"}
    assert keys(table) == ["day"] and set(lake.partitions("cf-built-in", "parquet")) == {"1", "2"}


def test_parquet_footer_of_any_length_is_read(built_in):
    """[C] GL/add-classifier: the schema at the end of the file, here longer than the last 64 KiB."""
    assert len(columns(built_in["wide_footer"])) == 2000


@pytest.mark.parametrize(("folder", "kind"), [("bz", "bzip2"), ("zip", "zip"), ("snappy_java", "snappy"),
                                              ("snappy_hadoop", "snappy"), ("snappy_framed", "snappy")])
def test_compressed_json_is_read(built_in, folder, kind):
    """[C] GL/add-classifier: ZIP of one file, BZIP, Snappy standard and Hadoop's; [L] the names of compressionType."""
    table, (body,) = built_in[folder], BUILT_IN[folder].values()
    assert columns(table) == ORDER_COLUMNS and table["StorageDescriptor"]["Compressed"] is True
    found = {key: table["Parameters"][key] for key in ("compressionType", "sizeKey", "recordCount")}
    assert found == {"compressionType": kind, "sizeKey": str(len(body)), "recordCount": "2" if folder == "snappy_hadoop" else "1"}


def test_compressed_csv_is_read(built_in):
    """[C] GL/add-classifier."""
    assert columns(built_in["csv_gzip"]) == {"id": "bigint", "x": "bigint"}
    assert built_in["csv_gzip"]["Parameters"]["compressionType"] == "gzip"


def test_beginning_of_a_json_file_decides_and_what_follows_a_malformed_line_is_not_seen(built_in):
    """[C] GL/add-classifier: reads the beginning of the file."""
    assert columns(built_in["malformed"]) == ORDER_COLUMNS


def test_only_the_first_megabyte_of_a_file_is_read_and_its_records_are_estimated(built_in):
    """[C] AWS KB long-running-glue-crawler: the first 1 MB of each file; DDL: recordCount is an estimate."""
    assert columns(built_in["megabyte"]) == ORDER_COLUMNS
    assert abs(int(built_in["megabyte"]["Parameters"]["recordCount"]) - 20_001) < 200


def test_json_value_longer_than_a_megabyte_is_read_up_to_ten(built_in):
    """[C] AWS KB glue-crawler-multiple-tables."""
    assert columns(built_in["long_value"]) == {"array": "array<struct<id:int,text:string>>"}


def test_files_of_another_format_or_delimiter_are_no_one_table(built_in):
    """[C] GL/crawler-grouping-policy: the same format; AWS KB glue-crawler-multiple-tables."""
    assert "mixed_formats" not in built_in and "mixed_delimiters" not in built_in
    clashing = [table for name, table in built_in.items() if name.startswith(("a_csv", "a_json", "b_csv"))]
    locations = {table["StorageDescriptor"]["Location"].partition("/formats/")[2] for table in clashing}
    assert locations == {f"mixed_{name}" for name in ("formats/a.json", "formats/b.csv", "delimiters/a.csv", "delimiters/b.csv")}


def test_grok_classifier_makes_a_table_of_its_fields(crawls, custom):
    """[C] GL/custom-classifier: fields are columns, string unless typed, classification as given, GrokSerDe; AT/grok-serde."""
    table = custom["cf-grok"]
    assert columns(table) == {"at": "string", "level": "string", "thread": "string", "millis": "int"}
    assert serde(table) == ("com.amazonaws.glue.serde.GrokSerDe", {
        "input.format": GROK["GrokPattern"], "input.grokCustomPatterns": GROK["CustomPatterns"]})
    assert {"classification": "shop-log", "recordCount": "2", "typeOfData": "file"}.items() <= table["Parameters"].items()


def test_grok_fields_have_the_types_of_the_guide(custom):
    """[C] GL/custom-classifier: byte, boolean, double, short, int, long, float."""
    assert columns(custom["cf-grok-types"]) == {"byte": "tinyint", "boolean": "boolean", "double": "double", "short": "smallint",
                                                "int": "int", "long": "bigint", "float": "float"}


def test_grok_pattern_made_of_patterns_brings_their_fields(custom):
    """[C] GL/custom-classifier: COMMONAPACHELOG and its fields."""
    assert list(columns(custom["cf-grok-apache"])) == [
        "clientip", "ident", "auth", "timestamp", "verb", "request", "httpversion", "rawrequest", "response", "bytes"]


def test_grok_classifier_that_misses_a_line_leaves_the_file_to_the_next(lake, crawls):
    """[U] on AWS how many lines must match: all."""
    assert lake.tables("cf-grok-most") == {} and "UNKNOWN" in crawls["cf-grok-most"]["ErrorMessage"]


@pytest.mark.parametrize(("name", "found"), [
    ("cf-csv-delimiter", {"id": "bigint", "x": "bigint"}), ("cf-csv-absent", {"col0": "string", "col1": "string"}),
    ("cf-csv-present", {"id": "string", "x": "string"}), ("cf-csv-names", {"key": "bigint", "value": "string"}),
    ("cf-csv-renamed", {"key": "bigint", "value": "string"}), ("cf-csv-few", {"id": "bigint", "x": "bigint"}),
    ("cf-csv-single", {"id": "bigint"}), ("cf-csv-spaces", {"id": "bigint", "x": "string"}),
    ("cf-csv-trimmed", {"id": "bigint", "x": "bigint"}), ("cf-csv-of-json", {"col0": "string", "col1": "string"})])
def test_csv_classifier_decides_delimiter_header_and_trimming(custom, name, found):
    """[C] BC:glue CsvClassifier; AWS::Glue::Classifier CsvClassifier: ContainsHeader. A custom classifier comes before JSON."""
    assert columns(custom[name]) == found and custom[name]["Parameters"]["classification"] == "csv"


def test_header_of_a_csv_classifier_is_skipped_only_where_the_file_has_one(custom):
    """[C] AWS::Glue::Classifier CsvClassifier: ABSENT means that there are no headings."""
    skipped = {name for name in CUSTOM if "skip.header.line.count" in (custom.get(name) or {}).get("Parameters", {})}
    assert skipped == {name for name in CUSTOM if name.startswith("cf-csv-")} - {"cf-csv-absent", "cf-csv-names", "cf-csv-of-json"}


@pytest.mark.parametrize(("name", "expected", "found"), [
    ("cf-csv-quote", (OPEN, {"separatorChar": ",", "quoteChar": "'"}), {"id": "string", "x": "string"}),
    ("cf-csv-unquoted", (LAZY, {"field.delim": ","}), {"id": "bigint", "x": "bigint"}),
    ("cf-csv-open", (OPEN, {"separatorChar": ",", "quoteChar": '"'}), {"id": "string", "x": "string"}),
    ("cf-csv-lazy", (LAZY, {"field.delim": ","}), {"id": "bigint", "x": "string"})])
def test_csv_classifier_decides_the_serde(custom, name, expected, found):
    """[C] BC:glue CsvSerdeOption; DDL: OpenCSVSerde with quoteChar and separatorChar, all string. [L] None: by what is found."""
    assert serde(custom[name]) == expected and columns(custom[name]) == found
    assert custom[name]["Parameters"]["areColumnsQuoted"] == str(name in ("cf-csv-quote", "cf-csv-lazy")).lower()


@pytest.mark.parametrize(("members", "named"), [
    ({"GrokPattern": "%{NO_SUCH:x}"}, "NO_SUCH"), ({"GrokPattern": "%{A:x}", "CustomPatterns": "A %{B}\nB %{A}"}, "made of itself"),
    ({"GrokPattern": "%{INT:x:decimal}"}, "decimal"), ({"GrokPattern": "(%{INT:x}"}, "regular expression"),
    ({"GrokPattern": "[[:alpha:]]%{INT:x}"}, "[[:"), ({"GrokPattern": "%{INT:x:int:y}"}, "%{")])
def test_grok_pattern_that_cannot_be_read_is_refused_when_the_classifier_is_made(lake, members, named):
    """[C] GL/custom-classifier: built-in and custom patterns, data types."""
    refused(lake.glue.create_classifier, "InvalidInputException", named,
            GrokClassifier={"Name": "cf-bad", "Classification": "x", **members})


def test_quote_symbol_must_be_different_from_the_delimiter(lake):
    """[C] BC:glue CsvClassifier, QuoteSymbol."""
    refused(lake.glue.create_classifier, "InvalidInputException", "QuoteSymbol",
            CsvClassifier={"Name": "cf-bad", "Delimiter": "'", "QuoteSymbol": "'"})


def test_exactly_one_kind_of_classifier_is_made(lake):
    """[C] docs.aws.amazon.com/glue/latest/webapi/API_CreateClassifier.html: one of four, whichever is present."""
    refused(lake.glue.create_classifier, "InvalidInputException", "CsvClassifier")
    refused(lake.glue.create_classifier, "InvalidInputException", "CsvClassifier", CsvClassifier={"Name": "cf-bad"},
            JsonClassifier={"Name": "cf-bad", "JsonPath": "$"})
    refused(lake.glue.get_classifier, "EntityNotFoundException", Name="cf-bad")
