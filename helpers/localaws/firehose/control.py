"""The control plane of Data Firehose: delivery streams to S3 are made, changed, described and put into here."""

import time

from ..polling import HOP_ERRORS, halt_all, in_background, sentence
from ..service import AwsError, Caller, Context, Service
from .checks import checked_destination, checked_encryption, checked_stream, invalid, refuse
from .direct import Log
from .worker import Delivery, backup_checkpoint

_PUT_BYTES = 4 * 1024 * 1024  # of a PutRecordBatch, before base64 [C]; records of more than 1000 KiB the API model refuses
_DESTINATION_ID = "destinationId-000000000001"


class Firehose(Service):
    """Delivery streams from a Kinesis stream, or DirectPut, to S3; all else is refused by name.

    No throughput quota is applied, so no record of a PutRecordBatch fails alone: FailedPutCount is 0. Encryption with AWS's own
    key is said to be on or off and shows nowhere else, on AWS as here; what is kept until it is delivered is kept as it is.
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
        source, destination = checked_stream(params)
        encryption = checked_encryption(params.get("DeliveryStreamEncryptionConfigurationInput"))
        if source and encryption:
            raise invalid("DeliveryStreamEncryptionConfigurationInput is not allowed for DeliveryStreamType KinesisStreamAsSource.")
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
                "Source": source, "DirectPut": params.get("DirectPutSourceConfiguration"), "Encryption": encryption,
                "Destination": destination, "Trouble": None,
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
            description["DeliveryStreamEncryptionConfiguration"] = stream["Encryption"] or {"Status": "DISABLED"}
            if stream["DirectPut"]:  # ThroughputHintInMBs, "for information purpose only" [C]
                description["Source"] = {"DirectPutSourceDescription": stream["DirectPut"]}
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
        """With what is not delivered yet [C]. AllowForceDelete is about grants of customers' keys, of which there are none."""
        with self._streams.lock:
            stream = self._stream(caller, params)
            if stream["Status"] == "DELETING":  # which is no error [C]
                return {}
            if stream["Status"] == "CREATING":
                raise AwsError("ResourceInUseException", f"Firehose {stream['Name']} is {stream['Status']}.")
            self._streams.update_item(stream["Arn"], Status="DELETING")

        def delete() -> None:
            self._halt(stream["Arn"])
            self._forget(stream["Arn"])

        in_background(delete, f"deletion of {stream['Arn']}")
        return {}

    def update_destination(self, caller: Caller, params: dict) -> dict:
        """Members that are given replace those there are, each as a whole [C; that what is within them is not merged is unknown [U]].

        The worker starts anew, from what is delivered, with the new ones: what is only buffered goes by them.
        """
        stream = self._stream(caller, params)
        updates = [params[name] for name in ("ExtendedS3DestinationUpdate", "S3DestinationUpdate") if name in params]
        refuse(params.keys() - {"DeliveryStreamName", "CurrentDeliveryStreamVersionId", "DestinationId",
                                "ExtendedS3DestinationUpdate", "S3DestinationUpdate"})
        if len(updates) != 1:
            raise invalid("Specify exactly one destination update: ExtendedS3DestinationUpdate or S3DestinationUpdate.")
        if params["DestinationId"] != _DESTINATION_ID:
            raise invalid(f"Destination Id {params['DestinationId']} not found")
        update, current = dict(updates[0]), stream["Destination"]
        if "S3BackupUpdate" in update:
            update["S3BackupConfiguration"] = {**current.get("S3BackupDescription", {}), **update.pop("S3BackupUpdate")}
        destination = checked_destination({**current, **update})
        if current["S3BackupMode"] == "Enabled" != destination["S3BackupMode"]:
            raise invalid("S3BackupMode cannot be disabled once it is enabled.")
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

    def start_delivery_stream_encryption(self, caller: Caller, params: dict) -> dict:
        return self._encrypt(caller, params, checked_encryption(params.get("DeliveryStreamEncryptionConfigurationInput", {})))

    def stop_delivery_stream_encryption(self, caller: Caller, params: dict) -> dict:
        return self._encrypt(caller, params, None)

    def _encrypt(self, caller: Caller, params: dict, encryption: dict | None) -> dict:
        """Only of DirectPut [C]. There is no key to be granted, so ENABLING and DISABLING are over at once."""
        with self._streams.lock:
            stream = self._stream(caller, params)
            if stream["Source"]:
                raise invalid("Encryption is not supported for delivery streams of type KinesisStreamAsSource.")
            if stream["Status"] != "ACTIVE":
                raise AwsError("ResourceInUseException", f"Firehose {stream['Name']} is {stream['Status']}.")
            self._streams.update_item(stream["Arn"], Encryption=encryption)
        return {}

    def put_record(self, caller: Caller, params: dict) -> dict:
        stream = self._stream_to_put_into(caller, params)
        number, = self._log(stream).append([params["Record"]["Data"]])
        return {"RecordId": number, "Encrypted": stream["Encryption"] is not None}

    def put_record_batch(self, caller: Caller, params: dict) -> dict:
        stream, records = self._stream_to_put_into(caller, params), [record["Data"] for record in params["Records"]]
        if sum(map(len, records)) > _PUT_BYTES:
            raise invalid("Records size exceeds 4 MB limit")  # captured [C, osquery issue 3568]
        return {"FailedPutCount": 0, "Encrypted": stream["Encryption"] is not None,
                "RequestResponses": [{"RecordId": number} for number in self._log(stream).append(records)]}

    def _stream_to_put_into(self, caller: Caller, params: dict) -> dict:
        """InvalidArgumentException for a stream that reads Kinesis; which error one that is not ACTIVE gives is unknown [U]."""
        stream = self._stream(caller, params)
        if stream["Source"]:
            raise invalid("This operation is not permitted on KinesisStreamAsSource delivery stream type.")
        if stream["Status"] != "ACTIVE":
            raise AwsError("ResourceNotFoundException", f"Firehose {stream['Name']} is {stream['Status']}, not ACTIVE.")
        return stream

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
            raise invalid(f"Firehose is unable to assume role {role_arn}. Please check the role provided. "
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
