"""Clean-up's own words: what was there, what was not, and what is somebody else's."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from helpers.clean_up import _pages, delete, is_gone, leftovers
from helpers.settings import Settings


@pytest.fixture
def table(aws):
    """A function that makes a table of a project, tagged as the chapters tag theirs; all are removed."""
    dynamodb, made = aws.client("dynamodb"), []

    def make(settings):
        dynamodb.create_table(TableName=settings.table, BillingMode="PAY_PER_REQUEST",
                              KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
                              AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}],
                              Tags=[{"Key": key, "Value": value} for key, value in settings.tags.items()])
        made.append(settings.table)

    yield make
    for name in made:
        delete(dynamodb.delete_table, TableName=name)


def left(aws, settings):
    found = leftovers(SimpleNamespace(settings=settings, client=aws.client))
    return found.loc[found["found"] > 0, "names"].to_dict()


def test_what_carries_a_longer_prefix_that_is_in_use_too_is_not_ours(aws, table):
    ours, longer = Settings(prefix="cleanup"), Settings(prefix="cleanup-more")
    table(ours)
    table(longer)
    assert left(aws, ours) == {"tables": ["cleanup-table"], "anything with the tag": ["table/cleanup-table"]}
    assert left(aws, longer) == {"tables": ["cleanup-more-table"], "anything with the tag": ["table/cleanup-more-table"]}


def test_databases_log_groups_and_a_crawlers_log_are_found_by_their_own_names(aws):
    settings, logs, glue = Settings(prefix="cleanup-names"), aws.client("logs"), aws.client("glue")
    assert left(aws, settings) == {}
    glue.create_database(DatabaseInput={"Name": settings.database})
    logs.create_log_group(logGroupName=settings.function_log_group)
    try:
        assert left(aws, settings) == {"catalogue databases": [settings.database], "log groups": [settings.function_log_group]}
    finally:
        glue.delete_database(Name=settings.database)
        logs.delete_log_group(logGroupName=settings.function_log_group)


def test_listings_without_a_paginator_are_read_to_their_end():
    pages = {None: {"DeliveryStreamNames": ["a", "b"], "HasMoreDeliveryStreams": True},
             "b": {"DeliveryStreamNames": ["c"], "HasMoreDeliveryStreams": False}}
    client = SimpleNamespace(can_paginate=lambda _: False,
                             list_all=lambda ExclusiveStartDeliveryStreamName=None: pages[ExclusiveStartDeliveryStreamName])
    assert [name for page in _pages(client, "list_all") for name in page["DeliveryStreamNames"]] == ["a", "b", "c"]


def test_a_delete_says_what_it_found_and_raises_what_is_no_absence(aws, table):
    dynamodb, settings = aws.client("dynamodb"), Settings(prefix="cleanup-delete")
    table(settings)
    assert delete(dynamodb.delete_table, TableName=settings.table) == "deleted"
    assert delete(dynamodb.delete_table, TableName=settings.table) == "was not there"
    assert is_gone(aws.client("athena").get_work_group, WorkGroup="cleanup-nowhere")
    with pytest.raises(ClientError, match="ValidationException"):
        is_gone(aws.client("pipes").describe_pipe, Name="no such name!")
