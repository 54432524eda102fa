"""Catching up: whatever a learner has broken, one call says what it found, mends it, and the lake can prove itself again."""

import json

import pandas as pd
import pytest

from helpers import catch_up, chapters, connect
from helpers.clean_up import is_gone
from helpers.localaws import LocalAws
from helpers.look import change_events, lake_records, objects, sequence_number, table_stream_arn
from helpers.orders import read_table
from helpers.policies import trust
from helpers.reconcile import expected_rows, problems
from helpers.resources import look_at
from helpers.settings import Settings
from helpers.waits import wait_until
from tests.pipelines import found_by_kernels

FAST_CLOCK = 60


@pytest.fixture
def aws(monkeypatch, tmp_path):
    """A connection to a fresh local AWS that the kernels find too."""
    monkeypatch.setattr(chapters, "RUNS", tmp_path)
    with LocalAws.temporary(clock_scale=FAST_CLOCK) as local, found_by_kernels(local):
        yield connect(Settings(prefix="behind", changes=60, rate=0))


def delete_role(aws, role):
    aws.client("iam").delete_role_policy(RoleName=role, PolicyName="permissions")
    aws.client("iam").delete_role(RoleName=role)


def empty_the_bucket_and_trust_another(aws):
    for key in objects(aws, "")["key"]:
        aws.client("s3").delete_object(Bucket=aws.settings.bucket, Key=key)
    aws.client("iam").update_assume_role_policy(RoleName=aws.settings.function_role, PolicyDocument=json.dumps(trust(aws.settings, "pipe")))


def stop_the_pipe(aws):
    aws.client("pipes").stop_pipe(Name=aws.settings.pipe)
    delete_role(aws, aws.settings.crawler_role)
    aws.client("glue").delete_table(DatabaseName=aws.settings.database, Name=aws.settings.lake_table)


def delete_the_delivery_stream(aws):
    aws.client("firehose").delete_delivery_stream(DeliveryStreamName=aws.settings.delivery_stream)
    aws.client("lambda").delete_function(FunctionName=aws.settings.function)
    delete_role(aws, aws.settings.function_role)
    delete_role(aws, aws.settings.delivery_role)


def switch_the_tables_stream(aws, view):
    """Off, and on with `view`."""
    for stream in ({"StreamEnabled": False}, {"StreamEnabled": True, "StreamViewType": view}):
        aws.client("dynamodb").update_table(TableName=aws.settings.table, StreamSpecification=stream)
        wait_until("the table is ACTIVE", lambda: not look_at(aws, ["01"])[0].amiss)


def switch_the_tables_stream_off_and_on(aws):
    switch_the_tables_stream(aws, "NEW_AND_OLD_IMAGES")


def delete_the_stream_and_have_half_the_images(aws):
    aws.client("kinesis").delete_stream(StreamName=aws.settings.stream)
    switch_the_tables_stream(aws, "NEW_IMAGE")


def delete_the_table_and_the_pipe(aws):
    aws.client("pipes").delete_pipe(Name=aws.settings.pipe)
    aws.client("dynamodb").delete_table(TableName=aws.settings.table)
    wait_until("the table is gone", lambda: is_gone(aws.client("dynamodb").describe_table, TableName=aws.settings.table))


BROKEN = [
    (stop_the_pipe, ["04", "06"], ["the pipe is STOPPED", "the crawler's role is not there", "the lake's table is not there"]),
    (empty_the_bucket_and_trust_another, ["05"], ["the lake is empty", "the function's role is trusted to another than it should be"]),
    (delete_the_delivery_stream, ["05"], ["the function is not there", "the function's role is not there",
                                          "the delivery stream's role is not there", "the delivery stream is not there",
                                          "the lake has no delivery stream"]),
    (switch_the_tables_stream_off_and_on, ["04", "05"], [
        "the pipe's role has other permissions than it needs", "the pipe reads a stream of the table that was switched off",
        "the lake began with an earlier stream of the table"]),
    (delete_the_stream_and_have_half_the_images, ["02", "03", "04", "05", "06"], [
        "the table's stream carries NEW_IMAGE, not both images", "the stream is not there", "the lake has lost the stream or the table"]),
    (delete_the_table_and_the_pipe, ["01", "02", "03", "04", "05", "06"], ["the table is not there", "the pipe is not there"]),
]


@pytest.mark.timeout(1800)  # two dozen chapters run, one after the other
def test_it_says_what_is_broken_mends_it_and_the_lake_is_whole_again(aws, capsys):
    """From nothing first; then each fault in turn, on the pipeline that the repair of the one before has left."""
    catch_up(aws, "07")
    assert_whole(aws)
    for break_it, numbers, sentences in BROKEN:
        break_it(aws)
        capsys.readouterr()
        catch_up(aws, "07")
        printed = capsys.readouterr().out
        assert [line[:2] for line in printed.splitlines() if " runs, because " in line] == numbers, break_it.__name__
        assert all(sentence in printed for sentence in sentences), printed
        assert "this takes at most" in printed
        assert_whole(aws)
    capsys.readouterr()
    catch_up(aws, "07")
    assert capsys.readouterr().out == "ready for chapter 07\n"


def assert_whole(aws):
    """The lake's rows are the table's change events since the lake began, and give the table's state (chapter 07 does it in SQL)."""
    def in_lake():
        return pd.DataFrame([record for _, record in lake_records(aws)]).drop_duplicates("event_id")

    held = change_events(aws)
    since = max(in_lake()["sequence_number"].map(int).min(), min(map(sequence_number, held)))
    expected = expected_rows(held, table_stream_arn(aws), since)
    wait_until("every change is in the lake", lambda: set(expected["event_id"]) <= set(in_lake()["event_id"]))
    lake = in_lake().assign(number=lambda rows: rows["sequence_number"].map(int)).sort_values("number", ignore_index=True)
    assert problems(expected, lake[lake["number"] >= since].drop(columns="number"), "event_id").empty
    last = lake.drop_duplicates("orderid", keep="last")
    state = last[last["event_name"] != "REMOVE"][["orderid", "product_name", "quantity", "price"]]
    assert problems(read_table(aws.table()), state, "orderid").empty
