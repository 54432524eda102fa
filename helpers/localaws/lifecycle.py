"""Starting, finding, stopping and emptying a local AWS. Every way it can be in the way ends in a sentence, never in a hang."""

import contextlib
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import platformdirs
import psutil

from . import settings
from .clock import DEFAULT_SCALE

START_SECONDS = 20.0  # it answers within 2 s on a laptop; a loaded machine may take longer
STOP_SECONDS = 60.0   # what it holds is lost if it is ended before it has saved it


class LocalAwsError(RuntimeError):
    """The local AWS cannot be started, reached or stopped; the message says why and what to do."""


@dataclass(frozen=True)
class Status:
    """A local AWS that answers: where it is and how it was started."""

    pid: int
    port: int
    clock_scale: float
    account: str
    region: str
    started: float
    directory: str
    joint_restarts: int
    shard_limits: float

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which any AWS client reaches it. The account id is the key of the account's root."""
        direct = [host for host in urllib.request.getproxies_environment().get("no", "").split(",") if host]
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": self.account, "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": self.region, "AWS_REGION": self.region,
                "no_proxy": ",".join(dict.fromkeys([*direct, "127.0.0.1"]))}  # never through a company's proxy

    def memory(self) -> int:
        """Resident bytes of its processes, the Lambda functions' among them."""
        process, total = psutil.Process(self.pid), 0
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # a function's process may end just now
                total += each.memory_info().rss
        return total


class LocalAws:
    """One local AWS, known by its port; its state and log lie in `directory`.

    Unless given, the port is LOCALAWS_PORT or 4566, the directory LOCALAWS_DIR or one in the user's state folder, and the
    clock's scale LOCALAWS_CLOCK_SCALE or 20 (60 s of waiting pass in 3 s; 1 is AWS's own pace). Several on one machine take
    names: LOCALAWS_NAME chooses a port, always the same for a name, and a directory of that name. Two names that have one
    port by chance do not share it: the second is refused, and LOCALAWS_PORT is its way out. `shard_limits`, unless given
    LOCALAWS_SHARD_LIMITS or 0, is how much of AWS's limit a shard of a Kinesis stream takes before it throttles: 1 is AWS's, a
    share such as 0.1 for machines that cannot write that fast, and 0 is none.
    """

    def __init__(self, port: int | None = None, directory: Path | None = None, clock_scale: float | None = None,
                 shard_limits: float | None = None):
        name = _name()
        self.port = _number("LOCALAWS_PORT", _port_of(name), int) if port is None else port
        self.clock_scale = _number("LOCALAWS_CLOCK_SCALE", DEFAULT_SCALE, float) if clock_scale is None else clock_scale
        self.shard_limits = _number("LOCALAWS_SHARD_LIMITS", 0, float) if shard_limits is None else shard_limits
        if not 1 <= self.port <= 65535:
            raise LocalAwsError(f"Port {self.port} does not exist: choose one between 1024 and 65535.")
        if not 0 < self.clock_scale < math.inf:
            raise LocalAwsError(f"The clock's scale must be a number above 0, not {self.clock_scale}: 1 gives AWS's own waits.")
        if self.shard_limits != 0 and not 0.001 <= self.shard_limits < math.inf:
            raise LocalAwsError("The limits of shards are a share of AWS's, such as 1 or 0.1, at least 0.001, or 0 for none, "
                                f"not {self.shard_limits}.")
        home = os.environ.get("LOCALAWS_DIR") or platformdirs.user_state_path("localaws") / (name or str(self.port))
        self.directory = Path(directory or home).resolve()

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, clock_scale: float | None = None, shard_limits: float | None = None) -> Iterator["LocalAws"]:
        """One of your own on a free port, in a folder that is removed with it. It is not started yet."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with tempfile.TemporaryDirectory(prefix="localaws-", ignore_cleanup_errors=True) as folder:
            local = cls(port, Path(folder), clock_scale, shard_limits)
            try:
                yield local
            finally:
                local.stop()

    @property
    def log_file(self) -> Path:
        return self.directory / settings.LOG_FILE

    def status(self) -> Status | None:
        """What runs on the port: a Status, or None if nothing does. LocalAwsError if it is something else."""
        url = f"http://127.0.0.1:{self.port}{settings.STATUS_PATH}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=5) as response:
                found = json.loads(response.read(10_000))
            if found.pop("product") != settings.PRODUCT:
                raise ValueError("another product")
            return Status(**found)
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionRefusedError):
                return None
            raise self._foreign(error) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._foreign(error) from None

    def start(self) -> Status:
        """Make sure it runs, and say where. Starting twice, or from two kernels at once, gives the same one."""
        running = self._starting() or self.status()
        if running:
            self._check_directory(running)
            return running
        with self._open_log() as log:
            child = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.gateway", "--port", str(self.port), "--directory", str(self.directory),
                 "--clock-scale", str(self.clock_scale), "--shard-limits", str(self.shard_limits)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                # Its own session: a kernel that is interrupted or ends does not take it along.
                start_new_session=True)
        found = self._wait(START_SECONDS, lambda: child.poll() is None)
        if found:
            self._check_directory(found)  # somebody else may have been faster to take the port
            return found
        child.kill()
        child.wait()
        raise LocalAwsError(f"The local AWS did not start on port {self.port}. Its log, {self.log_file}, ends with:\n{self.tail(8)}")

    def stop(self) -> bool:
        """Stop it, state kept for the next start. False if none was running."""
        running = self._starting() or self.status()
        if running is None:
            return False
        self._check_directory(running)
        try:
            process = psutil.Process(running.pid)
            process.terminate()
            process.wait(STOP_SECONDS)
        except psutil.NoSuchProcess:
            pass  # somebody else was faster
        except psutil.AccessDenied:
            raise LocalAwsError(f"The local AWS on port {self.port} (process {running.pid}) belongs to another user: choose a port "
                                "of your own by setting LOCALAWS_PORT.") from None
        except psutil.TimeoutExpired:
            process.kill()
            raise LocalAwsError(f"The local AWS (process {running.pid}) did not stop within {STOP_SECONDS:.0f} s and was ended; "
                                "its next start is an empty one.") from None
        return True

    def reset(self) -> None:
        """Empty it: everything that was made in it is gone. It runs again if it ran before."""
        running = self._starting() or self.status()
        if running:
            self._check_directory(running)
            self.stop()
        for name in ("state", "s3", "joints"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        if running:
            LocalAws(self.port, self.directory, running.clock_scale, running.shard_limits).start()

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        if not self.log_file.exists():
            return "(no log yet)"
        return "\n".join(self.log_file.read_text("utf-8", "replace").splitlines()[-lines:])

    def _open_log(self) -> BinaryIO:
        """The log, to write to; its directory is made for the user alone, because others may work on the same machine."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self.log_file.open("ab")
        except OSError as error:
            raise LocalAwsError(f"The local AWS cannot keep its state in {self.directory} ({error.strerror}): choose a folder of your "
                                "own by setting LOCALAWS_DIR.") from None

    def _starting(self) -> Status | None:
        """The one that holds the directory, which may have been started a moment ago: wait for it. A stale pid file means nothing."""
        try:
            info = json.loads((self.directory / settings.PID_FILE).read_text("utf-8"))
            process, port = psutil.Process(info["pid"]), info["port"]
            ours = str(self.directory) in process.cmdline()
        except (OSError, ValueError, KeyError, psutil.Error):
            return None
        if not ours:
            return None
        if port != self.port:
            raise LocalAwsError(f"The local AWS on port {port} (process {process.pid}) holds {self.directory}: give this one, on port "
                                f"{self.port}, a folder of its own by setting LOCALAWS_DIR.")
        found = self._wait(START_SECONDS, process.is_running)
        if found is None and process.is_running():
            raise LocalAwsError(
                f"A local AWS (process {process.pid}) holds {self.directory} but has not answered on port {self.port} for "
                f"{START_SECONDS:.0f} s. End that process, then start again. Its log: {self.log_file}")
        return found

    def _wait(self, seconds: float, alive) -> Status | None:
        """Its status as soon as it answers; None when `seconds` are over or it has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            was_alive = alive()
            try:
                found = self.status()
            except LocalAwsError:
                if not was_alive:
                    raise
                found = None  # it holds its port from the first moment, and answers later
            if found or not was_alive:
                return found
            time.sleep(0.05)
        return None

    def _check_directory(self, running: Status) -> None:
        if Path(running.directory) != self.directory:
            raise LocalAwsError(
                f"The local AWS on port {self.port} keeps its state in {running.directory}, not in {self.directory}. Choose a "
                "port of your own by setting LOCALAWS_PORT, or, if it is yours too, stop it with LOCALAWS_DIR set to its folder.")

    def _foreign(self, error: Exception) -> LocalAwsError:
        return LocalAwsError(
            f"Port {self.port} is in use by something that is not the local AWS ({type(error).__name__}: {error}). Stop that "
            f"program, or choose another port for the local AWS by setting LOCALAWS_PORT, for example LOCALAWS_PORT={self.port + 1}.")


def start() -> Status:
    """Make sure that the local AWS of this user runs (see LocalAws for port, folder and clock), and say where."""
    return LocalAws().start()


def _name() -> str:
    name = os.environ.get("LOCALAWS_NAME", "")
    if name and not re.fullmatch("[a-z][a-z0-9-]*", name):  # a folder; one that is a number belongs to the port
        raise LocalAwsError(f"LOCALAWS_NAME is {name!r}: use lower-case letters, digits and hyphens, and start with a letter.")
    return name


def _port_of(name: str) -> int:
    return settings.NAMED_PORTS[zlib.crc32(name.encode()) % len(settings.NAMED_PORTS)] if name else settings.PORT


def _number(variable: str, default, kind):
    value = os.environ.get(variable, default)
    try:
        return kind(value)
    except ValueError:
        raise LocalAwsError(f"{variable} is {value!r}, which is not a number; leave it out for {default}.") from None
