"""The AWS command line: walk.sh builds the pipeline, uses it and takes it down, as a person would who types it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("walk.sh")


def walk(aws=None, prefix: str = "walk") -> subprocess.CompletedProcess:
    """The script's end, run in a shell that knows the local AWS, or in one that knows none."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    beside = os.path.dirname(sys.executable)  # the virtual environment's aws and python
    return subprocess.run(["bash", str(SCRIPT), prefix], capture_output=True, text=True, timeout=600, env={
        **clean, **(aws.status.environment if aws else {}), "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"})


def sections(output: str) -> dict[str, list[str]]:
    """The lines below each heading `== ...`, by its first word."""
    parts = re.split(r"^== (\S+).*$", output, flags=re.M)[1:]
    return {heading: text.strip().splitlines() for heading, text in zip(parts[::2], parts[1::2])}


pytestmark = pytest.mark.skipif(os.name == "nt" or not shutil.which("bash"), reason="a shell script")


def test_the_aws_command_line_walks_through_the_whole_pipeline_and_leaves_nothing(aws):
    done = walk(aws)
    assert (done.returncode, done.stderr) == (0, "")
    said = sections(done.stdout)
    assert said["table"] == ["ACTIVE"] and said["stream"] == ["shardId-000000000000\tshardId-000000000001"]
    assert said["function"][1:] == ["200", '{"records": [{"recordId": "1", "result": "ProcessingFailed", "data": "bm90IEpTT04="}]}']
    assert said["orders"][1:] == ["o-1\tLamp\t4\t29.9", "o-3\tKeyboard\t1\t89"]
    keys = [line.split()[-1] for line in said["the"]]
    assert {key.partition("/")[0] for key in keys} == {"errors", "orders"}
    assert all(re.fullmatch(r"orders/year=\d{4}/month=\d\d/walk-delivery-1-[\d-]{19}-[0-9a-f-]{36}"
                            r"|errors/processing-failed/walk-delivery-1-[\d-]{19}-[0-9a-f-]{36}", key) for key in keys)
    assert said["crawler"] == ["orders\torderid,product_name,quantity,price,event_name,event_time,event_id,sequence_number,"
                               "previous_quantity,previous_price\tyear,month"]
    assert said["Athena"] == ["event_name\tchanges\tvalue", "INSERT\t3\t157.9", "MODIFY\t1\t119.6", "REMOVE\t1\t39.0"]
    assert said["its"] == ['"event_name","changes","value"', '"INSERT","3","157.9"', '"MODIFY","1","119.6"', '"REMOVE","1","39.0"']
    assert said["tear"] == ["nothing is left"]
    assert "walk-table" not in aws.client("dynamodb").list_tables()["TableNames"]


def test_a_walk_that_fails_says_so_and_leaves_nothing_either(aws):
    done = walk(aws, prefix="x" * 61)  # a pipe's name may have 64 characters; roles and tables are there by then
    assert done.returncode != 0 and "(ValidationException) when calling the CreatePipe operation" in done.stderr
    assert sections(done.stdout)["tear"] == ["nothing is left"]


def test_a_walk_touches_nothing_that_was_there_before(aws):
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/walked-transform")
    done = walk(aws, prefix="walked")
    assert done.returncode == 2 and "choose another prefix" in done.stderr and done.stdout == ""
    logs.delete_log_group(logGroupName="/aws/lambda/walked-transform")


def test_a_walk_refuses_a_shell_without_a_local_aws():
    done = walk()
    assert done.returncode == 2 and "python -m helpers.localaws env" in done.stderr and done.stdout == ""
