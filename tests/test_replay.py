"""Replay: everything under the error prefix goes through again, once, whoever calls it, how often, and wherever it is killed."""

import base64
import json
import os
import subprocess
import sys
import threading
from collections import Counter

import pytest

from helpers import look, transform
from helpers.look import shard_of, shard_records
from helpers.replay import ReplayError, partition_key, replay, unreadable
from helpers.settings import Settings

SETTINGS = Settings(prefix="replay")
SHARDS = 2


def event(number: int) -> bytes:
    """A change event of order `number`, as the pipe puts it."""
    keys = {"orderid": {"S": f"o-{number:06}"}}
    return json.dumps({"eventID": f"{number:032x}", "eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {
        "ApproximateCreationDateTime": 1722360292, "Keys": keys, "NewImage": keys, "SequenceNumber": f"{10**20 + number}"}}).encode()


class Cloud:
    """A stream and a bucket of their own, and what a replay needs to reach them."""

    settings = SETTINGS

    def __init__(self, aws):
        self._clients = {name: aws.client(name) for name in ("kinesis", "s3")}
        self.client = self._clients.__getitem__

    def fail(self, name: str, *records: bytes) -> None:
        """An error object of these records, as Firehose writes one."""
        lines = [json.dumps({"rawData": base64.b64encode(data).decode(), "errorCode": "Lambda.FunctionError"}) for data in records]
        self.client("s3").put_object(Bucket=SETTINGS.bucket, Key=f"errors/processing-failed/{name}", Body="\n".join([*lines, ""]))

    def sent(self) -> Counter:
        """How often each record is on the stream."""
        return Counter(shard_records(self)["data"])


@pytest.fixture
def cloud(aws):
    cloud = Cloud(aws)
    kinesis, s3 = cloud.client("kinesis"), cloud.client("s3")
    kinesis.create_stream(StreamName=SETTINGS.stream, ShardCount=SHARDS)
    kinesis.get_waiter("stream_exists").wait(StreamName=SETTINGS.stream, WaiterConfig={"Delay": 0.1})
    s3.create_bucket(Bucket=SETTINGS.bucket)
    yield cloud
    for key in look.objects(cloud, "")["key"]:
        s3.delete_object(Bucket=SETTINGS.bucket, Key=key)
    s3.delete_bucket(Bucket=SETTINGS.bucket)
    kinesis.delete_stream(StreamName=SETTINGS.stream)
    kinesis.get_waiter("stream_not_exists").wait(StreamName=SETTINGS.stream, WaiterConfig={"Delay": 0.1})


def numbers(account):
    assert account.found == account.replayed + account.already_replayed + account.left + account.busy
    return account.found, account.replayed, account.already_replayed, account.left


def test_what_failed_is_sent_once_byte_for_byte_and_a_second_call_sends_nothing(cloud):
    events = [event(number) for number in range(6)]
    cloud.fail("one", *events[:4])
    cloud.fail("two", *events[4:])
    cloud.client("s3").put_object(Bucket=SETTINGS.bucket, Key="errors/", Body=b"")  # a console's "folder"
    assert numbers(replay(cloud)) == (6, 6, 0, 0)
    assert numbers(replay(cloud)) == (6, 0, 6, 0)
    assert cloud.sent() == Counter(events)
    cloud.fail("three", event(7))  # one more fails later: only that is sent
    assert numbers(replay(cloud)) == (7, 1, 6, 0)
    assert cloud.sent() == Counter([*events, event(7)])


def test_a_record_gets_the_partition_key_of_its_order_back(cloud):
    cloud.fail("one", *map(event, range(20)))
    replay(cloud)
    records = shard_records(cloud)
    assert sorted(records["partition_key"]) == [f"o-{number:06}" for number in range(20)]
    assert list(records["shard"]) == [shard_of(key, SHARDS) for key in records["partition_key"]]


@pytest.mark.parametrize("data", [b"\xff\x00", b"[]", b'{"dynamodb": null}', b'{"dynamodb": {"Keys": {"orderid": {"S": 7}}}}',
                                  json.dumps({"dynamodb": {"Keys": {"orderid": {"S": "x" * 300}}}}).encode(), b""])
def test_a_record_without_an_order_gets_a_key_that_is_allowed_and_always_the_same(data):
    assert 0 < len(partition_key(data)) <= 256 and partition_key(data) == partition_key(data)
    assert partition_key(data) != partition_key(data + b" ")


def test_poison_is_left_marked_with_its_reason_and_sent_when_it_is_asked_for(cloud):
    poison, not_ours = b'{"eventID": "9b3c", "eventName": "INSE', b'{"eventSource": "aws:s3"}'
    cloud.fail("one", event(1), poison, not_ours, event(2))
    for replayed, before in ((2, 0), (0, 2)):
        account = replay(cloud)
        assert numbers(account) == (4, replayed, before, 2)
        assert account.reasons == {"JSONDecodeError": 1, "eventSource is not aws:dynamodb": 1}
    note = json.loads(look.read_object(cloud, "replayed/errors/processing-failed/one"))
    assert note["sent"] == [0, 3] and note["left"] == {"1": "JSONDecodeError", "2": "eventSource is not aws:dynamodb"}
    assert cloud.sent() == Counter([event(1), event(2)])
    assert str(account) == ("4 found: 0 replayed, 2 replayed before, 2 left "
                            "(JSONDecodeError: 1, eventSource is not aws:dynamodb: 1)")
    assert numbers(replay(cloud, leave=lambda data: None)) == (4, 2, 2, 0)
    assert cloud.sent() == Counter([event(1), poison, not_ours, event(2)])


@pytest.mark.parametrize("data, reason", [
    (b"\xef\xbb\xbf" + event(1), "JSONDecodeError"), (event(1).decode().encode("utf-16"), "UnicodeDecodeError"),
    (b"[" * 200_000, "RecursionError"), (event(1), None)], ids=["BOM", "UTF-16", "nested", "good"])
def test_what_is_left_is_what_the_function_itself_cannot_read(data, reason):
    answer = transform.answer({"recordId": "1", "data": base64.b64encode(data).decode()})
    assert (unreadable(data), answer["result"]) == (reason, "ProcessingFailed" if reason else "Ok")


def test_an_object_that_firehose_did_not_write_is_left_and_stops_nobody(cloud):
    cloud.client("s3").put_object(Bucket=SETTINGS.bucket, Key="errors/notes.txt", Body=b"hello\n[]\n{}\n" + b"[" * 200_000)
    cloud.fail("one", event(1))
    account = replay(cloud, leave=lambda data: None)
    assert numbers(account) == (5, 1, 0, 4) and account.reasons == {"no rawData": 4}


def test_records_beyond_one_call_and_those_that_kinesis_refuses_are_put_again(cloud, monkeypatch):
    """A PutRecords call takes 500 records at most, and refuses some with HTTP 200 [C, AWS_FACTS.md part 3]."""
    events, calls = [event(number) for number in range(1201)], []
    kinesis = cloud.client("kinesis")
    put_records = kinesis.put_records

    def throttled(StreamName, Records):
        calls.append(len(Records))
        taken = Records[::2] if len(calls) % 2 else Records
        put_records(StreamName=StreamName, Records=taken)
        return {"Records": [{"SequenceNumber": "1"} if record in taken else {"ErrorCode": "ProvisionedThroughputExceededException"}
                            for record in Records]}

    monkeypatch.setattr(kinesis, "put_records", throttled)
    cloud.fail("one", *events)
    assert numbers(replay(cloud)) == (1201, 1201, 0, 0)
    assert max(calls) == 500 and len(calls) == 6
    assert cloud.sent() == Counter(events)


def test_what_kinesis_never_takes_is_an_error_that_says_so_and_the_rest_is_noted(cloud, monkeypatch):
    kinesis = cloud.client("kinesis")
    put_records = kinesis.put_records

    def half(StreamName, Records):
        refused = [record for record in Records if record["PartitionKey"] == "o-000001"]
        if len(refused) < len(Records):
            put_records(StreamName=StreamName, Records=[record for record in Records if record not in refused])
        return {"Records": [{"ErrorCode": "InternalFailure"} if record in refused else {} for record in Records]}

    with monkeypatch.context() as patch:
        patch.setattr(kinesis, "put_records", half)
        patch.setattr("helpers.replay.ATTEMPTS", 2)
        cloud.fail("one", *map(event, range(3)))
        with pytest.raises(ReplayError, match="refusing 1 records .InternalFailure."):
            replay(cloud)
    assert numbers(replay(cloud)) == (3, 1, 2, 0), "it was let go at once, and only the refused one is sent"
    assert cloud.sent() == Counter(map(event, range(3)))


def test_several_people_at_once_send_every_record_once(cloud, aws):
    events = [event(number) for number in range(60)]
    for place in range(6):
        cloud.fail(f"object-{place}", *events[place * 10:place * 10 + 10])
    people = [Cloud(aws) for _ in range(4)]
    together, accounts = threading.Barrier(len(people)), []

    def one(person):
        together.wait()
        accounts.append(replay(person))

    threads = [threading.Thread(target=one, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accounts) == len(people) and all(account.found == 60 for account in accounts)
    assert sum(account.replayed for account in accounts) == 60
    assert cloud.sent() == Counter(events)
    assert numbers(replay(cloud)) == (60, 0, 60, 0)


KILLED = """
import os, sys
from tests.test_replay import Cloud, SETTINGS
from helpers.replay import replay
import boto3
from types import SimpleNamespace
cloud = Cloud(SimpleNamespace(client=lambda name: boto3.client(name)))
kinesis, calls = cloud.client("kinesis"), []
put_records = kinesis.put_records
def put(**arguments):
    put_records(**arguments)
    calls.append(1)
    if len(calls) == 2:
        os._exit(9)  # the batch is on the stream, and nobody has noted it
    return {"Records": [{} for _ in arguments["Records"]]}
kinesis.put_records = put
replay(cloud)
"""


def test_killed_in_the_middle_nothing_is_lost_and_only_the_batch_on_its_way_is_sent_again(cloud, aws):
    """At least once, in the one moment between a batch and its note. The lake counts each event_id once."""
    events = [event(number) for number in range(1100)]  # three batches; it dies after sending the second
    cloud.fail("one", *events)
    environment = os.environ | {"AWS_ENDPOINT_URL": aws.endpoint, "AWS_DEFAULT_REGION": aws.region,
                                "AWS_ACCESS_KEY_ID": aws.account, "AWS_SECRET_ACCESS_KEY": "test"}
    assert subprocess.run([sys.executable, "-c", KILLED], env=environment, timeout=120).returncode == 9
    account = replay(cloud)
    assert (account.already_replayed, account.busy, account.replayed) == (500, 600, 0), "the dead one may still be at work"
    assert numbers(replay(cloud, lease=0)) == (1100, 600, 500, 0)
    sent = cloud.sent()
    assert set(sent) == set(events)
    assert {data for data, times in sent.items() if times > 1} == set(events[500:1000]) and max(sent.values()) == 2


def test_one_who_was_overtaken_while_asleep_stops(cloud, monkeypatch, aws):
    """A laptop that was closed in the middle wakes up: it must not go on sending what somebody else has sent since."""
    events = [event(number) for number in range(1100)]
    cloud.fail("one", *events)
    kinesis, accounts = cloud.client("kinesis"), []
    put_records = kinesis.put_records

    def asleep(**arguments):
        answer = put_records(**arguments)
        if not accounts:
            accounts.append(replay(Cloud(aws), lease=0))
        return answer

    monkeypatch.setattr(kinesis, "put_records", asleep)
    overtaken = replay(cloud)
    assert accounts[0].replayed == 1100
    assert overtaken.found == 1100 and overtaken.replayed == 500, "only the batch it was sending"
    assert set(cloud.sent()) == set(events) and sum(cloud.sent().values()) == 1600
    assert numbers(replay(cloud)) == (1100, 0, 1100, 0)


def test_an_interrupted_replay_is_let_go_at_once(cloud, monkeypatch):
    cloud.fail("one", event(1))
    with monkeypatch.context() as patch:
        patch.setattr(cloud.client("kinesis"), "put_records", lambda **arguments: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            replay(cloud)
    assert numbers(replay(cloud)) == (1, 1, 0, 0)


def test_a_write_whose_answer_was_lost_counts_as_ours(cloud, monkeypatch):
    """boto3 sends it again, and its own first write is then in the way of the condition."""
    s3 = cloud.client("s3")
    put_object = s3.put_object

    def answer_lost(**arguments):
        put_object(**arguments)
        return put_object(**arguments)

    cloud.fail("one", event(1), b"poison")
    monkeypatch.setattr(s3, "put_object", answer_lost)
    assert numbers(replay(cloud)) == (2, 1, 0, 1)
    assert cloud.sent() == Counter([event(1)])
