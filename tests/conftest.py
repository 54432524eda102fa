"""A fresh local AWS for the tests, on a free port, in a temporary folder, gone afterwards."""

import os
from dataclasses import dataclass

import boto3
import psutil
import pytest
from hypothesis import HealthCheck, settings

from helpers.localaws import LocalAws, Status

# A busy machine is slow, and no test is about speed.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Four tests of minutes each, which nothing runs, CI included, unless it is asked for: `WORKBOOK_LONG_TESTS=1 make test`.
long = pytest.mark.skipif("WORKBOOK_LONG_TESTS" not in os.environ, reason="takes long: WORKBOOK_LONG_TESTS=1 runs it")


@dataclass(frozen=True)
class Aws:
    """What a test needs to be a client of it."""

    local: LocalAws
    status: Status

    @property
    def options(self) -> dict:
        return {"endpoint_url": self.status.endpoint, "region_name": self.status.region,
                "aws_access_key_id": self.status.account, "aws_secret_access_key": "test"}

    endpoint = property(lambda self: self.status.endpoint)
    account = property(lambda self: self.status.account)
    region = property(lambda self: self.status.region)
    clock_scale = property(lambda self: self.status.clock_scale)

    def client(self, service: str):
        return boto3.client(service, **self.options)


def joints_of(local: LocalAws) -> psutil.Process:
    """The process with the joints, a child of the local AWS's own."""
    return next(p for p in psutil.Process(local.status().pid).children() if "localaws.joints" in " ".join(p.cmdline()))


@pytest.fixture(scope="session")
def aws():
    with LocalAws.temporary(clock_scale=20) as local:
        yield Aws(local, local.start())


def pytest_terminal_summary(terminalreporter) -> None:
    """What tests recorded as `account`, a dict with the same keys in each, as one table."""
    accounts = [value for reports in terminalreporter.stats.values() for report in reports if getattr(report, "when", "") == "call"
                for name, value in report.user_properties if name == "account"]
    if accounts:
        rows = [list(accounts[0]), *(list(map(str, account.values())) for account in accounts)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        terminalreporter.section("what became of the changes")
        for row in rows:
            terminalreporter.write_line("  ".join(cell.rjust(width) for cell, width in zip(row, widths)))
