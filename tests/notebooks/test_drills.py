"""The drills of chapter 08: each runs alone, twice in a row, leaves the pipeline whole, and the doctor names its joint.

A drill's cells carry the tag `drill-NAME`; the chapter without them is its setup and its end. So "setup + one drill" is made from the
chapter itself, and a drill that is added without a line in VERDICTS fails. The cells are run here as a program would, without a kernel.
"""

import json
from types import SimpleNamespace

import matplotlib
import nbformat
import pytest

from helpers import glass
from helpers.chapters import CHAPTERS
from helpers.doctor import Verdict
from helpers.drills import Drills, Proof
from helpers.localaws import LocalAws
from helpers.look import table_stream_arn
from helpers.mend import deploy, destination, make_whole, without
from helpers.policies import HOPS, lacking, needed
from helpers.settings import Settings
from helpers.waits import wait_until
from tests.pipelines import built

[CHAPTER] = [chapter for chapter in CHAPTERS if chapter.number == "08"]
SETTINGS = Settings(prefix="drills", changes=60, rate=0)

# Drill and the joint that the doctor has to name; None: no joint is broken, and he must not say that one is.
VERDICTS = {
    "pipe-permission": "pipe", "switched-off": "pipe", "latest": "pipe", "hot-shard": "pipe",
    "delivery-permission": "delivery stream", "invoke-permission": "delivery stream", "errors-in-lake": "delivery stream",
    "poison": "function", "raises": "function", "times-out": "function", "forgets-id": "function", "illegal-result": "function",
    "function-permission": "function", "no-newline": "function", "type-drift": "function",
    "crawler-permission": "crawler", "missing-partition": "crawler",
    "duplicates": None, "one-batch": None,
}
# Drills in which nothing is stuck and nothing fails, so that the alarm of the last exercise is silent, as the trainer's page says.
SLEPT_THROUGH = ("hot-shard", "function-permission", "type-drift", "crawler-permission", "missing-partition")


def drill_of(cell) -> str | None:
    """The drill that a cell belongs to; None for the setup and the end."""
    return next((tag.removeprefix("drill-") for tag in cell.metadata.get("tags", []) if tag.startswith("drill-")), None)


CELLS = nbformat.read(CHAPTER.path, as_version=4).cells
DRILLS = list(dict.fromkeys(filter(None, map(drill_of, CELLS))))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """The pipeline as chapters 01 to 07 leave it."""
    matplotlib.use("agg")
    with LocalAws.temporary(clock_scale=60) as local, built(local, SETTINGS, tmp_path_factory.mktemp("runs"), last="07") as aws:
        yield aws


@pytest.fixture(scope="module")
def as_built(pipeline):
    """The pipeline as the chapters made it, before chapter 08 touched it."""
    return as_it_is(pipeline)


@pytest.fixture(scope="module")
def setup(pipeline, as_built):
    """The names that the cells before the first drill leave behind. They are run once; no drill sees another's names."""
    names: dict = {}
    run_cells(CELLS[:[drill_of(cell) for cell in CELLS].index(DRILLS[0])], names)
    return names


def as_it_is(aws) -> dict:
    """Whatever a drill may change."""
    functions, settings, pipe = aws.client("lambda"), aws.settings, aws.client("pipes").describe_pipe(Name=aws.settings.pipe)
    function = functions.get_function_configuration(FunctionName=settings.function)
    delivery = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=settings.delivery_stream)["DeliveryStreamDescription"]
    return {"roles": [role_of(aws, hop) for hop in HOPS], "function": (function["CodeSha256"], function["Timeout"]),
            "pipe": (pipe["CurrentState"], pipe["Source"] == table_stream_arn(aws), pipe["SourceParameters"], pipe["TargetParameters"]),
            "delivery": delivery["Destinations"][0]["ExtendedS3DestinationDescription"]}


def role_of(aws, hop: str) -> tuple:
    """What data/policies demands of the hop's role and it may not do; and its documents, with the table's stream by one name."""
    iam, name = aws.client("iam"), getattr(aws.settings, f"{hop}_role")
    documents = [iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                 for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]]
    said = json.dumps([iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"], *documents])
    return lacking(iam, aws.settings.role_arn(name), needed(aws, hop)), said.replace(table_stream_arn(aws), "the table's stream")


def run_cells(cells: list, names: dict) -> None:
    for cell in cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, f"chapter 08, {drill_of(cell) or 'setup'}", "exec"), names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= vars(SETTINGS)


def test_every_drill_has_its_verdict_here_and_no_other():
    assert sorted(VERDICTS) == sorted(DRILLS) and len(DRILLS) >= 12


def test_every_cell_between_the_setup_and_the_end_belongs_to_a_drill_and_drills_do_not_mix():
    """Only headings of groups stand between drills."""
    order = [drill_of(cell) for cell in CELLS]
    first, last = order.index(DRILLS[0]), len(order) - order[::-1].index(DRILLS[-1])
    between = [cell for cell in CELLS[first:last] if drill_of(cell) is None]
    assert all(cell.cell_type == "markdown" and cell.source.startswith("## ") for cell in between)
    assert [name for name, before in zip(order, [None, *order]) if name and name != before] == DRILLS, "a drill's cells stand together"


def test_no_cell_that_breaks_something_says_why_it_does_not_work():
    """In a contest somebody else has run it, and the team sees the picture and the orders' numbers."""
    first = [next(cell.source for cell in CELLS if cell.cell_type == "code" and drill_of(cell) == drill) for drill in DRILLS]
    assert not [source for source in first if "StateReason" in source or "doctor(" in source]


def test_a_drills_key_does_not_say_what_broke_and_is_in_no_other_key():
    begun = Drills(SimpleNamespace(settings=SETTINGS))  # all within a second
    keys = [begun.begin(name, "none").key for name in DRILLS]
    assert not [key for key in keys for name in DRILLS if name in key]
    assert [[key in other for other in keys].count(True) for key in keys] == [1] * len(keys)


def test_the_scoreboard_keeps_a_drill_that_was_proved_without_the_doctor_and_no_drill_that_was_not_proved():
    drills = Drills(SimpleNamespace(settings=SETTINGS))
    names: dict = {"drills": drills}
    [board_cell] = [cell for cell in CELLS if "drills.scoreboard()" in cell.source]
    checks = CELLS[CELLS.index(board_cell) + 1]
    exec("from helpers import check", names)
    run_cells([board_cell, checks], names)
    empty = names["board"]
    assert empty.empty
    for name, verdict in (("asked", Verdict("broken", "pipe")), ("healthy", Verdict("healthy")), ("not-asked", None)):
        drill = drills.begin(name, "none")
        drill.verdict, drill.proof, drill.cure = verdict, Proof(2, 0, 0, 0, 0), "mended"
    run_cells([board_cell, checks], names)
    board = names["board"]
    assert board["the doctor's joint"].to_dict() == {"asked": "pipe", "healthy": "healthy", "not-asked": "-"}
    assert list(empty.columns) == list(board.columns) and empty.index.name == board.index.name == "drill"
    drills.begin("given-up", "none").verdict = Verdict("broken", "pipe")
    with pytest.raises(AssertionError, match="every drill that was begun was proved"):
        run_cells([board_cell, checks], names)


@pytest.mark.parametrize("drill", DRILLS)
def test_it_runs_alone_and_again_and_the_doctor_names_its_joint(setup, drill):
    aws, cells = setup["aws"], [cell for cell in CELLS if drill_of(cell) == drill]
    found, failed = as_it_is(aws), glass.measure(aws).at["S3", "failed"]
    names = dict(setup, drills=Drills(aws))
    run_cells(cells[:-1], names)
    if drill in SLEPT_THROUGH:
        wait_until("nothing is behind", lambda: glass.measure(aws).loc[["EventBridge", "Firehose"], "behind"].eq(0).all())
        assert glass.measure(aws).at["S3", "failed"] == failed
    run_cells([cells[-1], *cells], names)
    assert as_it_is(aws) == found, "it left something else than it found"
    done = names["drills"]
    assert [each.name for each in done] == [drill, drill]
    for each in done:
        assert each.verdict.joint == VERDICTS[drill], each.verdict
        assert each.verdict.state == ("broken" if VERDICTS[drill] else "healthy") and bool(each.verdict.fix) == bool(VERDICTS[drill])
        assert each.proof.holds and each.cure


def test_the_chapter_without_any_drill_finds_a_healthy_pipeline_and_leaves_it_as_the_chapters_made_it(pipeline, as_built):
    names: dict = {}
    run_cells([cell for cell in CELLS if drill_of(cell) is None], names)
    assert [each.verdict.state for each in names["drills"]] == ["healthy"]
    assert names["verdict"].state == "healthy"
    assert as_it_is(pipeline) == as_built


def test_what_may_break_is_made_whole_as_the_chapters_made_it(pipeline, as_built):
    settings, functions = pipeline.settings, pipeline.client("lambda")
    try:
        functions.update_function_configuration(FunctionName=settings.function, Timeout=1)
        deploy(pipeline, ("import re", "import re  # otherwise"))
        pipeline.client("firehose").update_destination(**destination(pipeline), ExtendedS3DestinationUpdate={
            "BufferingHints": {"IntervalInSeconds": 900, "SizeInMBs": 1}, "Prefix": "elsewhere/", "ErrorOutputPrefix": "elsewhere/",
            "ProcessingConfiguration": {"Enabled": False}})
        for hop in HOPS:  # the last, since Firehose takes no update whose role it cannot assume
            pipeline.client("iam").update_assume_role_policy(RoleName=getattr(settings, f"{hop}_role"), PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}))
        broken = as_it_is(pipeline)
    finally:
        make_whole(pipeline)
    assert all(broken[what] != as_built[what] for what in ("roles", "function", "delivery"))
    assert as_it_is(pipeline) == as_built


def test_the_proof_of_a_drill_fails_when_an_order_is_lost_or_wrong(pipeline):
    """One object is taken out of the lake, then written with another price."""
    s3, bucket = pipeline.client("s3"), pipeline.settings.bucket
    drills = Drills(pipeline)
    drill, other = drills.begin("proof", "none"), drills.begin("other", "none")  # a drill's own proof waits for its own orders
    drill.order(1)
    [key] = drill.delivered()
    assert drill.prove("none").holds
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=key)
    lost = other.prove("none")
    assert (lost.lost, lost.holds) == (1, False)
    s3.put_object(Bucket=bucket, Key=key, Body=body.replace(b"39.95", b"39.94"))
    wrong = other.prove("none")
    assert (wrong.lost, wrong.holds) == (0, False)
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert other.prove("none").holds


def test_a_change_to_what_is_not_there_is_refused(pipeline):
    with pytest.raises(ValueError, match="'no such line' does not stand in helpers/transform.py"):
        deploy(pipeline, ("no such line", ""))
    with pytest.raises(ValueError, match="The crawler has no kinesis:PutRecords"):
        without(pipeline, "crawler", "kinesis:PutRecords")
    assert "s3:GetObject" not in without(pipeline, "crawler", "s3:GetObject")
