"""Starting, finding and stopping the local AWS: whatever is in the way ends in a sentence with a way out, never in a hang."""

import dataclasses
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError

from helpers.localaws import LocalAws, LocalAwsError, Status, gateway
from tests.conftest import joints_of


@pytest.fixture
def local():
    with LocalAws.temporary(clock_scale=20) as local:
        yield local


def client(status, service):
    return boto3.client(service, endpoint_url=status.endpoint, region_name="us-east-1", aws_access_key_id=status.account,
                        aws_secret_access_key="test")


def test_starting_twice_gives_the_same_one_and_it_listens_on_loopback_only(local):
    first, second = local.start(), local.start()
    assert first == second
    processes = [psutil.Process(first.pid), *psutil.Process(first.pid).children(recursive=True)]
    listening = [c.laddr.ip for p in processes for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening and set(listening) == {"127.0.0.1"}


def test_two_starters_at_once_end_with_one_local_aws(local):
    results = []
    starters = [threading.Thread(target=lambda: results.append(LocalAws(local.port, local.directory, 20).start())) for _ in range(3)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(30)
    assert len(results) == 3 and len({status.pid for status in results}) == 1


def test_it_outlives_the_process_that_started_it(local):
    code = f"from helpers.localaws import LocalAws; from pathlib import Path; LocalAws({local.port}, Path({str(local.directory)!r})).start()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    status = local.status()
    assert client(status, "sts").get_caller_identity()["Account"] == "000000000000"
    if os.name == "posix":
        assert os.getsid(status.pid) == status.pid, "a Ctrl-C in that process's terminal does not reach it"


def test_what_was_made_is_there_after_stop_and_start_and_gone_after_reset(local):
    status = local.start()
    client(status, "s3").create_bucket(Bucket="lifecycle-bucket")
    client(status, "s3").put_object(Bucket="lifecycle-bucket", Key="a", Body=b"kept")
    client(status, "kinesis").create_stream(StreamName="lifecycle-stream", ShardCount=2)
    client(status, "athena").create_work_group(Name="lifecycle")
    assert local.stop() is True and local.status() is None and local.stop() is False
    status = local.start()
    assert client(status, "s3").get_object(Bucket="lifecycle-bucket", Key="a")["Body"].read() == b"kept"
    assert client(status, "kinesis").list_streams()["StreamNames"] == ["lifecycle-stream"]
    assert client(status, "athena").get_work_group(WorkGroup="lifecycle")["WorkGroup"]["Name"] == "lifecycle"
    local.reset()
    status = local.status()
    assert client(status, "s3").list_buckets()["Buckets"] == []
    assert "lifecycle" not in [g["Name"] for g in client(status, "athena").list_work_groups()["WorkGroups"]]


def test_changes_that_nobody_has_read_yet_are_in_the_tables_stream_after_stop_and_start(local):
    """A stream keeps its records for 24 hours [C, AWS_FACTS.md part 1]: a pipe that starts later must find them."""
    status = local.start()
    dynamodb = client(status, "dynamodb")
    stream = dynamodb.create_table(
        TableName="lifecycle-table", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})["TableDescription"]["LatestStreamArn"]

    def records(status):
        streams = client(status, "dynamodbstreams")
        shard = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
        start = streams.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        return streams.get_records(ShardIterator=start["ShardIterator"])["Records"]

    dynamodb.put_item(TableName="lifecycle-table", Item={"k": {"S": "before"}, "b": {"B": b"bytes"}})
    before = records(status)
    local.stop()
    status = local.start()
    assert records(status) == before and len(before) == 1
    client(status, "dynamodb").put_item(TableName="lifecycle-table", Item={"k": {"S": "after"}})
    assert [r["dynamodb"]["Keys"]["k"]["S"] for r in records(status)] == ["before", "after"]
    client(status, "dynamodb").update_table(TableName="lifecycle-table", StreamSpecification={"StreamEnabled": False})
    local.stop()
    assert len(records(local.start())) == 2, "one that was switched off keeps them too"


def test_a_foreign_server_on_the_port_is_named_with_the_way_out(local):
    like_ours = Status(1, local.port, 20, "000000000000", "us-east-1", 0.0, "", 0, 0)
    bodies = iter([b"hello", b"[]", json.dumps({"product": "another", **dataclasses.asdict(like_ours)}).encode()])

    class Foreign(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(next(bodies))

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", local.port), Foreign)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for call in (local.start, local.status, local.stop):
            with pytest.raises(LocalAwsError, match=f"Port {local.port} is in use by something.*LOCALAWS_PORT"):
                call()
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_never_answers_is_not_waited_for_for_ever(local):
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", local.port))
        silent.listen()
        started = time.monotonic()
        with pytest.raises(LocalAwsError, match="LOCALAWS_PORT"):
            local.start()
        assert time.monotonic() - started < 30


def test_a_second_server_cannot_take_the_port_before_the_first_one_answers(local):
    """Else it would take the first one's pid file for that of a killed one, and empty the folder."""
    with gateway.bind(local.port):
        with pytest.raises(OSError):
            gateway.bind(local.port)


def test_a_server_that_is_slow_to_answer_is_waited_for(local, monkeypatch):
    status, answers = local.start(), iter([LocalAwsError("it does not answer yet"), None, "the status"])

    def answer(_):
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(LocalAws, "status", answer)
    assert local._wait(5, lambda: True) == "the status"
    monkeypatch.undo()
    assert local.status() == status


def test_another_folder_or_another_port_for_one_folder_is_refused(local, tmp_path):
    local.start()
    for call in (LocalAws(local.port, tmp_path).start, LocalAws(local.port, tmp_path).reset):
        with pytest.raises(LocalAwsError, match=rf"port {local.port} keeps its state in .*localaws-.*, not in .*LOCALAWS_PORT"):
            call()
    neighbour = LocalAws(local.port + 1 if local.port < 65535 else 1024, local.directory)
    for call in (neighbour.start, neighbour.stop, neighbour.reset):
        with pytest.raises(LocalAwsError, match=rf"on port {local.port} .* holds .*LOCALAWS_DIR"):
            call()
    assert local.status(), "nothing happened to it"


def test_what_ends_by_itself_while_it_is_looked_at_is_no_error(local, monkeypatch):
    """A function's process counted for memory, the local AWS itself while it is being stopped."""
    ended = psutil.Popen([sys.executable, "-c", ""])
    here = Status(os.getpid(), local.port, 20, "000000000000", "us-east-1", 0.0, str(local.directory), 0, 0)
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: [ended])
    ended.wait()
    assert here.memory() > 0
    monkeypatch.setattr(LocalAws, "status", lambda _: dataclasses.replace(here, pid=ended.pid))
    assert local.stop() is True
    monkeypatch.undo()


def test_a_proxy_and_keys_of_a_real_account_in_the_environment_change_nothing(local, monkeypatch):
    for name, value in (("HTTP_PROXY", "http://127.0.0.1:9"), ("AWS_ACCESS_KEY_ID", "AKIAREAL"), ("AWS_SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(name, value)
    status = local.start()
    assert status.environment["no_proxy"].split(",")[-1] == "127.0.0.1"
    monkeypatch.delenv("HTTP_PROXY")
    assert client(status, "sts").get_caller_identity()["Account"] == "000000000000"
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        boto3.client("sts", endpoint_url=status.endpoint, region_name="us-east-1").get_caller_identity()


def test_reset_keeps_its_clock_and_its_shard_limits(local):
    local.shard_limits = 0.5
    local.start()
    LocalAws(local.port, local.directory, clock_scale=1).reset()
    assert (local.status().clock_scale, local.status().shard_limits) == (20, 0.5)


def test_a_stale_pid_file_does_not_stop_a_start(local):
    local.directory.mkdir(exist_ok=True)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid in (ended.pid, os.getpid()):  # of nobody, or by now of another program
        (local.directory / "pid.json").write_text(json.dumps({"pid": pid, "port": local.port}))
        assert local._starting() is None
    assert local.start().port == local.port


@pytest.mark.skipif(os.name != "posix", reason="ends a process by a POSIX signal")
def test_killed_without_a_stop_it_starts_empty_and_says_so(local):
    status = local.start()
    client(status, "s3").create_bucket(Bucket="lifecycle-lost")
    children = psutil.Process(status.pid).children()
    os.kill(status.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=15)
    assert not alive, "the joints end with their gateway"
    again = local.start()
    assert client(again, "s3").list_buckets()["Buckets"] == []
    assert "was ended without being stopped" in local.tail()


@pytest.mark.skipif(os.name != "posix", reason="stops a process by a POSIX signal")
def test_a_half_started_server_ends_in_a_message(local, monkeypatch):
    monkeypatch.setattr("helpers.localaws.lifecycle.START_SECONDS", 2.0)
    status = local.start()
    os.kill(status.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LocalAwsError, match="LOCALAWS_PORT|has not answered"):
            local.start()
    finally:
        os.kill(status.pid, signal.SIGCONT)


@pytest.mark.skipif(os.name != "posix", reason="ends a process by a POSIX signal")
def test_joints_that_are_killed_are_started_again_and_the_status_says_so(local):
    status = local.start()
    athena = client(status, "athena")
    athena.list_work_groups()
    joints = joints_of(local)
    joints.kill()
    joints.wait(10)
    assert athena.list_work_groups()["WorkGroups"]
    assert local.status().joint_restarts == 1
    assert "starting them again" in local.tail()


def test_a_port_that_does_not_exist_and_a_clock_that_stands_are_refused(monkeypatch):
    with pytest.raises(LocalAwsError, match="Port 70000"):
        LocalAws(70000)
    for scale in (0, -1, float("inf"), float("nan")):
        with pytest.raises(LocalAwsError, match="above 0"):
            LocalAws(4566, clock_scale=scale)
    monkeypatch.setenv("LOCALAWS_PORT", "next door")
    with pytest.raises(LocalAwsError, match="LOCALAWS_PORT is 'next door'"):
        LocalAws()


def test_shards_are_limited_if_the_environment_or_the_caller_says_so(monkeypatch):
    assert LocalAws(4566).shard_limits == 0 and LocalAws(4566, shard_limits=1).shard_limits == 1
    monkeypatch.setenv("LOCALAWS_SHARD_LIMITS", "0.25")
    assert LocalAws(4566).shard_limits == 0.25
    for share in (-1, 0.0001, float("inf"), float("nan")):
        with pytest.raises(LocalAwsError, match="a share of AWS's"):
            LocalAws(4566, shard_limits=share)
    monkeypatch.setenv("LOCALAWS_SHARD_LIMITS", "yes")
    with pytest.raises(LocalAwsError, match="LOCALAWS_SHARD_LIMITS is 'yes', which is not a number"):
        LocalAws()


def test_the_env_command_prints_exports_that_lead_a_client_there(local):
    environment = {**os.environ, "LOCALAWS_PORT": str(local.port), "LOCALAWS_DIR": str(local.directory)}
    script = f'eval "$({sys.executable} -m helpers.localaws env)" && {sys.executable} -c "import boto3; ' \
             'print(boto3.client(\'sts\').get_caller_identity()[\'Arn\'])"'
    if os.name == "posix":
        printed = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60)
        assert printed.stdout.strip() == "arn:aws:iam::000000000000:root", printed.stderr


def test_every_command_answers(local):
    environment = {**os.environ, "LOCALAWS_PORT": str(local.port), "LOCALAWS_DIR": str(local.directory)}

    def command(*words):
        done = subprocess.run([sys.executable, "-m", "helpers.localaws", *words], env=environment, capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert command("status") == (1, f"not running on port {local.port}; `start` starts it\n")
    assert command("start")[0] == 0
    assert command("--clock-scale", "1", "start") == (1, "it runs already, with the clock at 20 : 1; `stop` it first\n")
    assert f"running at http://127.0.0.1:{local.port}" in command("status")[1]
    assert command("logs")[0] == 0
    assert command("reset") == (0, "empty\n")
    assert command("stop") == (0, "stopped\n")


def test_iam_is_always_enforced(local):
    status = local.start()
    iam = client(status, "iam")
    iam.create_user(UserName="nobody")
    keys = iam.create_access_key(UserName="nobody")["AccessKey"]
    for service, call in (("s3", "list_buckets"), ("pipes", "list_pipes"), ("firehose", "list_delivery_streams"),
                          ("athena", "list_work_groups"), ("glue", "get_crawlers")):
        nobody = boto3.client(service, endpoint_url=status.endpoint, region_name="us-east-1", aws_access_key_id=keys["AccessKeyId"],
                              aws_secret_access_key=keys["SecretAccessKey"])
        with pytest.raises(ClientError) as refused:
            getattr(nobody, call)()
        assert refused.value.response["Error"]["Code"].startswith("AccessDenied"), service


def test_a_joint_cannot_be_asked_past_the_gateway(local):
    """Whoever finds the joints' own port has not passed IAM, and gets nothing."""
    import urllib.error
    import urllib.request

    status = local.start()
    joints = joints_of(local)
    client(status, "athena").list_work_groups()
    port = next(c.laddr.port for c in joints.net_connections("inet") if c.status == psutil.CONN_LISTEN)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/athena/", timeout=5)
    assert refused.value.code == 403
