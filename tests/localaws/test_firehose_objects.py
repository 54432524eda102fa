"""What Firehose writes to S3: buffers, keys, prefixes, compression, backup, refused writes, error logs. AWS_FACTS.md part 4."""

import datetime
import gzip
import io
import json
import queue
import re
import time
import zipfile
import zoneinfo
from types import SimpleNamespace

import pyarrow
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from helpers.localaws.clock import Clock
from helpers.localaws.firehose import prefix, worker
from helpers.localaws.firehose.bucket import Bucket
from helpers.localaws.firehose.transform import Source

from .delivery import (  # noqa: F401 - the fixtures are used by their names
    ALL,
    PLACES,
    functions,
    line,
    numbers,
    own_role,
    work_role,
)
from .making import FIREHOSE_LAMBDA, FIREHOSE_S3, FIREHOSE_SOURCE, allow, client, drop_bucket, trust, wait_for

# -- S3's buffer -----------------------------------------------------------------------------------------------------

def test_an_object_is_written_when_its_interval_ends_and_only_then(line):
    """[C] BC:firehose, IntervalInSeconds."""
    delivery = line().deliver(interval=40, **PLACES)  # 2 s here
    start = time.monotonic()
    delivery.put("waits")
    delivery.wait_object()
    assert time.monotonic() - start > 2


def test_an_interval_begins_with_its_first_record_whatever_follows(line):
    """[C] BC:firehose, IntervalInSeconds: buffers incoming data for that long."""
    delivery = line().deliver(direct=True, interval=40, **PLACES)  # 2 s here
    wait_for(lambda: delivery.put_directly("drop after drop ") and delivery.body(), pause=0.2)


def test_an_object_is_written_when_its_size_is_reached(line):
    """[C] BC:firehose, SizeInMBs."""
    delivery = line().deliver(interval=900, size=1, **PLACES)  # 45 s here
    delivery.put(*("x" * 300_000 for _ in range(4)), key="one")
    assert len(wait_for(delivery.body, seconds=10)) == 1_200_000


def test_what_comes_at_once_is_cut_into_objects_a_little_over_the_size(line):
    """[C] BC:firehose, BufferingHints: record boundaries make an object a little over or under."""
    delivery = line().deliver(direct=True, interval=900, size=1, **PLACES)
    delivery.put_directly(*["x" * 300_000] * 12)
    sizes = wait_for(lambda: len(found := delivery.objects("data/")) == 3 and [len(body) for body in found.values()], seconds=10)
    assert sizes == [1_200_000] * 3


def test_the_size_counts_before_compression(line):
    """[C] FH limits: the size threshold is applied before compression."""
    delivery = line().deliver(direct=True, interval=900, size=1, CompressionFormat="GZIP", **PLACES)
    delivery.put_directly(*["x" * 600_000] * 2)
    assert len(gzip.decompress(wait_for(delivery.body, seconds=10))) == 1_200_000


# -- keys ------------------------------------------------------------------------------------------------------------

def test_without_a_prefix_objects_go_by_the_hour_and_errors_beside_them(line):
    """[C] FH s3-prefixes; [C] captured processing-failed/yyyy/MM/dd/HH."""
    delivery = line().deliver(transform=True)
    delivery.put("good", "ProcessingFailed")
    found = wait_for(lambda: len(all_ := delivery.objects()) >= 2 and all_)
    name = rf"{delivery.name}-1-\d{{4}}(-\d\d){{5}}-[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"
    good, = (key for key, body in found.items() if body == b"GOOD\n")
    bad, = (key for key in found if key != good)
    assert re.fullmatch(rf"\d{{4}}/\d\d/\d\d/\d\d/{name}", good)
    assert re.fullmatch(rf"processing-failed/\d{{4}}/\d\d/\d\d/\d\d/{name}", bad)


def test_a_static_prefix_gets_the_hour_put_behind_it_and_a_static_error_prefix_nothing(line):
    """[C] FH s3-prefixes, [L] FLP: literally, without a slash."""
    delivery = line().deliver(transform=True, Prefix="orders", ErrorOutputPrefix="errors-")
    delivery.put("good", "ProcessingFailed")
    found = wait_for(lambda: len(all_ := delivery.objects()) >= 2 and all_)
    for key in found:
        assert re.match(rf"errors-{delivery.name}-1-|orders\d{{4}}/\d\d/\d\d/\d\d/{delivery.name}-1-", key)


def test_an_object_s_time_is_the_arrival_of_its_oldest_record(line):
    """[C] FH s3-prefixes."""
    delivery = line().deliver(interval=60, Prefix="data/!{timestamp:yyyy-MM-dd-HH-mm-ss}/", ErrorOutputPrefix="failed/")  # 3 s
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    delivery.put("oldest.", key="k")
    after = datetime.datetime.now(datetime.UTC)
    time.sleep(1.2)
    delivery.put("newest", key="k")
    key, body = delivery.wait_object()
    assert body == b"oldest.newest"
    evaluated, suffix = re.fullmatch(rf"data/(.{{19}})/{delivery.name}-1-(.{{19}})-.{{36}}", key).groups()
    assert evaluated == suffix
    assert before <= datetime.datetime.strptime(suffix + "+0000", "%Y-%m-%d-%H-%M-%S%z") <= after


def test_a_custom_time_zone_is_that_of_prefixes_and_names(line):
    """[C] FH s3-object-name: of the time prefix and the suffix."""
    delivery = line().deliver(transform=True, CustomTimeZone="Asia/Tokyo", Prefix="data/!{timestamp:yyyy-MM-dd-HH'+'xx}/",
                              ErrorOutputPrefix="failed/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd-HH'+'xx}/")
    tokyo = zoneinfo.ZoneInfo("Asia/Tokyo")
    hours = {f"{datetime.datetime.now(tokyo):%Y-%m-%d-%H}"}
    delivery.put("good", "ProcessingFailed")
    keys = [delivery.wait_object("data/")[0], delivery.wait_object("failed/")[0]]
    hours.add(f"{datetime.datetime.now(tokyo):%Y-%m-%d-%H}")
    for key in keys:
        hour, = re.findall(r"/(\d{4}-\d\d-\d\d-\d\d)\++0900/", key)
        assert hour in hours and f"/{delivery.name}-1-{hour}-" in key
    assert delivery.destination()["CustomTimeZone"] == "Asia/Tokyo"


def test_each_object_gets_a_random_string_of_its_own(line):
    """[C] FH s3-prefixes: 11 characters, anew at every use; [U] that no time is put behind it."""
    delivery = line().deliver(direct=True, Prefix="!{firehose:random-string}/!{firehose:random-string}/", ErrorOutputPrefix="failed/")
    for count in (1, 2):
        delivery.put_directly("x")
        wait_for(lambda count=count: len(delivery.objects()) == count)
    strings = [text for key in delivery.objects() for text in key.split("/")[:2]]
    assert len(set(strings)) == 4 and all(re.fullmatch("[A-Za-z0-9]{11}", text) for text in strings)


def test_long_and_unicode_prefixes_stand_in_keys_as_they_are(line):
    """[C] BC:firehose, Prefix; FH s3-prefixes: 512 characters after evaluation."""
    long = "größe 大/" + "x" * 480 + "/"
    delivery = line().deliver(direct=True, Prefix=long + "!{timestamp:yyyy}/", ErrorOutputPrefix="failed/")
    delivery.put_directly("x")
    assert delivery.wait_object("")[0].startswith(long)


MOMENT = datetime.datetime(2026, 9, 3, 4, 5, 6, 78_901, tzinfo=datetime.UTC)


@pytest.mark.parametrize("given, expected", [
    (None, "2026/09/03/04/"), ("", "2026/09/03/04/"), ("orders", "orders2026/09/03/04/"), ("orders/", "orders/2026/09/03/04/"),
    ("orders/!{timestamp:'year='yyyy/'month='MM/'day='dd}/", "orders/year=2026/month=09/day=03/"),
    ("a/dt=!{timestamp:yyyy-MM-dd}/hour=!{timestamp:HH}/", "a/dt=2026-09-03/hour=04/"), ("!{timestamp:yyyy/MM}", "2026/09"),
])
def test_prefixes(given, expected):
    """[C] FH s3-prefixes."""
    assert prefix.data_prefix(given, MOMENT) == expected


@pytest.mark.parametrize("given, errors, expected", [
    (None, None, "processing-failed/2026/09/03/04/"), ("orders/", None, "orders/processing-failed/2026/09/03/04/"),
    ("orders/", "errors", "errors"), ("o/", "e/!{firehose:error-output-type}/!{timestamp:yyyy}/", "e/processing-failed/2026/"),
    (None, "!{firehose:error-output-type}/!{firehose:error-output-type}", "processing-failed/processing-failed"),
])
def test_error_prefixes(given, errors, expected):
    """[C] FH s3-prefixes."""
    assert prefix.error_prefix(given, errors, "processing-failed", MOMENT) == expected


@pytest.mark.parametrize("pattern, expected", [
    ("HH:mm:ss", "04:05:06"), ("'o''clock'", "o'clock"), ("''", "'"), ("y yy yyy u", "2026 26 2026 2026"), ("G", "AD"),
    ("M MM MMM MMMM MMMMM", "9 09 Sep September S"), ("L LL", "9 09"), ("d dd D DD DDD", "3 03 246 246 246"),
    ("E EEE EEEE EEEEE", "Thu Thu Thursday T"), ("Q QQ QQQ", "3 03 Q3"), ("H h K k a", "4 4 4 4 AM"), ("m s", "5 6"),
    ("S SSS SSSSSSSSS", "0 078 078901000"), ("n", "78901000"), ("A", "14706078"), ("N", "14706078901000"),
    ("X XX XXX x xx xxx Z", "Z Z Z +00 +0000 +00:00 +0000"),
])
def test_timestamp_patterns(pattern, expected):
    """[C] FH s3-prefixes: Java's DateTimeFormatter."""
    assert prefix.format_time(pattern, MOMENT) == expected


@pytest.mark.parametrize("when, pattern, expected", [
    (MOMENT.replace(hour=0), "h K k a", "12 0 24 AM"), (MOMENT.replace(hour=12), "h K k a", "12 0 12 PM"),
    (MOMENT.replace(hour=23), "h K k a", "11 11 23 PM"), (MOMENT.replace(month=1), "D DD DDD Q", "3 03 003 1"),
    (MOMENT.astimezone(zoneinfo.ZoneInfo("Asia/Kolkata")), "HH:mm X XX XXX xx Z", "09:35 +0530 +0530 +05:30 +0530 +0530"),
    (MOMENT.astimezone(zoneinfo.ZoneInfo("America/St_Johns")), "HH:mm X xxx", "01:35 -0230 -02:30"),
    (MOMENT.astimezone(zoneinfo.ZoneInfo("America/New_York")), "HH X x", "00 -04 -04"),
])
def test_timestamps_in_other_hours_and_zones(when, pattern, expected):
    """[C] FH s3-prefixes: Java's DateTimeFormatter."""
    assert prefix.format_time(pattern, when) == expected


@pytest.mark.parametrize("given, errors, word", [
    ("a/!{timestamp:yyyy}/", None, "ErrorOutputPrefix cannot be null"), ("a/!{timestamp:YYYY}/", "e", "YYYY"),
    ("a/!{timestamp:yyyy}/", "", "ErrorOutputPrefix cannot be null"), ("a/!{timestamp:ddd}/", "e", "ddd"),
    ("a/!{timestamp:b}/", "e", "b is not"), ("a/!{timestamp:[yyyy]}/", "e", "reserved"), ("a/!{timestamp:}/", "e", "timestamp:"),
    ("a/!{partitionKeyFromLambda:x}/", "e", "DynamicPartitioningConfiguration"), ("a/!{timestamp:'yyyy}", "e", "quote"),
    (None, "e/!{timestamp:yyyy}/", "must contain"), ("!{firehose:error-output-type}/", "e", "error-output-type"),
    ("a/!{timestamp:yyyy", "e", "not closed"), ("!{nothing}/", "e", "nothing"), ("!{firehose:other}/", "e", "firehose:other"),
    ("x" * 513, None, "longer than 512"), (None, "x" * 513, "longer than 512"),
])
def test_wrong_and_unknown_expressions_are_refused(given, errors, word):
    """[C] FH s3-prefixes, the semantic rules; [U] for what depends on a locale."""
    with pytest.raises(prefix.PrefixError, match=word):
        prefix.check(given, errors)


def test_a_prefix_counts_after_it_is_evaluated():
    """[C] FH s3-prefixes."""
    prefix.check("x" * 500 + "!{timestamp:yyyy}", "e")  # which is longer before


# -- compression -----------------------------------------------------------------------------------------------------

TEXT = b"".join(b"order %d of a long day;" % number for number in range(4_000))  # of more blocks than one


def unzip(body: bytes) -> bytes:
    archive = zipfile.ZipFile(io.BytesIO(body))
    entry, = archive.infolist()
    assert entry.compress_type == zipfile.ZIP_DEFLATED
    return archive.read(entry)


def unsnappy(body: bytes) -> bytes:
    assert body.startswith(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
    file, found = io.BytesIO(body[16:]), b""
    while head := file.read(4):
        block = file.read(int.from_bytes(head, "big"))
        # a block of Snappy begins with its size, seven bits a byte
        found += pyarrow.decompress(block, decompressed_size=min(32_768, len(TEXT) - len(found)), codec="snappy", asbytes=True)
    return found


def unhadoop(body: bytes) -> bytes:
    file, found = io.BytesIO(body), b""
    while head := file.read(4):
        block = file.read(int.from_bytes(file.read(4), "big"))
        found += pyarrow.decompress(block, decompressed_size=int.from_bytes(head, "big"), codec="snappy", asbytes=True)
    return found


@pytest.mark.parametrize("format, extension, encoding, read", [
    ("UNCOMPRESSED", "", None, bytes), ("GZIP", ".gz", "gzip", gzip.decompress), ("ZIP", ".zip", "zip", unzip),
    ("Snappy", ".snappy", "snappy-java", unsnappy), ("HADOOP_SNAPPY", ".snappy", "hadoop-snappy", unhadoop),
])
def test_a_compression_s_bytes_extension_and_encoding(line, format, extension, encoding, read):
    """[L] FLP, floci issue 2328: as found on objects that AWS delivered."""
    delivery = line().deliver(direct=True, CompressionFormat=format, **PLACES)
    delivery.put_directly(TEXT.decode())
    key, body = delivery.wait_object()
    assert re.search(r"-[0-9a-f]{12}(.*)$", key)[1] == extension and read(body) == TEXT
    head = client(delivery.aws, "s3").head_object(Bucket=delivery.name, Key=key)
    assert head["ContentType"] == "application/octet-stream" and head.get("ContentEncoding") == encoding


def test_a_file_extension_replaces_that_of_the_compression(line):
    """[C] BC:firehose, FileExtension overrides the default one."""
    delivery = line().deliver(direct=True, CompressionFormat="GZIP", FileExtension=".json.gz", **PLACES)
    delivery.put_directly("x")
    key, body = delivery.wait_object()
    assert re.search(r"[0-9a-f]{12}\.json\.gz$", key) and gzip.decompress(body) == b"x"
    delivery.update(FileExtension="")
    delivery.put_directly("y")
    wait_for(lambda: any(re.search(r"[0-9a-f]{12}\.gz$", key) for key in delivery.objects("data/")))


def test_error_objects_are_neither_compressed_nor_given_an_extension(line):
    """[U] what AWS does."""
    delivery = line().deliver(transform=True, CompressionFormat="GZIP", FileExtension=".x", **PLACES)
    delivery.put("ProcessingFailed")
    key, body = delivery.wait_object("failed/")
    assert json.loads(body)["errorCode"] == "Lambda.ProcessingFailedStatus" and re.search("[0-9a-f]{12}$", key)


# -- the backup of what came -----------------------------------------------------------------------------------------

def test_a_backup_holds_the_source_records_and_the_destination_the_transformed_ones(line):
    """[C] FH data-transformation-source-record-backup; BC:firehose: it cannot be disabled again."""
    delivery = line()
    backup = delivery.place(size=1, Prefix="source/", CompressionFormat="GZIP")
    delivery.deliver(transform=True, S3BackupMode="Enabled", S3BackupConfiguration=backup, **PLACES)
    delivery.put("good", "Dropped", "ProcessingFailed", key="one")
    delivery.wait_text("GOOD\n")
    delivery.wait_errors(1)
    wait_for(lambda: b"".join(map(gzip.decompress, delivery.objects("source/").values())) == b"goodDroppedProcessingFailed")
    described = delivery.destination()
    assert described["S3BackupMode"] == "Enabled" and described["S3BackupDescription"]["Prefix"] == "source/"
    with pytest.raises(ClientError, match="cannot be disabled"):
        delivery.update(S3BackupMode="Disabled")


def test_a_backup_that_is_enabled_later_begins_with_what_is_not_delivered_yet(line):
    """[C] BC:firehose, S3BackupMode can be enabled later."""
    delivery = line().deliver(direct=True, **PLACES)
    delivery.put_directly("before.")
    delivery.wait_text("before.")
    delivery.update(BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 900})
    delivery.put_directly("buffered.")
    delivery.update(2, S3BackupMode="Enabled", BufferingHints={"SizeInMBs": 5, "IntervalInSeconds": 1},
                    S3BackupUpdate=delivery.place(size=1, Prefix="source/"))
    delivery.put_directly("after.")
    for place, texts in (("source/", [b"", b"after", b"buffered"]), ("data/", [b"", b"after", b"before", b"buffered"])):
        wait_for(lambda p=place, t=texts: sorted(delivery.body(p).split(b".")) == t)
    delivery.update(3, S3BackupUpdate={"Prefix": "elsewhere/"})  # the rest of the backup's settings is kept
    delivery.put_directly("moved")
    delivery.wait_text("moved", "elsewhere/")


def test_a_refused_backup_is_named_and_holds_up_no_delivery(aws, line, own_role):
    """[C] FH data-transformation-source-record-backup: concurrently."""
    name, arn = own_role
    delivery = line()
    allow(aws, name, [action for action in FIREHOSE_S3 if action != "s3:PutObject"])
    delivery.deliver(S3BackupMode="Enabled", S3BackupConfiguration=delivery.place(size=1, Prefix="source/", RoleARN=arn), **PLACES)
    delivery.put("kept")
    delivery.wait_text("kept")
    delivery.wait_trouble("backup: ", "s3:PutObject")
    allow(aws, name, FIREHOSE_S3)
    delivery.wait_text("kept", "source/")
    delivery.wait_no_trouble()


# -- writes that fail ------------------------------------------------------------------------------------------------

def test_a_refused_write_is_named_and_nothing_is_lost(aws, line, own_role):
    """[C] FH retry: tried again until the source's retention ends, never to the error prefix."""
    name, arn = own_role
    delivery = line(role_arn=arn).deliver(**PLACES)
    allow(aws, name, FIREHOSE_SOURCE + [action for action in FIREHOSE_S3 if action != "s3:PutObject"])
    delivery.put("one.", key="k")
    assert delivery.wait_trouble("AccessDenied", "s3:PutObject")["DeliveryStreamStatus"] == "ACTIVE"
    delivery.put("two.", key="k")
    assert "s3:PutObject" in aws.local.tail(50)
    allow(aws, name, ALL)
    wait_for(lambda: sorted(delivery.body().split(b".")) == [b"", b"one", b"two"])
    assert not delivery.objects("failed/")
    delivery.wait_no_trouble()


@pytest.mark.parametrize("direct", [False, True])
def test_a_bucket_that_is_deleted_and_made_again_gets_what_it_missed(aws, line, direct):
    """[C] FH retry: the bucket might not exist any more."""
    delivery = line().deliver(direct=direct, transform=True, **PLACES)
    put = delivery.put_directly if direct else delivery.put
    put("before")
    delivery.wait_text("BEFORE\n")
    drop_bucket(aws, delivery.name)
    put("missed", "ProcessingFailed")
    delivery.wait_trouble("NoSuchBucket", "s3:PutObject")
    client(aws, "s3").create_bucket(Bucket=delivery.name)
    delivery.wait_text("MISSED\n")
    assert len(delivery.wait_errors(1)) == 1
    delivery.wait_no_trouble()


class ForgetfulS3:
    """S3, whose first answer is lost on the way."""

    def __init__(self):
        self.objects: dict[str, bytes] = {}
        self.answers = iter([EndpointConnectionError(endpoint_url="http://s3")])

    def __getattr__(self, _):
        """Every other call: a bucket that is there, with nothing in it to be seen."""
        return lambda **__: {"LocationConstraint": None}

    def get_paginator(self, _):
        return SimpleNamespace(paginate=lambda **__: [])

    def head_object(self, Key, **_) -> None:  # noqa: N803 - as boto3 names it
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")

    def put_object(self, Key, Body, **_) -> None:  # noqa: N803
        assert Key not in self.objects, "it was written twice"
        self.objects[Key] = Body
        for error in self.answers:
            raise error


def test_a_write_whose_answer_is_lost_makes_no_second_object():
    """[L] at least once, but no second object for a write that is only tried again."""
    s3, checkpoints, pages = ForgetfulS3(), {}, queue.Queue()
    context = SimpleNamespace(clock=Clock(20), role=lambda *_, **__: SimpleNamespace(client=lambda *_, **__: s3))
    delivery = SimpleNamespace(say=lambda *_: None, checkpoint_moved=lambda: None)
    destination = {"RoleARN": "r", "BucketARN": "arn:aws:s3:::b", "CompressionFormat": "UNCOMPRESSED", "EncryptionConfiguration": {},
                   "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}, "CloudWatchLoggingOptions": {"Enabled": False}}
    settings = worker.Settings(arn="a", name="n", version="1", started=0.0, source_arn=None, source_role=None, processor=None,
                               destination=destination, delimiter=b"", checkpoint="c")
    deliverer = worker.Deliverer(context, settings, delivery, pages, checkpoints)
    pages.put([Source("shard", "7", "key", 0, "eA==")])
    deliverer.step()
    with pytest.raises(EndpointConnectionError):
        deliverer.step()
    assert not checkpoints
    deliverer.step()
    assert list(s3.objects.values()) == [b"x"] and checkpoints == {"c": {"shard": "7"}}


@pytest.fixture
def bucket(aws):
    """A worker's view of a new bucket, and the bucket's name."""
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket="objects-bucket")
    role = SimpleNamespace(client=lambda service, **_: client(aws, service))
    yield Bucket(role, "objects-bucket", "orders", ["data/", "failed/!{firehose:error-output-type}/"]), s3
    drop_bucket(aws, "objects-bucket")


def test_a_large_object_goes_in_parts(bucket):
    """[C] BC:s3, multipart upload; [U] from which size on, here 16 MiB."""
    writer, s3 = bucket
    body = bytes(range(256)) * (17 * 4096)
    writer.write("data/large", body, ContentType="application/octet-stream")
    found = s3.get_object(Bucket="objects-bucket", Key="data/large")
    assert found["Body"].read() == body and found["ETag"].endswith('-2"')


def test_what_a_killed_worker_left_half_written_is_aborted_and_nothing_else(bucket):
    """[U] what Firehose's role needs s3:ListBucketMultipartUploads and AbortMultipartUpload for."""
    writer, s3 = bucket
    name = "1-2026-01-01-00-00-00-aaaaaaaa-1111-2222-3333-bbbbbbbbbbbb"
    own = [f"data/year=2026/orders-{name}", f"data/orders-{name}.gz", f"failed/processing-failed/orders-{name}"]
    others = [f"data/orders-2-{name}", f"elsewhere/orders-{name}", "data/orders.json"]
    for key in (*own, *others):
        s3.create_multipart_upload(Bucket="objects-bucket", Key=key)
    Bucket(writer._role, "objects-bucket", "orders", ["data/", "failed/!{firehose:error-output-type}/"]).write("data/new", b"x")
    assert {upload["Key"] for upload in s3.list_multipart_uploads(Bucket="objects-bucket")["Uploads"]} == set(others)
    late = f"data/orders-{name}-late"
    s3.create_multipart_upload(Bucket="objects-bucket", Key=f"data/orders-{name}")
    writer.write(late, b"x")  # this worker began before that upload, so it may be another's that is at work
    assert len(s3.list_multipart_uploads(Bucket="objects-bucket")["Uploads"]) == len(others) + 1
    for upload in s3.list_multipart_uploads(Bucket="objects-bucket")["Uploads"]:
        s3.abort_multipart_upload(Bucket="objects-bucket", Key=upload["Key"], UploadId=upload["UploadId"])


def test_a_trust_policy_that_changes_takes_effect_on_a_running_stream(aws, line, own_role):
    """[C] FH retry: the role might not have access any more; sessions are given up when they are refused."""
    name, arn = own_role
    delivery = line(role_arn=arn).deliver(direct=True, **PLACES)
    delivery.put_directly("early ")
    delivery.wait_text("early ")  # so that there is a session
    client(aws, "iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust("lambda.amazonaws.com"))
    allow(aws, name, FIREHOSE_LAMBDA)
    delivery.put_directly("late")
    delivery.wait_trouble("sts:AssumeRole")
    client(aws, "iam").update_assume_role_policy(RoleName=name, PolicyDocument=trust("firehose.amazonaws.com"))
    allow(aws, name, ALL)
    wait_for(lambda: b"late" in delivery.body())


# -- encryption of objects -------------------------------------------------------------------------------------------

def test_objects_are_encrypted_with_the_key_that_is_given_or_not_written(aws, line):
    """[C] BC:firehose, KMSEncryptionConfig; FH monitoring-with-cloudwatch-logs: S3.KMS.NotFoundException."""
    kms, logged = client(aws, "kms"), log_place(aws)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    missing = key.rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    delivery = line().deliver(direct=True, EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": missing}},
                              CloudWatchLoggingOptions=logged, **PLACES)
    delivery.put_directly("secret")
    delivery.wait_trouble("NotFoundException")
    assert wait_for(lambda: log_events(aws, logged))[0]["errorCode"] == "S3.KMS.NotFoundException"
    assert not delivery.objects()
    delivery.update(EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": key}})
    assert delivery.destination()["EncryptionConfiguration"] == {"KMSEncryptionConfig": {"AWSKMSKeyARN": key}}
    head = client(aws, "s3").head_object(Bucket=delivery.name, Key=delivery.wait_object()[0])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    delivery.update(2, EncryptionConfiguration={"NoEncryptionConfig": "NoEncryption"})
    delivery.put_directly("open")
    wait_for(lambda: len(delivery.objects("data/")) == 2)
    client(aws, "logs").delete_log_group(logGroupName=logged["LogGroupName"])


# -- error logs ------------------------------------------------------------------------------------------------------

def log_place(aws) -> dict:
    """CloudWatchLoggingOptions for a new group and stream."""
    options = {"Enabled": True, "LogGroupName": f"/aws/kinesisfirehose/{next(numbers)}", "LogStreamName": "DestinationDelivery"}
    client(aws, "logs").create_log_group(logGroupName=options["LogGroupName"])
    client(aws, "logs").create_log_stream(logGroupName=options["LogGroupName"], logStreamName=options["LogStreamName"])
    return options


def log_events(aws, options: dict) -> list[dict]:
    events = client(aws, "logs").get_log_events(
        logGroupName=options["LogGroupName"], logStreamName=options["LogStreamName"])["events"]
    return [json.loads(event["message"]) for event in events]


def test_failures_of_the_function_and_of_s3_are_logged_in_cloudwatch(aws, line, own_role):
    """[C] FH monitoring-with-cloudwatch-logs for codes and messages, FH http_troubleshooting for an event's members."""
    name, arn = own_role
    logged = log_place(aws)
    delivery = line(role_arn=arn).deliver(transform={"NumberOfRetries": "1"}, CloudWatchLoggingOptions=logged, **PLACES)
    assert delivery.destination()["CloudWatchLoggingOptions"] == logged
    delivery.put("ProcessingFailed", "good", key="one")
    delivery.wait_errors(1)
    delivery.put("raise", "neighbour", key="one")
    event, = wait_for(lambda: log_events(aws, logged))  # one of the batch, none of what the function itself failed
    assert event == {
        "deliveryStreamARN": delivery.describe()["DeliveryStreamARN"], "destination": f"arn:aws:s3:::{delivery.name}",
        "deliveryStreamVersionId": 1, "errorCode": "Lambda.FunctionError", "processor": delivery.function_arn,
        "message": "The Lambda function was successfully invoked but it returned an error result."}
    delivery.wait_errors(3)
    delivery.put("missing", "missing", key="one")
    wait_for(lambda: [event["errorCode"] for event in log_events(aws, logged)[1:]] == ["Lambda.MissingRecordId"])
    delivery.wait_errors(5)
    allow(aws, name, FIREHOSE_SOURCE + FIREHOSE_LAMBDA + ["logs:PutLogEvents"])
    delivery.put("refused")
    event = wait_for(lambda: log_events(aws, logged)[2:])[0]
    assert event["errorCode"] == "S3.AccessDenied" and event["message"].startswith("Access was denied.") and "processor" not in event
    allow(aws, name, ALL)
    wait_for(lambda: b"REFUSED\n" in delivery.body())
    client(aws, "logs").delete_log_group(logGroupName=logged["LogGroupName"])


def test_a_log_that_cannot_be_written_is_named_and_holds_up_no_delivery(aws, line, own_role):
    """[C] FH controlling-access: logs:PutLogEvents; the group and the stream must be there. [U] how AWS tells."""
    name, arn = own_role
    logged = {"Enabled": True, "LogGroupName": "/aws/kinesisfirehose/none", "LogStreamName": "S3Delivery"}
    delivery = line(role_arn=arn).deliver(transform=True, CloudWatchLoggingOptions=logged, **PLACES)
    delivery.put("missing", "good", key="one")
    delivery.wait_text("GOOD\n")
    delivery.wait_trouble("logs:PutLogEvents", "log group does not exist")
    logged = log_place(aws)
    allow(aws, name, FIREHOSE_SOURCE + FIREHOSE_S3 + FIREHOSE_LAMBDA)
    delivery.update(CloudWatchLoggingOptions=logged)
    delivery.put("missing")
    delivery.wait_trouble("logs:PutLogEvents", "AccessDenied")
    assert not log_events(aws, logged)
    allow(aws, name, ALL)
    delivery.put("missing")
    wait_for(lambda: log_events(aws, logged))
    delivery.wait_no_trouble()
    client(aws, "logs").delete_log_group(logGroupName=logged["LogGroupName"])


def test_without_logging_options_nothing_is_logged(aws, line):
    """[C] BC:firehose, CloudWatchLoggingOptions.Enabled."""
    logged = log_place(aws) | {"Enabled": False}
    delivery = line().deliver(transform=True, CloudWatchLoggingOptions=logged, **PLACES)
    delivery.put("missing")
    delivery.wait_errors(1)
    assert not log_events(aws, logged)
    client(aws, "logs").delete_log_group(logGroupName=logged["LogGroupName"])
