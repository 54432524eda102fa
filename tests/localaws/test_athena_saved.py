"""Athena's statements that are kept, and the catalogue that queries can read."""

import uuid

import pytest

from .test_athena import lake  # noqa: F401  (a fixture)


@pytest.fixture
def workgroup(lake):  # noqa: F811
    name = f"group-{uuid.uuid4().hex[:8]}"
    lake.athena.create_work_group(Name=name, Configuration={
        "EnforceWorkGroupConfiguration": False, "ResultConfiguration": {"OutputLocation": f"{lake.output}/{name}/"}})
    yield name
    lake.athena.delete_work_group(WorkGroup=name, RecursiveDeleteOption=True)


def test_a_prepared_statement_is_kept_by_its_workgroup(lake, workgroup):  # noqa: F811
    """[C] BC:athena, CreatePreparedStatement and its like."""
    athena, name = lake.athena, {"StatementName": "big", "WorkGroup": workgroup}
    athena.create_prepared_statement(**name, QueryStatement="SELECT 1", Description="first")
    with pytest.raises(athena.exceptions.InvalidRequestException, match="already exists"):
        athena.create_prepared_statement(**name, QueryStatement="SELECT 1")
    athena.update_prepared_statement(**name, QueryStatement="SELECT 2")
    found = athena.get_prepared_statement(**name)["PreparedStatement"]
    assert (found["QueryStatement"], found["Description"], found["WorkGroupName"]) == ("SELECT 2", "first", workgroup)
    assert [item["StatementName"] for item in athena.list_prepared_statements(WorkGroup=workgroup)["PreparedStatements"]] == ["big"]
    assert athena.list_prepared_statements(WorkGroup="primary")["PreparedStatements"] == []
    batch = athena.batch_get_prepared_statement(WorkGroup=workgroup, PreparedStatementNames=["big", "none"])
    assert [item["QueryStatement"] for item in batch["PreparedStatements"]] == ["SELECT 2"]
    assert [item["StatementName"] for item in batch["UnprocessedPreparedStatementNames"]] == ["none"]
    with pytest.raises(athena.exceptions.InvalidRequestException, match="not empty"):
        athena.delete_work_group(WorkGroup=workgroup)
    athena.delete_prepared_statement(**name)
    for call in (athena.get_prepared_statement, athena.delete_prepared_statement):
        with pytest.raises(athena.exceptions.ResourceNotFoundException, match="big"):
            call(**name)


def test_prepare_execute_and_deallocate_are_statements(lake, workgroup):  # noqa: F811
    """[C] docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html."""
    run = {"WorkGroup": workgroup}
    assert lake.run("PREPARE big FROM SELECT orderid, quantity FROM orders WHERE quantity > ? AND product_name = ? ORDER BY 1", **run)[
        "Status"]["State"] == "SUCCEEDED"
    assert lake.rows("EXECUTE big USING 4, upper('p') || 'en'", **run) == [["orderid", "quantity"], ["o6", "6"], ["o8", "8"]]
    assert lake.rows("EXECUTE big", ExecutionParameters=["6", "'Pen'"], **run)[1:] == [["o8", "8"]]
    lake.run("PREPARE big FROM SELECT nothing FROM orders", **run)
    failed = lake.run("EXECUTE big", **run)["Status"]
    assert "line 1:8: Column 'nothing' cannot be resolved" in failed["StateChangeReason"], "the place is in the prepared text"
    assert lake.run("EXECUTE big USING 1", **run)["Status"]["State"] == "FAILED"
    assert lake.run("DEALLOCATE PREPARE big", **run)["Status"]["State"] == "SUCCEEDED"
    for sql in ("EXECUTE big", "DEALLOCATE PREPARE big"):
        assert "Prepared statement not found: big" in lake.run(sql, **run)["Status"]["StateChangeReason"]


def test_a_named_query_is_kept_by_its_id(lake, workgroup):  # noqa: F811
    """[C] BC:athena, CreateNamedQuery and its like."""
    athena, query = lake.athena, {"Name": "daily", "Database": lake.name, "QueryString": "SELECT 1", "WorkGroup": workgroup}
    token = {"ClientRequestToken": uuid.uuid4().hex * 2}
    first = athena.create_named_query(**query, **token)["NamedQueryId"]
    assert athena.create_named_query(**query, **token)["NamedQueryId"] == first
    second = athena.create_named_query(**query | {"Name": "weekly"})["NamedQueryId"]
    assert sorted(athena.list_named_queries(WorkGroup=workgroup)["NamedQueryIds"]) == sorted([first, second])
    athena.update_named_query(NamedQueryId=second, Name="monthly", QueryString="SELECT 2")
    found = athena.get_named_query(NamedQueryId=second)["NamedQuery"]
    assert found == {"Name": "monthly", "Database": lake.name, "QueryString": "SELECT 2", "NamedQueryId": second, "WorkGroup": workgroup}
    athena.delete_named_query(NamedQueryId=first)
    batch = athena.batch_get_named_query(NamedQueryIds=[first, second])
    assert [item["NamedQueryId"] for item in batch["NamedQueries"]] == [second]
    assert [item["NamedQueryId"] for item in batch["UnprocessedNamedQueryIds"]] == [first]
    with pytest.raises(athena.exceptions.InvalidRequestException, match=first):
        athena.get_named_query(NamedQueryId=first)


def test_the_catalogue_can_be_queried_as_information_schema(lake):  # noqa: F811
    """[C] docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog.html; `extra_info` [L]."""
    lake.table("kept", [("id", "int"), ("detail", "struct<a:string,b:array<int>>")], [("day", "string")])
    lake.run("CREATE OR REPLACE VIEW shown AS SELECT id FROM kept")
    where = f"WHERE table_schema = '{lake.name}' AND table_name IN ('kept', 'shown') ORDER BY 1"
    assert lake.rows(f"SELECT table_name, table_type, table_catalog FROM information_schema.tables {where}")[1:] == [
        ["kept", "BASE TABLE", "awsdatacatalog"], ["shown", "VIEW", "awsdatacatalog"]]
    assert lake.rows(f"SELECT table_name, view_definition FROM information_schema.views {where}")[1:] == [["shown", "SELECT id FROM kept"]]
    assert lake.rows("SELECT column_name, ordinal_position, data_type, extra_info FROM information_schema.columns "
                     f"WHERE table_schema = '{lake.name}' AND table_name = 'kept' ORDER BY 2")[1:] == [
        ["id", "1", "integer", None], ["detail", "2", "row(a varchar, b array(integer))", None], ["day", "3", "varchar", "partition key"]]
    assert [lake.name] in lake.rows("SELECT schema_name FROM information_schema.schemata")
    assert "Table 'awsdatacatalog.information_schema.roles' does not exist" in lake.reason("SELECT * FROM information_schema.roles")
