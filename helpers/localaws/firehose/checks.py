"""What a delivery stream's settings must be: checked, completed with AWS's defaults, and refused by name where they cannot be.

Everything here raises InvalidArgumentException for what is wrong or not supported.
"""

import math
import zoneinfo
from collections.abc import Iterable

from ..service import AwsError
from . import prefix

_SOURCES = {"DirectPut": "DirectPutSourceConfiguration", "KinesisStreamAsSource": "KinesisStreamSourceConfiguration"}
_DESTINATIONS = ("ExtendedS3DestinationConfiguration", "S3DestinationConfiguration")
_HINTS = {"SizeInMBs": 5, "IntervalInSeconds": 300}  # [C, AWS_FACTS.md part 4]
_PROCESSOR_DEFAULTS = {"NumberOfRetries": "3", "BufferSizeInMBs": "1", "BufferIntervalInSeconds": "60"}  # [C]
# That AWS limits no NumberOfRetries is likely [L, FLP].
_PROCESSOR_RANGES = {"NumberOfRetries": (0, math.inf), "BufferSizeInMBs": (0.2, 3), "BufferIntervalInSeconds": (0, 900)}


def invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)


def unsupported(name: str) -> AwsError:
    return invalid(f"{name} is not supported by the local AWS.")


def refuse(names: Iterable[str]) -> None:
    for name in names:
        raise unsupported(name)


def checked_stream(params: dict) -> tuple[dict | None, dict]:
    """Kinesis source (None: DirectPut) and destination of a new stream, defaults filled in."""
    kind = params.get("DeliveryStreamType", "DirectPut")
    if kind not in ("DirectPut", "KinesisStreamAsSource"):
        raise unsupported(f"DeliveryStreamType {kind}")
    refuse(params.keys() - {"DeliveryStreamName", "DeliveryStreamType", "Tags", "DeliveryStreamEncryptionConfigurationInput",
                            *_SOURCES.values(), *_DESTINATIONS})
    for of_kind, name in _SOURCES.items():
        if name in params and of_kind != kind:
            raise invalid(f"{name} is not allowed for DeliveryStreamType {kind}.")
    if kind == "KinesisStreamAsSource" and _SOURCES[kind] not in params:
        raise invalid(f"{_SOURCES[kind]} is required for DeliveryStreamType {kind}.")
    destinations = [params[name] for name in _DESTINATIONS if name in params]
    if len(destinations) != 1:
        raise invalid(f"Specify exactly one destination: {' or '.join(_DESTINATIONS)}.")
    return params.get("KinesisStreamSourceConfiguration"), checked_destination(destinations[0])


def checked_encryption(given: dict | None) -> dict | None:
    """DeliveryStreamEncryptionConfiguration of a stream that is to be encrypted (None: not): with AWS's own key, the default [C]."""
    if given is None:
        return None
    if given.get("KeyType", "AWS_OWNED_CMK") != "AWS_OWNED_CMK":
        raise unsupported(f"KeyType {given['KeyType']}")
    if "KeyARN" in given:
        raise invalid("KeyARN is not allowed for KeyType AWS_OWNED_CMK.")
    return {"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}


def checked_destination(given: dict) -> dict:
    """The destination with defaults filled in, as DescribeDeliveryStream echoes it."""
    destination = {"S3BackupMode": "Disabled", **_checked_s3(given)}
    for name in ("DataFormatConversionConfiguration", "DynamicPartitioningConfiguration"):
        if destination.get(name, {"Enabled": False}).get("Enabled", True):  # of the first, omitted means enabled [L, FLP]
            raise unsupported(f"{name}.Enabled")
    if destination.get("CustomTimeZone", "") not in ("", *zoneinfo.available_timezones()):
        raise invalid(f"CustomTimeZone {destination['CustomTimeZone']} is not a time zone.")
    if "S3BackupConfiguration" in destination:
        destination["S3BackupDescription"] = _checked_s3(destination.pop("S3BackupConfiguration"))
    if destination["S3BackupMode"] == "Enabled" and not {"RoleARN", "BucketARN"} <= destination.get("S3BackupDescription", {}).keys():
        raise invalid("S3BackupMode Enabled requires S3BackupConfiguration with RoleARN and BucketARN.")
    if "ProcessingConfiguration" in destination:
        destination["ProcessingConfiguration"] = _checked_processing(destination["ProcessingConfiguration"], destination["RoleARN"])
    return destination


def _checked_s3(given: dict) -> dict:
    """What a destination and a backup have in common."""
    destination = {"CompressionFormat": "UNCOMPRESSED", "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
                   "CloudWatchLoggingOptions": {"Enabled": False}, **given}
    logging = destination["CloudWatchLoggingOptions"] = {"Enabled": False, **destination["CloudWatchLoggingOptions"]}
    if logging["Enabled"] and not (logging.get("LogGroupName") and logging.get("LogStreamName")):
        raise invalid("CloudWatchLoggingOptions: LogGroupName and LogStreamName are required when logging is enabled.")
    if len(destination["EncryptionConfiguration"]) != 1:
        raise invalid("EncryptionConfiguration: give NoEncryptionConfig or KMSEncryptionConfig.")
    hints = destination.get("BufferingHints") or _HINTS
    if hints.keys() != _HINTS.keys():
        raise invalid("BufferingHints: give both SizeInMBs and IntervalInSeconds, or neither.")
    destination["BufferingHints"] = hints
    try:
        prefix.check(destination.get("Prefix"), destination.get("ErrorOutputPrefix"))
    except prefix.PrefixError as error:
        raise invalid(str(error)) from None
    return destination


def _checked_processing(given: dict, role_arn: str) -> dict:
    """Enabled omitted means disabled [L]; the parameters of a Lambda processor come back filled in [L, AWS_FACTS.md part 4]."""
    processors = [_checked_processor(processor, role_arn) for processor in given.get("Processors", [])]
    for kind in {processor["Type"] for processor in processors}:
        if sum(processor["Type"] == kind for processor in processors) > 1:
            raise invalid(f"Only one processor of type {kind} is allowed.")
    enabled = given.get("Enabled", False)
    if enabled and not processors:
        raise invalid("ProcessingConfiguration is enabled and has no processor.")
    return {"Enabled": enabled, "Processors": processors}


def _checked_processor(processor: dict, role_arn: str) -> dict:
    if processor["Type"] == "Lambda":
        return _checked_lambda(processor, role_arn)
    if processor["Type"] != "AppendDelimiterToRecord":
        raise unsupported(f"Processor type {processor['Type']}")
    parameters = {p["ParameterName"]: p["ParameterValue"] for p in processor.get("Parameters", [])}
    refuse(f"Processor parameter {name}" for name in parameters.keys() - {"Delimiter"})
    # The guide gives \n, a backslash and an n, for the newline [C]; that it is what a missing parameter means is likely [L].
    return {"Type": processor["Type"], "Parameters": [
        {"ParameterName": "Delimiter", "ParameterValue": parameters.get("Delimiter", "\\n")}]}


def _checked_lambda(processor: dict, role_arn: str) -> dict:
    parameters = {p["ParameterName"]: p["ParameterValue"] for p in processor.get("Parameters", [])}
    refuse(f"Processor parameter {name}" for name in parameters.keys() - {"LambdaArn", "RoleArn", *_PROCESSOR_DEFAULTS})
    if not parameters.get("LambdaArn", "").startswith("arn:aws:lambda:"):
        raise invalid("A processor of type Lambda requires the parameter LambdaArn, a function's ARN.")
    parameters = {"LambdaArn": parameters["LambdaArn"], "RoleArn": role_arn, **_PROCESSOR_DEFAULTS, **parameters}
    for name, (low, high) in _PROCESSOR_RANGES.items():
        try:
            number = float(parameters[name]) if name == "BufferSizeInMBs" else int(parameters[name])
        except ValueError:
            raise invalid(f"{name} must be a number, not {parameters[name]!r}.") from None
        if not low <= number <= high:
            raise invalid(f"{name} must be between {low} and {high}, not {number}.")
    return {"Type": "Lambda", "Parameters": [{"ParameterName": n, "ParameterValue": v} for n, v in parameters.items()]}
