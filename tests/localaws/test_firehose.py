"""Firehose's sources and control plane: Kinesis streams, DirectPut, what is made, changed, described, refused. AWS_FACTS.md part 4.

The Lambda step is in test_firehose_transform.py, what is written to S3 in test_firehose_objects.py.
"""

import base64
import hashlib
import json
import queue
import re
import time
from types import SimpleNamespace

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from helpers.localaws import LocalAws
from helpers.localaws.clock import Clock
from helpers.localaws.firehose import direct, worker
from helpers.localaws.firehose.aggregation import unpacked
from helpers.localaws.firehose.transform import Source

from ..conftest import Aws
from .delivery import (  # noqa: F401 - the fixtures are used by their names
    ALL,
    DESTINATION,
    PLACES,
    Line,
    functions,
    line,
    own_role,
    work_role,
)
from .making import FIREHOSE_S3, PIPE_SOURCE, PIPE_TARGET, allow, client, objects, role, stream, table, trust, wait_for

# -- from a Kinesis stream -------------------------------------------------------------------------------------------

def test_records_are_joined_as_they_are_without_a_newline(line):
    """[C] BC:firehose, FH basic-deliver."""
    delivery = line().deliver(**PLACES)
    delivery.put("a", "b\n", "c", key="one")
    delivery.wait_text("ab\nc")


def test_only_what_is_put_after_creation_is_read_from_every_shard(line):
    """[C] FH writing-with-kinesis-streams: it starts at LATEST."""
    delivery = line(shards=3)
    delivery.put("before", key="k")
    delivery.deliver(**PLACES)
    delivery.put(*"abcdefgh")
    wait_for(lambda: sorted(delivery.body().decode()) == list("abcdefgh"))
    started = delivery.describe()["Source"]["KinesisStreamSourceDescription"]["DeliveryStartTimestamp"]
    assert abs(started.timestamp() - time.time()) < 60


def test_records_of_a_mebibyte_of_unicode_and_of_any_bytes_arrive_as_they_are(line):
    """[C] FH basic-deliver: concatenates records."""
    delivery = line().deliver(interval=20, **PLACES)
    texts = [bytes(range(256)) * 4096, "Größe 大 🎉\u0000".encode(), b"\xff\xfe\n\r\x00", b"x" * 1024 * 1024]
    for text in texts:  # PutRecords of Kinesis takes no more at once
        delivery.put(text, key="ключ")
    wait_for(lambda: delivery.body() == b"".join(texts))


def test_64_shards_are_read(line):
    """[C] FH writing-with-kinesis-streams: GetRecords of each shard."""
    delivery = line(shards=64).deliver(**PLACES)
    texts = [f"{number} " for number in range(640)]
    for page in range(0, 640, 320):
        delivery.put(*texts[page:page + 320])
    wait_for(lambda: sorted(delivery.body().decode().split()) == sorted(text.strip() for text in texts), seconds=40)
    shards = {shard["ShardId"] for shard in delivery.kinesis.list_shards(StreamName=delivery.name)["Shards"]}
    assert len(shards) == 64


def test_shards_that_come_of_a_merge_or_a_split_are_read_too(line):
    """[C] FH writing-with-kinesis-streams: every shard. MiniStack drops what its closed shards hold, so each is read before."""
    delivery = line(shards=2).deliver(**PLACES)

    def put(round: str) -> None:
        delivery.put(*(f"{round}{number} " for number in range(8)))
        wait_for(lambda: delivery.body().count(round.encode()) == 8)

    def shards() -> list[str]:
        return [shard["ShardId"] for shard in delivery.kinesis.list_shards(StreamName=delivery.name)["Shards"]]

    put("a")
    first, second = shards()
    delivery.kinesis.merge_shards(StreamName=delivery.name, ShardToMerge=first, AdjacentShardToMerge=second)
    put("b")
    delivery.kinesis.split_shard(StreamName=delivery.name, ShardToSplit=shards()[-1], NewStartingHashKey=str(2**127))
    put("c")


def test_shards_that_an_update_of_their_count_adds_are_read_too(line):
    """[C] FH writing-with-kinesis-streams: every shard."""
    delivery = line().deliver(**PLACES)
    delivery.kinesis.update_shard_count(StreamName=delivery.name, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    delivery.put(*(f"{number} " for number in range(20)))
    wait_for(lambda: len(delivery.body().split()) == 20)


class Resharded:
    """A Kinesis stream, as a client of it shows it: two shards, merged into a third. `left` is what each still holds."""

    meta = SimpleNamespace(service_model=SimpleNamespace(service_id=SimpleNamespace(hyphenize=lambda: "kinesis")),
                           events=SimpleNamespace(register=lambda *_, **__: None))

    def __init__(self):
        self.left = {"1": 2, "2": 4, "3": 2}

    def describe_stream(self, **_) -> dict:
        return {"StreamDescription": {}}

    def list_shards(self, **_) -> dict:
        """The third is there when the first has ended."""
        return {"Shards": [{"ShardId": "1", "ParentShardId": "long gone"}, {"ShardId": "2"},
                           {"ShardId": "3", "ParentShardId": "1", "AdjacentParentShardId": "2"}][:2 if self.left["1"] else 3]}

    def get_shard_iterator(self, ShardId, **_) -> dict:  # noqa: N803 - as boto3 names it
        return {"ShardIterator": ShardId}

    def get_records(self, ShardIterator, **_) -> dict:  # noqa: N803
        """A record a page."""
        self.left[ShardIterator] -= 1
        record = {"SequenceNumber": str(self.left[ShardIterator]), "PartitionKey": "k", "ApproximateArrivalTimestamp": 0.0, "Data": ""}
        return {"Records": [record], **({"NextShardIterator": ShardIterator} if self.left[ShardIterator] else {})}


def reader_of(kinesis, clock_scale: float) -> tuple[worker.Reader, queue.Queue]:
    """A reader of `kinesis`, and where it puts its pages."""
    pages: queue.Queue = queue.Queue()
    context = SimpleNamespace(clock=Clock(clock_scale), role=lambda *_, **__: SimpleNamespace(client=lambda _: kinesis))
    settings = SimpleNamespace(label="", name="n", arn="a", source_role="r", source_arn="s", started=0.0)
    reader = worker.Reader(context, settings, SimpleNamespace(say=lambda *_: None), pages, {})
    reader.prepare()
    return reader, pages


def test_a_shard_is_read_when_both_it_was_merged_from_are():
    """[L] parents before their child, so that a key's records stay in order, as with AWS's consumers."""
    reader, pages = reader_of(Resharded(), 20)
    for _ in range(5):
        reader.step()
    assert [record.shard for _ in range(pages.qsize()) for record in pages.get()] == ["1", "2", "1", "2", "2", "2", "3", "3"]


def test_a_shard_is_read_once_a_second(monkeypatch):
    """[C] FH writing-with-kinesis-streams; here on the scaled clock, twice a real second at most, at once behind a full page."""
    assert [reader_of(Resharded(), scale)[0].step() for scale in (1, 20)] == [1.0, 0.5]
    monkeypatch.setattr(worker, "FULL_PAGE", 1)
    assert reader_of(Resharded(), 1)[0].step() == 0.0


def packed(*records: tuple[str, bytes]) -> bytes:
    """Records, each with its key, as the Kinesis Producer Library packs them into one."""
    def length_delimited(field: int, value: bytes) -> bytes:
        size, digits = len(value), b""
        while size > 127:
            digits, size = digits + bytes([size & 127 | 128]), size >> 7
        return bytes([field << 3 | 2]) + digits + bytes([size]) + value

    message = b"".join(length_delimited(1, key.encode()) for key, _ in records) + b"".join(
        length_delimited(3, bytes([1 << 3, number]) + length_delimited(3, data)) for number, (_, data) in enumerate(records))
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def test_what_the_producer_library_packed_into_one_record_is_taken_apart(line):
    """[C] FH basic-deliver: de-aggregates before it delivers, and before it calls the function."""
    delivery = line().deliver(transform=True, **PLACES)
    delivery.put(packed(("one", b"event"), ("two", b"x" * 300), ("one", b"")), key="pack")
    event, end = json.JSONDecoder().raw_decode(wait_for(delivery.body).decode())
    assert [base64.b64decode(record["data"]) for record in event["records"]] == [b"event", b"x" * 300, b""]
    metadata = [record["kinesisRecordMetadata"] for record in event["records"]]
    assert [(m["partitionKey"], m["subsequenceNumber"]) for m in metadata] == [("one", 0), ("two", 1), ("one", 2)]
    assert len({m["sequenceNumber"] for m in metadata}) == 1 and len({r["recordId"] for r in event["records"]}) == 3
    delivery.update(ProcessingConfiguration={"Enabled": False, "Processors": []})
    delivery.put(packed(("a", b"1"), ("b", b"2")), packed(("a", b"3")), b"\xf3\x89\x9a\xc2 no pack", key="pack")
    wait_for(lambda: delivery.body().endswith(b"123\xf3\x89\x9a\xc2 no pack"))


@pytest.mark.parametrize("data", [b"", b"\xf3\x89\x9a\xc2", packed(("a", b"1"))[:-1], packed(),
                                  packed(("a", b"1")).replace(b"\xc2", b"\xc3")])
def test_a_broken_pack_is_delivered_as_it_is(data):
    """[U] what AWS does; nothing may be lost."""
    record = Source("shard", "1", "key", 0, base64.b64encode(data).decode())
    assert unpacked(record) == [record]


def test_a_pack_that_is_partly_delivered_is_read_again_by_a_new_worker(line):
    """[L] at least once: its one sequence number is not passed before its last record is delivered."""
    delivery = line().deliver(size=1, interval=900, **PLACES)
    delivery.put("x" * 900_000, packed(("k", b"y" * 200_000), ("k", b"last")), key="k")
    wait_for(lambda: len(delivery.body()) == 1_100_000)  # which leaves the pack's last record in the buffer
    delivery.update(BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 1})
    wait_for(lambda: delivery.body().endswith(b"ylast"))


def test_a_refused_read_is_named_and_nothing_is_lost(aws, line, own_role):
    """[C] FH troubleshooting: reading is tried again without end."""
    name, arn = own_role
    delivery = line(role_arn=arn).deliver(**PLACES)
    allow(aws, name, FIREHOSE_S3 + ["kinesis:DescribeStream", "kinesis:ListShards"])
    delivery.wait_trouble("AccessDenied", "kinesis:Get")
    delivery.put("late")
    allow(aws, name, ALL)
    delivery.wait_text("late")
    delivery.wait_no_trouble()


def test_a_role_that_cannot_be_assumed_is_refused_at_once(aws, line, own_role):
    """[C] terraform-provider-aws issue 6566: "Firehose is unable to assume role"."""
    name, arn = own_role
    client(aws, "iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust("lambda.amazonaws.com"))
    with pytest.raises(ClientError, match=f"Firehose is unable to assume role {arn}") as refusal:
        line(role_arn=arn).create()
    assert refusal.value.response["Error"]["Code"] == "InvalidArgumentException"


def test_a_role_that_may_not_read_fails_the_creation_and_what_failed_can_be_deleted(aws, line, own_role):
    """[C] BC:firehose, CREATING_FAILED."""
    name, arn = own_role
    allow(aws, name, FIREHOSE_S3)
    delivery = line(role_arn=arn)
    delivery.create()
    assert "kinesis:DescribeStream" in delivery.wait_status("CREATING_FAILED")["FailureDescription"]["Details"]
    with pytest.raises(delivery.firehose.exceptions.ResourceInUseException):
        delivery.create()
    delivery.firehose.delete_delivery_stream(DeliveryStreamName=delivery.name)
    wait_for(lambda: not delivery.listed())


def test_a_trust_policy_may_ask_for_the_account_and_the_delivery_stream(aws, line, own_role):
    """[L] FH controlling-access: aws:SourceAccount and aws:SourceArn."""
    name, arn = own_role
    delivery = line(role_arn=arn)
    for source in ("another", delivery.name):
        client(aws, "iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust(
            "firehose.amazonaws.com", StringEquals={"aws:SourceAccount": aws.account},
            ArnLike={"aws:SourceArn": f"arn:aws:firehose:{aws.region}:{aws.account}:deliverystream/{source}"}))
        if source == "another":
            with pytest.raises(ClientError, match="unable to assume role"):
                delivery.create(**PLACES)
    delivery.deliver(**PLACES)
    delivery.put("trusted")
    delivery.wait_text("trusted")


# -- records that are put directly -----------------------------------------------------------------------------------

def test_records_that_are_put_directly_are_delivered_in_order(line):
    """[C] BC:firehose, PutRecord and PutRecordBatch: an answer a record, in the records' order."""
    delivery = line().deliver(direct=True, interval=40, **PLACES)  # 2 s here, so that they are in one object
    put = delivery.firehose.put_record(DeliveryStreamName=delivery.name, Record={"Data": b"a,"})
    answer = delivery.put_directly("b,", "", "c")
    assert answer["FailedPutCount"] == 0 and answer["Encrypted"] is False
    assert len({put["RecordId"], *(entry["RecordId"] for entry in answer["RequestResponses"])}) == 4
    delivery.wait_text("a,b,c")
    description = delivery.describe()
    assert description["DeliveryStreamType"] == "DirectPut" and "Source" not in description


def test_of_records_put_directly_the_function_is_told_nothing_of_kinesis(line):
    """[C] AWS's sample events of Lambda; [L] FLP."""
    delivery = line().deliver(direct=True, transform=True, **PLACES)
    delivery.put_directly("event")
    event = json.loads(delivery.wait_object()[1])
    assert list(event) == ["invocationId", "deliveryStreamArn", "region", "records"]
    assert [list(record) for record in event["records"]] == [["recordId", "approximateArrivalTimestamp", "data"]]
    assert abs(event["records"][0]["approximateArrivalTimestamp"] / 1000 - time.time()) < 60
    delivery.put_directly("ProcessingFailed")
    error, = delivery.wait_errors(1)
    assert base64.b64decode(error["rawData"]) == b"ProcessingFailed"


def test_a_put_takes_500_records_of_1000_kib_and_4_mib_together(line):
    """[C] BC:firehose; [C] osquery issue 3568 for the message."""
    delivery = line().deliver(direct=True, interval=900, **PLACES)
    for records, code, word in (([b"x" * 1_024_001], "ValidationException", "1024000"), ([b"x"] * 501, "ValidationException", "500"),
                                ([], "ValidationException", "records"),
                                ([b"x" * 1_024_000] * 5, "InvalidArgumentException", "Records size exceeds 4 MB limit")):
        with pytest.raises(ClientError, match=word) as refusal:
            client_without_checks(delivery.aws).put_record_batch(
                DeliveryStreamName=delivery.name, Records=[{"Data": data} for data in records])
        assert refusal.value.response["Error"]["Code"] == code
    delivery.put_directly(*["x" * 1_024_000] * 4)
    delivery.put_directly(*["y" * 1_024_000] * 2)  # and the buffer of 5 MiB is full
    assert sum(map(len, wait_for(lambda: delivery.objects("data/")).values())) >= 5 * 1024 * 1024


def client_without_checks(aws):
    """One that lets through what botocore itself would refuse."""
    return boto3.client("firehose", **aws.options, config=Config(parameter_validation=False))


def test_the_put_apis_are_disabled_for_a_stream_that_reads_kinesis(line):
    """[C] FH writing-with-kinesis-streams."""
    delivery = line().deliver(**PLACES)
    with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="not permitted on KinesisStreamAsSource"):
        delivery.put_directly("x")
    with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="not permitted on KinesisStreamAsSource"):
        delivery.firehose.put_record(DeliveryStreamName=delivery.name, Record={"Data": b"x"})


def test_a_throughput_hint_of_direct_puts_is_echoed_and_changes_nothing(line):
    """[C] BC:firehose, ThroughputHintInMBs: for information only."""
    delivery = line().deliver(direct=True, request={"DirectPutSourceConfiguration": {"ThroughputHintInMBs": 1}}, **PLACES)
    assert delivery.describe()["Source"] == {"DirectPutSourceDescription": {"ThroughputHintInMBs": 1}}
    delivery.put_directly(*["x" * 700_000] * 5)
    wait_for(lambda: len(delivery.body()) == 3_500_000)


def test_a_stream_s_encryption_with_aws_s_own_key_is_switched_on_and_off(line):
    """[C] BC:firehose, StartDeliveryStreamEncryption and StopDeliveryStreamEncryption."""
    delivery = line().deliver(direct=True, **PLACES)

    def state() -> tuple[dict, bool, bool]:
        put = delivery.firehose.put_record(DeliveryStreamName=delivery.name, Record={"Data": b"x"})
        return (delivery.describe()["DeliveryStreamEncryptionConfiguration"], put["Encrypted"],
                delivery.put_directly("x")["Encrypted"])

    assert state() == ({"Status": "DISABLED"}, False, False)
    delivery.firehose.start_delivery_stream_encryption(DeliveryStreamName=delivery.name)
    assert state() == ({"KeyType": "AWS_OWNED_CMK", "Status": "ENABLED"}, True, True)
    delivery.firehose.stop_delivery_stream_encryption(DeliveryStreamName=delivery.name)
    assert state() == ({"Status": "DISABLED"}, False, False)
    wait_for(lambda: delivery.body() == b"xxxxxx")


def test_encryption_at_creation_is_described(line):
    """[C] BC:firehose, DeliveryStreamEncryptionConfigurationInput."""
    delivery = line().deliver(direct=True, request={"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"}})
    assert delivery.describe()["DeliveryStreamEncryptionConfiguration"]["Status"] == "ENABLED"


def test_only_direct_puts_can_be_encrypted(line):
    """[C] BC:firehose, StartDeliveryStreamEncryption: only if DirectPut is the source."""
    delivery = line().deliver()
    for change in (delivery.firehose.start_delivery_stream_encryption, delivery.firehose.stop_delivery_stream_encryption):
        with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="KinesisStreamAsSource"):
            change(DeliveryStreamName=delivery.name)


def test_a_log_goes_on_after_a_restart_and_drops_the_segments_that_are_delivered(tmp_path, monkeypatch):
    """[C] BC:firehose: what was put is kept until it is delivered."""
    monkeypatch.setattr(direct, "SEGMENT_BYTES", 60)
    log = direct.Log(tmp_path / "log")
    first = log.append([b"a", b"b"])
    for text in (b"c" * 30, b"d", b"e"):
        log.append([text])
    log = direct.Log(tmp_path / "log")
    last, = log.append([b"f"])

    def read(after) -> list[bytes]:
        found = []
        while page := log.read(after):
            found += [base64.b64decode(record.data) for record in page]
            after = page[-1].sequence
        return found

    assert read(None) == [b"a", b"b", b"c" * 30, b"d", b"e", b"f"] and read(first[0])[0] == b"b"
    assert read(last) == [] and len(list((tmp_path / "log").iterdir())) == 2
    log.trim(first[1])
    assert read(first[1])[0] == b"c" * 30
    log.trim(last)
    assert read(None) == [b"d", b"e", b"f"] and log.append([b"g"]) and read(last) == [b"g"]


def test_a_log_keeps_what_only_the_destination_or_only_the_backup_has(tmp_path, monkeypatch):
    """[C] FH data-transformation-source-record-backup: all records are backed up, however far behind the backup is."""
    monkeypatch.setattr(direct, "SEGMENT_BYTES", 1)
    log = direct.Log(tmp_path / "log")
    first, second, third = (log.append([text])[0] for text in (b"a", b"b", b"c"))
    for ahead, behind, left in ((third, None, 3), (first, third, 2), (second, second, 1)):
        deliverers = [SimpleNamespace(checkpoint=lambda at=at: {direct.SHARD: at} if at else {}) for at in (ahead, behind)]
        worker.Delivery.checkpoint_moved(SimpleNamespace(_log=log, _deliverers=deliverers))
        assert len(list((tmp_path / "log").iterdir())) == left


def test_a_log_numbers_its_records_behind_those_of_a_deleted_namesake(tmp_path):
    """[C] BC:firehose, RecordId is unique; and no checkpoint of the old log can hide a record of the new one."""
    log = direct.Log(tmp_path / "log")
    old, = log.append([b"old"])
    log.remove()
    new, = direct.Log(tmp_path / "log").append([b"new"])
    assert new > old and len(new) == len(old)


# -- UpdateDestination -----------------------------------------------------------------------------------------------

def test_an_update_keeps_what_it_does_not_name_and_raises_the_version(line):
    """[C] BC:firehose, UpdateDestination merges; the version starts at 1."""
    delivery = line().deliver(CompressionFormat="GZIP", transform=True, **PLACES)
    before = delivery.destination()
    assert delivery.describe()["VersionId"] == "1" and "LastUpdateTimestamp" not in delivery.describe()
    delivery.update(BufferingHints={"SizeInMBs": 7, "IntervalInSeconds": 3}, FileExtension=".bin")
    assert delivery.destination() == before | {
        "BufferingHints": {"SizeInMBs": 7, "IntervalInSeconds": 3}, "FileExtension": ".bin"}
    delivery.update(2, CompressionFormat="UNCOMPRESSED", ProcessingConfiguration={"Enabled": False})
    after = delivery.describe()
    assert after["VersionId"] == "3" and abs(after["LastUpdateTimestamp"].timestamp() - time.time()) < 60
    assert delivery.destination()["ProcessingConfiguration"] == {"Enabled": False, "Processors": []}
    delivery.put("raw")
    delivery.wait_text("raw")
    assert f"/{delivery.name}-3-" in delivery.wait_object()[0]


def test_an_update_wants_the_current_version_and_the_one_destination(line):
    """[C] BC:firehose, CurrentDeliveryStreamVersionId; [L] FLP for the messages."""
    delivery = line().deliver()
    delivery.update(FileExtension=".a")
    with pytest.raises(delivery.firehose.exceptions.ConcurrentModificationException,
                       match="the current version id: 2 and specified version id: 1 do not match"):
        delivery.update(FileExtension=".b")
    with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="Destination Id another not found"):
        delivery.firehose.update_destination(DeliveryStreamName=delivery.name, CurrentDeliveryStreamVersionId="2",
                                             DestinationId="another", ExtendedS3DestinationUpdate={})
    with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="exactly one"):
        delivery.firehose.update_destination(DeliveryStreamName=delivery.name, CurrentDeliveryStreamVersionId="2",
                                             DestinationId=DESTINATION)
    with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="ErrorOutputPrefix"):
        delivery.update(2, Prefix="!{timestamp:yyyy}/")  # an update is checked as a creation is, and changes nothing if refused
    assert delivery.describe()["VersionId"] == "2" and "Prefix" not in delivery.destination()


@pytest.mark.parametrize("direct", [False, True])
def test_what_was_only_buffered_is_delivered_by_an_update_s_settings(line, direct):
    """[C] BC:firehose: the stream stays ACTIVE while its settings change; [L] at least once."""
    delivery = line().deliver(direct=direct, interval=900, **PLACES)
    put = delivery.put_directly if direct else delivery.put
    put("buffered ")
    time.sleep(1)  # nothing shows that a record is read and buffered: it is, with a poll every half second
    delivery.update(BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 20})
    put("and after")
    delivery.wait_text("buffered and after")
    assert f"/{delivery.name}-2-" in delivery.wait_object()[0]


def test_an_update_takes_the_deprecated_destination_too(line):
    """[C] BC:firehose, S3DestinationUpdate."""
    delivery = line().deliver(**PLACES)
    delivery.firehose.update_destination(DeliveryStreamName=delivery.name, CurrentDeliveryStreamVersionId="1",
                                         DestinationId=DESTINATION, S3DestinationUpdate={"Prefix": "other/"})
    delivery.put("x")
    delivery.wait_text("x", "other/")


# -- deletion --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("direct", [False, True])
def test_deletion_takes_what_was_not_delivered_with_it(line, direct):
    """[C] BC:firehose, DeleteDeliveryStream deletes a stream and its data; a namesake made afterwards knows nothing of it."""
    delivery = line().deliver(direct=direct, interval=900, **PLACES)
    put = delivery.put_directly if direct else delivery.put
    put("in flight.")
    time.sleep(0.7)  # so that it is in a buffer
    delivery.firehose.delete_delivery_stream(DeliveryStreamName=delivery.name, AllowForceDelete=True)
    wait_for(lambda: not delivery.listed())
    assert not delivery.objects()
    with pytest.raises(delivery.firehose.exceptions.ResourceNotFoundException):
        delivery.describe()
    delivery.deliver(direct=direct, **PLACES)
    put("new.")
    delivery.wait_text("new.")


def test_what_is_being_deleted_says_so_and_may_be_deleted_again(line):
    """[C] BC:firehose, DeleteDeliveryStream in the states ACTIVE, DELETING, CREATING_FAILED."""
    delivery = line(seconds=20).deliver(transform=True, **PLACES)
    delivery.put("sleep")  # the call that is under way is waited for, some seconds
    time.sleep(1.2)
    delivery.firehose.delete_delivery_stream(DeliveryStreamName=delivery.name)
    assert delivery.describe()["DeliveryStreamStatus"] == "DELETING"
    delivery.firehose.delete_delivery_stream(DeliveryStreamName=delivery.name)
    with pytest.raises(delivery.firehose.exceptions.ResourceInUseException):
        delivery.update(FileExtension=".a")
    wait_for(lambda: not delivery.listed())


# -- describing, listing, tagging ------------------------------------------------------------------------------------

def test_a_delivery_stream_is_described_with_its_defaults(line):
    """[C] BC:firehose, DeliveryStreamDescription; buffers of 5 MiB and 300 s, no compression, no encryption, no backup."""
    delivery = line()
    arn = delivery.create(request={"ExtendedS3DestinationConfiguration": {
        "RoleARN": delivery.role_arn, "BucketARN": f"arn:aws:s3:::{delivery.name}"}})["DeliveryStreamARN"]
    described = delivery.wait_status("ACTIVE")
    assert described["DeliveryStreamARN"] == arn and arn.endswith(f":deliverystream/{delivery.name}")
    assert described["DeliveryStreamType"] == "KinesisStreamAsSource" and described["HasMoreDestinations"] is False
    source = described["Source"]["KinesisStreamSourceDescription"]
    assert source["KinesisStreamARN"] == delivery.source and source["RoleARN"] == delivery.role_arn
    destination, = described["Destinations"]
    common = {"RoleARN": delivery.role_arn, "BucketARN": f"arn:aws:s3:::{delivery.name}",
              "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300}, "CompressionFormat": "UNCOMPRESSED",
              "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"}, "CloudWatchLoggingOptions": {"Enabled": False}}
    assert destination == {"DestinationId": DESTINATION, "S3DestinationDescription": common,
                           "ExtendedS3DestinationDescription": common | {"S3BackupMode": "Disabled"}}


def test_the_deprecated_destination_works_and_is_described_as_both(line):
    """[C] BC:firehose, S3DestinationConfiguration; [L] that both descriptions come."""
    delivery = line()
    delivery.firehose.create_delivery_stream(
        DeliveryStreamName=delivery.name, S3DestinationConfiguration=delivery.place(CompressionFormat="UNCOMPRESSED", Prefix="data/"))
    delivery.wait_status("ACTIVE")
    delivery.put_directly("simple")
    delivery.wait_text("simple")
    destination, = delivery.describe()["Destinations"]
    assert destination["S3DestinationDescription"]["Prefix"] == destination["ExtendedS3DestinationDescription"]["Prefix"] == "data/"


def test_delivery_streams_are_listed_by_name_ten_at_a_time(aws, work_role):
    """[C] BC:firehose, ListDeliveryStreams: alphabetical, Limit 10, behind ExclusiveStartDeliveryStreamName, by type."""
    firehose, names = client(aws, "firehose"), [f"list-{number:02}" for number in range(12)]
    for name in reversed(names):
        firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration={
            "RoleARN": work_role, "BucketARN": "arn:aws:s3:::nowhere"})
    page = firehose.list_delivery_streams(ExclusiveStartDeliveryStreamName="list-")
    assert page["DeliveryStreamNames"] == names[:10] and page["HasMoreDeliveryStreams"] is True
    page = firehose.list_delivery_streams(ExclusiveStartDeliveryStreamName=names[9], Limit=2, DeliveryStreamType="DirectPut")
    assert page["DeliveryStreamNames"] == names[10:] and page["HasMoreDeliveryStreams"] is False
    assert not {*names} & {*firehose.list_delivery_streams(
        DeliveryStreamType="KinesisStreamAsSource", Limit=1000)["DeliveryStreamNames"]}
    for name in names:
        wait_for(lambda name=name: firehose.describe_delivery_stream(
            DeliveryStreamName=name)["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE")
        firehose.delete_delivery_stream(DeliveryStreamName=name)
    wait_for(lambda: not {*names} & {*firehose.list_delivery_streams(Limit=1000)["DeliveryStreamNames"]})


def test_tags_are_set_changed_listed_and_taken_away(line):
    """[C] BC:firehose, 50 tags at most; a tag that is not there is taken away without an error."""
    delivery = line().deliver(request={"Tags": [{"Key": "project", "Value": "orders"}, {"Key": "empty"}]})
    firehose, name = delivery.firehose, delivery.name

    def tags(**options) -> list[tuple[str, str]]:
        return [(tag["Key"], tag.get("Value")) for tag in firehose.list_tags_for_delivery_stream(
            DeliveryStreamName=name, **options)["Tags"]]

    firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": "chapter", "Value": "5"}, {"Key": "project", "Value": "p"}])
    assert tags() == [("chapter", "5"), ("empty", ""), ("project", "p")]
    assert tags(Limit=1) == [("chapter", "5")] and tags(ExclusiveStartTagKey="chapter", Limit=1) == [("empty", "")]
    assert firehose.list_tags_for_delivery_stream(DeliveryStreamName=name, Limit=2)["HasMoreTags"] is True
    firehose.untag_delivery_stream(DeliveryStreamName=name, TagKeys=["project", "never"])
    assert tags() == [("chapter", "5"), ("empty", "")]
    with pytest.raises(firehose.exceptions.LimitExceededException):
        firehose.tag_delivery_stream(DeliveryStreamName=name, Tags=[{"Key": f"k{number}"} for number in range(49)])
    assert len(tags()) == 2


def test_a_name_is_taken_once_and_what_does_not_exist_is_not_found(line):
    """[C] BC:firehose, ResourceInUseException and ResourceNotFoundException."""
    delivery = line().deliver()
    firehose = delivery.firehose
    with pytest.raises(firehose.exceptions.ResourceInUseException, match=f"{delivery.name} .* already exists"):
        delivery.create()
    for call in (firehose.describe_delivery_stream, firehose.delete_delivery_stream, firehose.list_tags_for_delivery_stream,
                 firehose.start_delivery_stream_encryption, firehose.stop_delivery_stream_encryption):
        with pytest.raises(firehose.exceptions.ResourceNotFoundException, match="Firehose nothing under account"):
            call(DeliveryStreamName="nothing")
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        firehose.put_record(DeliveryStreamName="nothing", Record={"Data": b"x"})


# -- what is refused -------------------------------------------------------------------------------------------------

LAMBDA = "arn:aws:lambda:us-east-1:000000000000:function:f"
ROLE = "arn:aws:iam::000000000000:role/r"
S3 = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b"}


def only(name: str, **configuration) -> dict:
    """A request with the destination `name` alone."""
    return {"only": {name: configuration | {"S3Configuration": S3}}}


def processor(kind: str, **parameters: str) -> dict:
    return {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": kind, "Parameters": [
        {"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()]}]}}


# What the local AWS does not support: the feature, the word by which the error names it, and a creation that asks for it.
REFUSED = [
    ("Source: DeliveryStreamType MSKAsSource", "MSKAsSource", {"request": {"DeliveryStreamType": "MSKAsSource"}}),
    ("Source: DeliveryStreamType DatabaseAsSource", "DatabaseAsSource", {"request": {"DeliveryStreamType": "DatabaseAsSource"}}),
    ("Destination: Redshift", "RedshiftDestinationConfiguration", only(
        "RedshiftDestinationConfiguration", RoleARN=ROLE, CopyCommand={"DataTableName": "t"},
        ClusterJDBCURL="jdbc:redshift://c.abc.us-east-1.redshift.amazonaws.com:5439/d")),
    ("Destination: Elasticsearch", "ElasticsearchDestinationConfiguration", only(
        "ElasticsearchDestinationConfiguration", RoleARN=ROLE, IndexName="i")),
    ("Destination: OpenSearch Service", "AmazonopensearchserviceDestinationConfiguration", only(
        "AmazonopensearchserviceDestinationConfiguration", RoleARN=ROLE, IndexName="i")),
    ("Destination: OpenSearch Serverless", "AmazonOpenSearchServerlessDestinationConfiguration", only(
        "AmazonOpenSearchServerlessDestinationConfiguration", RoleARN=ROLE, IndexName="i")),
    ("Destination: Splunk", "SplunkDestinationConfiguration", only(
        "SplunkDestinationConfiguration", HECEndpoint="https://s", HECEndpointType="Raw")),
    ("Destination: HTTP endpoint", "HttpEndpointDestinationConfiguration", only(
        "HttpEndpointDestinationConfiguration", EndpointConfiguration={"Url": "https://h"})),
    ("Destination: Snowflake", "SnowflakeDestinationConfiguration", only(
        "SnowflakeDestinationConfiguration", RoleARN=ROLE, AccountUrl="https://a.snowflakecomputing.com", Database="d", Schema="s",
        Table="t")),
    ("Destination: Iceberg tables", "IcebergDestinationConfiguration", only(
        "IcebergDestinationConfiguration", RoleARN=ROLE, CatalogConfiguration={})),
    ("Conversion to Parquet or ORC: DataFormatConversionConfiguration", "DataFormatConversionConfiguration",
     {"DataFormatConversionConfiguration": {"Enabled": True}}),
    ("Conversion to Parquet or ORC, Enabled omitted", "DataFormatConversionConfiguration", {"DataFormatConversionConfiguration": {}}),
    ("Dynamic partitioning: DynamicPartitioningConfiguration", "DynamicPartitioningConfiguration",
     {"DynamicPartitioningConfiguration": {"Enabled": True}}),
    ("Dynamic partitioning: prefix expression partitionKeyFromLambda", "partitionKeyFromLambda",
     {**PLACES, "Prefix": "!{partitionKeyFromLambda:k}/"}),
    ("Dynamic partitioning: prefix expression partitionKeyFromQuery", "partitionKeyFromQuery",
     {**PLACES, "Prefix": "!{partitionKeyFromQuery:k}/"}),
    ("Prefix timestamps that depend on a locale (Y, w, W, e, c)", "YYYY", {**PLACES, "Prefix": "!{timestamp:YYYY}/"}),
    ("Processor: RecordDeAggregation", "RecordDeAggregation", processor("RecordDeAggregation", SubRecordType="JSON")),
    ("Processor: Decompression", "Decompression", processor("Decompression", CompressionFormat="GZIP")),
    ("Processor: CloudWatchLogProcessing", "CloudWatchLogProcessing", processor("CloudWatchLogProcessing", DataMessageExtraction="true")),
    ("Processor: MetadataExtraction", "MetadataExtraction", processor("MetadataExtraction", MetadataExtractionQuery="{a: .a}")),
    ("Lambda processor: other parameters than its own", "SubRecordType", processor("Lambda", LambdaArn=LAMBDA, SubRecordType="JSON")),
    ("Encryption with a customer's key: KeyType CUSTOMER_MANAGED_CMK", "CUSTOMER_MANAGED_CMK", {
        "direct": True, "request": {"DeliveryStreamEncryptionConfigurationInput": {
            "KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"}}}),
]


@pytest.fixture(scope="module")
def asking(aws, work_role):
    """A line without a stream and a bucket, whose creations fail."""
    made = Line.__new__(Line)
    made.aws, made.firehose, made.role_arn, made.name = aws, client(aws, "firehose"), work_role, "firehose-refused"
    made.function_arn, made.source = LAMBDA, "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    return made


def refused(asking: Line, settings: dict, word: str) -> None:
    with pytest.raises(ClientError, match=re.escape(word)) as refusal:
        if "only" in settings:
            asking.firehose.create_delivery_stream(DeliveryStreamName=asking.name, **settings["only"])
        else:
            asking.create(**settings)
    assert refusal.value.response["Error"]["Code"] == "InvalidArgumentException"
    assert not asking.listed()


@pytest.mark.parametrize("feature, word, settings", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_not_supported_is_refused_by_name(asking, feature, word, settings):
    """[C] BC:firehose, InvalidArgumentException."""
    refused(asking, settings, word)


def test_a_customer_s_key_and_another_kind_of_destination_are_refused_later_too(line):
    """[C] BC:firehose, StartDeliveryStreamEncryption and UpdateDestination."""
    delivery = line().deliver(direct=True)
    with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="CUSTOMER_MANAGED_CMK is not supported"):
        delivery.firehose.start_delivery_stream_encryption(
            DeliveryStreamName=delivery.name, DeliveryStreamEncryptionConfigurationInput={
                "KeyType": "CUSTOMER_MANAGED_CMK", "KeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"})
    with pytest.raises(delivery.firehose.exceptions.InvalidArgumentException, match="HttpEndpointDestinationUpdate is not supported"):
        delivery.firehose.update_destination(
            DeliveryStreamName=delivery.name, CurrentDeliveryStreamVersionId="1", DestinationId=DESTINATION,
            HttpEndpointDestinationUpdate={})
    assert delivery.describe()["DeliveryStreamEncryptionConfiguration"] == {"Status": "DISABLED"}


@pytest.mark.parametrize("settings, word", [
    ({"request": {"DeliveryStreamType": "DirectPut"}}, "KinesisStreamSourceConfiguration is not allowed"),
    ({"direct": True, "request": {"DeliveryStreamType": "KinesisStreamAsSource"}}, "KinesisStreamSourceConfiguration is required"),
    ({"request": {"DirectPutSourceConfiguration": {"ThroughputHintInMBs": 1}}}, "DirectPutSourceConfiguration is not allowed"),
    ({"request": {"DeliveryStreamEncryptionConfigurationInput": {"KeyType": "AWS_OWNED_CMK"}}}, "not allowed"),
    ({"direct": True, "request": {"DeliveryStreamEncryptionConfigurationInput": {
        "KeyType": "AWS_OWNED_CMK", "KeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"}}}, "KeyARN"),
    ({"request": {"S3DestinationConfiguration": S3}}, "exactly one destination"),
    ({"only": {}}, "exactly one destination"),
    ({"S3BackupMode": "Enabled"}, "S3BackupConfiguration"),
    ({"BufferingHints": {"SizeInMBs": 5}}, "both SizeInMBs and IntervalInSeconds"),
    ({"BufferingHints": {"IntervalInSeconds": 5}}, "both SizeInMBs and IntervalInSeconds"),
    ({"CustomTimeZone": "Europe/Nowhere"}, "Europe/Nowhere"),
    ({"CloudWatchLoggingOptions": {"Enabled": True, "LogGroupName": "g"}}, "LogStreamName"),
    ({"EncryptionConfiguration": {}}, "EncryptionConfiguration"),
    ({"ProcessingConfiguration": {"Enabled": True}}, "no processor"),
    (processor("Lambda"), "LambdaArn"),
    (processor("Lambda", LambdaArn=LAMBDA, BufferSizeInMBs="4"), "BufferSizeInMBs"),
    (processor("Lambda", LambdaArn=LAMBDA, BufferSizeInMBs="0.1"), "BufferSizeInMBs"),
    (processor("Lambda", LambdaArn=LAMBDA, BufferIntervalInSeconds="901"), "BufferIntervalInSeconds"),
    (processor("Lambda", LambdaArn=LAMBDA, NumberOfRetries="-1"), "NumberOfRetries"),
    (processor("Lambda", LambdaArn=LAMBDA, NumberOfRetries="many"), "NumberOfRetries"),
    ({"ProcessingConfiguration": {"Processors": [{"Type": "AppendDelimiterToRecord"}] * 2}}, "Only one processor"),
])
def test_what_is_wrong_is_refused(asking, settings, word):
    """[C] BC:firehose, InvalidArgumentException; the sentences are the local AWS's own."""
    refused(asking, settings, word)


@pytest.mark.parametrize("member, value", [
    ("BufferingHints", {"SizeInMBs": 129, "IntervalInSeconds": 60}), ("BufferingHints", {"SizeInMBs": 0, "IntervalInSeconds": 60}),
    ("BufferingHints", {"SizeInMBs": 5, "IntervalInSeconds": 901}), ("CompressionFormat", "SNAPPY"), ("FileExtension", "csv"),
    ("FileExtension", ".CSV"), ("Prefix", "x" * 1025), ("BucketARN", "bucket"),
])
def test_what_breaks_the_api_s_model_is_a_validation_error(asking, member, value):
    """[C] BC:firehose: ranges, enumerations, lengths, patterns; [L] FLP for the error's shape."""
    with pytest.raises(ClientError, match=rf"1 validation error detected: Value .*{member[0].lower() + member[1:]}") as refusal:
        client_without_checks(asking.aws).create_delivery_stream(
            DeliveryStreamName=asking.name, ExtendedS3DestinationConfiguration={**S3, member: value})
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


# -- endurance -------------------------------------------------------------------------------------------------------

def test_no_change_is_lost_when_the_joints_die_or_the_local_aws_is_stopped():
    """[L] at least once: what was in a buffer is read again."""
    with LocalAws.temporary(clock_scale=20) as local:
        own = Aws(local, local.start())
        target, orders = stream(own, "orders", 2), table(own, "orders")
        arn = role(own, "firehose-role", "firehose.amazonaws.com", ALL)
        client(own, "s3").create_bucket(Bucket="orders")
        client(own, "firehose").create_delivery_stream(
            DeliveryStreamName="orders", DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": target, "RoleARN": arn},
            ExtendedS3DestinationConfiguration={"RoleARN": arn, "BucketARN": "arn:aws:s3:::orders",
                                                "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 20}})
        client(own, "pipes").create_pipe(
            Name="orders", Source=orders, Target=target, RoleArn=role(own, "pipes-role", "pipes.amazonaws.com", PIPE_SOURCE + PIPE_TARGET),
            SourceParameters={"DynamoDBStreamParameters": {"StartingPosition": "TRIM_HORIZON"}},
            TargetParameters={"KinesisStreamParameters": {"PartitionKey": "$.dynamodb.Keys.orderid.S"}})
        client(own, "firehose").create_delivery_stream(DeliveryStreamName="direct", ExtendedS3DestinationConfiguration={
            "RoleARN": arn, "BucketARN": "arn:aws:s3:::orders", "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 20}})
        for name in ("orders", "direct"):
            wait_for(lambda name=name: client(own, "firehose").describe_delivery_stream(
                DeliveryStreamName=name)["DeliveryStreamDescription"]["DeliveryStreamStatus"] == "ACTIVE")
        client(own, "firehose").start_delivery_stream_encryption(DeliveryStreamName="direct")

        def put(*ids: int) -> None:
            for order in ids:
                client(own, "dynamodb").put_item(TableName="orders", Item={"orderid": {"S": f"order {order}"}})
            client(own, "firehose").put_record_batch(
                DeliveryStreamName="direct", Records=[{"Data": f"direct {order};".encode()} for order in ids])

        def delivered() -> set[int]:
            """Those that came both ways."""
            lake = b"".join(objects(own, "orders").values())
            return {int(order) for order in re.findall(rb'"Keys":{"orderid":{"S":"order (\d+)"', lake)} & {
                int(order) for order in re.findall(rb"direct (\d+);", lake)}

        put(*range(100))
        joints, = (p for p in psutil.Process(local.status().pid).children() if any("joints" in word for word in p.cmdline()))
        joints.kill()
        put(*range(100, 200))
        wait_for(lambda: delivered() == set(range(200)))
        put(*range(200, 250))
        local.stop()
        local.start()
        put(*range(250, 300))
        wait_for(lambda: delivered() == set(range(300)))
        assert client(own, "firehose").describe_delivery_stream(DeliveryStreamName="direct")[
            "DeliveryStreamDescription"]["DeliveryStreamEncryptionConfiguration"]["Status"] == "ENABLED"
