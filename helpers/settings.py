"""Settings of the workbook, checked, and every name that derives from them.

A notebook's `parameters` cell holds plain values; `Settings(...)` checks them before anything is created. It is also
the one place where a name is made, so any notebook, in any kernel, finds what an earlier one created.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache

import boto3

TARGETS = ("local", "aws")
LOCAL_ACCOUNT = "000000000000"
LEARNER = os.environ.get("WORKBOOK_LEARNER", "")  # one of several people on this machine; see of_learner()
BUCKET_LENGTH = 63  # S3's limit, and the tightest: pipes, delivery streams, functions and roles may have 64


class SettingsError(ValueError):
    """A setting that cannot work; the sentence names the setting, its value and what to do."""


def of_learner(name: str) -> str:
    """`name`, or where WORKBOOK_LEARNER=ada says whose work this is, `name-ada`: a prefix, a folder."""
    return f"{name}-{LEARNER}" if LEARNER else name


def check_learner() -> None:
    """Refuse, with a SettingsError, a WORKBOOK_LEARNER of which no prefix and no folder can be made."""
    if LEARNER and not re.fullmatch("[a-z]([a-z0-9-]{0,18}[a-z0-9])?", LEARNER):
        raise SettingsError(f"WORKBOOK_LEARNER is {LEARNER!r}: use at most 20 lower-case letters, digits and hyphens, start with a "
                            "letter and do not end with a hyphen.")


@cache
def kinesis_regions() -> dict[str, str]:
    """Every region that has Kinesis Data Streams, and its partition ("aws", "aws-cn", ...), as botocore knows them."""
    session = boto3.session.Session()
    return {region: partition for partition in session.get_available_partitions()
            for region in session.get_available_regions("kinesis", partition)}


@dataclass(frozen=True)
class Settings:
    """What a run of the workbook can choose. Raises SettingsError.

    target   "local" (the local AWS) or "aws" (a real account)
    prefix   start of every name: lower-case letters, digits and hyphens
    region   an AWS region that has Kinesis Data Streams
    account  12 digits as text; target "aws" needs it, target "local" has 000000000000
    seed     start of the order source's random numbers: same seed, same orders
    changes  how many changes the order source makes
    shards   shards of the stream, 1 to 64
    rate     changes per second the order source aims at; 0 is as fast as it can
    """

    target: str = "local"
    prefix: str = "orders-cdc"
    region: str = "us-east-1"
    account: str = ""
    seed: int = 42
    changes: int = 2000
    shards: int = 2
    rate: float = 250

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise SettingsError(f"target is {self.target!r}: choose one of {', '.join(map(repr, TARGETS))}.")
        self._check_whole("seed", lowest=0)  # random.Random takes -1 for 1
        self._check_whole("changes", lowest=1)
        self._check_whole("shards", lowest=1, highest=64)
        if isinstance(self.rate, bool) or not isinstance(self.rate, (int, float)) or not 0 <= self.rate < math.inf:
            raise SettingsError(f"rate is {self.rate!r}: give a number of changes per second, without quotes; "
                                "0 is as fast as it can.")
        if self.region not in kinesis_regions():
            raise SettingsError(f"region is {self.region!r}: AWS has no Kinesis Data Streams there; "
                                "choose a region such as 'us-east-1' or 'eu-west-1'.")
        self._check_account()
        self._check_prefix()

    def _check_whole(self, name: str, lowest: int, highest: int | None = None) -> None:
        value = getattr(self, name)
        if type(value) is not int or value < lowest or (highest is not None and value > highest):
            bounds = f"of at least {lowest}" if highest is None else f"from {lowest} to {highest}"
            raise SettingsError(f"{name} is {value!r}: give a whole number {bounds}, without quotes.")

    def _check_account(self) -> None:
        if isinstance(self.account, int):  # papermill's -p turns 000000000000 into 0
            raise SettingsError(f"account is the number {self.account!r}: give it as text in quotes, such as "
                                f"'{LOCAL_ACCOUNT}', because a number loses its leading zeros; "
                                "with papermill use -r account instead of -p account.")
        if self.account == "" and self.target == "aws":
            raise SettingsError("account is '': target 'aws' creates things that cost money, so give the account "
                                "they may be created in, 12 digits in quotes.")
        if self.account == "":
            object.__setattr__(self, "account", LOCAL_ACCOUNT)
        if not isinstance(self.account, str) or not re.fullmatch("[0-9]{12}", self.account):
            raise SettingsError(f"account is {self.account!r}: give exactly 12 digits, in quotes, without hyphens.")

    def _check_prefix(self) -> None:
        if not isinstance(self.prefix, str) or not re.fullmatch("[a-z]([a-z0-9-]*[a-z0-9])?", self.prefix):
            raise SettingsError(f"prefix is {self.prefix!r}: use lower-case letters, digits and hyphens, start with "
                                "a letter and do not end with a hyphen; a bucket name allows nothing else.")
        if self.prefix.startswith(("xn--", "sthree-", "amzn-s3-demo-")):
            raise SettingsError(f"prefix is {self.prefix!r}: S3 keeps names that begin so for itself; use another.")
        too_long = len(self.bucket) - BUCKET_LENGTH
        if too_long > 0:
            raise SettingsError(f"prefix is {self.prefix!r}: use at most {len(self.prefix) - too_long} characters, "
                                f"or the bucket name {self.bucket!r} is longer than the {BUCKET_LENGTH} AWS allows.")

    # Names, in the order of the pipeline. "stream" is the Kinesis data stream; the DynamoDB stream is "the table's
    # stream" and has no name of its own, only an ARN that AWS makes when it is switched on.
    table = property(lambda s: f"{s.prefix}-table")
    stream = property(lambda s: f"{s.prefix}-stream")
    pipe = property(lambda s: f"{s.prefix}-pipe")
    function = property(lambda s: f"{s.prefix}-transform")
    delivery_stream = property(lambda s: f"{s.prefix}-delivery")
    bucket = property(lambda s: f"{s.prefix}-{s.account}-{s.region}")  # all of AWS shares the names of buckets
    classifier = property(lambda s: f"{s.prefix}-classifier")
    crawler = property(lambda s: f"{s.prefix}-crawler")
    database = property(lambda s: s.prefix.replace("-", "_"))  # a hyphen would need quotes in every query
    lake_table = property(lambda s: "orders")  # the crawler names a table after its folder
    workgroup = property(lambda s: f"{s.prefix}-workgroup")
    pipe_role = property(lambda s: f"{s.prefix}-pipe-role")
    function_role = property(lambda s: f"{s.prefix}-function-role")
    delivery_role = property(lambda s: f"{s.prefix}-delivery-role")
    crawler_role = property(lambda s: f"{s.prefix}-crawler-role")
    tags = property(lambda s: {"project": s.prefix, "workbook": "orders-cdc"})

    # Folders of the bucket. They lie side by side: what fails must never be read as an order (FAILURES.md, row 8).
    lake_prefix = property(lambda s: "orders/")  # with year=YYYY/month=MM/day=DD/hour=HH/ below it
    error_prefix = property(lambda s: "errors/")
    replayed_prefix = property(lambda s: "replayed/")  # what became of each object under errors/: helpers/replay.py
    experiments_prefix = property(lambda s: "experiments/")
    results_prefix = property(lambda s: "athena-results/")

    # ARNs. The ARN of the table's stream is looked up: AWS makes a new one each time the stream is switched on.
    partition = property(lambda s: kinesis_regions()[s.region])
    table_arn = property(lambda s: s._arn("dynamodb", f"table/{s.table}"))
    stream_arn = property(lambda s: s._arn("kinesis", f"stream/{s.stream}"))
    pipe_arn = property(lambda s: s._arn("pipes", f"pipe/{s.pipe}"))
    function_arn = property(lambda s: s._arn("lambda", f"function:{s.function}"))
    delivery_stream_arn = property(lambda s: s._arn("firehose", f"deliverystream/{s.delivery_stream}"))
    bucket_arn = property(lambda s: f"arn:{s.partition}:s3:::{s.bucket}")
    crawler_arn = property(lambda s: s._arn("glue", f"crawler/{s.crawler}"))
    catalog_arn = property(lambda s: s._arn("glue", "catalog"))
    database_arn = property(lambda s: s._arn("glue", f"database/{s.database}"))
    database_tables_arn = property(lambda s: s._arn("glue", f"table/{s.database}/*"))
    workgroup_arn = property(lambda s: s._arn("athena", f"workgroup/{s.workgroup}"))
    function_log_group = property(lambda s: f"/aws/lambda/{s.function}")
    crawler_log_group = property(lambda s: "/aws-glue/crawlers")  # one for all crawlers of an account
    function_log_group_arn = property(lambda s: s._arn("logs", f"log-group:{s.function_log_group}"))
    crawler_log_group_arn = property(lambda s: s._arn("logs", f"log-group:{s.crawler_log_group}"))

    def role_arn(self, role: str) -> str:
        """ARN of a role by its name, such as `settings.role_arn(settings.pipe_role)`."""
        return f"arn:{self.partition}:iam::{self.account}:role/{role}"

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def check_parameters(names: Iterable[str]) -> None:
    """Refuse, with a SettingsError, a name that is no setting: papermill only warns about one that it does not know."""
    known = [field.name for field in fields(Settings)]
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"There is no parameter {unknown[0]!r}: choose from {', '.join(known)}.")
