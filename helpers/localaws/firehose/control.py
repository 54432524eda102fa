"""The control plane of Data Firehose: delivery streams to S3 are made, changed, described and put into here."""

import time

from ..polling import HOP_ERRORS, halt_all, in_background, sentence
from ..service import AwsError, Caller, Context, Service
from . import prefix
from .direct import Log
from .worker import EXTENSIONS, Delivery, backup_checkpoint

_HINTS = {"SizeInMBs": 5, "IntervalInSeconds": 300}  # [C, AWS_FACTS.md part 4]
_PROCESSOR_DEFAULTS = {"NumberOfRetries": "3", "BufferSizeInMBs": "1", "BufferIntervalInSeconds": "60"}  # [C]
_PROCESSOR_RANGES = {"NumberOfRetries": (0, 300), "BufferSizeInMBs": (0.2, 3), "BufferIntervalInSeconds": (0, 900)}
_PUT_BYTES = 4 * 1024 * 1024  # of a PutRecordBatch, before base64 [C]; records of more than 1000 KiB the API model refuses
_DESTINATION_ID = "destinationId-000000000001"


class Firehose(Service):
    """Delivery streams from a Kinesis stream, or DirectPut, to S3 (ExtendedS3DestinationConfiguration); all else is refused by name.

    No throughput quota is applied, so no record of a PutRecordBatch fails alone: FailedPutCount is 0.
    """

    name = "firehose"

    def __init__(self, context: Context):
        super().__init__(context)
        self._streams = context.store("streams")
        self._checkpoints = context.store("checkpoints")
        self._deliveries: dict[str, Delivery] = {}
        self._logs: dict[str, Log] = {}  # of the DirectPut streams

    # -- life of the process -----------------------------------------------------------------------------------------

    def start(self) -> None:
        for arn, stream in self._streams.items():
            if stream["Status"] == "DELETING":
                self._forget(arn)
            elif stream["Status"] == "CREATING":
                self._bring_up(arn)
            elif stream["Status"] == "ACTIVE":
                self._launch(self._streams.update_item(arn, Trouble=None))

    def stop(self) -> None:
        halt_all(list(self._deliveries.values()), timeout=4.0)
        self._deliveries.clear()

    # -- operations --------------------------------------------------------------------------------------------------

    def create_delivery_stream(self, caller: Caller, params: dict) -> dict:
        name = params["DeliveryStreamName"]
        source, destination = _checked_stream(params)
        roles = _roles(destination) | ({source["RoleARN"]} if source else set())
        arn, now = caller.arn("firehose", f"deliverystream/{name}"), time.time()
        if arn in self._streams:
            raise AwsError("ResourceInUseException", f"Firehose {name} under account {caller.account} already exists.")
        for role_arn in roles:
            self._must_be_assumable(role_arn, arn)
        with self._streams.lock:
            if arn in self._streams:
                raise AwsError("ResourceInUseException", f"Firehose {name} under account {caller.account} already exists.")
            for checkpoint in (arn, backup_checkpoint(arn)):
                self._checkpoints.pop(checkpoint, None)  # a namesake that was deleted while a call was under way may have left one
            self._streams[arn] = {
                "Arn": arn, "Name": name, "Status": "CREATING", "VersionId": "1", "Created": now, "Updated": None, "Started": now,
                "Source": source, "Destination": destination, "Trouble": None,
                "Tags": {tag["Key"]: tag.get("Value", "") for tag in params.get("Tags", [])}}
        self._bring_up(arn)
        return {"DeliveryStreamARN": arn}

    def describe_delivery_stream(self, caller: Caller, params: dict) -> dict:
        stream = self._stream(caller, params)
        destination = stream["Destination"]
        simple = {name: destination[name] for name in (
            "RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", "BufferingHints", "CompressionFormat",
            "EncryptionConfiguration", "CloudWatchLoggingOptions") if name in destination}
        description = {
            "DeliveryStreamName": stream["Name"], "DeliveryStreamARN": stream["Arn"], "DeliveryStreamStatus": stream["Status"],
            "DeliveryStreamType": _kind(stream), "VersionId": stream["VersionId"], "CreateTimestamp": stream["Created"],
            "Destinations": [{"DestinationId": _DESTINATION_ID, "S3DestinationDescription": simple,
                              "ExtendedS3DestinationDescription": destination}],
            "HasMoreDestinations": False}
        if stream["Source"]:
            description["Source"] = {"KinesisStreamSourceDescription": {
                **stream["Source"], "DeliveryStartTimestamp": stream["Started"]}}
        else:
            description["DeliveryStreamEncryptionConfiguration"] = {"Status": "DISABLED"}
        if stream["Updated"]:
            description["LastUpdateTimestamp"] = stream["Updated"]
        if stream["Trouble"]:
            # The model has no type for a refused read, write or call; AWS itself says such things in CloudWatch Logs only [L].
            description["FailureDescription"] = {"Type": "UNKNOWN_ERROR", "Details": stream["Trouble"][:1024]}
        return {"DeliveryStreamDescription": description}

    def list_delivery_streams(self, caller: Caller, params: dict) -> dict:
        names = sorted(stream["Name"] for arn, stream in self._streams.items() if arn.startswith(caller.arn("firehose", ""))
                       and params.get("DeliveryStreamType") in (None, _kind(stream))
                       and stream["Name"] > params.get("ExclusiveStartDeliveryStreamName", ""))
        limit = params.get("Limit", 10)
        return {"DeliveryStreamNames": names[:limit], "HasMoreDeliveryStreams": len(names) > limit}

    def delete_delivery_stream(self, caller: Caller, params: dict) -> dict:
        with self._streams.lock:
            stream = self._stream(caller, params)
            if stream["Status"] in ("CREATING", "DELETING"):
                raise AwsError("ResourceInUseException", f"Firehose {stream['Name']} is {stream['Status']}.")
            self._streams.update_item(stream["Arn"], Status="DELETING")

        def delete() -> None:
            self._halt(stream["Arn"])
            self._forget(stream["Arn"])

        in_background(delete, f"deletion of {stream['Arn']}")
        return {}

    def update_destination(self, caller: Caller, params: dict) -> dict:
        """Members that are given replace those there are. The worker starts anew, from what is delivered, with the new ones."""
        stream = self._stream(caller, params)
        for name in params.keys() - {"DeliveryStreamName", "CurrentDeliveryStreamVersionId", "DestinationId",
                                     "ExtendedS3DestinationUpdate"}:
            raise _unsupported(name)
        if params["DestinationId"] != _DESTINATION_ID:
            raise _invalid(f"Destination Id {params['DestinationId']} not found")
        update, current = dict(params.get("ExtendedS3DestinationUpdate", {})), stream["Destination"]
        if "S3BackupUpdate" in update:
            update["S3BackupConfiguration"] = {**current.get("S3BackupDescription", {}), **update.pop("S3BackupUpdate")}
        destination = _checked_destination({**current, **update})
        if current["S3BackupMode"] == "Enabled" != destination["S3BackupMode"]:
            raise _invalid("S3BackupMode cannot be disabled once it is enabled.")
        for role_arn in _roles(destination):
            self._must_be_assumable(role_arn, stream["Arn"])
        with self._streams.lock:
            stream = self._stream(caller, params)
            if stream["Status"] != "ACTIVE":
                raise AwsError("ResourceInUseException", f"Firehose {stream['Name']} is {stream['Status']}.")
            if stream["VersionId"] != params["CurrentDeliveryStreamVersionId"]:
                raise AwsError("ConcurrentModificationException",
                               f"Cannot update firehose: {stream['Name']} since the current version id: {stream['VersionId']} "
                               f"and specified version id: {params['CurrentDeliveryStreamVersionId']} do not match")
            stream = self._streams.update_item(stream["Arn"], Destination=destination, Updated=time.time(),
                                               VersionId=str(int(stream["VersionId"]) + 1), Trouble=None)
        self._halt(stream["Arn"])
        if destination["S3BackupMode"] != current["S3BackupMode"]:  # the backup begins with what is not delivered yet
            self._checkpoints[backup_checkpoint(stream["Arn"])] = self._checkpoints.get(stream["Arn"], {})
        self._launch(stream)
        return {}

    def put_record(self, caller: Caller, params: dict) -> dict:
        number, = self._log_to_put_into(caller, params).append([params["Record"]["Data"]])
        return {"RecordId": number, "Encrypted": False}

    def put_record_batch(self, caller: Caller, params: dict) -> dict:
        log, records = self._log_to_put_into(caller, params), [record["Data"] for record in params["Records"]]
        if sum(map(len, records)) > _PUT_BYTES:
            raise _invalid("Records size exceeds 4 MB limit")  # captured [C, osquery issue 3568]
        return {"FailedPutCount": 0, "Encrypted": False,
                "RequestResponses": [{"RecordId": number} for number in log.append(records)]}

    def _log_to_put_into(self, caller: Caller, params: dict) -> Log:
        """InvalidArgumentException for a stream that reads Kinesis; which error one that is not ACTIVE gives is unknown [U]."""
        stream = self._stream(caller, params)
        if stream["Source"]:
            raise _invalid("This operation is not permitted on KinesisStreamAsSource delivery stream type.")
        if stream["Status"] != "ACTIVE":
            raise AwsError("ResourceNotFoundException", f"Firehose {stream['Name']} is {stream['Status']}, not ACTIVE.")
        return self._log(stream)

    def tag_delivery_stream(self, caller: Caller, params: dict) -> dict:
        with self._streams.lock:
            stream = self._stream(caller, params)
            tags = {**stream["Tags"], **{tag["Key"]: tag.get("Value", "") for tag in params["Tags"]}}
            if len(tags) > 50:
                raise AwsError("LimitExceededException", "A delivery stream can have 50 tags at most.")
            self._streams.update_item(stream["Arn"], Tags=tags)
        return {}

    def untag_delivery_stream(self, caller: Caller, params: dict) -> dict:
        with self._streams.lock:
            stream = self._stream(caller, params)
            tags = {key: value for key, value in stream["Tags"].items() if key not in params["TagKeys"]}
            self._streams.update_item(stream["Arn"], Tags=tags)
        return {}

    def list_tags_for_delivery_stream(self, caller: Caller, params: dict) -> dict:
        tags = sorted(self._stream(caller, params)["Tags"].items())
        found = [{"Key": key, "Value": value} for key, value in tags if key > params.get("ExclusiveStartTagKey", "")]
        limit = params.get("Limit", 50)
        return {"Tags": found[:limit], "HasMoreTags": len(found) > limit}

    # -- finding -----------------------------------------------------------------------------------------------------

    def _stream(self, caller: Caller, params: dict) -> dict:
        name = params["DeliveryStreamName"]
        try:
            return self._streams[caller.arn("firehose", f"deliverystream/{name}")]
        except KeyError:
            raise AwsError("ResourceNotFoundException", f"Firehose {name} under account {caller.account} not found.") from None

    def _must_be_assumable(self, role_arn: str, arn: str) -> None:
        try:
            self.context.role(role_arn, service="firehose.amazonaws.com", source_arn=arn).client("sts")
        except HOP_ERRORS as error:
            raise _invalid(f"Firehose is unable to assume role {role_arn}. Please check the role provided. "
                           f"({sentence(error)})") from None

    # -- workers -----------------------------------------------------------------------------------------------------

    def _bring_up(self, arn: str) -> None:
        """From CREATING to ACTIVE, once every shard's iterator is taken, or to CREATING_FAILED with the reason."""

        def bring_up() -> None:
            # What is put into the stream from here on is read; the time is kept, so that a restart means the same.
            stream = self._streams.update_item(arn, Started=time.time())
            delivery = self._delivery(stream)
            try:
                delivery.prepare()
            except HOP_ERRORS as error:
                reason = sentence(error, f"kinesis:{getattr(error, 'operation_name', '')}")
                self._streams.update_item(arn, Status="CREATING_FAILED", Trouble=reason)
                self.context.log(arn, f"CREATING_FAILED: {reason}")
                return
            self._deliveries[arn] = delivery
            delivery.start()
            self._streams.update_item(arn, Status="ACTIVE")

        in_background(bring_up, f"start of {arn}")

    def _launch(self, stream: dict) -> None:
        delivery = self._deliveries[stream["Arn"]] = self._delivery(stream)
        delivery.start()

    def _delivery(self, stream: dict) -> Delivery:
        return Delivery(self.context, stream, self._streams, self._checkpoints, self._log(stream))

    def _log(self, stream: dict) -> Log | None:
        """Where a DirectPut stream's records are kept; None for one that reads Kinesis, which keeps them itself."""
        if stream["Source"]:
            return None
        with self._streams.lock:
            if stream["Arn"] not in self._logs:
                folder = "_".join(stream["Arn"].replace("/", ":").split(":")[3:])
                self._logs[stream["Arn"]] = Log(self.context.directory / "direct" / folder)
            return self._logs[stream["Arn"]]

    def _halt(self, arn: str) -> None:
        delivery = self._deliveries.pop(arn, None)
        if delivery:
            delivery.halt()

    def _forget(self, arn: str) -> None:
        if log := self._log(self._streams[arn]):
            log.remove()
            del self._logs[arn]
        for checkpoint in (arn, backup_checkpoint(arn)):
            self._checkpoints.pop(checkpoint, None)
        self._streams.pop(arn, None)


def _kind(stream: dict) -> str:
    return "KinesisStreamAsSource" if stream["Source"] else "DirectPut"


def _roles(destination: dict) -> set[str]:
    """The roles with which records are delivered, backed up and transformed."""
    processors = destination.get("ProcessingConfiguration", {}).get("Processors", [])
    backup = destination.get("S3BackupDescription", destination)
    return {destination["RoleARN"], backup["RoleARN"], *(parameter["ParameterValue"] for processor in processors
                                      for parameter in processor["Parameters"] if parameter["ParameterName"] == "RoleArn")}


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)


def _unsupported(name: str) -> AwsError:
    return _invalid(f"{name} is not supported by the local AWS.")


def _checked_stream(params: dict) -> tuple[dict | None, dict]:
    """Source (None: DirectPut) and destination of a new stream, defaults filled in; InvalidArgumentException for what cannot be."""
    kind = params.get("DeliveryStreamType", "DirectPut")
    if kind not in ("DirectPut", "KinesisStreamAsSource"):
        raise _unsupported(f"DeliveryStreamType {kind}")
    for name in params.keys() - {"DeliveryStreamName", "DeliveryStreamType", "KinesisStreamSourceConfiguration",
                                 "ExtendedS3DestinationConfiguration", "Tags"}:
        raise _unsupported(name)
    if "ExtendedS3DestinationConfiguration" not in params:
        raise _invalid("ExtendedS3DestinationConfiguration is required.")
    if ("KinesisStreamSourceConfiguration" in params) != (kind == "KinesisStreamAsSource"):
        raise _invalid(f"KinesisStreamSourceConfiguration is {'not allowed' if kind == 'DirectPut' else 'required'} "
                       f"for DeliveryStreamType {kind}.")
    return params.get("KinesisStreamSourceConfiguration"), _checked_destination(params["ExtendedS3DestinationConfiguration"])


def _checked_destination(given: dict) -> dict:
    """The destination with defaults filled in, as DescribeDeliveryStream echoes it."""
    destination = {"S3BackupMode": "Disabled", **_checked_s3(given)}
    for name in ("DataFormatConversionConfiguration", "DynamicPartitioningConfiguration"):
        if destination.get(name, {}).get("Enabled"):
            raise _unsupported(f"{name}.Enabled")
    if destination.get("CustomTimeZone") not in (None, "", "UTC"):
        raise _unsupported(f"CustomTimeZone {destination['CustomTimeZone']}")
    if "S3BackupConfiguration" in destination:
        destination["S3BackupDescription"] = _checked_s3(destination.pop("S3BackupConfiguration"))
    if destination["S3BackupMode"] == "Enabled" and not {"RoleARN", "BucketARN"} <= destination.get("S3BackupDescription", {}).keys():
        raise _invalid("S3BackupMode Enabled requires S3BackupConfiguration with RoleARN and BucketARN.")
    if "ProcessingConfiguration" in destination:
        destination["ProcessingConfiguration"] = _checked_processing(destination["ProcessingConfiguration"], destination["RoleARN"])
    return destination


def _checked_s3(given: dict) -> dict:
    """What a destination and a backup have in common."""
    destination = {"CompressionFormat": "UNCOMPRESSED", "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
                   "CloudWatchLoggingOptions": {"Enabled": False}, **given}
    if destination["CompressionFormat"] not in EXTENSIONS:
        raise _unsupported(f"CompressionFormat {destination['CompressionFormat']}")
    if "KMSEncryptionConfig" in destination["EncryptionConfiguration"]:
        raise _unsupported("EncryptionConfiguration.KMSEncryptionConfig")
    if destination["CloudWatchLoggingOptions"].get("Enabled"):
        raise _unsupported("CloudWatchLoggingOptions.Enabled")
    hints = destination.get("BufferingHints") or _HINTS
    if hints.keys() != _HINTS.keys():
        raise _invalid("BufferingHints: give both SizeInMBs and IntervalInSeconds, or neither.")
    destination["BufferingHints"] = hints
    try:
        prefix.check(destination.get("Prefix"), destination.get("ErrorOutputPrefix"))
    except prefix.PrefixError as error:
        raise _invalid(str(error)) from None
    return destination


def _checked_processing(given: dict, role_arn: str) -> dict:
    """Enabled omitted means disabled [L]; the parameters of a Lambda processor come back filled in [L, AWS_FACTS.md part 4]."""
    processors = [_checked_processor(processor, role_arn) for processor in given.get("Processors", [])]
    for kind in {processor["Type"] for processor in processors}:
        if sum(processor["Type"] == kind for processor in processors) > 1:
            raise _invalid(f"Only one processor of type {kind} is allowed.")
    enabled = given.get("Enabled", False)
    if enabled and not processors:
        raise _invalid("ProcessingConfiguration is enabled and has no processor.")
    return {"Enabled": enabled, "Processors": processors}


def _checked_processor(processor: dict, role_arn: str) -> dict:
    if processor["Type"] == "Lambda":
        return _checked_lambda(processor, role_arn)
    if processor["Type"] != "AppendDelimiterToRecord":
        raise _unsupported(f"Processor type {processor['Type']}")
    parameters = {p["ParameterName"]: p["ParameterValue"] for p in processor.get("Parameters", [])}
    for name in parameters.keys() - {"Delimiter"}:
        raise _unsupported(f"Processor parameter {name}")
    # The guide gives \n, a backslash and an n, for the newline [C]; that it is what a missing parameter means is likely [L].
    return {"Type": processor["Type"], "Parameters": [
        {"ParameterName": "Delimiter", "ParameterValue": parameters.get("Delimiter", "\\n")}]}


def _checked_lambda(processor: dict, role_arn: str) -> dict:
    parameters = {p["ParameterName"]: p["ParameterValue"] for p in processor.get("Parameters", [])}
    for name in parameters.keys() - {"LambdaArn", "RoleArn", *_PROCESSOR_DEFAULTS}:
        raise _unsupported(f"Processor parameter {name}")
    if not parameters.get("LambdaArn", "").startswith("arn:aws:lambda:"):
        raise _invalid("A processor of type Lambda requires the parameter LambdaArn, a function's ARN.")
    parameters = {"LambdaArn": parameters["LambdaArn"], "RoleArn": role_arn, **_PROCESSOR_DEFAULTS, **parameters}
    for name, (low, high) in _PROCESSOR_RANGES.items():
        try:
            number = float(parameters[name]) if name == "BufferSizeInMBs" else int(parameters[name])
        except ValueError:
            raise _invalid(f"{name} must be a number, not {parameters[name]!r}.") from None
        if not low <= number <= high:
            raise _invalid(f"{name} must be between {low} and {high}, not {number}.")
    return {"Type": "Lambda", "Parameters": [{"ParameterName": n, "ParameterValue": v} for n, v in parameters.items()]}
