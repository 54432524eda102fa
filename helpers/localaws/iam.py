"""What MiniStack's IAM does not know by itself: services that assume roles, roles that are passed, resources it does not look for.

With gateway.py and streams.py this is all that touches MiniStack's insides.
"""

import contextvars
import dataclasses
import json
from collections.abc import Iterator

from .roles import SERVICE_HEADER, SOURCE_HEADER

_LOG_STREAM_CALLS = frozenset({"CreateLogStream", "PutLogEvents"})


class ServiceTrust:
    """STS for services: AWS services assume roles too, and only a trust policy that names them lets them.

    MiniStack knows callers that are users, roles or the account's root. A joint says, in two headers, for which service and
    on behalf of which resource it assumes a role; then only the statements of the trust policy that name that service count,
    and their conditions see aws:SourceArn and aws:SourceAccount. Only root, whose key the joints hold, may say so: any other
    caller is not let through a service's statement by MiniStack.
    """

    def __init__(self, sts, iam_evaluator):
        self._sts, self._evaluator = sts, iam_evaluator
        self._call: contextvars.ContextVar[tuple[str, str] | None] = contextvars.ContextVar("service_call", default=None)
        self._evaluate = iam_evaluator.evaluate_trust_policy
        iam_evaluator.evaluate_trust_policy = self._evaluate_trust

    def __getattr__(self, member):
        return getattr(self._sts, member)

    async def handle_request(self, method, path, headers, body, query_params):
        self._call.set((headers[SERVICE_HEADER], headers.get(SOURCE_HEADER, "")) if SERVICE_HEADER in headers else None)
        return await self._sts.handle_request(method, path, headers, body, query_params)

    def lets_in(self, role: dict, service: str, source_arn: str) -> bool:
        """Whether `service` may assume MiniStack's `role` on behalf of `source_arn`."""
        _, _, _, region, account, _ = source_arn.split(":", 5)
        context = self._evaluator.EvalContext(principal_arn=f"arn:aws:iam::{account}:root", principal_type="Root",
                                              principal_account=account, action="sts:AssumeRole", resource_arn=role["Arn"], region=region)
        return self._evaluate_service(role.get("AssumeRolePolicyDocument", "{}"), context.principal_arn, context, service, source_arn)

    def _evaluate_trust(self, document, caller_arn, context=None):
        call = self._call.get()
        if call is None:
            return self._evaluate(document, caller_arn, context)
        return self._evaluate_service(document, caller_arn, context, *call)

    def _evaluate_service(self, document, caller_arn, context, service: str, source_arn: str) -> bool:
        document = json.loads(document) if isinstance(document, str) else document
        statements = document.get("Statement", [])
        statements = statements if isinstance(statements, list) else [statements]
        document = {"Version": "2012-10-17", "Statement": [s for s in statements if _names(s.get("Principal"), service)]}
        source = {"aws:sourcearn": source_arn, "aws:sourceaccount": (source_arn.split(":") + [""] * 5)[4]}
        context = dataclasses.replace(context, service_context={**context.service_context, **source})
        return self._evaluate(document, caller_arn, context)


def _names(principal, service: str) -> bool:
    """Whether a trust statement's Principal is everybody, or names `service` among others."""
    if principal == "*":
        return True
    return isinstance(principal, dict) and ("*" in _listed(principal.get("AWS")) or service in _listed(principal.get("Service")))


def _listed(named) -> list[str]:
    return [named] if isinstance(named, str) else named or []


def refusal_to_pass(service: str, headers: dict, body: bytes, query_params: dict) -> str | None:
    """Why the caller may not hand a role that the request names over to `service`; None if it names none, or they may.

    Who gives a role to a service needs iam:PassRole on it, whose condition key iam:PassedToService names the service [C, IAM
    user guide, id_roles_use_passrole], and not even root passes one of another account [C, captured: aws-toolkit-azure-devops
    issue 546]. In which order AWS checks this and the rest of a request is unknown [U]; here the role comes first.
    """
    if b"Role" not in body:
        return None
    from ministack.core.iam_actions import identity_denial_message
    from ministack.core.iam_evaluator import AuthError, enforce
    from ministack.core.responses import get_account_id, get_region
    from ministack.core.router import extract_access_key_id

    try:
        named = set(_roles_in(json.loads(body)))
    except ValueError:
        return None  # the service will say
    for role in sorted(named):
        arn = role if role.startswith("arn:") else f"arn:aws:iam::{get_account_id()}:role/{role}"  # Glue takes names too
        if (arn.split(":") + [""] * 5)[4] != get_account_id():
            return "Cross-account pass role is not allowed."
        denied = enforce(extract_access_key_id(headers, query_params), "iam:PassRole", "iam", get_region(), arn,
                         {"iam:PassedToService": f"{service}.amazonaws.com"})
        if isinstance(denied, AuthError):
            return denied.message
        if denied:
            return identity_denial_message("iam:PassRole", denied.principal_arn, arn, denied.decision == "Deny")
    return None


def _roles_in(document) -> Iterator[str]:
    """The roles that a request names, however deep: RoleArn, RoleARN, Role, or a Firehose processor's parameter RoleArn."""
    if isinstance(document, list):
        for item in document:
            yield from _roles_in(item)
    elif isinstance(document, dict):
        if document.get("ParameterName") == "RoleArn":
            yield str(document.get("ParameterValue", ""))
        for key, value in document.items():
            if key in ("RoleArn", "RoleARN", "Role") and isinstance(value, str):
                yield value
            else:
                yield from _roles_in(value)


class Functions:
    """MiniStack's Lambda, with what it leaves out of a function's own role.

    A role is taken only from who may pass it, and only if Lambda may assume it; and a function's lines reach CloudWatch Logs
    only as far as its role allows [C, Lambda developer guide, monitoring-cloudwatchlogs: the permissions of
    AWSLambdaBasicExecutionRole]. What else a function does with AWS it does, in MiniStack, with the rights of the account.
    """

    def __init__(self, lambda_svc, trust: ServiceTrust):
        self._lambda, self._trust = lambda_svc, trust
        self._write_lines = lambda_svc._emit_lambda_logs
        lambda_svc._emit_lambda_logs = self._write_lines_as_the_role

    def __getattr__(self, member):
        return getattr(self._lambda, member)

    async def handle_request(self, method, path, headers, body, query_params):
        if method in ("POST", "PUT") and path.rstrip("/").endswith(("/functions", "/configuration")):
            from ministack.core.responses import error_response_json, get_account_id, get_region

            if refusal := refusal_to_pass("lambda", headers, body, query_params):
                return error_response_json("AccessDeniedException", refusal, 403)
            for arn in _roles_in(_object(body)):
                name = _object(body).get("FunctionName") or path.rstrip("/").rsplit("/", 2)[-2]
                function = f"arn:aws:lambda:{get_region()}:{get_account_id()}:function:{name.rpartition(':')[2]}"
                if not self._may_be_assumed(arn, function):
                    return error_response_json("InvalidParameterValueException",
                                               "The role defined for the function cannot be assumed by Lambda.", 400)  # [C] captured
        return await self._lambda.handle_request(method, path, headers, body, query_params)

    def _may_be_assumed(self, role_arn: str, function_arn: str) -> bool:
        from ministack.services import iam

        role = iam._roles.get_scoped(function_arn.split(":")[4], None, role_arn.rpartition("/")[2])
        return role is not None and self._trust.lets_in(role, "lambda.amazonaws.com", function_arn)

    def _write_lines_as_the_role(self, function: dict, *arguments, **options) -> None:
        if self._may_write_lines(function.get("config") or function):
            self._write_lines(function, *arguments, **options)

    def _may_write_lines(self, config: dict) -> bool:
        """Whether the function's role may make the stream, and the group if it is missing, and put the lines.

        Every call writes a stream of its own here, where AWS writes one for each environment: so CreateLogStream is always needed.
        """
        from ministack.core import iam_evaluator
        from ministack.services import cloudwatch_logs, iam

        _, _, _, region, account, _ = config["FunctionArn"].split(":", 5)
        role = config["Role"].rpartition("/")[2]
        if not self._may_be_assumed(config["Role"], config["FunctionArn"]):
            return False
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        group_arn = f"arn:aws:logs:{region}:{account}:log-group:{group}"
        stream_arn = f"{group_arn}:log-stream:{config.get('Version', '$LATEST')}"
        calls = [("logs:CreateLogStream", stream_arn), ("logs:PutLogEvents", stream_arn)]
        if group not in cloudwatch_logs._log_groups:
            calls.append(("logs:CreateLogGroup", group_arn))
        policies = iam_evaluator._gather_role_policies(role, account)
        limits = iam_evaluator._permissions_boundary(iam._roles, role, account)
        return all(iam_evaluator.evaluate(iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:sts::{account}:assumed-role/{role}/{config['FunctionName']}", principal_type="AssumedRole",
            principal_account=account, action=action, resource_arn=arn, region=region), policies, *limits).decision == "Allow"
            for action, arn in calls)


def _object(body: bytes) -> dict:
    try:
        document = json.loads(body or b"{}")
    except ValueError:  # CBOR, which some clients speak to Kinesis, or no JSON at all: the service will say
        return {}
    return document if isinstance(document, dict) else {}


class GuardedCatalogue:
    """Glue's catalogue for who may use every part of it that a call is about: the catalogue, the database, the tables.

    Glue's calls on databases, tables and partitions need a permission on each [C, service authorization reference of Glue: their
    required resource types]. MiniStack asks about one resource of a request, here the catalogue; this asks about the others, in the
    calls of OPERATIONS. Listing databases, searching tables, indexes and statistics need the catalogue alone here.
    """

    _VERBS = ("Get", "Create", "Update", "Delete")
    _OF_DATABASES = frozenset(f"{verb}Database" for verb in _VERBS)
    _OF_TABLES = frozenset({"GetTables", "GetPartitions", "BatchDeleteTable", *(f"{verb}Table" for verb in _VERBS),
                            *(f"{batch}{verb}Partition" for verb in _VERBS for batch in ("", "Batch"))})
    OPERATIONS = _OF_DATABASES | _OF_TABLES

    def __init__(self, catalogue):
        self._catalogue = catalogue

    def __getattr__(self, member):
        return getattr(self._catalogue, member)

    async def handle_request(self, method, path, headers, body, query_params):
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if refusal := self._refusal(operation, headers, _object(body), query_params):
            from ministack.core.responses import error_response_json

            return error_response_json("AccessDeniedException", refusal, 400)
        return await self._catalogue.handle_request(method, path, headers, body, query_params)

    def _refusal(self, operation: str, headers: dict, params: dict, query_params: dict) -> str | None:
        """Why the caller may not; None if they may, or what is wrong with the request is for others to say."""
        from ministack.core.iam_actions import identity_denial_message
        from ministack.core.iam_evaluator import EvalResult, enforce
        from ministack.core.responses import get_account_id, get_region
        from ministack.core.router import extract_access_key_id

        if operation in self._OF_DATABASES:
            database, table = params.get("Name") or (params.get("DatabaseInput") or {}).get("Name"), None
        elif operation in self._OF_TABLES:
            database = params.get("DatabaseName")
            table = params.get("TableName") or params.get("Name") or (params.get("TableInput") or {}).get("Name") or "*"
        else:
            return None
        for resource in (f"database/{database}", *([f"table/{database}/{table}"] if table else [])):
            arn = f"arn:aws:glue:{get_region()}:{get_account_id()}:{resource}".lower()
            denied = enforce(extract_access_key_id(headers, query_params), f"glue:{operation}", "glue", get_region(), arn)
            if isinstance(denied, EvalResult):
                return identity_denial_message(f"glue:{operation}", denied.principal_arn, arn, denied.decision == "Deny")
        return None


def name_resources(iam_actions, dynamodb_streams, kinesis) -> None:
    """Tell MiniStack's IAM which resource a request is about where it does not look: else no policy that names one ever fits.

    AWS authorizes GetRecords by the stream its iterator belongs to, every other DynamoDB Streams call by the stream, but for
    ListStreams, the calls on Glue's catalogue by that, among others, and those on a log stream by the log stream.
    """
    of_others = iam_actions.extract_resource_arn

    def resource_arn(service, method, path, headers, body, query_params, region, account):
        operation, found = headers.get("x-amz-target", "").rpartition(".")[2], None
        params = _object(body) if service in ("dynamodbstreams", "kinesis", "glue", "logs") else {}
        if operation == "ListStreams" and service == "dynamodbstreams":
            found = "*"  # it has no resource type: only a statement about everything allows it [C, service authorization reference]
        elif service == "dynamodbstreams":
            found = params.get("StreamArn") or (dynamodb_streams._decode_iterator(params.get("ShardIterator", "")) or {}).get("arn")
        elif service == "kinesis" and operation == "GetRecords":
            found = (kinesis._shard_iterators.get(params.get("ShardIterator")) or {}).get("stream_arn")
        elif service == "glue" and operation in GuardedCatalogue.OPERATIONS:
            found = f"arn:aws:glue:{region}:{account}:catalog"
        elif service == "logs" and operation in _LOG_STREAM_CALLS:
            found = f"arn:aws:logs:{region}:{account}:log-group:{params.get('logGroupName')}:log-stream:{params.get('logStreamName')}"
        return found or of_others(service, method, path, headers, body, query_params, region, account)

    iam_actions.extract_resource_arn = resource_arn
