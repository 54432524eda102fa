"""The Lambda step of a delivery stream: one synchronous call a batch, and what becomes of each record.

Every row is one of AWS_FACTS.md part 4's table "Lambda outcome". No record is ever passed on untransformed.
"""

import base64
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ReadTimeoutError

from ..polling import DENIED, HOP_ERRORS, error_code, sentence
from ..roles import Role

REQUEST_BYTES = 6 * 1024 * 1024  # a synchronous call's request, and its answer [C]
HEAD_BYTES = 2048                # of a request, beside its records
INVOKE_SECONDS = 300             # AWS waits five minutes for a function, whatever its own timeout [C]

# Captured [C]: FunctionError, FunctionTimedOut. Seen on AWS [L, FLP]: ProcessingFailedStatus, MissingRecordId, DuplicatedRecordId,
# InvalidReturnFormat. The rest as in the guide's table for CloudWatch Logs [C], but for InternalServerError: what AWS says then is
# unknown [U].
_MESSAGES = {
    "Lambda.ProcessingFailedStatus": "ProcessingFailed status set for record",
    "Lambda.MissingRecordId": "One or more record Ids were not returned. Ensure that the Lambda function returns all "
                              "received record Ids.",
    "Lambda.DuplicatedRecordId": "Multiple records were returned with the same record Id. Ensure that the Lambda function "
                                 "returns a unique record Id for each record.",
    "Lambda.InvalidReturnFormat": "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource "
                                  "and processing result is Ok. The value field cannot be null when the SourceType is "
                                  "MSKAsSource and processing result is Ok.",
    "Lambda.FunctionError": "The Lambda function was successfully invoked but it returned an error result.",
    "Lambda.FunctionTimedOut": "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function.",
    "Lambda.InvokeAccessDenied": "Access was denied. Ensure that the access policy allows access to the Lambda function.",
    "Lambda.AssumeRoleAccessDenied": "Access was denied. Ensure that the trust policy for the provided IAM role allows "
                                     "Firehose to assume the role.",
    "Lambda.ResourceNotFound": "The specified Lambda function does not exist. Use a different function that does exist.",
    "Lambda.InvokeLimitExceeded": "The Lambda concurrent execution limit is exceeded. Increase the concurrent execution limit.",
    "Lambda.InternalServerError": "The Lambda service could not be reached or failed.",
}


@dataclass(slots=True)
class Source:
    """A record as GetRecords of Kinesis has it on the wire, or as it was put: `data` is base64, `arrival` milliseconds.

    Records that were packed into one share its `sequence`; `sub` counts them, and what comes behind the `last` is not read yet.
    """

    shard: str
    sequence: str
    key: str
    arrival: int
    data: str
    sub: int = 0
    last: bool = True

    @property
    def size(self) -> int:
        return len(self.data) * 3 // 4


@dataclass(frozen=True)
class Failure:
    """Why a record, or a whole batch, was not transformed."""

    code: str
    attempts: int
    message: str = ""

    @property
    def text(self) -> str:
        return self.message or _MESSAGES[self.code]

    def line(self, record: Source, lambda_arn: str) -> bytes:
        """The error object of `record`, in the order and with the `lambdaARN` of the captures of 2025-26 [C].

        The ARN is the processor's as it was given: with :$LATEST where that was (the console adds it), and without [C, FLP].
        """
        return _json({
            "rawData": record.data, "errorCode": self.code, "errorMessage": self.text,
            "attemptsMade": self.attempts, "arrivalTimestamp": record.arrival,
            "attemptEndingTimestamp": int(time.time() * 1000),
            "lambdaARN": lambda_arn,
        }) + b"\n"


class InvocationFailed(Exception):
    """A call did not succeed; `reason` is a sentence when somebody must act, as for a missing permission."""

    def __init__(self, code: str, reason: str | None = None):
        super().__init__(code)
        self.code, self.reason = code, reason


def entry_of(record: Source, *, of_kinesis: bool) -> bytes:
    """What the event says of `record`, as captured [C]; `recordId` is to be taken as opaque.

    Of records that were put directly it says nothing of Kinesis [C, AWS's sample events of Lambda].
    """
    return _json({
        "recordId": _record_id(record), "approximateArrivalTimestamp": record.arrival, "data": record.data,
        **({"kinesisRecordMetadata": {
            "sequenceNumber": record.sequence, "subsequenceNumber": record.sub, "partitionKey": record.key,
            "shardId": record.shard, "approximateArrivalTimestamp": record.arrival}} if of_kinesis else {})})


def request_of(entries: list[bytes], *, stream_arn: str | None, delivery_stream_arn: str) -> bytes:
    """The event the function gets, as captured [C]: some hundred bytes about the stream, and the `entries`."""
    head = _json({
        "invocationId": str(uuid.uuid4()), **({"sourceKinesisStreamArn": stream_arn} if stream_arn else {}),
        "deliveryStreamArn": delivery_stream_arn, "region": delivery_stream_arn.split(":")[3]})
    return head[:-1] + b',"records":[' + b",".join(entries) + b"]}"


def _json(document: dict) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _record_id(record: Source) -> str:
    return f"{record.sequence}{record.sub:06d}"


class Function:
    """The function of one worker, called with `role`; `warn` is told, once, what is odd about its configuration."""

    def __init__(self, role: Role, arn: str, warn: Callable[[str], None]):
        self._role, self._arn, self._warn, self._known = role, arn, warn, False

    def invoke(self, request: bytes) -> bytes:
        """One synchronous call; the function's answer, or InvocationFailed."""
        try:
            if not self._known:
                self._look()
            # A call is never repeated below the count of attempts: a slow function must not be started twice.
            functions = self._role.client("lambda", retries={"total_max_attempts": 1}, read_timeout=INVOKE_SECONDS)
            answer = functions.invoke(FunctionName=self._arn, InvocationType="RequestResponse", Payload=request)
            payload = answer["Payload"].read()
        except ReadTimeoutError:
            raise InvocationFailed("Lambda.FunctionTimedOut") from None
        except HOP_ERRORS as error:
            raise _failed(error) from None
        if "FunctionError" in answer:
            timed_out = b"Task timed out" in payload
            raise InvocationFailed("Lambda.FunctionTimedOut" if timed_out else "Lambda.FunctionError")
        if len(payload) > REQUEST_BYTES:  # Lambda itself answers so: a function error, Function.ResponseSizeTooLarge
            raise InvocationFailed("Lambda.FunctionError")
        return payload

    def _look(self) -> None:
        """See before the first call how long the function may take.

        The role needs lambda:GetFunctionConfiguration [C, FH controlling-access], and a function gets five minutes [C,
        FH data-transformation]; when AWS asks, and that a refusal fails the batch as one to call it does, is unknown [U].
        """
        seconds = self._role.client("lambda").get_function_configuration(FunctionName=self._arn)["Timeout"]
        if seconds > INVOKE_SECONDS:
            self._warn(f"the function's timeout is {seconds} s; Firehose waits {INVOKE_SECONDS} s for it at most")
        self._known = True


def _failed(error: Exception) -> InvocationFailed:
    code, operation = error_code(error), getattr(error, "operation_name", "Invoke")
    action = "lambda:InvokeFunction" if operation == "Invoke" else f"lambda:{operation}"
    if code in DENIED:
        named = "AssumeRole" if operation == "AssumeRole" else "Invoke"
        return InvocationFailed(f"Lambda.{named}AccessDenied", sentence(error, action))
    if code == "ResourceNotFoundException":
        return InvocationFailed("Lambda.ResourceNotFound", sentence(error, action))
    if code == "TooManyRequestsException":
        return InvocationFailed("Lambda.InvokeLimitExceeded")
    return InvocationFailed("Lambda.InternalServerError", sentence(error, action))


def outcomes(records: list[Source], payload: bytes) -> tuple[list[tuple[Source, bytes]], list[tuple[Source, Failure]]]:
    """What the function's answer says of each record: those to deliver with their new data, in order, and those that failed.

    An answer without usable `records` returns no id at all, so every record is missing. A record fails alone: its
    neighbours are delivered. An unknown `result`, or data that is not base64, fails the record; with which code AWS
    does so is unknown [U], here Lambda.InvalidReturnFormat.
    """
    answers, times = _answers(payload)
    delivered: list[tuple[Source, bytes]] = []
    failed: list[tuple[Source, Failure]] = []
    for record in records:
        record_id = _record_id(record)
        answer = answers.get(record_id)
        if answer is None:
            failed.append((record, Failure("Lambda.MissingRecordId", 1)))
        elif times[record_id] > 1:
            failed.append((record, Failure("Lambda.DuplicatedRecordId", 1)))
        elif answer.get("result") == "Ok":
            data = answer.get("data")
            try:
                delivered.append((record, base64.b64decode(data, validate=True)))
            except (TypeError, ValueError):
                text = "" if data is None else "The data field is not base64 text."
                failed.append((record, Failure("Lambda.InvalidReturnFormat", 1, text)))
        elif answer.get("result") == "ProcessingFailed":
            failed.append((record, Failure("Lambda.ProcessingFailedStatus", 1)))
        elif answer.get("result") != "Dropped":
            failed.append((record, Failure("Lambda.InvalidReturnFormat", 1, f"The result {answer.get('result')!r} is not one "
                                           "of Ok, Dropped and ProcessingFailed.")))
    return delivered, failed


def _answers(payload: bytes) -> tuple[dict[str, dict], Counter]:
    """The answered entries by record id, and how often each id came."""
    try:
        document = json.loads(payload)
    except ValueError:
        document = None
    entries = document.get("records") if isinstance(document, dict) else None
    entries = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("recordId"), str)
               ] if isinstance(entries, list) else []
    return {entry["recordId"]: entry for entry in entries}, Counter(entry["recordId"] for entry in entries)
