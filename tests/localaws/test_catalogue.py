"""Glue's catalogue, where MiniStack alone answers otherwise than AWS."""

import uuid

import pytest

from .making import client

KEYS = [{"Name": "day", "Type": "string"}, {"Name": "hour", "Type": "int"}]


@pytest.fixture(scope="module")
def glue(aws):
    return client(aws, "glue")


@pytest.fixture
def table(glue):
    """The request's members that name a table with six partitions; its database goes with it."""
    database = f"cat{uuid.uuid4().hex[:8]}"
    glue.create_database(DatabaseInput={"Name": database})
    storage = {"Columns": [{"Name": "id", "Type": "int"}], "Location": "s3://nowhere/t/"}
    glue.create_table(DatabaseName=database, TableInput={"Name": "sales", "Description": "What was sold", "PartitionKeys": KEYS,
                                                         "StorageDescriptor": storage})
    glue.batch_create_partition(DatabaseName=database, TableName="sales", PartitionInputList=[
        {"Values": [day, hour], "StorageDescriptor": storage} for day in ("24", "25") for hour in ("2", "9", "10")])
    yield {"DatabaseName": database, "TableName": "sales"}
    glue.delete_table(DatabaseName=database, Name="sales")
    glue.delete_database(Name=database)


def values(glue, table: dict, **request) -> list[list[str]]:
    pages = glue.get_paginator("get_partitions").paginate(**table, **request)
    return [part["Values"] for page in pages for part in page["Partitions"]]


@pytest.mark.parametrize(("expression", "expected"), [
    ("day = '25' AND hour > 9", [["25", "10"]]),
    ("hour BETWEEN 2 AND 9 AND day <> '25'", [["24", "2"], ["24", "9"]]),
    ("day IN ('25', '26') AND (hour = 2 OR hour = 10)", [["25", "2"], ["25", "10"]]),
    ("day LIKE '2_' AND NOT hour >= 9", [["24", "2"], ["25", "2"]]),
    ("day = 'none'", []),
])
def test_partitions_are_filtered_by_an_expression_that_knows_the_keys_types(glue, table, expression, expected):
    """[C] BC:glue, GetPartitions Expression."""
    assert values(glue, table, Expression=expression) == expected


@pytest.mark.parametrize("expression", ["length(day) > 1", "day = (SELECT 'x')", "nothing = '1'", "day =", "1=1); ATTACH 'x' AS y; --"])
def test_an_expression_that_is_no_comparison_of_keys_is_refused(glue, table, expression):
    """[C] BC:glue, GetPartitions: InvalidInputException."""
    with pytest.raises(glue.exceptions.InvalidInputException, match="Unsupported expression"):
        values(glue, table, Expression=expression)


def test_partitions_come_in_pages_and_segments(glue, table):
    """[C] BC:glue, GetPartitions MaxResults, NextToken, Segment."""
    first = glue.get_partitions(**table, MaxResults=4)
    rest = glue.get_partitions(**table, MaxResults=4, NextToken=first["NextToken"])
    assert len(first["Partitions"]) == 4 and len(rest["Partitions"]) == 2 and "NextToken" not in rest
    parts = [values(glue, table, Segment={"SegmentNumber": number, "TotalSegments": 4}) for number in range(4)]
    assert sorted(part for each in parts for part in each) == sorted(values(glue, table))
    assert "Columns" not in glue.get_partitions(**table, ExcludeColumnSchema=True)["Partitions"][0]["StorageDescriptor"]


def test_many_partitions_are_deleted_at_once_and_the_missing_ones_named(glue, table):
    """[C] BC:glue, BatchDeletePartition: 25 at most."""
    gone = [{"Values": ["24", "2"]}, {"Values": ["99", "1"]}]
    [error] = glue.batch_delete_partition(**table, PartitionsToDelete=gone)["Errors"]
    assert (error["PartitionValues"], error["ErrorDetail"]["ErrorCode"]) == (["99", "1"], "EntityNotFoundException")
    assert len(values(glue, table)) == 5
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.delete_partition(**table, PartitionValues=["24", "2"])


def test_names_of_databases_and_tables_are_folded_to_lower_case(glue, table):
    """[C] BC:glue, DatabaseInput and TableInput Name."""
    upper = {"DatabaseName": table["DatabaseName"].upper(), "Name": "SALES"}
    assert glue.get_table(**upper)["Table"]["Name"] == "sales"
    assert glue.get_database(Name=upper["DatabaseName"])["Database"]["Name"] == table["DatabaseName"]


def test_a_table_without_an_owner_can_be_written_back(glue, table):
    """[C] BC:glue, TableInput Owner has at least one character; awswrangler hands tables back as they came."""
    found = glue.get_table(DatabaseName=table["DatabaseName"], Name="sales")["Table"]
    assert "Owner" not in found
    kept = {name: found[name] for name in ("Name", "Description", "PartitionKeys", "StorageDescriptor")}
    glue.update_table(DatabaseName=table["DatabaseName"], TableInput=kept | {"Owner": "me"})
    assert glue.get_table(DatabaseName=table["DatabaseName"], Name="sales")["Table"]["Owner"] == "me"


def test_tables_are_searched_by_a_part_of_a_text_or_in_quotes_by_the_whole(glue, table):
    """[C] BC:glue, SearchTables SearchText."""
    def found(text: str) -> bool:
        tables = glue.search_tables(SearchText=text, MaxResults=1000)["TableList"]
        return table["DatabaseName"] in [each["DatabaseName"] for each in tables]

    assert found("SOLD") and found("sal") and found("hour") and found('"sales"') and found('"What was sold"')
    assert not found('"sal"') and not found("nowhere-else")
    with pytest.raises(glue.exceptions.InvalidInputException, match="Filters"):
        glue.search_tables(Filters=[{"Key": "Name", "Value": "sales"}])
