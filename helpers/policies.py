"""What each hop may do, and who may act for it: the documents of data/policies/ filled in for these settings.

A hop is "pipe", "delivery", "function" or "crawler". `<hop>.json` says what its role may do, `<hop>-trust.json` which
AWS service may take the role on. data/README.md tells why each document is as it is.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template

from .look import table_stream_arn
from .session import Aws
from .settings import Settings

HOPS = ("pipe", "delivery", "function", "crawler")
POLICY_NAME = "permissions"  # of the one inline policy a role has
_FOLDER = Path(__file__).parent.parent / "data" / "policies"


def permissions(settings: Settings, hop: str, **values: str) -> dict:
    """What the hop's role may do. The pipe needs `table_stream_arn`, which AWS makes; the rest derives from settings.

    Raises ValueError for an unknown hop, a value that is missing, or one that the document has no place for.
    """
    return _filled(settings, hop, f"{hop}.json", values)


def trust(settings: Settings, hop: str) -> dict:
    """Which service may take on the hop's role, and for whom. Raises ValueError for an unknown hop."""
    return _filled(settings, hop, f"{hop}-trust.json", {})


def ensure_role(iam, name: str, trust: dict, permissions: dict, tags: dict[str, str]) -> str:
    """Create the role, or bring the existing one to this trust and these permissions. Returns its ARN.

    On AWS a new role needs some seconds until other services see it: retry the call that hands it over.
    """
    try:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust),
                               Tags=[{"Key": key, "Value": value} for key, value in tags.items()])["Role"]
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        role = iam.get_role(RoleName=name)["Role"]
    iam.put_role_policy(RoleName=name, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(permissions))
    return role["Arn"]


def restore_role(aws: Aws, hop: str) -> str:
    """Bring the hop's role to what data/policies says now: its trust, and its one inline policy. Returns its ARN."""
    settings = aws.settings
    return ensure_role(aws.client("iam"), getattr(settings, f"{hop}_role"), trust(settings, hop), needed(aws, hop), settings.tags)


def needed(aws: Aws, hop: str) -> dict:
    """What the hop's role may do, as `permissions` says, with the table's stream looked up. LookupError if that is off."""
    return permissions(aws.settings, hop, **({"table_stream_arn": table_stream_arn(aws)} if hop == "pipe" else {}))


def lacking(iam, role_arn: str, document: dict) -> list[str]:
    """What `document` allows and the role may not, by IAM's own simulation: "kinesis:PutRecords on arn:…", in its order.

    The simulation takes every policy of the role into account, and knows nothing of the resource's own policy.
    """
    found = []
    for statement in document["Statement"]:
        actions, resources = ([named] if isinstance(named, str) else named for named in (statement["Action"], statement["Resource"]))
        for resource in resources:
            answer = iam.simulate_principal_policy(PolicySourceArn=role_arn, ActionNames=actions, ResourceArns=[resource])
            found += [f"{each['EvalActionName']} on {resource}" for each in answer["EvaluationResults"]
                      if each["EvalDecision"] != "allowed"]
    return found


def lets_in(trust: dict, service: str, account: str, source_arn: str) -> bool:
    """Whether a trust document lets `service` take the role on, acting for `source_arn` of `account`.

    Of conditions, those that name the account or the resource are judged; any other may hold, as far as can be told from here.
    """
    sent = {"aws:sourceaccount": account, "aws:sourcearn": source_arn, "sts:externalid": account}

    def holds(operator: str, key: str, values: str | list[str]) -> bool:
        value, values = sent.get(key.lower()), [values] if isinstance(values, str) else values
        known = value is not None and operator in ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
        return not known or any(fnmatchcase(value, each) for each in values)

    def names(statement: dict) -> bool:
        principal = statement.get("Principal")
        services = principal if isinstance(principal, str) else principal.get("Service", []) if principal else []
        return services == "*" or service in ([services] if isinstance(services, str) else services)

    return any(statement["Effect"] == "Allow" and names(statement) and all(
        holds(operator, key, values) for operator, keys in statement.get("Condition", {}).items() for key, values in keys.items())
        for statement in trust["Statement"])


def _filled(settings: Settings, hop: str, file_name: str, values: dict[str, str]) -> dict:
    if hop not in HOPS:
        raise ValueError(f"There is no hop {hop!r}: choose one of {', '.join(HOPS)}.")
    template = Template((_FOLDER / file_name).read_text("utf-8"))
    names = template.get_identifiers()
    if unknown := sorted(values.keys() - set(names)):
        raise ValueError(f"{file_name} has no place for {', '.join(unknown)}.")
    known = {name: getattr(settings, name) for name in names if hasattr(settings, name)} | values
    if missing := sorted(set(names) - known.keys()):
        raise ValueError(f"{file_name} needs {', '.join(missing)}: give it as {missing[0]}=... .")
    return json.loads(template.substitute(known))
