"""What every joint's control plane shares: parsing a request by AWS's own API model, checking it, answering it."""

import base64
import binascii
import datetime
import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

from .clock import Clock
from .roles import CLIENT_CONFIG, Role, new_session
from .state import Store

_log = logging.getLogger("localaws")
_models = new_session()


class AwsError(Exception):
    """An error as AWS answers it: a code, a sentence, an HTTP status and, for some, further members."""

    def __init__(self, code: str, message: str, *, status: int = 400, **members):
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


@dataclass(frozen=True)
class Caller:
    """Whose request it is: the account (12 digits) and the region it was signed for."""

    account: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass
class Context:
    """All that a joint may reach: AWS's APIs, the clock, its own folder and the log."""

    endpoint: str
    clock: Clock
    directory: Path

    def store(self, name: str) -> Store:
        """The store `name` of this joint, as the last process left it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return Store(self.directory / f"{name}.json")

    def client(self, service: str, caller: Caller, **config):
        """A client with the account's own rights: only for what AWS itself does without a role."""
        return boto3.Session(botocore_session=new_session()).client(
            service, endpoint_url=self.endpoint, region_name=caller.region, aws_access_key_id=caller.account,
            aws_secret_access_key="test", config=CLIENT_CONFIG.merge(Config(**config)))

    def role(self, role_arn: str, *, service: str, source_arn: str) -> Role:
        """The role `role_arn`, to be assumed as `service` ("pipes.amazonaws.com") for the resource `source_arn`."""
        caller = Caller(*reversed(source_arn.split(":")[3:5]))
        return Role(role_arn, service=service, source_arn=source_arn, endpoint=self.endpoint,
                    sts=lambda: self.client("sts", caller))

    def log(self, source_arn: str, message: str) -> None:
        """One line in the one log: when, which resource, what happened."""
        _log.warning("%s %s", source_arn.split(":", 5)[-1], message)


class Service:
    """A control plane: each operation is a method, named as boto3 names it, from `(caller, params)` to the answer's members.

    Parameters arrive as boto3 callers give them, checked against the API model: members required, types, enumerations,
    lengths, ranges and patterns. An operation without a method is refused by name.
    """

    name: str
    operations: frozenset[str] | None = None  # None: all of the model's
    validation_error = "ValidationException"

    def __init__(self, context: Context):
        self.context = context
        self.model = _models.get_service_model(self.name)
        self._routes = [_route(self.model.operation_model(name)) for name in self.model.operation_names]

    def start(self) -> None:
        """Resume the workers from the stored state."""

    def stop(self) -> None:
        """Stop the workers, within a bound."""

    def handle(self, caller: Caller, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Answer one HTTP request with a status and a JSON body. Errors are AWS-shaped."""
        try:
            operation, params = self._parse(method, target, headers, body)
            action = getattr(self, xform_name(operation.name), None)
            if action is None:
                raise AwsError("UnsupportedOperationException", f"The local AWS does not support {self.name}:{operation.name}.")
            _check(params, operation.input_shape, "", self._invalid)
            return 200, _encode(action(caller, params) or {}) if operation.output_shape else b""
        except AwsError as error:
            return error.status, _encode({"__type": error.code, "message": error.message, **error.members})
        except Exception:
            _log.exception("%s failed on %s %s", self.name, method, headers.get("x-amz-target", target))
            return 500, _encode({"__type": "InternalServerException",
                                 "message": "The local AWS failed on this request; `localaws logs` has the details."})

    def _invalid(self, message: str) -> AwsError:
        return AwsError(self.validation_error, message)

    def _parse(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[OperationModel, dict]:
        try:
            document = json.loads(body) if body.strip() else {}
        except ValueError as error:
            raise AwsError("SerializationException", f"The request's body is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise AwsError("SerializationException", "The request's body is not a JSON object.")
        if "x-amz-target" in headers:
            name = headers["x-amz-target"].rsplit(".", 1)[-1]
            if name not in self.model.operation_names:
                raise AwsError("UnknownOperationException", f"{self.name} has no operation {name}.")
            operation = self.model.operation_model(name)
        else:
            path, _, query = target.partition("?")
            operation, found = next(((op, match.groupdict()) for verb, pattern, op in self._routes
                                     if verb == method and (match := pattern.fullmatch(path))), (None, {}))
            if operation is None:
                raise AwsError("UnknownOperationException", f"{self.name} has no operation at {method} {path}.", status=404)
            document = {**document, **_located(operation, found, parse_qsl(query, keep_blank_values=True))}
        try:
            return operation, _decode(document, operation.input_shape) if operation.input_shape else {}
        except binascii.Error as error:
            raise AwsError("SerializationException", f"A blob of the request is not base64: {error}") from None


def _route(operation: OperationModel) -> tuple[str, re.Pattern, OperationModel]:
    """The HTTP method and path of a REST operation; `{Name}` in its URI is one segment, `{Arn+}` any number."""
    path = operation.http["requestUri"].partition("?")[0]
    pattern = re.sub(r"\\\{(\w+)(\\\+)?\\\}", lambda m: f"(?P<{m[1]}>{'.+' if m[2] or 'arn' in m[1].lower() else '[^/]+'})",
                     re.escape(path))
    return operation.http["method"], re.compile(pattern), operation


def _located(operation: OperationModel, path: dict, query: list[tuple[str, str]]) -> dict:
    """Members that a REST request carries in its path and query string, by their names in the model."""
    found: dict = {}
    for name, shape in operation.input_shape.members.items() if operation.input_shape else ():
        where, wire = shape.serialization.get("location"), shape.serialization.get("name", name)
        if where == "uri" and wire in path:
            found[name] = unquote(path[wire])
        elif where == "querystring":
            values = [value for key, value in query if key == wire]
            if values:
                number = shape.type_name in ("integer", "long") and re.fullmatch("-?[0-9]+", values[0])
                found[name] = values if shape.type_name == "list" else int(values[0]) if number else values[0]
    return found


def _decode(value, shape: Shape):
    """Wire JSON as boto3 callers write it: blobs become bytes, members that the model does not know are left out."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        names = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        return {names[key][0] if key in names else key: _decode(item, (names.get(key) or (key, shape.members[key]))[1])
                for key, item in value.items() if item is not None and (key in names or key in shape.members)}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_decode(item, shape.member) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _decode(item, shape.value) for key, item in value.items()}
    if shape.type_name == "blob" and isinstance(value, str):
        return base64.b64decode(value)
    return value


_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,), "map": (dict,), "list": (list,), "string": (str,), "blob": (bytes,), "boolean": (bool,),
    "integer": (int,), "long": (int,), "float": (int, float), "double": (int, float), "timestamp": (int, float, str),
}


def _check(value, shape: Shape | None, at: str, invalid: Callable[[str], AwsError]) -> None:
    """Raise `invalid(sentence)` where `value` breaks the model: type, required, enumeration, length, range, pattern."""
    if shape is None:
        return
    kind, rules = shape.type_name, shape.metadata
    if not isinstance(value, _TYPES[kind]) or isinstance(value, bool) != (kind == "boolean"):
        raise invalid(f"Invalid type for {at or 'the request'}: expected {kind}, got {type(value).__name__}")
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if name not in value:
                raise invalid(f"1 validation error detected: Value null at '{_lower(at, name)}' failed to satisfy constraint: "
                              "Member must not be null")
        for name, item in value.items():
            _check(item, shape.members[name], _lower(at, name), invalid)
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value, 1):
            _check(item, shape.member, f"{at}.{number}.member", invalid)
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            _check(item, shape.value, f"{at}.{key}", invalid)
    constraint = None
    if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        constraint = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    elif kind in ("integer", "long", "float", "double"):
        if value < rules.get("min", value) or value > rules.get("max", value):
            constraint = f"Member must have value between {rules.get('min')} and {rules.get('max')}"
    elif kind in ("string", "list", "map", "blob"):
        if len(value) < rules.get("min", 0) or len(value) > rules.get("max", len(value)):
            constraint = f"Member must have length between {rules.get('min', 0)} and {rules.get('max', 'any')}"
        elif kind == "string" and "pattern" in rules and not _pattern(rules["pattern"]).fullmatch(value):
            constraint = f"Member must satisfy regular expression pattern: {rules['pattern']}"
    if constraint:
        shown = value if isinstance(value, (str, int, float)) else f"of length {len(value)}"
        raise invalid(f"1 validation error detected: Value '{shown}' at '{at}' failed to satisfy constraint: {constraint}")


def _pattern(pattern: str) -> re.Pattern:
    """A model's pattern (Java's dialect) for Python's re; one that Python cannot read constrains nothing."""
    for java, python in ((r"\p{Alpha}", "[A-Za-z]"), (r"\p{L}\p{M}\p{Z}\p{N}\p{P}", r"\w\W")):
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern)
    except re.error:
        return re.compile(r"(?s).*")


def _lower(at: str, name: str) -> str:
    """AWS names members in its messages with a small first letter, joined by dots."""
    name = name[0].lower() + name[1:]
    return f"{at}.{name}" if at else name


def _encode(answer: dict) -> bytes:
    def default(value):
        if isinstance(value, datetime.datetime):
            return value.timestamp()
        if isinstance(value, (bytes, bytearray)):
            return base64.b64encode(value).decode()
        raise TypeError(f"{type(value).__name__} has no JSON form")

    return json.dumps(answer, default=default).encode()


def now() -> float:
    """The time as AWS's JSON protocols write it: epoch seconds with milliseconds."""
    return round(time.time(), 3)
