"""The crawler's pure parts: types, JSON paths, what a file is, which files are a table, exclude patterns."""
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.localaws.crawler.classify import classify, custom, parse_path, select
from helpers.localaws.crawler.content import JSON_SERDE, Content, Format
from helpers.localaws.crawler.group import File, find_tables
from helpers.localaws.crawler.infer import columns, hive, infer, merge
from helpers.localaws.crawler.options import configuration, crawler_settings, glob
from helpers.localaws.service import Caller

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abAB"), inner, max_size=3), max_leaves=8)
types = json_values.map(infer)


@given(types, types)
def test_merge_does_not_depend_on_the_order_of_two_types(a, b):
    assert merge(a, b) == merge(b, a)


@given(types, types, types)
def test_merge_does_not_depend_on_how_types_are_grouped(a, b, c):
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(types, types)
def test_merge_is_settled_by_one_look_at_each_type(a, b):
    assert merge(a, a) == a
    assert merge(merge(a, b), b) == merge(a, b)


@given(st.lists(st.dictionaries(st.sampled_from("abAB"), json_values, max_size=3), max_size=5), st.integers(0, 5))
def test_columns_of_two_parts_merge_to_the_columns_of_the_whole(rows, at):
    assert merge(columns(rows[:at]), columns(rows[at:])) == columns(rows)


@pytest.mark.parametrize(("values", "type_"), [
    ([7], "int"), ([2**31 - 1], "int"), ([2**31], "bigint"), ([1795373340468], "bigint"), ([2**63], "double"),
    ([19.5], "double"),
    (["19.5"], "string"), (["2026-11-22T18:35:29Z"], "string"), ([True], "boolean"), ([None], "string"), ([None, 3], "int"),
    ([1, 2**40], "bigint"), ([1, 2.5], "double"), ([2**40, 2.5], "double"), ([1, "1"], "string"), ([True, 1], "string"),
    ([{"Size": 1, "Tags": ["a"]}], "struct<size:int,tags:array<string>>"), ([{"a": 1}, {"b": 2.5}], "struct<a:int,b:double>"),
    ([[1, 2.5]], "array<double>"), ([[]], "array<string>"), ([[], [{"a": None}]], "array<struct<a:string>>"),
    ([{}], "string"), ([{"a": 1}, "x"], "string"), ([[1], {"a": 1}], "string"),
])
def test_type_of_values(values, type_):
    """[C] DDL: int, bigint, double, string, struct, array. [L] merging."""
    assert hive(columns({"c": value} for value in values)["c"]) == type_


def test_columns_are_lower_case_in_order_of_first_appearance():
    """[C] DDL."""
    assert list(columns([{"Zeta": 1, "alpha": 2}, {"Beta": 3, "zeta": 4}])) == ["zeta", "alpha", "beta"]


@pytest.mark.parametrize("path", ["$.orderid,$.product_name", "$.orderid, $.price", " $.orderid", "orderid", "$..orderid",
                                  "$.a[1:2]", "$.a[?(@.b)]", "$['a','b']", "$.", "$["])
def test_path_outside_the_grammar_is_not_read(path):
    """[L] GL/custom-classifier: no filters, slices, unions or `..`."""
    assert parse_path(path) is None


@pytest.mark.parametrize(("path", "rows"), [
    ("$", [{"a": [{"b": 1}, {"b": 2}], "c d": {"x": 3}}]), ("$.a", [[{"b": 1}, {"b": 2}]]), ("$.a[*]", [{"b": 1}, {"b": 2}]),
    ("$.a[1]", [{"b": 2}]), ("$.a[9]", []), ("$.a[*].b", [1, 2]), ("$['c d']", [{"x": 3}]), ("$['c d'].*", [3]), ("$.A", []),
    ("$.missing", []), ("$[*]", []),
])
def test_path_selects_rows(path, rows):
    """[C] GL/console-classifiers: the path defines a row."""
    assert list(select(parse_path(path), {"a": [{"b": 1}, {"b": 2}], "c d": {"x": 3}})) == rows


JSON = Format("json", JSON_SERDE)


def content(*values, paths=(), pack=bytes):
    data = "\n".join(map(json.dumps, values)).encode()
    data = gzip.compress(data) if pack is gzip else data
    return look(data, paths=paths)


def look(data, size=None, paths=()):
    """What is found in a file that begins with `data` and has `size` bytes (none more)."""
    return classify(lambda start, end: data[start:end], size or len(data),
                    [custom({"JsonClassifier": {"JsonPath": path}}) for path in paths])


def test_scalar_row_becomes_one_column_record_of_type_string():
    """[C] GL/custom-classifier: $.id."""
    assert content({"id": 1}, {"id": 2}, paths=["$.id"]).columns == {"record": "string"}


def test_first_path_that_selects_something_wins():
    """[C] GL/add-classifier: custom classifiers in order."""
    assert list(content({"id": 1, "inner": {"x": 1}}, paths=["$.nothing", "$.inner", "$.id"]).columns) == ["x"]


def test_top_level_array_is_one_column_array_unless_the_path_opens_it():
    """[C] DDL; GL/custom-classifier: $[*]."""
    assert content([{"a": 1}]) == Content(format=JSON, columns={"array": [{"a": "int"}]}, paths=("array",), records=1)
    assert content([{"a": 1}, {"a": 2}], paths=["$[*]"]).columns == {"a": "int"}


def test_paths_are_sorted_and_keep_their_case():
    """[C] DDL."""
    assert content({"orderId": 1, "Price": 2.5, "a": 1}).paths == ("Price", "a", "orderId")


def test_gzip_is_read_and_records_are_counted():
    assert content({"a": 1}, {"a": 2}, pack=gzip) == Content("gzip", JSON, {"a": "int"}, ("a",), 2)


def test_records_of_the_unread_rest_are_estimated_from_the_part_read():
    """[C] DDL: recordCount is an estimate."""
    line = b'{"a": 1}\n'
    assert look(line * 100, len(line) * 1000).records == 1000
    assert look(line * 100 + b'{"a', len(line) * 1000).columns == {"a": "int"}


def test_values_need_no_newline_between_them():
    """[U] on AWS: JSON values need no separator, and Firehose writes none."""
    assert look(b'{"a": 1}{"a": 2.5}') == Content(format=JSON, columns={"a": "double"}, paths=("a",), records=2)


@pytest.mark.parametrize("data", [
    b"orderid,price\n", b"", b"12 monkeys", b"PAR1\x00\x15", b"\x1f\x8bbroken", b"[" * 100_000])
def test_what_no_classifier_recognises_is_unknown_and_says_why(data):
    """[C] GL/add-classifier: UNKNOWN; two columns and two rows make CSV."""
    found = look(data, max(1, len(data)))
    assert found.format is None and found.reason


def test_deep_nesting_is_cut_off_not_a_failure():
    assert content({"a": json.loads("[" * 300 + "]" * 300)}).format == JSON


@given(st.binary(max_size=200))
def test_no_file_breaks_classification(data):
    look(data, max(1, len(data)), ["$.a[*]"])


def files(schemas, compression="none"):
    """Files by key, each with the int columns named by its letters."""
    return [File("lake", tuple(key.split("/")), 10, Content(compression, JSON, {c: "int" for c in names}, tuple(names), 1))
            for key, names in schemas.items()]


def found(schemas, combine=False):
    return {t.location: (t.name, t.partition_keys, [values for values, _, _ in t.partitions()])
            for t in find_tables(("t",), files(schemas), combine)}


def test_hive_folders_are_partitions_with_their_own_names():
    """[C] GL/crawler-s3-folder-table-partition."""
    assert found({"t/Year=2026/m=1/a": "ab", "t/Year=2026/m=2/b": "ab"}) == {
        "s3://lake/t/": ("t", ["year", "m"], [("2026", "1"), ("2026", "2")])}


def test_plain_folders_are_numbered_partitions():
    """[C] DDL."""
    assert found({"t/2026/11/22/18/a": "ab"}) == {
        "s3://lake/t/": ("t", ["partition_0", "partition_1", "partition_2", "partition_3"], [("2026", "11", "22", "18")])}


def test_table_at_the_root_of_a_bucket_is_named_after_the_bucket():
    """[C] GL/crawler-running."""
    (table,) = find_tables((), files({"d=1/a": "ab"}), False)
    assert (table.name, table.location, table.partition_keys) == ("lake", "s3://lake/", ["d"])


def test_key_that_not_every_folder_has_is_numbered():
    assert found({"t/x=1/a": "ab", "t/y/b": "ab"}) == {"s3://lake/t/": ("t", ["partition_0"], [("x=1",), ("y",)])}


def test_dissimilar_folders_become_tables_of_their_own():
    """[C] GL/crawler-grouping-policy."""
    guide = {"t/year=2017/a": "ab", "t/year=2018/b": "cd"}
    assert found(guide) == {"s3://lake/t/year=2017/": ("year_2017", [], []), "s3://lake/t/year=2018/": ("year_2018", [], [])}
    assert found(guide, combine=True) == {"s3://lake/t/": ("t", ["year"], [("2017",), ("2018",)])}


def test_few_odd_folders_do_not_split_a_table():
    """[L] AWS KB glue-crawler-detect-schema: more than 70 %."""
    assert len(found({f"t/{n}/a": "abcd" for n in range(9)} | {"t/9/a": "xyz"})) == 1


def test_folders_of_unequal_depth_are_not_one_table():
    """[C] AWS KB glue-crawler-multiple-tables: the structure of the path."""
    assert set(found({"t/2026/11/a": "ab", "t/errors/x/y/b": "ab"}, combine=True)) == {"s3://lake/t/2026/", "s3://lake/t/errors/"}


def test_dissimilar_files_of_one_folder_become_tables_of_their_own():
    assert {location: table[0] for location, table in found({"t/a.json": "ab", "t/b.json": "cd"}).items()} == {
        "s3://lake/t/a.json": "a_json", "s3://lake/t/b.json": "b_json"}


def test_compressed_and_plain_files_are_not_one_table():
    """[C] GL/crawler-grouping-policy: the same compression type."""
    mixed = files({"t/x/a": "ab"}) + files({"t/y/b": "ab"}, compression="gzip")
    assert len(find_tables(("t",), mixed, True)) == 2


@pytest.mark.parametrize(("pattern", "hits", "misses"), [
    ("*.csv", ["a.csv"], ["x/a.csv", "a.json"]), ("**.csv", ["a.csv", "x/a.csv"], ["a.csv.gz"]),
    ("errors/**", ["errors/a/b"], ["x/errors/a"]),
    ("**/_tmp/*", ["a/b/_tmp/c"], ["_tmp/c"]), ("200[3-5]/?.json", ["2004/a.json"], ["2006/a.json", "2004/ab.json"]),
    ("[!a]*", ["b"], ["a"]), ("{a,b}.json", ["a.json", "b.json"], ["c.json"]), (r"\*a,b", ["*a,b"], ["xa,b"]),
])
def test_exclude_pattern(pattern, hits, misses):
    """[C] GL/define-crawler: glob patterns."""
    assert all(glob(pattern).fullmatch(key) for key in hits)
    assert not any(glob(pattern).fullmatch(key) for key in misses)


CALLER = Caller("000000000000", "us-east-1")
BASE = {"Name": "c", "Role": "r", "DatabaseName": "d", "Targets": {"S3Targets": [{"Path": "s3://lake/t"}]}}


def test_policies_have_the_defaults_of_aws():
    """[C] GL/crawler-configuration."""
    assert crawler_settings(CALLER, {}, BASE)["SchemaChangePolicy"] == {
        "UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DEPRECATE_IN_DATABASE"}
    only_new = crawler_settings(CALLER, {}, BASE | {"RecrawlPolicy": {"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"}})
    assert only_new["SchemaChangePolicy"] == {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}


def test_role_is_kept_by_path_and_name():
    for role in ("r", "arn:aws:iam::000000000000:role/r"):
        assert crawler_settings(CALLER, {}, BASE | {"Role": role})["Role"] == "r"
    pathed = crawler_settings(CALLER, {}, BASE | {"Role": "arn:aws:iam::000000000000:role/service-role/r"})
    assert pathed["Role"] == "service-role/r"


def test_configuration_lists_what_is_switched_on():
    assert configuration('{"Version": 1.0, "Grouping": {"TableGroupingPolicy": "CombineCompatibleSchemas"}}') == {
        "Grouping.TableGroupingPolicy": "CombineCompatibleSchemas"}
