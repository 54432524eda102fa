"""A crawler's settings: what is supported, AWS's defaults, and a refusal by name for everything else that changes a crawl."""
from __future__ import annotations

import json
import re
from typing import Any

from ..service import AwsError, Caller

TARGET_KINDS = ("S3Targets", "JdbcTargets", "MongoDBTargets", "DynamoDBTargets", "CatalogTargets", "DeltaTargets",
                "IcebergTargets", "HudiTargets")
# Configuration values that are implemented, by their path in the JSON document; int: any whole number above 0.
# [C] GL/crawler-configuration, GL/crawler-table-level, GL/crawler-maximum-number-of-tables
_CONFIGURATION: dict[str, Any] = {
    "Grouping.TableGroupingPolicy": "CombineCompatibleSchemas",
    "Grouping.TableLevelConfiguration": int,
    "CrawlerOutput.Partitions.AddOrUpdateBehavior": "InheritFromTable",
    "CrawlerOutput.Tables.AddOrUpdateBehavior": "MergeNewColumns",
    "CrawlerOutput.Tables.TableThreshold": int,
}
_MOST_SAMPLES = 249  # files of a leaf folder [C] BC:glue
_DEFAULTS = {"Classifiers": [], "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"},
             "LineageConfiguration": {"CrawlerLineageSettings": "DISABLE"},
             "LakeFormationConfiguration": {"UseLakeFormationCredentials": False, "AccountId": ""}}


def invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)


def unsupported(feature: str) -> AwsError:
    return invalid(f"{feature} is not supported by the local AWS")


def crawler_settings(caller: Caller, current: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """The settings of a crawler after CreateCrawler or UpdateCrawler. current: those it has ({} when it is created)."""
    changed = {k: v for k, v in params.items() if k not in ("Name", "Tags")}
    for name in ("Schedule", "CrawlerSecurityConfiguration"):
        if changed.pop(name, None):
            raise unsupported(name)
    settings = _DEFAULTS | current | changed
    if changed.get("CatalogId", caller.account) != caller.account:
        raise unsupported(f"CatalogId {changed['CatalogId']} of another account")
    if "Role" in changed:
        settings["Role"] = _role_name(caller, changed["Role"])
    if "Targets" in changed:
        settings["Targets"] = _targets(changed["Targets"])
    if not settings.get("DatabaseName"):
        raise invalid("DatabaseName is required for a crawler with S3 targets")
    if settings["LineageConfiguration"].get("CrawlerLineageSettings") == "ENABLE":
        raise unsupported("LineageConfiguration.CrawlerLineageSettings ENABLE")
    if settings["LakeFormationConfiguration"].get("UseLakeFormationCredentials"):
        raise unsupported("LakeFormationConfiguration.UseLakeFormationCredentials")
    configuration(settings.get("Configuration"))
    recrawl = settings["RecrawlPolicy"].get("RecrawlBehavior", "CRAWL_EVERYTHING")
    if recrawl == "CRAWL_EVENT_MODE":
        raise unsupported("RecrawlPolicy.RecrawlBehavior CRAWL_EVENT_MODE")
    only_log = {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}
    # Defaults: [C] AWS_FACTS.md part 5
    defaults = only_log if recrawl == "CRAWL_NEW_FOLDERS_ONLY" else {
        "UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "DEPRECATE_IN_DATABASE"}
    settings["SchemaChangePolicy"] = defaults | settings.get("SchemaChangePolicy", {})
    if recrawl == "CRAWL_NEW_FOLDERS_ONLY" and settings["SchemaChangePolicy"] != only_log:
        raise invalid('The SchemaChangePolicy for "Crawl new folders only" Amazon S3 target can have only LOG DeleteBehavior '
                      "value and only LOG UpdateBehavior value.")
    return settings


def configuration(document: str | None) -> dict[str, Any]:
    """The options set in a crawler's Configuration document, by their path in it."""
    if not document:
        return {}
    try:
        parsed = json.loads(document)
        version = parsed.pop("Version", None)
    except (ValueError, AttributeError, TypeError) as error:
        raise invalid(f"Configuration is not a JSON object: {error}") from None
    if version != 1.0:
        raise invalid("Configuration needs \"Version\": 1.0")
    flat = _flatten(parsed)
    for path, value in flat.items():
        if _CONFIGURATION.get(path) is int:
            if type(value) is not int or value < 1:
                raise invalid(f"Configuration {path} must be an integer greater than 0, not {json.dumps(value)}")
        elif _CONFIGURATION.get(path) != value:
            raise unsupported(f"Configuration {path} = {json.dumps(value)}")
    return flat


def _flatten(value: dict[str, Any], at: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flatten(item, f"{at}{key}.") if isinstance(item, dict) else {at + key: item}
    return flat


def _role_name(caller: Caller, role: str) -> str:
    """The role as Glue shows it: its path and name, without the rest of the ARN."""
    if not role.startswith("arn:"):
        return role.strip("/")
    match = re.fullmatch(rf"arn:aws[\w-]*:iam::{caller.account}:role/(.+)", role)
    if not match:
        raise invalid(f"Invalid role: {role} is not a role of account {caller.account}")
    return match[1]


def role_arn(account: str, role: str) -> str:
    return f"arn:aws:iam::{account}:role/{role}"


def _targets(targets: dict[str, Any]) -> dict[str, Any]:
    for kind in TARGET_KINDS[1:]:
        if targets.get(kind):
            raise unsupported(f"Targets.{kind}")
    if not targets.get("S3Targets"):
        raise invalid("Targets needs at least one of S3Targets")
    for target in targets["S3Targets"]:
        for name in ("ConnectionName", "EventQueueArn", "DlqEventQueueArn"):
            if target.get(name):
                raise unsupported(f"S3Targets.{name}")
        if not 1 <= target.get("SampleSize", 1) <= _MOST_SAMPLES:
            raise invalid(f"S3Targets.SampleSize must be between 1 and {_MOST_SAMPLES}")
        split_path(target.get("Path", ""))
        for pattern in target.get("Exclusions", []):
            glob(pattern)
    return {kind: [] for kind in TARGET_KINDS} | {
        "S3Targets": [{"Exclusions": []} | target for target in targets["S3Targets"]]}


def split_path(path: str) -> tuple[str, str]:
    """Bucket and key prefix (no slash at the end) of an include path; "bucket/folder" without s3:// counts too."""
    bucket, _, prefix = path.removeprefix("s3://").partition("/")
    if not bucket or "://" in path.removeprefix("s3://"):
        raise invalid(f"Invalid S3 target path: {path!r} is not s3://bucket/folder")
    return bucket, prefix.rstrip("/")


_GLOB = {"**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}


def glob(pattern: str) -> re.Pattern[str]:
    """An exclude pattern, matched against the key below the include path. [C] GL/define-crawler (glob syntax)

    ``*`` and ``?`` stay within a folder, ``**`` crosses folders, ``[abc]``, ``[a-z]``, ``[!a]``, ``{this,that}``, ``\\`` escapes.
    """
    regex, alternatives = "", 0
    for token in re.findall(r"\\.|\*\*|\[!?[^\]]+\]|.", pattern, re.DOTALL):
        alternatives += (token == "{") - (token == "}")
        if token in _GLOB:
            regex += _GLOB[token]
        elif len(token) > 2 and token[0] == "[":
            regex += token.replace("\\", r"\\").replace("[!", "[^", 1)
        elif token == "," and alternatives:
            regex += "|"
        else:
            regex += re.escape(token[-1])
    try:
        return re.compile(regex, re.DOTALL)
    except re.error:
        raise invalid(f"Invalid exclude pattern: {pattern!r}") from None
