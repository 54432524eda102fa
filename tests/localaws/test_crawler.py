"""Glue crawlers and classifiers through the network. Facts: AWS_FACTS.md part 5.

A crawl takes 3 s here (60 AWS seconds), so the cases of a round are crawled side by side and looked at one by one.
"""
import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from helpers.localaws.clock import Clock
from helpers.localaws.crawler import Crawlers
from helpers.localaws.service import Caller, Context

from .lakes import BUCKET, ORDER, ORDER_COLUMNS, TRUST, columns, keys, lake, lines, refused  # noqa: F401 - lake is a fixture

COMBINE = {"Version": 1.0, "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"}}
INHERIT = {"configuration": {"Version": 1.0, "CrawlerOutput": {"Partitions": {"AddOrUpdateBehavior": "InheritFromTable"}}}}


# Round one. Folder -> (objects in it, exclude patterns); one crawler without settings over all of them.
PLAIN = {
    "hive": ({"year=2026/month=11/a": lines(ORDER, ORDER), "year=2026/month=12/b": ORDER}, []),
    "firehose": ({"2026/11/22/18/orders-1": ORDER, "2026/11/22/19/orders-1": ORDER}, []),
    "flat": ({"a.json": ORDER}, []),
    "nested": ({"a.json": {"columns": {"Id": 1, "Tags": ["a"]}}}, []),
    "array": ({"a.json": [ORDER, ORDER]}, []),
    "gzip": ({"a.gz": gzip.compress(lines(ORDER, ORDER))}, []),
    "split": ({"year=2017/a": {"A": 1, "B": 2}, "year=2018/b": {"C": 3, "D": 4}}, []),
    "own": ({"d=1/a": {"price": 499}, "d=2/a": {"price": 499.99}}, []),
    "exclude": ({"a.json": ORDER, "errors/x/b": {"other": 1}, "c.csv": {"d": 1}}, ["errors/**", "*.csv"]),
    "ignored": ({"a.json": ORDER, "_b.json": {"x": 1}, ".c": {"x": 1}, "d.json": b"", "folder/": b""}, []),
    "unknown": ({"a.json": ORDER, "b.txt": b"once upon a time\n"}, []),
    "file/a.json": ({"": ORDER}, []),
    "Größe & Maß": ({"a": ORDER}, []),
    "x" * 300: ({"a": ORDER}, []),
    "nan": ({"a.json": {"Id": None, "id": 3, "ID": 2**40}}, []),
    "repeated": ({"k=1/k=2=3/a": ORDER}, []),
    "eu/data": ({"a": ORDER}, []),
    "us/data": ({"a": ORDER}, []),
}
# Crawler -> (the one object it crawls, JSON paths of its classifiers, the columns it finds)
PATHS = {
    "cr-inner": ({"columns": ORDER}, ["$.columns"], ORDER_COLUMNS),
    "cr-no-inner": (ORDER, ["$.columns"], ORDER_COLUMNS),
    "cr-list": (ORDER, ["$.orderid,$.product_name,$.quantity"], ORDER_COLUMNS),
    "cr-scalar": ({"orderid": 7}, ["$.orderid"], {"record": "string"}),
    "cr-whole": (ORDER, ["$"], ORDER_COLUMNS),
    "cr-opened": ([ORDER, ORDER], ["$[*]"], ORDER_COLUMNS),
    "cr-in-turn": ({"columns": {"x": 1}}, ["$.orderid,$.quantity", "$.columns", "$"], {"x": "int"}),
}
# Crawler -> (objects, settings)
CONFIGURED = {
    "cr-level": ({"a/d=1/a": {"x": 1}, "a/d=2/a": {"y": 1}, "b/d=1/a": {"x": 1}, "c": {"x": 1}},
                 {"configuration": {"Version": 1.0, "Grouping": {"TableLevelConfiguration": 3}}}),
    "cr-alike": ({"a/d=1/a": {"x": 1}, "b/d=1/a": {"x": 1}}, {}),
    "cr-two": ({"a/a": {"x": 1}, "b/a": {"y": 1}},
               {"configuration": {"Version": 1.0, "CrawlerOutput": {"Tables": {"TableThreshold": 2}}}}),
    "cr-too-many": ({"a/a": {"x": 1}, "b/a": {"y": 1}},
                    {"configuration": {"Version": 1.0, "CrawlerOutput": {"Tables": {"TableThreshold": 1}}}}),
    "cr-sample": ({f"d={day}/{n}": {"x": 1} | ({"late": 1} if n > 2 else {}) for day in (1, 2) for n in range(5)},
                  {"S3Targets": [{"Path": f"s3://{BUCKET}/cr-sample/", "SampleSize": 2}]}),
    "cr-combine": ({"year=2017/a": {"A": 1, "B": 2}, "year=2018/b": {"C": 3, "D": 4}}, {"configuration": COMBINE}),
    "cr-inherit": ({"d=1/a": {"price": 499}, "d=2/a": {"price": 499.99}}, {"TablePrefix": "Raw_", **INHERIT}),
}


@pytest.fixture(scope="module")
def crawls(lake):
    """The last crawls of round one, by crawler."""
    for folder, (objects, _) in PLAIN.items():
        lake.put({f"plain/{folder}/{key}" if key else f"plain/{folder}": body for key, body in objects.items()})
    lake.crawler("cr-plain", S3Targets=[{"Path": f"s3://{BUCKET}/plain/{folder}", "Exclusions": exclude}
                                        for folder, (_, exclude) in PLAIN.items()])
    for name, (row, paths, _) in PATHS.items():
        for path in paths:
            lake.classifier(path)
        lake.put({f"{name}/a.json": row})
        lake.crawler(name, Classifiers=paths)
    for name, (objects, settings) in CONFIGURED.items():
        lake.put({f"{name}/{key}": body for key, body in objects.items()})
        lake.crawler(name, **settings)
    lake.s3.create_bucket(Bucket="crawler.root")
    lake.s3.put_object(Bucket="crawler.root", Key="d=1/a", Body=lines(ORDER))
    lake.crawler("cr-root", S3Targets=[{"Path": "s3://crawler.root"}])
    names = ["cr-plain", "cr-root", *PATHS, *CONFIGURED]
    crawled = dict(zip(names, lake.crawl(*names)))
    lake.s3.delete_object(Bucket="crawler.root", Key="d=1/a")
    lake.s3.delete_bucket(Bucket="crawler.root")
    return crawled


@pytest.fixture(scope="module")
def plain(lake, crawls):
    """The tables of crawler cr-plain by name."""
    return lake.tables("cr-plain")


def test_every_crawl_of_the_round_succeeded(crawls):
    """[C] BC:glue LastCrawl.Status."""
    assert {name for name, crawl in crawls.items() if crawl["Status"] != "SUCCEEDED"} == {"cr-too-many"}


def test_hive_folders_become_string_partition_keys(lake, plain):
    """[C] GL/crawler-s3-folder-table-partition; DDL: one partition object per leaf folder."""
    assert plain["hive"]["PartitionKeys"] == [{"Name": "year", "Type": "string"}, {"Name": "month", "Type": "string"}]
    partitions = lake.partitions("cr-plain", "hive")
    assert {values: p["StorageDescriptor"]["Location"] for values, p in partitions.items()} == {
        f"2026/{month}": f"s3://{BUCKET}/plain/hive/year=2026/month={month}/" for month in (11, 12)}


def test_table_is_written_as_a_crawler_of_aws_writes_it(crawls, plain):
    """[C] DDL: get-table dumps of crawled JSON tables."""
    table, size = plain["hive"], len(lines(ORDER)) * 3
    parameters = {
        "CRAWL_RUN_ID": crawls["cr-plain"]["MessagePrefix"], "CrawlerSchemaDeserializerVersion": "1.0",
        "CrawlerSchemaSerializerVersion": "1.0", "UPDATED_BY_CRAWLER": "cr-plain", "averageRecordSize": str(size // 3),
        "classification": "json", "compressionType": "none", "objectCount": "2", "partition_filtering.enabled": "true",
        "recordCount": "3", "sizeKey": str(size), "typeOfData": "file"}
    assert (table["Owner"], table["TableType"], table["Parameters"]) == ("owner", "EXTERNAL_TABLE", parameters)
    assert columns(table) == ORDER_COLUMNS and list(columns(table)) == list(ORDER_COLUMNS)
    assert table["StorageDescriptor"] | {"Columns": []} == {
        "Columns": [], "Location": f"s3://{BUCKET}/plain/hive/", "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat", "Compressed": False, "NumberOfBuckets": -1,
        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
                      "Parameters": {"paths": "orderId,price,product_name,quantity"}},
        "BucketColumns": [], "SortColumns": [], "StoredAsSubDirectories": False, "Parameters": parameters}


def test_folders_of_firehose_become_four_numbered_partition_keys(lake, plain):
    """[C] GL, DDL: partition_0 to partition_3."""
    assert keys(plain["firehose"]) == ["partition_0", "partition_1", "partition_2", "partition_3"]
    assert set(lake.partitions("cr-plain", "firehose")) == {"2026/11/22/18", "2026/11/22/19"}


def test_table_without_folders_has_no_partitions(lake, plain):
    """[C] DDL: partition_filtering.enabled only when partitioned."""
    assert keys(plain["flat"]) == [] and "partition_filtering.enabled" not in plain["flat"]["Parameters"]
    assert lake.partitions("cr-plain", "flat") == {}


@pytest.mark.parametrize("name", PATHS)
def test_path_of_a_classifier_selects_the_row(lake, crawls, name):
    """[C] GL/console-classifiers, GL/custom-classifier: $[*], $.id; the comma list of public projects. [L] the others: the row rule."""
    assert columns(lake.table(name)) == PATHS[name][2]


def test_without_a_classifier_an_object_is_a_struct_and_an_array_one_column(plain):
    """[C] DDL: one column `array`, paths='array'; GL/custom-classifier."""
    assert columns(plain["nested"]) == {"columns": "struct<id:int,tags:array<string>>"}
    assert columns(plain["array"]) == {"array": "array<struct<orderid:string,product_name:string,quantity:int,price:double>>"}
    assert plain["array"]["StorageDescriptor"]["SerdeInfo"]["Parameters"] == {"paths": "array"}


def test_gzip_objects_are_read(lake, plain):
    """[C] DDL: sizeKey is the compressed size, compressionType gzip."""
    size = lake.s3.head_object(Bucket=BUCKET, Key="plain/gzip/a.gz")["ContentLength"]
    assert columns(plain["gzip"]) == ORDER_COLUMNS
    expected = {"compressionType": "gzip", "sizeKey": str(size), "recordCount": "2"}
    assert expected.items() <= plain["gzip"]["Parameters"].items()


def test_dissimilar_folders_are_split_into_tables(plain):
    """[C] GL/crawler-grouping-policy: the guide's own year_2017 and year_2018."""
    assert columns(plain["year_2017"]) == {"a": "int", "b": "int"} and columns(plain["year_2018"]) == {"c": "int", "d": "int"}
    assert keys(plain["year_2017"]) == [] and "split" not in plain


def test_combine_compatible_schemas_makes_one_table(lake, crawls):
    """[C] GL/crawler-grouping-policy: the same example with CombineCompatibleSchemas."""
    table = lake.table("cr-combine")
    assert keys(table) == ["year"] and columns(table) == dict.fromkeys("abcd", "int")


def test_partition_has_its_own_schema_unless_it_inherits_the_tables(lake, crawls):
    """[C] GL/crawler-configuration: InheritFromTable. TablePrefix in lower case: names are [C]."""
    for name, table, first in (("cr-plain", "own", "int"), ("cr-inherit", "raw_cr_inherit", "double")):
        assert columns(lake.tables(name)[table]) == {"price": "double"}
        types = {values: columns(p) for values, p in lake.partitions(name, table).items()}
        assert types == {"1": {"price": first}, "2": {"price": "double"}}


def test_excluded_hidden_and_empty_objects_are_left_out(plain):
    """[C] GL/define-crawler: exclude patterns. [L] hidden and empty ones."""
    for name in ("exclude", "ignored"):
        assert (columns(plain[name]), plain[name]["Parameters"]["objectCount"]) == (ORDER_COLUMNS, "1")


def test_file_that_no_classifier_recognises_makes_no_table_and_is_named(crawls, plain):
    """[C] GL/add-classifier: UNKNOWN. That LastCrawl.ErrorMessage names it is ours."""
    assert plain["unknown"]["Parameters"]["objectCount"] == "1"
    message = crawls["cr-plain"]["ErrorMessage"]
    assert "UNKNOWN" in message and f"s3://{BUCKET}/plain/unknown/b.txt" in message


def test_folder_file_and_clash_name_the_table(plain):
    """[C] GL/crawler-running: last folder; x_json for a file; a hash behind a name that is taken."""
    assert plain["a_json"]["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/plain/file/a.json"
    assert plain["data"]["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/plain/eu/data/"
    (second,) = (name for name in plain if name.startswith("data_"))
    assert len(second) == len("data_") + 32 and plain[second]["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/plain/us/data/"


def test_what_is_neither_letter_nor_digit_is_an_underscore_in_the_name(plain):
    """[C] GL/crawler-running."""
    assert plain["gr__e___ma_"]["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/plain/Größe & Maß/"


def test_name_longer_than_the_catalogue_takes_is_cut_and_unique(plain):
    """[C] BC:glue: 255; [U] what AWS does with a longer one."""
    (name,) = (name for name in plain if name.startswith("xxx"))
    assert len(name) == 255 and plain[name]["StorageDescriptor"]["Location"] == f"s3://{BUCKET}/plain/{'x' * 300}/"


def test_names_that_differ_in_case_are_one_column_of_the_wider_type(plain):
    """[C] dumps: columns lower-case; [L] int and bigint are bigint."""
    assert columns(plain["nan"]) == {"id": "bigint"}


def test_repeated_partition_key_is_numbered(lake, plain):
    """[U] on AWS; a table cannot have two keys of one name. The value is all behind the first equals sign."""
    assert keys(plain["repeated"]) == ["k", "partition_1"] and set(lake.partitions("cr-plain", "repeated")) == {"1/k=2=3"}


def test_table_at_the_root_of_a_bucket_is_named_after_the_bucket(lake, crawls):
    """[C] GL/crawler-running."""
    table = lake.table("cr-root")
    assert (table["Name"], table["StorageDescriptor"]["Location"], keys(table)) == ("crawler_root", "s3://crawler.root/", ["d"])


def test_similar_folders_become_partitions_of_the_include_path(lake, crawls):
    """[C] GL/crawler-s3-folder-table-partition."""
    assert keys(lake.table("cr-alike")) == ["partition_0", "d"]


def test_table_level_says_where_tables_lie_whatever_their_schemas(lake, crawls):
    """[C] GL/crawler-table-level; [L] the bucket is level 1."""
    tables = lake.tables("cr-level")
    assert {name: (keys(table), columns(table)) for name, table in tables.items()} == {
        "a": (["d"], {"x": "int", "y": "int"}), "b": (["d"], {"x": "int"}), "cr_level": ([], {"x": "int"})}


def test_more_tables_than_the_threshold_fail_the_crawl_and_write_nothing(lake, crawls):
    """[C] GL/crawler-maximum-number-of-tables."""
    assert set(lake.tables("cr-two")) == {"a", "b"}
    assert "TableThreshold of 1" in crawls["cr-too-many"]["ErrorMessage"]
    refused(lake.glue.get_database, "EntityNotFoundException", Name="cr-too-many")


def test_sample_size_is_the_number_of_files_read_in_each_leaf_folder(lake, crawls):
    """[C] BC:glue S3Target.SampleSize; [U] which files: the first by name."""
    table = lake.table("cr-sample")
    assert columns(table) == {"x": "int"} and table["Parameters"]["objectCount"] == "4"


def test_crawl_writes_its_log(lake, crawls):
    """[L] LogGroup /aws-glue/crawlers; lines as in published logs."""
    crawl = crawls["cr-plain"]
    assert (crawl["LogGroup"], crawl["LogStream"]) == ("/aws-glue/crawlers", "cr-plain")
    answer = lake.logs.get_log_events(logGroupName=crawl["LogGroup"], logStreamName=crawl["LogStream"], startFromHead=True)
    messages = [event["message"] for event in answer["events"]]
    assert all(message.startswith(f"[{crawl['MessagePrefix']}] ") for message in messages)
    assert any("Created table hive in database cr-plain" in message for message in messages)


# Round two. Crawler -> (settings, {folder: (objects before, objects after (None: deleted))})
MERGE = {"configuration": {"Version": 1.0, "CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "MergeNewColumns"}}}}
DELETE = {"SchemaChangePolicy": {"DeleteBehavior": "DELETE_FROM_DATABASE"}}
LOG = {"SchemaChangePolicy": {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}}
ONLY_NEW = {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}}
DAYS = {"d=1/a": {"x": 1}, "d=2/a": {"x": 1}}
WIDE = {"a": 1, "b": 1, "c": 1, "x": 1}
NO_DAYS = dict.fromkeys(DAYS)
AGAIN = {
    "cr2-same": ({}, {"same": (DAYS, {})}),
    "cr2-more": ({}, {"more": (DAYS, {"d=3/a": {"x": 1}})}),
    "cr2-default": ({}, {"type": (DAYS, {"d=2/b": {"x": 1.5}}), "column": ({"a": {"x": 1}}, {"a": {"y": 1}}),
                         "less": (DAYS, {"d=2/a": None}), "gone": (DAYS, NO_DAYS),
                         "moved": ({"a": {"x": 1}}, {"a": None, "d=1/a": {"x": 1}})}),
    "cr2-delete": (DELETE, {"less": (DAYS, {"d=2/a": None}), "gone": (DAYS, NO_DAYS)}),
    "cr2-log": (LOG, {"type": (DAYS, {"d=2/b": {"x": 1.5}, "d=3/a": {"x": 1}}), "gone": (DAYS, NO_DAYS)}),
    "cr2-merge": (MERGE, {"column": ({"a": {"x": 1}}, {"a": {"y": 1}}),
                          "kept": ({"d=1/a": WIDE, "d=2/a": WIDE}, {"d=1/a": WIDE | {"x": 1.5, "y": 1}}),
                          "delimiter": ({"a.csv": b"id,x\n1,2\n"}, {"a.csv": b"id;x\n1;2\n"})}),
    "cr2-inherit": (LOG, {"own": ({"d=1/a": {"x": 1}, "d=2/a": {"x": 1.5}}, {"d=3/a": {"x": 1}})}),
    "cr2-unread": ({"role": "cr2-unread"}, {"days": (DAYS, {})}),
    "cr2-only-new": (ONLY_NEW, {"days": (DAYS, {"d=2/b": {"z": 1}, "d=3/a": {"x": 1}})}),
    "cr2-classifier": ({}, {"row": ({"a": {"columns": {"x": 1}}}, {})}),
}


@pytest.fixture(scope="module")
def again(lake):
    """Every crawler of round two has crawled before and after its objects changed; their tables, by crawler."""
    def put(which):
        for name, (_, folders) in AGAIN.items():
            for folder, states in folders.items():
                lake.put({f"{name}/{folder}/{key}": body for key, body in states[which].items()})

    lake.role("cr2-unread", "s3:*", "glue:*", "logs:*")
    for name, (settings, folders) in AGAIN.items():
        lake.crawler(name, S3Targets=[{"Path": f"s3://{BUCKET}/{name}/{folder}/"} for folder in folders], **settings)
    put(0)
    assert {crawl["Status"] for crawl in lake.crawl(*AGAIN)} == {"SUCCEEDED"}
    for name, table in (("cr2-same", lake.tables("cr2-same")["same"]), ("cr2-merge", lake.tables("cr2-merge")["kept"])):
        lake.glue.update_table(DatabaseName=name, TableInput={
            "Name": table["Name"], "StorageDescriptor": table["StorageDescriptor"], "PartitionKeys": table["PartitionKeys"],
            "Parameters": table["Parameters"] | {"mine": "1"}})
    lake.role("cr2-unread", "s3:GetBucketLocation", "s3:ListBucket", "glue:*", "logs:*")
    lake.glue.update_crawler(Name="cr2-inherit", Configuration=json.dumps(INHERIT["configuration"]))
    lake.classifier("$.columns.x")
    lake.glue.update_crawler(Name="cr2-classifier", Classifiers=["$.columns.x"])
    put(1)
    assert {crawl["Status"] for crawl in lake.crawl(*AGAIN)} == {"SUCCEEDED"}
    return {name: lake.tables(name) for name in AGAIN}


def test_crawl_of_unchanged_data_changes_nothing_but_removes_foreign_parameters(lake, again):
    """[C] GL/crawler-configuration: UPDATE_IN_DATABASE removes metadata that the crawler did not set."""
    assert lake.changes("cr2-same") == (1, 0, 0)
    assert "mine" not in again["cr2-same"]["same"]["Parameters"]


def test_new_folder_becomes_a_partition_whatever_the_policy(lake, again):
    """[C] GL/crawler-configuration: new tables and partitions are always created."""
    for name, table in (("cr2-more", "more"), ("cr2-log", "type")):
        assert set(lake.partitions(name, table)) == {"1", "2", "3"}
    assert lake.changes("cr2-more") == (1, 1, 0)


def test_update_policy_says_whether_a_changed_schema_is_written(lake, again):
    """[C] GL/crawler-configuration: UPDATE_IN_DATABASE and LOG. [L] int and double are double."""
    assert columns(again["cr2-default"]["type"]) == {"x": "double"}
    types = {values: columns(p)["x"] for values, p in lake.partitions("cr2-default", "type").items()}
    assert types == {"1": "int", "2": "double"}
    assert columns(again["cr2-log"]["type"]) == {"x": "int"}


def test_column_no_longer_found_is_removed_unless_new_columns_are_merged(again):
    """[C] GL/crawler-configuration: remove missing columns; MergeNewColumns."""
    assert columns(again["cr2-default"]["column"]) == {"y": "int"}
    assert columns(again["cr2-merge"]["column"]) == {"x": "int", "y": "int"}


def test_merging_new_columns_keeps_types_and_foreign_parameters_of_tables_and_partitions(lake, again):
    """[C] GL/crawler-schema-changes-prevent: existing columns are not removed or changed, metadata stay."""
    table = again["cr2-merge"]["kept"]
    assert columns(table) == dict.fromkeys("abcxy", "int") and table["Parameters"]["mine"] == "1"
    assert columns(lake.partitions("cr2-merge", "kept")["1"]) == dict.fromkeys("abcxy", "int")


def test_table_whose_delimiter_changed_is_deprecated_where_new_columns_are_merged(lake, again):
    """[C] GL/crawler-configuration: classification, compression type or CSV delimiter; a warning is logged."""
    table = again["cr2-merge"]["delimiter"]
    assert "DEPRECATED_BY_CRAWLER" in table["Parameters"] and table["Parameters"]["delimiter"] == ","
    events = lake.logs.get_log_events(logGroupName="/aws-glue/crawlers", logStreamName="cr2-merge")["events"]
    assert any("WARN" in event["message"] and "delimiter" in event["message"] for event in events)


def test_option_to_inherit_set_later_changes_existing_partitions_too(lake, again):
    """[C] GL/crawler-configuration: existing partitions match their parent table at the next run, whatever the update policy."""
    types = {values: columns(p)["x"] for values, p in lake.partitions("cr2-inherit", "own").items()}
    assert types == {"1": "double", "2": "double", "3": "double"}
    parameters = lake.partitions("cr2-inherit", "own")["1"]["Parameters"]
    assert "UPDATED_BY_CRAWLER" not in parameters and parameters["objectCount"] == "1"


def test_later_crawls_do_not_read_what_was_read(lake, again):
    """[C] AWS KB long-running-glue-crawler: all are listed, new ones read. Here the role may read no object any more."""
    assert set(lake.partitions("cr2-unread", "days")) == {"1", "2"}


def test_delete_behaviour_deletes_deprecates_or_leaves_what_is_gone(lake, again):
    """[C] GL/crawler-configuration: DeleteBehavior's three values."""
    assert set(lake.partitions("cr2-delete", "less")) == {"1"}
    assert set(lake.partitions("cr2-default", "less")) == {"1", "2"}
    assert set(again["cr2-delete"]) == {"less"} and lake.changes("cr2-delete") == (2, 1, 1)
    assert "DEPRECATED_BY_CRAWLER" in again["cr2-default"]["gone"]["Parameters"]
    assert "DEPRECATED_BY_CRAWLER" not in again["cr2-log"]["gone"]["Parameters"]


def test_flat_table_becomes_partitioned_when_its_files_move_into_folders(lake, again):
    """[C] GL/crawler-configuration: UPDATE_IN_DATABASE writes the definition anew."""
    assert keys(again["cr2-default"]["moved"]) == ["d"] and set(lake.partitions("cr2-default", "moved")) == {"1"}


def test_new_folders_only_ignores_new_files_in_known_folders(lake, again):
    """[C] BC:glue RecrawlBehavior CRAWL_NEW_FOLDERS_ONLY."""
    assert columns(again["cr2-only-new"]["days"]) == {"x": "int"}
    assert set(lake.partitions("cr2-only-new", "days")) == {"1", "2", "3"}


def test_changed_classifier_does_not_reclassify_what_was_crawled(again):
    """[C] GL/add-classifier."""
    assert columns(again["cr2-classifier"]["row"]) == {"columns": "struct<x:int>"}


# One by one

def test_crawler_goes_from_ready_over_running_and_stopping_to_ready(lake):
    """[C] BC:glue CrawlerState, CrawlerRunningException, CrawlElapsedTime in milliseconds."""
    lake.put({"cr3-states/a": ORDER})
    lake.crawler("cr3-states")
    crawler = lake.state("cr3-states")
    assert crawler["State"] == "READY" and "LastCrawl" not in crawler and crawler["CrawlElapsedTime"] == 0
    refused(lake.glue.stop_crawler, "CrawlerNotRunningException", Name="cr3-states")
    lake.glue.start_crawler(Name="cr3-states")
    states = ["READY"]
    while len(states) == 1 or states[-1] != "READY":
        crawler = lake.state("cr3-states")
        if crawler["State"] != states[-1]:
            states.append(crawler["State"])
            if crawler["State"] == "RUNNING":
                refused(lake.glue.start_crawler, "CrawlerRunningException", Name="cr3-states")
                refused(lake.glue.update_crawler, "CrawlerRunningException", Name="cr3-states", Description="x")
                refused(lake.glue.delete_crawler, "CrawlerRunningException", Name="cr3-states")
                time.sleep(0.1)
                assert lake.state("cr3-states")["CrawlElapsedTime"] >= 100
        assert len(states) < 5
    assert states == ["READY", "RUNNING", "STOPPING", "READY"]
    (crawl,) = lake.glue.list_crawls(CrawlerName="cr3-states")["Crawls"]
    assert crawl["State"] == "COMPLETED" and crawl["CrawlId"] == crawler["LastCrawl"]["MessagePrefix"]


def test_stopped_crawl_is_cancelled_and_the_next_one_succeeds(lake):
    """[C] BC:glue LastCrawl CANCELLED, history STOPPED, CrawlerStoppingException."""
    lake.put({"cr3-stop/a": ORDER})
    lake.crawler("cr3-stop")
    lake.glue.start_crawler(Name="cr3-stop")
    lake.glue.stop_crawler(Name="cr3-stop")
    refused(lake.glue.stop_crawler, "CrawlerStoppingException", Name="cr3-stop")
    assert lake.ready("cr3-stop")["LastCrawl"]["Status"] == "CANCELLED"
    assert [crawl["State"] for crawl in lake.glue.list_crawls(CrawlerName="cr3-stop")["Crawls"]] == ["STOPPED"]
    assert lake.crawl("cr3-stop")[0]["Status"] == "SUCCEEDED" and "cr3_stop" in lake.tables("cr3-stop")


def test_history_is_listed_latest_first_filtered_and_by_pages(lake):
    """[C] BC:glue ListCrawls: CRAWL_ID, STATE, times in epoch milliseconds; six operators; pages of MaxResults."""
    lake.put({"cr3-history/a": ORDER})
    lake.crawler("cr3-history")
    lake.glue.start_crawler(Name="cr3-history")
    (metrics,) = lake.glue.get_crawler_metrics(CrawlerNameList=["cr3-history"])["CrawlerMetricsList"]
    assert metrics["StillEstimating"] is True and metrics["LastRuntimeSeconds"] == 0
    lake.glue.stop_crawler(Name="cr3-history")
    lake.ready("cr3-history")
    lake.crawl("cr3-history")

    def found(**conditions):
        filters = [dict(zip(("FieldName", "FilterOperator", "FieldValue"), (name, *how))) for name, how in conditions.items()]
        return [crawl["State"] for crawl in lake.glue.list_crawls(CrawlerName="cr3-history", Filters=filters)["Crawls"]]

    latest, first = lake.glue.list_crawls(CrawlerName="cr3-history")["Crawls"]
    assert (latest["State"], first["State"]) == ("COMPLETED", "STOPPED") and latest["EndTime"] > latest["StartTime"] > first["EndTime"]
    assert found(STATE=("EQ", "STOPPED")) == ["STOPPED"] and found(STATE=("NE", "STOPPED")) == ["COMPLETED"]
    assert found(CRAWL_ID=("EQ", first["CrawlId"])) == ["STOPPED"]
    started = str(round(latest["StartTime"].timestamp() * 1000))
    assert found(START_TIME=("GE", started)) == ["COMPLETED"] and found(START_TIME=("GT", started)) == []
    assert found(START_TIME=("LT", started)) == ["STOPPED"] and found(START_TIME=("LE", started)) == ["COMPLETED", "STOPPED"]
    assert found(END_TIME=("LT", started), STATE=("EQ", "COMPLETED")) == []
    page = lake.glue.list_crawls(CrawlerName="cr3-history", MaxResults=1)
    rest = lake.glue.list_crawls(CrawlerName="cr3-history", MaxResults=1, NextToken=page["NextToken"])
    assert [crawl["CrawlId"] for crawl in page["Crawls"] + rest["Crawls"]] == [latest["CrawlId"], first["CrawlId"]]
    refused(lake.glue.list_crawls, "InvalidInputException", "soon", CrawlerName="cr3-history", Filters=[
        {"FieldName": "END_TIME", "FilterOperator": "LT", "FieldValue": "soon"}])
    refused(lake.glue.list_crawls, "EntityNotFoundException", CrawlerName="cr3-no-such")
    (metrics,) = lake.glue.get_crawler_metrics(CrawlerNameList=["cr3-history"])["CrawlerMetricsList"]
    assert 0 < metrics["MedianRuntimeSeconds"] < metrics["LastRuntimeSeconds"] and metrics["StillEstimating"] is False
    assert (metrics["TablesCreated"], metrics["TablesUpdated"], metrics["TablesDeleted"]) == (1, 0, 0)


def test_missing_permission_fails_the_crawl_by_name_and_the_next_one_succeeds(lake):
    """[C] AWSGlueServiceRole and s3:GetObject on the data."""
    actions = {"cr4-list": "s3:ListBucket", "cr4-get": "s3:GetObject", "cr4-table": "glue:CreateTable",
               "cr4-part": "glue:BatchCreatePartition"}
    needed = ["s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject", "glue:GetDatabase", "glue:CreateDatabase", "glue:GetTable",
              "glue:GetTables", "glue:CreateTable", "glue:UpdateTable", "glue:GetPartitions", "glue:BatchGetPartition",
              "glue:BatchCreatePartition", "glue:BatchUpdatePartition"]
    for name, missing in actions.items():
        lake.put({f"{name}/d=1/a": ORDER})
        lake.role(name, *(action for action in needed if action != missing))
        lake.crawler(name, role=f"arn:aws:iam::{lake.account}:role/{name}")
    for (name, missing), crawl in zip(actions.items(), lake.crawl(*actions)):
        assert crawl["Status"] == "FAILED" and missing in crawl["ErrorMessage"], crawl
        lake.role(name, *needed)
    for name, crawl in zip(actions, lake.crawl(*actions)):
        assert crawl["Status"] == "SUCCEEDED", crawl  # without a right on logs, which loses the log alone
        assert set(lake.partitions(name, name.replace("-", "_"))) == {"1"}
    assert lake.state("cr4-list")["Role"] == "cr4-list"


def test_role_that_glue_may_not_assume_is_refused(lake):
    """[L] terraform-provider-aws retries on this message."""
    trust = json.loads(json.dumps(TRUST).replace("glue.", "lambda."))
    lake.iam.create_role(RoleName="cr5-lambda", AssumeRolePolicyDocument=json.dumps(trust))
    targets = {"S3Targets": [{"Path": f"s3://{BUCKET}/x"}]}
    for role in ("cr5-lambda", "cr5-missing"):
        refused(lake.glue.create_crawler, "InvalidInputException", "unable to assume role", role, Name="cr5", Role=role,
                DatabaseName="cr5", Targets=targets)
    lake.iam.delete_role(RoleName="cr5-lambda")


def test_trust_that_is_withdrawn_fails_the_crawl(lake):
    """[C] the role must trust glue.amazonaws.com."""
    lake.role("cr5-withdrawn", "s3:*")
    lake.crawler("cr5-withdrawn", role="cr5-withdrawn")
    lake.iam.update_assume_role_policy(RoleName="cr5-withdrawn", PolicyDocument=json.dumps(TRUST).replace("glue.", "lambda."))
    (crawl,) = lake.crawl("cr5-withdrawn")
    assert crawl["Status"] == "FAILED" and "sts:AssumeRole" in crawl["ErrorMessage"]


def test_missing_bucket_fails_the_crawl_and_an_empty_prefix_makes_no_table(lake):
    """[C] BC:glue LastCrawl FAILED and its ErrorMessage."""
    lake.crawler("cr5-no-bucket", S3Targets=[{"Path": "s3://crawler-no-such-bucket/x/"}])
    lake.crawler("cr5-empty")
    failed, empty = lake.crawl("cr5-no-bucket", "cr5-empty")
    assert failed["Status"] == "FAILED" and "NoSuchBucket" in failed["ErrorMessage"]
    assert empty["Status"] == "SUCCEEDED" and lake.tables("cr5-empty") == {}


def test_crawler_is_created_shown_updated_listed_and_deleted(lake):
    """[C] BC:glue: AlreadyExistsException, EntityNotFoundException, tags, defaults of SchemaChangePolicy."""
    refused(lake.glue.get_crawler, "EntityNotFoundException", "cr6-crud", Name="cr6-crud")
    lake.crawler("cr6-crud", Description="first", Tags={"team": "lake"})
    refused(lake.crawler, "AlreadyExistsException", name="cr6-crud")
    refused(lake.glue.update_crawler, "InvalidInputException", "no-such", Name="cr6-crud", Classifiers=["no-such"])
    lake.glue.update_crawler(Name="cr6-crud", Description="second", TablePrefix="x_")
    crawler = lake.state("cr6-crud")
    assert (crawler["Description"], crawler["TablePrefix"], crawler["Version"]) == ("second", "x_", 2)
    assert crawler["Targets"]["S3Targets"] == [{"Path": f"s3://{BUCKET}/cr6-crud/", "Exclusions": []}]
    assert crawler["SchemaChangePolicy"] == {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DEPRECATE_IN_DATABASE"}
    arn = f"arn:aws:glue:us-east-1:{lake.account}:crawler/cr6-crud"
    assert lake.glue.get_tags(ResourceArn=arn)["Tags"] == {"team": "lake"}
    assert lake.glue.list_crawlers(Tags={"team": "lake"})["CrawlerNames"] == ["cr6-crud"]
    batch = lake.glue.batch_get_crawlers(CrawlerNames=["cr6-crud", "cr6-none"])
    assert [c["Name"] for c in batch["Crawlers"]] == ["cr6-crud"] and batch["CrawlersNotFound"] == ["cr6-none"]
    listed = [c["Name"] for page in lake.glue.get_paginator("get_crawlers").paginate(PaginationConfig={"PageSize": 2})
              for c in page["Crawlers"]]
    assert listed == sorted(set(listed)) and "cr6-crud" in listed
    lake.glue.delete_crawler(Name="cr6-crud")
    lake.crawlers.remove("cr6-crud")
    assert lake.glue.get_tags(ResourceArn=arn)["Tags"] == {}
    refused(lake.glue.delete_crawler, "EntityNotFoundException", Name="cr6-crud")


def test_classifier_is_created_shown_updated_and_deleted(lake):
    """[C] BC:glue: AlreadyExistsException, EntityNotFoundException, Version."""
    lake.glue.create_classifier(JsonClassifier={"Name": "cr6-json", "JsonPath": "$.a"})
    refused(lake.glue.create_classifier, "AlreadyExistsException", JsonClassifier={"Name": "cr6-json", "JsonPath": "$"})
    lake.glue.update_classifier(JsonClassifier={"Name": "cr6-json", "JsonPath": "$.b"})
    shown = lake.glue.get_classifier(Name="cr6-json")["Classifier"]["JsonClassifier"]
    assert (shown["JsonPath"], shown["Version"]) == ("$.b", 2)
    assert "cr6-json" in [c["JsonClassifier"]["Name"] for c in lake.glue.get_classifiers()["Classifiers"]]
    lake.glue.delete_classifier(Name="cr6-json")
    refused(lake.glue.get_classifier, "EntityNotFoundException", "cr6-json", Name="cr6-json")


TARGET = {"S3Targets": [{"Path": f"s3://{BUCKET}/cr6"}]}
# Feature -> what asks for it: parameters of CreateCrawler, or (operation, parameters).
REFUSED = {
    "Schedule": {"Schedule": "cron(0 12 * * ? *)"},
    "UpdateCrawlerSchedule": ("update_crawler_schedule", {"CrawlerName": "cr6"}),
    "StartCrawlerSchedule": ("start_crawler_schedule", {"CrawlerName": "cr6"}),
    "StopCrawlerSchedule": ("stop_crawler_schedule", {"CrawlerName": "cr6"}),
    "CrawlerSecurityConfiguration": {"CrawlerSecurityConfiguration": "x"},
    "LineageConfiguration.CrawlerLineageSettings ENABLE": {"LineageConfiguration": {"CrawlerLineageSettings": "ENABLE"}},
    "LakeFormationConfiguration.UseLakeFormationCredentials": {"LakeFormationConfiguration": {"UseLakeFormationCredentials": True}},
    "CatalogId 111111111111 of another account": {"CatalogId": "111111111111"},
    "RecrawlPolicy.RecrawlBehavior CRAWL_EVENT_MODE": {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVENT_MODE"}},
    **{f"Targets.{kind}": {"Targets": {kind: [target]}} for kind, target in {
        "JdbcTargets": {"Path": "x"}, "MongoDBTargets": {"Path": "x"}, "DynamoDBTargets": {"Path": "x"},
        "CatalogTargets": {"DatabaseName": "d", "Tables": ["t"]}, "DeltaTargets": {"DeltaTables": ["s3://x/y"]},
        "IcebergTargets": {"Paths": ["s3://x/y"]}, "HudiTargets": {"Paths": ["s3://x/y"]}}.items()},
    **{f"S3Targets.{name}": {"Targets": {"S3Targets": [TARGET["S3Targets"][0] | {name: "x"}]}}
       for name in ("ConnectionName", "EventQueueArn", "DlqEventQueueArn")},
    "Configuration CreatePartitionIndex": {"Configuration": '{"Version": 1.0, "CreatePartitionIndex": true}'},
    "Configuration CrawlerOutput.Tables.AddOrUpdateBehavior": {
        "Configuration": '{"Version": 1.0, "CrawlerOutput": {"Tables": {"AddOrUpdateBehavior": "Other"}}}'},
    "XMLClassifier": ("create_classifier", {"XMLClassifier": {"Name": "cr6", "Classification": "x", "RowTag": "row"}}),
    "CsvClassifier.CustomDatatypes": ("create_classifier", {"CsvClassifier": {"Name": "cr6", "CustomDatatypes": ["INT"]}}),
    "ListCrawls.Filters FieldName DPU_HOUR": ("list_crawls", {"CrawlerName": "cr-plain", "Filters": [
        {"FieldName": "DPU_HOUR", "FilterOperator": "GT", "FieldValue": "1"}]}),
}


@pytest.mark.parametrize("feature", REFUSED)
def test_what_is_not_supported_is_refused_by_name(lake, crawls, feature):
    """What would change a crawl is never accepted and ignored."""
    operation, params = REFUSED[feature] if isinstance(REFUSED[feature], tuple) else ("create_crawler", REFUSED[feature])
    if operation == "create_crawler":
        params = {"Name": "cr6", "Role": "crawler-role", "DatabaseName": "cr6", "Targets": TARGET} | params
    code = "UnsupportedOperationException" if operation.endswith("_schedule") else "InvalidInputException"
    refused(getattr(lake.glue, operation), code, feature, **params)


@pytest.mark.parametrize(("params", "named"), [
    ({"Targets": {}}, "S3Targets"), ({"Targets": {"S3Targets": [{"Path": "s3:///x"}]}}, "s3:///x"),
    ({"DatabaseName": ""}, "DatabaseName"),
    ({"Targets": {"S3Targets": [TARGET["S3Targets"][0] | {"SampleSize": 250}]}}, "SampleSize"),
    ({"Targets": {"S3Targets": [TARGET["S3Targets"][0] | {"Exclusions": ["{a"]}]}}, "{a"),
    ({"Configuration": '{"Version": 1.0, "Grouping": {"TableLevelConfiguration": 0}}'}, "TableLevelConfiguration"),
    ({"Configuration": '{"Version": 1.0, "CrawlerOutput": {"Tables": {"TableThreshold": "5"}}}'}, "TableThreshold"),
    ({"Configuration": "{}"}, "Version"), ({"Configuration": "[]"}, "JSON"), ({"Configuration": "{"}, "JSON"),
    ({"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
      "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE"}}, "LOG"),
    ({"Classifiers": ["cr6-no-such"]}, "cr6-no-such")])
def test_setting_that_cannot_be_is_invalid_input(lake, params, named):
    """[C] BC:glue CreateCrawler: InvalidInputException; SampleSize 1 to 249; GL/crawler-table-level: a positive integer."""
    refused(lake.glue.create_crawler, "InvalidInputException", named,
            **{"Name": "cr6", "Role": "crawler-role", "DatabaseName": "cr6", "Targets": TARGET} | params)


def test_interrupted_crawl_is_resumed_by_the_next_start(aws, lake, tmp_path):
    """Two lives of a control plane over one folder, in this process."""
    def life():
        return Crawlers(Context(aws.endpoint, Clock(20), tmp_path))

    caller, name = Caller(aws.account, aws.region), {"Name": "cr7-resumed"}
    lake.put({"cr7-resumed/a": ORDER})
    first = life()
    first.create_crawler(caller, name | {"Role": "crawler-role", "DatabaseName": "cr7-resumed",
                                         "Targets": {"S3Targets": [{"Path": f"s3://{BUCKET}/cr7-resumed"}]}})
    first.start_crawler(caller, name)
    first.stop()
    assert first.get_crawler(caller, name)["Crawler"]["State"] == "RUNNING"
    second = life()
    second.start()
    deadline = time.monotonic() + 20
    while (crawler := second.get_crawler(caller, name)["Crawler"])["State"] != "READY":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert crawler["LastCrawl"]["Status"] == "SUCCEEDED" and "cr7_resumed" in lake.tables("cr7-resumed")
    lake.glue.delete_database(Name="cr7-resumed")


def test_ten_thousand_objects_are_crawled_in_one_crawl(lake):
    """Issue 3, endurance: many objects. A second crawl reads none of them."""
    names = [f"cr8-many/d={n % 500}/{n}" for n in range(10_000)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: lake.put({key: ORDER}), names))
    lake.crawler("cr8-many")
    seconds = []
    for _ in range(2):
        started = time.monotonic()
        lake.glue.start_crawler(Name="cr8-many")
        assert lake.ready("cr8-many", seconds=240)["LastCrawl"]["Status"] == "SUCCEEDED"
        seconds.append(time.monotonic() - started)
    print("crawls of 10,000 objects took", seconds)
    assert seconds[1] < seconds[0]
    assert lake.table("cr8-many")["Parameters"]["objectCount"] == "10000"
    assert len(lake.partitions("cr8-many", "cr8_many")) == 500
