"""Changing what the chapters made, and bringing it back: roles, function and delivery stream.

The chapters alone describe how the pipeline is built; here stands only what chapter 08 breaks and what has to be as before.
"""

import inspect
import io
import json
import zipfile

from . import transform
from .policies import HOPS, needed, restore_role
from .session import Aws

HOUR = "year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"  # as chapter 05 has it


def make_whole(aws: Aws, buffer: int = 60, retries: int = 3) -> None:
    """Give roles, function and delivery stream back what chapters 04 to 06 gave them, with both buffers of `buffer` AWS seconds."""
    settings, functions = aws.settings, aws.client("lambda")
    for hop in HOPS:
        restore_role(aws, hop)
    functions.update_function_configuration(FunctionName=settings.function, Timeout=60)
    deploy(aws)
    processor = {"LambdaArn": f"{settings.function_arn}:$LATEST", "NumberOfRetries": str(retries),
                 "BufferIntervalInSeconds": str(buffer), "BufferSizeInMBs": "1"}
    aws.client("firehose").update_destination(**destination(aws), ExtendedS3DestinationUpdate={
        "BufferingHints": {"IntervalInSeconds": buffer, "SizeInMBs": 5}, "Prefix": settings.lake_prefix + HOUR,
        "ErrorOutputPrefix": settings.error_prefix + "!{firehose:error-output-type}/" + HOUR,
        "ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda", "Parameters": [
            {"ParameterName": name, "ParameterValue": value} for name, value in processor.items()]}]}})


def destination(aws: Aws) -> dict:
    """What update_destination has to be told beside the update: which delivery stream, and that it has not changed meanwhile."""
    name = aws.settings.delivery_stream
    now = aws.client("firehose").describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    return {"DeliveryStreamName": name, "CurrentDeliveryStreamVersionId": now["VersionId"],
            "DestinationId": now["Destinations"][0]["DestinationId"]}


def deploy(aws: Aws, *changes: tuple[str, str]) -> None:
    """Deploy the transform, with pieces of its text replaced, and wait until it is in use. ValueError if a piece is not there."""
    functions, name, source = aws.client("lambda"), aws.settings.function, inspect.getsource(transform)
    for old, new in changes:
        if old not in source:
            raise ValueError(f"{old!r} does not stand in helpers/transform.py.")
        source = source.replace(old, new)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr(zipfile.ZipInfo("transform.py", (1980, 1, 1, 0, 0, 0)), source)
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    functions.update_function_code(FunctionName=name, ZipFile=file.getvalue())
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)


def without(aws: Aws, hop: str, action: str) -> str:
    """What the hop's role may do, without `action`, as put_role_policy takes it. ValueError if it may not do that anyway."""
    document, found = needed(aws, hop), False
    for statement in document["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        statement["Action"], found = [each for each in actions if each != action], found or action in actions
    document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
    if found:
        return json.dumps(document)
    raise ValueError(f"The {hop} has no {action}.")
