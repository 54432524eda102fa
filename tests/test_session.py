"""Connecting: the local AWS by itself, a real account only behind its guard."""

import os

import boto3
import pytest

from helpers import session
from helpers.session import GuardError, connect
from helpers.settings import Settings, SettingsError

VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION",
             "AWS_PROFILE", "LOCALAWS_PORT", "LOCALAWS_DIR", "no_proxy")


@pytest.fixture
def environment(aws, monkeypatch):
    """No variables but those that lead to the tests' local AWS; whatever connect() sets is undone."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(session, "_set_aside", {})
    monkeypatch.setenv("LOCALAWS_PORT", str(aws.local.port))
    monkeypatch.setenv("LOCALAWS_DIR", str(aws.local.directory))
    return monkeypatch


@pytest.fixture
def real_aws(environment, aws):
    """Credentials and an endpoint as a real account's user has them; behind it stands the local AWS, account 000000000000."""
    environment.setenv("AWS_ENDPOINT_URL", f"http://localhost:{aws.local.port}")
    environment.setenv("AWS_ACCESS_KEY_ID", "000000000000")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "test")


def test_local_is_reached_by_every_client_of_the_process(environment, aws, capsys):
    connected = connect(Settings(region="eu-west-1", account="111122223333"))
    assert connected.client("sts").get_caller_identity()["Account"] == "111122223333"
    assert boto3.client("sts").meta.endpoint_url == aws.endpoint
    assert boto3.client("kinesis").meta.region_name == "eu-west-1"
    assert connected.real(60) == 3.0
    printed = capsys.readouterr().out
    assert "local AWS at" in printed and "eu-west-1" in printed and "20 : 1" in printed


def test_turning_the_switch_in_one_kernel_leaves_nothing_of_the_local_aws(environment, monkeypatch):
    connect(Settings())
    monkeypatch.setattr("helpers.session._guard", lambda aws: None)  # there is no real AWS to ask here
    connected = connect(Settings(target="aws", account="123456789012"))
    assert connected.client("sts").meta.endpoint_url == "https://sts.us-east-1.amazonaws.com"
    assert not [name for name in VARIABLES[:6] if name in os.environ]
    assert connected.real(60) == 60


def test_what_the_user_has_in_the_environment_does_not_lead_elsewhere_and_comes_back(environment, aws):
    own = {"AWS_PROFILE": "nobody-has-this", "AWS_SESSION_TOKEN": "of-another-cloud", "AWS_ACCESS_KEY_ID": "mine", "no_proxy": "intra"}
    for name, value in {**own, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}.items():
        environment.setenv(name, value)
    connected = connect(Settings())
    assert connected.client("sts").get_caller_identity()["Account"] == "000000000000"
    assert boto3.client("pipes").list_pipes()["Pipes"] == [], "nor is it reached through a proxy"
    assert os.environ["no_proxy"] == "intra,127.0.0.1"
    session._leave_local()
    assert {name: os.environ.get(name) for name in own} == own


def test_another_account_than_the_settings_name_is_refused_before_anything_is_written(real_aws):
    with pytest.raises(GuardError, match="name account 123456789012, the credentials at hand belong to 000000000000.*nothing"):
        connect(Settings(target="aws", account="123456789012"))


def test_on_real_aws_the_banner_says_what_it_will_cost(real_aws, capsys):
    connect(Settings(target="aws", account="000000000000", shards=4))
    printed = capsys.readouterr().out
    assert "REAL AWS" in printed and "$0.060 for every hour" in printed


def test_a_parameter_that_nothing_reads_is_refused_in_the_kernel(environment, monkeypatch):
    class Kernel:
        user_ns = {"In": ["", "target: str = 'local'", "# Parameters\nchagnes = 500\nseed = 7\n", "chagnes2 = 1"]}

    monkeypatch.setattr("builtins.get_ipython", Kernel, raising=False)
    with pytest.raises(SettingsError, match="no parameter 'chagnes': choose from target, prefix"):
        connect(Settings())
