"""The pipeline as the chapters leave it, on a local AWS of the test's own: what the fault tests and the drills break."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers import chapters
from helpers.localaws import LocalAws
from helpers.session import Aws, connect
from helpers.settings import Settings
from helpers.waits import wait_until

_AWS_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION")


@contextlib.contextmanager
def found_by_kernels(local: LocalAws) -> Iterator[None]:
    """`local` runs, and is the one that connect() and every kernel that is started meanwhile find."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LOCALAWS_PORT", str(local.port))
        environment.setenv("LOCALAWS_DIR", str(local.directory))
        environment.setenv("LOCALAWS_CLOCK_SCALE", str(local.clock_scale))
        for name in _AWS_VARIABLES:
            environment.setenv(name, "")  # so that what connect() sets is taken back
            environment.delenv(name)
        local.start()
        yield


@contextlib.contextmanager
def built(local: LocalAws, settings: Settings, runs: Path, last: str = "06") -> Iterator[Aws]:
    """The pipeline on `local`, built by the chapters 01 to `last` themselves, whose executed notebooks go to `runs`."""
    with found_by_kernels(local):
        chapters.run([c for c in chapters.CHAPTERS if "01" <= c.number <= last], settings, runs)
        yield connect(settings)


def crawl(aws: Aws) -> dict:
    """Start the crawler and wait; what it says of this crawl, `LastCrawl`."""
    aws.client("glue").start_crawler(Name=aws.settings.crawler)
    return wait_for_crawl(aws)


def wait_for_crawl(aws: Aws) -> dict:
    def crawler() -> dict:
        return aws.client("glue").get_crawler(Name=aws.settings.crawler)["Crawler"]

    wait_until("the crawl is over", lambda: crawler()["State"] == "READY")
    return crawler()["LastCrawl"]


def pipe_says(aws: Aws) -> str:
    """Why the pipe does not go on; nothing if it does."""
    return aws.client("pipes").describe_pipe(Name=aws.settings.pipe).get("StateReason", "")


def delivery_says(aws: Aws) -> str:
    """Why the delivery stream does not go on; nothing if it does."""
    stream = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=aws.settings.delivery_stream)
    return stream["DeliveryStreamDescription"].get("FailureDescription", {}).get("Details", "")
