"""The one place that connects to AWS: the local one, or a real account behind a guard."""

import ast
import os
from dataclasses import dataclass, field

import boto3
from botocore.config import Config

from . import localaws
from .settings import Settings, check_parameters

# How AWS's own clients try again, bounded: throttling and dropped connections are part of streaming.
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 6}, max_pool_connections=20)
_LOCAL_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION",
                    "no_proxy")
_set_aside: dict[str, str] = {}  # what this kernel had in its environment before connect() turned it to the local AWS


class GuardError(RuntimeError):
    """The credentials at hand are not those of the account that the settings name; nothing was written."""


@dataclass
class Aws:
    """A connection: the settings, the boto3 session, a client for each service that is asked for, and what was read through it."""

    settings: Settings
    session: boto3.Session
    clock_scale: float  # AWS seconds of waiting per real second: 1 on real AWS
    memory: dict = field(default_factory=dict, repr=False)  # what a helper need not read again, under the helper's name
    _clients: dict = field(default_factory=dict, repr=False)

    def client(self, service: str):
        """The boto3 client of `service`, made once."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service, config=CONFIG)
        return self._clients[service]

    def table(self):
        """The orders table as a boto3 resource, which speaks plain Python values."""
        return self.session.resource("dynamodb", config=CONFIG).Table(self.settings.table)

    def real(self, aws_seconds: float) -> float:
        """How long a wait of `aws_seconds` takes here, in seconds."""
        return aws_seconds / self.clock_scale


def connect(settings: Settings) -> Aws:
    """Connect to what `settings.target` names, and show a banner that says where this notebook works.

    "local" starts the local AWS if it does not run, and points every AWS client of this process at it (boto3's default
    session, awswrangler); AWS variables of your own, such as a profile, come back when the switch is turned. "aws" uses
    the credentials boto3 finds and refuses, with a GuardError, any account but the one in the settings.
    """
    check_parameters(_injected_parameters())
    _leave_local()
    clock_scale = 1.0
    if settings.target == "local":
        status = localaws.start()
        clock_scale = status.clock_scale
        variables = status.environment | {"AWS_DEFAULT_REGION": settings.region, "AWS_REGION": settings.region,
                                          "AWS_ACCESS_KEY_ID": settings.account}
        own = [name for name in os.environ if name.startswith("AWS_") or name == "no_proxy"]
        _set_aside.update({name: os.environ.pop(name) for name in own})
        os.environ.update(variables)
    boto3.setup_default_session(region_name=settings.region)
    aws = Aws(settings, boto3.Session(region_name=settings.region), clock_scale)
    if settings.target == "aws":
        _guard(aws)
    print(banner(aws))
    return aws


def _leave_local() -> None:
    """Undo what an earlier connect() of this kernel set, before the switch was turned, or `localaws env` in its shell."""
    if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://127.0.0.1:"):
        for name in _LOCAL_VARIABLES:
            os.environ.pop(name, None)
    os.environ.update(_set_aside)
    _set_aside.clear()


def banner(aws: Aws) -> str:
    """Where this notebook works, in three lines; on real AWS, what it will cost too."""
    settings = aws.settings
    if settings.target == "local":
        where = f"local AWS at {aws.session.client('sts').meta.endpoint_url}: no account, no cost, nothing leaves this machine"
        clock = f"{aws.clock_scale:g} : 1 (AWS's 60 s of waiting take {aws.real(60):g} s here)"
    else:
        where, clock = "REAL AWS: what this notebook creates costs money until chapter 09 has run", "1 : 1"
    lines = [("target", where), ("account", f"{settings.account}, region {settings.region}, names start with {settings.prefix!r}"),
             ("clock", clock)]
    if settings.target == "aws":
        lines.append(("cost", cost_estimate(settings)))
    return "\n".join(f"{name:<8} {value}" for name, value in lines)


def cost_estimate(settings: Settings) -> str:
    """What one run costs on real AWS, roughly. List prices of us-east-1, from memory and third parties: check before relying."""
    hourly = settings.shards * 0.015
    crawls = 8 * 0.15  # each is billed ten minutes of two DPUs at least
    return (f"about ${crawls + 0.05:.2f} for one run (mostly the crawls) and ${hourly:.3f} for every hour that the "
            f"{settings.shards}-shard stream exists; list prices of us-east-1, check yours")


def _injected_parameters() -> list[str]:
    """Names that papermill's parameter cell set in this kernel: papermill itself only warns about ones that nothing reads."""
    try:
        cells = get_ipython().user_ns["In"]  # noqa: F821  (a name of IPython's, absent elsewhere)
    except NameError:
        return []
    injected = [cell for cell in cells if cell.startswith("# Parameters")]
    return [target.id for cell in injected for node in ast.parse(cell).body if isinstance(node, ast.Assign)
            for target in node.targets]


def _guard(aws: Aws) -> None:
    found = aws.client("sts").get_caller_identity()["Account"]
    if found != aws.settings.account:
        raise GuardError(f"The settings name account {aws.settings.account}, the credentials at hand belong to {found}: nothing "
                         "was written. Give that account in the parameters, or choose other credentials (AWS_PROFILE).")
