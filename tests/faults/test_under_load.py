"""While 5,000 changes flow, something breaks. In the end each of them is in the lake, or under the error prefix if AWS puts it there.

On the pipeline that the chapters build. Every fault comes from outside, through AWS's APIs or a signal, and each but the function's
lost log is seen to have struck.
A table at the end of the test run accounts for every change.
"""

import base64
import contextlib
import functools
import inspect
import io
import itertools
import json
import re
import shutil
import tempfile
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from botocore.config import Config

from helpers import mend, transform
from helpers.localaws import LocalAws
from helpers.look import change_events, objects, read_object, sequence_number, shard_records, table_stream_arn
from helpers.orders import COLUMNS, Ledger, OrderSource, empty_table, plan, read_products, read_table
from helpers.policies import POLICY_NAME, needed
from helpers.reconcile import expected_rows, problems
from helpers.session import CONFIG, Aws
from helpers.settings import Settings
from helpers.waits import WaitTimeout, wait_until
from tests.conftest import joints_of
from tests.pipelines import built, crawl, delivery_says, pipe_says

pytestmark = pytest.mark.xdist_group("under load")  # they share one pipeline

CHANGES, WORKERS = 5000, 4
BEFORE, DURING = 1000, 3000  # so many are made before the first fault strikes and while it lasts; the rest when all is mended
PATIENCE = Config(retries={"mode": "standard", "total_max_attempts": 20})  # the shop outlives a stop of its table


@dataclass
class Shop:
    """The order source: sells one long plan bit by bit, in the background, and remembers what it did."""

    aws: Aws
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        table = self.aws.session.resource("dynamodb", config=CONFIG.merge(PATIENCE)).Table(self.aws.settings.table)
        empty_table(table, progress=False)
        self._pool, self._bits = ThreadPoolExecutor(1), []  # one bit after the other: an order's changes keep their order
        self._source, self._rest = functools.partial(OrderSource, table), iter(plan(11, 20 * CHANGES, read_products()))

    def sell(self, changes: int) -> None:
        """Make the next `changes` as soon as those before are made."""
        self._bits.append(self._pool.submit(self._sell, list(itertools.islice(self._rest, changes))))

    def _sell(self, bit: list) -> None:
        for start in range(0, len(bit), 250):  # so that `ledger` grows as time passes
            self.ledger.made += self._source(bit[start:start + 250]).publish(progress=False, workers=WORKERS).made

    def wait_sold(self, changes: int) -> None:
        """Wait until `changes` are made since the shop opened; raises what stopped it."""
        def made() -> bool:
            for bit in filter(Future.done, self._bits):
                bit.result()
            return self.ledger.changes >= changes

        wait_until(f"{changes} changes are made", made, show=lambda: self.ledger.changes)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class Lake:
    """The rows of changes behind `start`, in the lake and waiting under the error prefix. Each new object is read once."""

    def __init__(self, aws: Aws, start: int):
        self.aws, self.start, self._read = aws, start, set(objects(aws, "")["key"])
        self.delivered: list[dict] = []
        self.failed: list[dict] = []

    def look(self) -> "Lake":
        settings = self.aws.settings
        for prefix, rows, row_of in ((settings.lake_prefix, self.delivered, json.loads), (settings.error_prefix, self.failed, failed_row)):
            for key in objects(self.aws, prefix)["key"]:
                if key not in self._read:
                    found = [row_of(line) for line in read_object(self.aws, key).split("\n") if line]
                    rows += [row for row in found if row and int(row["sequence_number"]) > self.start]
                    self._read.add(key)
        return self

    @property
    def events(self) -> set[str]:
        return {row["event_id"] for row in self.delivered + self.failed}

    def frame(self, after: int) -> pd.DataFrame:
        """One row for each event behind `after` that is here or there, in the order of the changes."""
        rows = {row["event_id"]: row for row in self.failed + self.delivered if int(row["sequence_number"]) > after}
        return pd.DataFrame(sorted(rows.values(), key=lambda row: int(row["sequence_number"])), columns=transform.FIELDS)

    def state(self) -> pd.DataFrame:
        """The orders that there are after the last event, in the shape of `read_table`."""
        last = self.frame(self.start).drop_duplicates("orderid", keep="last")
        return last.loc[last["event_name"] != "REMOVE", COLUMNS].sort_values("orderid", ignore_index=True)


def failed_row(line: str) -> dict | None:
    """The row that a line under the error prefix becomes when it is replayed; None for what the transform drops."""
    return transform.transform_event(json.loads(base64.b64decode(json.loads(line)["rawData"])))


@dataclass(frozen=True)
class Account:
    """What became of the changes of one run."""

    sent: int
    delivered_once: int
    delivered_again: int  # and deduplicated
    under_error_prefix: int
    lost: int

    @classmethod
    def of(cls, sent: int, expected: set[str], lake: Lake) -> "Account":
        times = Counter(row["event_id"] for row in lake.delivered)
        once, again = (sum(often(times[event]) for event in expected) for often in (lambda n: n == 1, lambda n: n > 1))
        return cls(sent, once, again, len(expected & lake.events - times.keys()), len(expected - lake.events))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    with LocalAws.temporary(clock_scale=60) as local, built(local, Settings(prefix="load", changes=60, rate=0), tmp_path_factory.mktemp("runs")) as aws:
        yield local, aws


@pytest.fixture(scope="module")
def shop(pipeline):
    with contextlib.closing(Shop(pipeline[1])) as shop:
        yield shop


@pytest.fixture(scope="module")
def lake(pipeline, shop):
    return Lake(pipeline[1], last_change(pipeline[1]))


def last_change(aws: Aws) -> int:
    return max(map(sequence_number, change_events(aws)), default=0)


# -- the faults: on entering something breaks, on leaving it is mended -----------------------------------------------------------


@contextlib.contextmanager
def nothing_more(local: LocalAws, aws: Aws) -> Iterator[None]:
    yield


@contextlib.contextmanager
def worker_killed(local: LocalAws, aws: Aws) -> Iterator[None]:
    """The process that pipe, delivery stream and crawler live in dies in the middle of its work."""
    restarts = local.status().joint_restarts
    joints_of(local).kill()
    yield
    wait_until("it runs again", lambda: local.status().joint_restarts == restarts + 1)


@contextlib.contextmanager
def stopped_and_started(local: LocalAws, aws: Aws) -> Iterator[None]:
    restart(local)
    yield


def restart(local: LocalAws, **changes) -> None:
    for name, value in changes.items():
        setattr(local, name, value)
    before = local.status().pid
    local.stop()
    assert local.start().pid != before


def revoked(hop: str) -> Callable:
    @contextlib.contextmanager
    def fault(local: LocalAws, aws: Aws) -> Iterator[None]:
        """The role of `hop` may do nothing any more."""
        iam, role = aws.client("iam"), getattr(aws.settings, f"{hop}_role")
        document = json.dumps(needed(aws, hop))
        iam.delete_role_policy(RoleName=role, PolicyName=POLICY_NAME)
        try:
            yield
            if hop in SAYS:
                wait_until(f"the {hop} is refused", lambda: "AccessDenied" in SAYS[hop](aws), show=lambda: SAYS[hop](aws))
        finally:
            iam.put_role_policy(RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=document)

    return fault


@contextlib.contextmanager
def s3_refuses(local: LocalAws, aws: Aws) -> Iterator[None]:
    """A bucket policy forbids what the role's own allows."""
    s3, settings = aws.client("s3"), aws.settings
    s3.put_bucket_policy(Bucket=settings.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": {"AWS": settings.role_arn(settings.delivery_role)}, "Action": "s3:PutObject",
        "Resource": f"{settings.bucket_arn}/*"}]}))
    try:
        yield
        wait_until("S3 refuses writes", lambda: "s3:PutObject" in delivery_says(aws), show=lambda: delivery_says(aws))
    finally:
        s3.delete_bucket_policy(Bucket=settings.bucket)


@contextlib.contextmanager
def kinesis_throttles(local: LocalAws, aws: Aws) -> Iterator[None]:
    """A shard takes five records a second, so that even a slow machine writes faster; that is chosen when the local AWS starts."""
    start = last_change(aws)
    restart(local, shard_limits=0.005)
    try:
        yield
        wait_until("a part of a call is throttled", lambda: overtaken(aws, start), every=1)
    finally:
        restart(local, shard_limits=0)


def overtaken(aws: Aws, after: int) -> int:
    """How many changes behind `after` reached the stream later than one made after them: what is left of a call that was taken in part."""
    arrived: dict[int, float] = {}
    for data, at in shard_records(aws)[["data", "arrived"]].itertuples(index=False):
        if (written := re.search(rb'"SequenceNumber": ?"([0-9]+)"', data)) and (number := int(written[1])) > after:
            arrived[number] = min(at.timestamp(), arrived.get(number, at.timestamp()))
    earliest, count = float("inf"), 0
    for number in sorted(arrived, reverse=True):
        count += arrived[number] > earliest
        earliest = min(earliest, arrived[number])
    return count


def function_fails(which: str) -> Callable:
    @contextlib.contextmanager
    def fault(local: LocalAws, aws: Aws) -> Iterator[None]:
        """The transform raises in one "call" of five, after which the batch is sent again; or for one "batch" of five, however often."""
        sign = {"call": errors_logged, "batch": lambda aws: len(objects(aws, aws.settings.error_prefix))}[which]
        before, noted = sign(aws), f"failed-once-{uuid.uuid4().hex}"
        deploy(aws, {"transform.py": FAILING[which].replace("NOTED", noted), "real.py": inspect.getsource(transform)})
        try:
            yield
            wait_until(f"a {which} of the function fails", lambda: sign(aws) > before)
        finally:
            mend.deploy(aws)
            shutil.rmtree(Path(tempfile.gettempdir(), noted), ignore_errors=True)

    return fault


FAILING = {
    "call": """
import os, real, tempfile, zlib
noted = os.path.join(tempfile.gettempdir(), "NOTED")  # outlives the function's processes, of which there may be several
def handler(event, context):
    batch = zlib.crc32(event["records"][0]["recordId"].encode())
    os.makedirs(noted, exist_ok=True)
    others, mark = os.listdir(noted), os.path.join(noted, str(batch))
    if str(batch) not in others:
        open(mark, "w").close()
        if not others or batch % 5 == 0:
            raise RuntimeError("one call in five")
    return real.handler(event, context)
""",
    "batch": """
import real
batches = {}
def handler(event, context):
    if batches.setdefault(event["records"][0]["recordId"], len(batches)) % 5 == 0:
        raise RuntimeError("one batch in five")
    return real.handler(event, context)
"""}


def deploy(aws: Aws, files: dict[str, str]) -> None:
    """Give the function the code in `files`, by name."""
    archive, functions = io.BytesIO(), aws.client("lambda")
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, source in files.items():
            zipped.writestr(name, source)
    functions.update_function_code(FunctionName=aws.settings.function, ZipFile=archive.getvalue())
    functions.get_waiter("function_updated_v2").wait(FunctionName=aws.settings.function, WaiterConfig={"Delay": 1})


def errors_logged(aws: Aws) -> int:
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=aws.settings.function_log_group)
    return sum("in five" in event["message"] for page in pages for event in page["events"])


def crawler_says(aws: Aws) -> str:
    """How a crawl that is started now ends."""
    return crawl(aws).get("ErrorMessage", "")


SAYS = {"pipe": pipe_says, "delivery": delivery_says, "crawler": crawler_says}  # nobody says that a function's log stays empty

# -- the runs --------------------------------------------------------------------------------------------------------------------

function_fails_for_good = function_fails("batch")
HOPS = [revoked(hop) for hop in ("pipe", "delivery", "function", "crawler")]
CASES = {  # faults that last, and faults that come meanwhile, one after the other
    "Kinesis throttles": ([], [kinesis_throttles]),
    "a worker is killed": ([], [worker_killed]),
    "the permissions of each hop are revoked": ([], HOPS),
    "S3 refuses writes": ([], [s3_refuses]),
    "one call of the function in five fails": ([function_fails("call")], [nothing_more]),
    "one batch in five fails for good": ([function_fails_for_good], [nothing_more]),
    "the local AWS is stopped and started": ([], [stopped_and_started]),
    "all but the throttling": ([function_fails_for_good], [worker_killed, *HOPS, s3_refuses, stopped_and_started]),
}
# A batch whose call is not allowed ends there too (Lambda.InvokeAccessDenied [C, AWS_FACTS.md part 4]), if one is under way just then.
MAY_FAIL = ("the permissions of each hop are revoked",)


@pytest.mark.parametrize("case", CASES)
def test_every_change_is_delivered_or_where_aws_puts_it(pipeline, shop, lake, case, record_property):
    local, aws = pipeline
    lasting, passing = CASES[case]
    start, sold = last_change(aws), shop.ledger.changes
    with contextlib.ExitStack() as broken:
        for fault in lasting:
            broken.enter_context(fault(local, aws))
        shop.sell(BEFORE)
        shop.wait_sold(sold + BEFORE // 2)
        for number, fault in enumerate(passing):
            share = DURING // len(passing)
            shop.sell(share)
            with fault(local, aws):
                shop.wait_sold(sold + BEFORE + share * number + share // 2)
    shop.sell(CHANGES - BEFORE - share * len(passing))
    shop.wait_sold(sold + CHANGES)

    expected = expected_rows(change_events(aws, after=start), table_stream_arn(aws))
    events = set(expected["event_id"])
    with contextlib.suppress(WaitTimeout):  # the account says what is missing
        wait_until("every change is in the lake or under the error prefix", lambda: events <= lake.look().events, every=1)
    account = Account.of(shop.ledger.changes - sold, events, lake)
    record_property("account", {"fault": case, **asdict(account)})
    assert account.lost == 0 and account.sent == CHANGES == len(expected)
    assert problems(expected, lake.frame(start), "event_id").empty
    table = read_table(aws.table())
    assert problems(shop.ledger.state_frame(), table, "orderid").empty and problems(table, lake.state(), "orderid").empty
    for hop in (pipe_says, delivery_says):
        wait_until("the hops have nothing to complain of", lambda hop=hop: not hop(aws), show=lambda hop=hop: hop(aws))
    assert (account.under_error_prefix > 0) == (function_fails_for_good in lasting) or case in MAY_FAIL
