"""A fresh local AWS for the tests, on a free port, in a temporary folder, gone afterwards."""

from dataclasses import dataclass

import boto3
import pytest

from helpers.localaws import LocalAws, Status


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


@pytest.fixture(scope="session")
def aws():
    with LocalAws.temporary(clock_scale=20) as local:
        yield Aws(local, local.start())
