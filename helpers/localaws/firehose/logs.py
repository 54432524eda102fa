"""What a delivery stream says of its failures in CloudWatch Logs, where CloudWatchLoggingOptions name a place for it."""

import json
import time

from ..polling import DENIED, error_code
from ..roles import Role

# The guide's table of S3 delivery errors [C].
_S3_MESSAGES = {
    "S3.AccessDenied": "Access was denied. Ensure that the trust policy for the provided IAM role allows Firehose to assume the "
                       "role, and the access policy allows access to the S3 bucket.",
    "S3.NoSuchBucket": "The specified bucket does not exist. Create the bucket or use a different bucket that does exist.",
    "S3.KMS.NotFoundException": "The provided AWS KMS key was not found.",
    "InternalError": "An internal error occurred while attempting to deliver data. Delivery will be retried; if the error "
                     "persists, then it will be reported to AWS for resolution.",
}
_S3_CODES = {**dict.fromkeys(DENIED, "S3.AccessDenied"), "NoSuchBucket": "S3.NoSuchBucket",
             "NotFoundException": "S3.KMS.NotFoundException"}


def s3_failure(error: Exception) -> tuple[str, str]:
    """Code and message for a write that failed."""
    code = _S3_CODES.get(error_code(error), "InternalError")
    return code, _S3_MESSAGES[code]


def write(role: Role, options: dict, *, arn: str, version: str, destination: str, code: str, message: str,
          processor: str | None = None) -> None:
    """One event with the members that AWS's have [C, FH http_troubleshooting]; raises what CloudWatch Logs answers.

    Group and stream must be there: AWS makes them only in its console [C].
    """
    event = {"deliveryStreamARN": arn, "destination": destination, "deliveryStreamVersionId": int(version), "message": message,
             "errorCode": code, **({"processor": processor} if processor else {})}
    role.client("logs").put_log_events(
        logGroupName=options["LogGroupName"], logStreamName=options["LogStreamName"],
        logEvents=[{"timestamp": int(time.time() * 1000), "message": json.dumps(event)}])
