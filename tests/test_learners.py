"""Several people on one machine: one setting gives each a port, a folder and a prefix, and nobody touches what is another's."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import boto3
import pytest

from helpers import clean_up
from helpers.chapters import ROOT
from helpers.localaws import LocalAws, LocalAwsError
from helpers.session import Aws
from helpers.settings import Settings, kinesis_regions
from helpers.waits import wait_until
from tests.conftest import long

posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and signals")


def environment(learner: str, home, **more) -> dict[str, str]:
    """The environment in which `learner` works, with `home` as the folder for state."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("LOCALAWS")}
    return {**mine, "WORKBOOK_LEARNER": learner, "XDG_STATE_HOME": str(home), "LOCALAWS_CLOCK_SCALE": "60", **more}


def python(*words, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=800, **options)


def port_of(learner: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LOCALAWS_PORT", raising=False)
        patch.setenv("LOCALAWS_NAME", learner)
        return LocalAws().port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def learners(tmp_path):
    """Two learners nobody else is, their folders removed and their local AWSs stopped afterwards."""
    mine = (f"{name}-{os.getpid()}-{number}" for number in itertools.count() for name in ("ada", "bob"))
    pair = tuple(itertools.islice((name for name in mine if is_free(port_of(name))), 2))
    yield pair
    for learner in pair:
        python("-m", "helpers.localaws", "stop", env=environment(learner, tmp_path))
        for folder in ("runs", "my-workbook"):
            shutil.rmtree(ROOT / f"{folder}-{learner}", ignore_errors=True)


RUN = """
from helpers import chapters
from helpers.settings import Settings, of_learner

settings = Settings(prefix=of_learner(Settings.prefix), changes=40, rate=0)
print(chapters.agreement(chapters.run(chapters.CHAPTERS[:-1], settings, chapters.RUNS)))
"""


def connection(learner: str) -> Aws:
    """What a learner's pipeline is looked at with, on that learner's local AWS."""
    status = LocalAws(port_of(learner)).status()
    session = boto3.Session(status.account, "test", region_name=status.region)
    client = session.client
    session.client = lambda service, **options: client(service, endpoint_url=status.endpoint, **options)
    return Aws(Settings(prefix=f"orders-cdc-{learner}"), session, status.clock_scale)


def found(aws: Aws, learner: str) -> dict[str, int]:
    """How many resources of `learner` are there, by kind."""
    return clean_up.leftovers(Aws(Settings(prefix=f"orders-cdc-{learner}"), aws.session, aws.clock_scale))["found"].to_dict()


@long
@pytest.mark.timeout(1800)
def test_two_learners_at_the_same_time_do_not_touch_each_other(learners, tmp_path):
    """Both run all chapters but the last, side by side; then each lists, one stops and cleans, and the other has everything still."""
    running = [subprocess.Popen([sys.executable, "-c", RUN], env=environment(learner, tmp_path), cwd=tmp_path, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for learner in learners]
    for process in running:
        printed, _ = process.communicate(timeout=900)
        assert process.returncode == 0 and "lake and table agree" in printed, printed[-4000:]
    ada, bob = learners
    theirs = {}
    for learner, other in ((ada, bob), (bob, ada)):
        aws = connection(learner)
        theirs[learner] = found(aws, learner)
        assert theirs[learner]["tables"] == theirs[learner]["delivery streams"] == theirs[learner]["buckets"] == 1
        assert set(found(aws, other).values()) == {0}, "neither sees what is the other's"
        assert aws.client("dynamodb").list_tables()["TableNames"] == [f"orders-cdc-{learner}-table"]
        assert (ROOT / f"runs-{learner}" / "07_athena_analysis.ipynb").exists()
        assert (tmp_path / "localaws" / learner).is_dir()
    done = python("-m", "helpers", "clean", env=environment(ada, tmp_path))
    assert done.returncode == 0 and f"runs-{ada}/ is gone" in done.stdout, done.stdout + done.stderr
    assert not (ROOT / f"runs-{ada}").exists() and (ROOT / f"runs-{bob}").exists()
    assert LocalAws(port_of(ada)).status() is None
    assert found(connection(bob), bob) == theirs[bob]


def test_a_name_means_the_same_port_and_folder_every_time_and_two_settings_are_stronger(monkeypatch, tmp_path):
    for name in ("LOCALAWS_PORT", "LOCALAWS_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOCALAWS_NAME", "ada")
    ada = LocalAws()
    assert (ada.port, ada.directory.name) == (12152, "ada"), "also on another machine and with another Python"
    monkeypatch.setenv("LOCALAWS_NAME", "bob")
    assert LocalAws().port != ada.port and LocalAws().directory.name == "bob"
    monkeypatch.setenv("LOCALAWS_PORT", "4999")
    monkeypatch.setenv("LOCALAWS_DIR", str(tmp_path))
    assert (LocalAws().port, LocalAws().directory) == (4999, tmp_path)
    for wrong in ("Ada", "4566", "../ada", "a b"):
        monkeypatch.setenv("LOCALAWS_NAME", wrong)
        with pytest.raises(LocalAwsError, match=f"LOCALAWS_NAME is '{wrong}': use lower-case"):
            LocalAws()


def test_two_names_that_have_one_port_by_chance_do_not_share_it(tmp_path):
    seen = {}
    for number in itertools.count():
        first = seen.setdefault(port := port_of(f"twin-{number}"), number)
        if first != number and is_free(port):
            break
    ada, bob = (environment(f"twin-{each}", tmp_path) for each in (first, number))
    try:
        assert python("-m", "helpers.localaws", "start", env=ada).returncode == 0
        for command in ("start", "stop", "reset"):
            refused = python("-m", "helpers.localaws", command, env=bob)
            assert refused.returncode == 1 and "LOCALAWS_PORT" in refused.stderr and f"twin-{first}" in refused.stderr
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            way_out = {"LOCALAWS_PORT": str(probe.getsockname()[1])}
        assert python("-m", "helpers.localaws", "start", env=bob | way_out).returncode == 0
        assert python("-m", "helpers.localaws", "stop", env=bob | way_out).stdout == "stopped\n"
        assert python("-m", "helpers.localaws", "status", env=ada).returncode == 0, "the first one never stopped"
    finally:
        python("-m", "helpers.localaws", "stop", env=ada)


@posix_only
def test_another_users_local_aws_on_the_port_is_named_and_its_folder_is_the_users_alone(tmp_path):
    with LocalAws.temporary() as local:
        port = {"LOCALAWS_PORT": str(local.port), "WORKBOOK_LEARNER": ""}  # the default one, as it were
        mine, another = environment("", tmp_path / "me", **port), environment("", tmp_path / "you", **port)
        started = python("-m", "helpers.localaws", "start", env=mine)
        folder = tmp_path / "me" / "localaws" / str(local.port)
        try:
            assert started.returncode == 0 and str(folder) in started.stdout
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            for words in (("-m", "helpers.localaws", "start"), ("-m", "helpers", "clean")):
                refused = python(*words, env=another)
                assert refused.returncode == 1 and f"keeps its state in {folder}" in refused.stderr
                assert "Choose a port of your own by setting LOCALAWS_PORT" in refused.stderr
        finally:
            assert python("-m", "helpers.localaws", "stop", env=mine).stdout == "stopped\n"


def test_who_is_slower_to_take_a_port_is_told_and_not_given_the_others(monkeypatch, tmp_path):
    with LocalAws.temporary() as local:
        local.start()
        slower, answers = LocalAws(local.port, tmp_path), iter([None])
        status = LocalAws.status
        monkeypatch.setattr(LocalAws, "status", lambda self: next(answers, status(self)))
        with pytest.raises(LocalAwsError, match="keeps its state in"):
            slower.start()
        monkeypatch.undo()


def test_a_folder_that_cannot_be_made_ends_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with LocalAws.temporary() as local, pytest.raises(LocalAwsError, match="cannot keep its state in .* LOCALAWS_DIR"):
        LocalAws(local.port, tmp_path / "file" / "folder").start()


SHOW = """
import json
from types import SimpleNamespace
from helpers import __main__ as commands
settings = commands.settings_from(SimpleNamespace(parameters=["changes=5"]))
other = commands.settings_from(SimpleNamespace(parameters=["prefix=shop7"]))
print(json.dumps([settings.prefix, other.prefix, commands.RUNS.name, commands.LEARNERS_COPIES.name]))
"""


def test_a_clone_that_is_another_users_ends_in_a_sentence(monkeypatch, tmp_path):
    from helpers import __main__ as commands

    def denied(path):
        def lab(_options):
            raise PermissionError(13, "Permission denied", str(path))
        monkeypatch.setitem(commands.COMMANDS, "lab", (lab, ()))
        commands.main(["lab"])

    with pytest.raises(SystemExit, match="Permission denied: '.*my-workbook'. .*each user of a machine needs a clone of their own"):
        denied(commands.ROOT / "my-workbook")
    with pytest.raises(PermissionError):
        denied(tmp_path / "elsewhere")


@pytest.mark.parametrize("learner, names", [("ada", ["orders-cdc-ada", "shop7", "runs-ada", "my-workbook-ada"]),
                                            ("", ["orders-cdc", "shop7", "runs", "my-workbook"])])
def test_prefix_and_folders_are_the_learners_own(learner, names, tmp_path):
    assert json.loads(python("-c", SHOW, env=environment(learner, tmp_path)).stdout) == names


@pytest.mark.parametrize("learner", ["Ada", "../ada", "ada-", "4566", "a" * 21])
def test_a_learner_of_whom_no_name_can_be_made_is_refused(learner, tmp_path):
    done = python("-m", "helpers", "clean", env=environment(learner, tmp_path))
    assert done.returncode == 1 and done.stderr.startswith(f"SettingsError: WORKBOOK_LEARNER is {learner!r}: use at most 20")


def test_the_longest_learner_fits_into_every_name_in_every_region():
    for region in kinesis_regions():
        Settings(prefix=f"{Settings.prefix}-{'a' * 20}", region=region)


@posix_only
@long
@pytest.mark.timeout(600)
def test_two_jupyterlabs_at_once_have_a_port_copies_and_open_tabs_of_their_own(learners, tmp_path):
    """JupyterLab looks for a free port by itself, and remembers the open tabs in a folder that would be one for both."""
    servers, ports = [], set()
    try:
        for learner in learners:
            server = subprocess.Popen([sys.executable, "-m", "helpers", "lab", "--no-browser"], env=environment(learner, tmp_path),
                                      text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
            servers.append(server)
            stop = threading.Timer(400, os.killpg, (server.pid, signal.SIGTERM))
            stop.start()
            found = (re.search(r"http://127\.0\.0\.1:(\d+)/lab/tree/\S*00_start_here\.ipynb\?token=\w+", line) for line in server.stderr)
            address = next((match for match in found if match), None)
            stop.cancel()
            assert address, f"{learner}'s JupyterLab gave no address"
            ports.add(int(address[1]))
            page = wait_until(f"{learner}'s JupyterLab listens, as it says before it does", lambda: answer(address[0]))
            assert f"my-workbook-{learner}/.jupyterlab" in page, "the folder of the open tabs"
            assert (ROOT / f"my-workbook-{learner}" / "00_start_here.ipynb").exists()
        assert len(ports) == 2 and not any(map(is_free, ports)), "both are there at the same time"
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGTERM)
            server.communicate(timeout=120)


def answer(address: str) -> str | None:
    """The page, or None if nobody listens there yet."""
    try:
        with urllib.request.urlopen(address, timeout=120) as response:
            return response.read().decode()
    except urllib.error.URLError:
        return None
