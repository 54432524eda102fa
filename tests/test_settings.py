"""Settings: what is refused, how it is said, and that every derived name is one that AWS accepts."""

import dataclasses

import pytest

from helpers.settings import Settings, SettingsError, check_parameters, kinesis_regions

LONGEST_REGION = max(kinesis_regions(), key=len)
AWS_NAMES = ("table", "stream", "pipe", "function", "delivery_stream", "classifier", "crawler", "workgroup",
             "pipe_role", "function_role", "delivery_role", "crawler_role")


@pytest.mark.parametrize(("setting", "value", "way_out"), [
    ("target", "azure", "'local', 'aws'"),
    ("changes", 0, "at least 1"),
    ("changes", -5, "at least 1"),
    ("changes", True, "whole number"),
    ("changes", "2000", "without quotes"),
    ("changes", 2.5, "whole number"),
    ("seed", "42", "without quotes"),
    ("seed", None, "whole number"),
    ("seed", -1, "at least 0"),
    ("shards", 0, "from 1 to 64"),
    ("shards", 65, "from 1 to 64"),
    ("rate", -1, "0 is as fast as it can"),
    ("rate", float("nan"), "number"),
    ("rate", float("inf"), "number"),
    ("rate", True, "number"),
    ("rate", "250", "without quotes"),
    ("region", "us-east-9", "'us-east-1'"),
    ("region", "", "'us-east-1'"),
    ("account", "12345678901", "12 digits"),
    ("account", "1234-5678-9012", "12 digits"),
    ("account", "١٢٣٤٥٦٧٨٩٠١٢", "12 digits"),
    ("account", None, "12 digits"),
    ("prefix", "", "lower-case letters"),
    ("prefix", "Orders", "lower-case letters"),
    ("prefix", "orders_cdc", "lower-case letters"),
    ("prefix", "1orders", "start with a letter"),
    ("prefix", "orders-", "do not end with a hyphen"),
    ("prefix", "orders\n", "lower-case letters"),
    ("prefix", 7, "lower-case letters"),
    ("prefix", "xn--orders", "use another"),
    ("prefix", "sthree-orders", "use another"),
    ("prefix", "amzn-s3-demo-orders", "use another"),
    ("prefix", "o" * 60, "at most 40 characters"),
])
def test_a_refusal_names_the_setting_the_value_and_the_way_out(setting, value, way_out):
    with pytest.raises(SettingsError) as refused:
        Settings(**{setting: value})
    message = str(refused.value)
    assert message.startswith(f"{setting} is {value!r}")
    assert way_out in message


@pytest.mark.parametrize("account", [0, 123456789012])
def test_an_account_that_became_a_number_is_refused_with_how_to_quote_it(account):
    with pytest.raises(SettingsError, match=r"account is the number .* in quotes.*-r account"):
        Settings(account=account)


def test_real_aws_needs_an_account_and_the_local_one_has_its_own():
    with pytest.raises(SettingsError, match="account is ''.*12 digits"):
        Settings(target="aws")
    assert Settings(target="aws", account="123456789012").account == "123456789012"
    assert Settings().account == "000000000000"


def test_the_longest_prefix_that_is_accepted_makes_only_names_that_aws_accepts():
    room = 63 - len(f"-000000000000-{LONGEST_REGION}")
    settings = Settings(prefix="o" * room, region=LONGEST_REGION)
    assert len(settings.bucket) == 63
    for name in AWS_NAMES:
        assert 3 <= len(getattr(settings, name)) <= 64, name
    with pytest.raises(SettingsError, match=f"at most {room} characters"):
        Settings(prefix="o" * (room + 1), region=LONGEST_REGION)


def test_names_derive_from_the_settings_alone():
    settings = Settings(prefix="my-shop", region="eu-west-1", account="123456789012")
    assert settings.bucket == "my-shop-123456789012-eu-west-1"
    assert settings.database == "my_shop"
    assert settings.tags == {"project": "my-shop", "workbook": "orders-cdc"}
    assert settings.stream_arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/my-shop-stream"
    assert settings.role_arn(settings.pipe_role) == "arn:aws:iam::123456789012:role/my-shop-pipe-role"
    assert settings == Settings(prefix="my-shop", region="eu-west-1", account="123456789012")


def test_arns_are_in_the_partition_of_the_region():
    assert Settings(region="cn-north-1").bucket_arn.startswith("arn:aws-cn:s3:::")
    assert Settings(region="us-gov-west-1").table_arn.startswith("arn:aws-us-gov:dynamodb:us-gov-west-1:")


def test_what_failed_and_what_was_tried_lie_outside_the_lake():
    settings = Settings()
    prefixes = [settings.lake_prefix, settings.error_prefix, settings.replayed_prefix,
                settings.experiments_prefix, settings.results_prefix]
    assert all(prefix.endswith("/") for prefix in prefixes)
    assert not any(a.startswith(b) for a in prefixes for b in prefixes if a is not b)


def test_settings_and_their_names_cannot_be_changed():
    for name in ("prefix", "table"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(Settings(), name, "other")


def test_an_unknown_parameter_is_refused_with_the_known_ones():
    check_parameters(["changes", "seed"])
    with pytest.raises(SettingsError, match="no parameter 'chnages'.*changes"):
        check_parameters(["changes", "chnages"])
