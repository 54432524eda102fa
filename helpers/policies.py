"""What each hop may do, and who may act for it: the documents of data/policies/ filled in for these settings.

A hop is "pipe", "delivery", "function" or "crawler". `<hop>.json` says what its role may do, `<hop>-trust.json` which
AWS service may take the role on. data/README.md tells why each document is as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

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
