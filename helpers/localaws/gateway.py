"""The first process: MiniStack on one loopback port, with the joints in the place of its pipes, Firehose, crawlers and Athena.

This module, iam.py and streams.py are the only ones that touch MiniStack's insides: its environment, its table of loaded services,
what its IAM does not know, and the records of its tables' streams.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlencode

from . import settings
from .catalogue import Catalogue
from .clock import Clock
from .function_logs import await_whole_logs
from .iam import Functions, GuardedCatalogue, ServiceTrust, name_resources, refusal_to_pass
from .streams import TablesWithStreams, expire_at_little_cost, limit_writes

_log = logging.getLogger("localaws")

CRAWLER_OPERATIONS = frozenset(
    f"{verb}{noun}" for noun, verbs in {
        "Crawler": ("Create", "Get", "Update", "Delete", "Start", "Stop"), "Crawlers": ("Get", "List", "BatchGet"),
        "CrawlerSchedule": ("Update", "Start", "Stop"), "CrawlerMetrics": ("Get",), "Crawls": ("List",),
        "Classifier": ("Create", "Get", "Update", "Delete"), "Classifiers": ("Get",)}.items() for verb in verbs)

SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds between the end of the joints and their next start: 0.5 at first


def ministack_environment(options: argparse.Namespace) -> dict[str, str]:
    """What MiniStack is told: loopback, IAM enforced, state kept in our folder, nothing of Docker or other servers."""
    return {
        "GATEWAY_PORT": str(options.port), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1",
        "AUTH": "true", "MINISTACK_ACCOUNT_ID": settings.ACCOUNT, "MINISTACK_REGION": settings.REGION,
        "PERSIST_STATE": "1", "STATE_DIR": str(options.directory / "state"),
        "S3_PERSIST": "1", "S3_DATA_DIR": str(options.directory / "s3"),
        "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0", "LOG_LEVEL": "WARNING",
        # It looks for Docker to tidy up containers of its own; there are none, and the user's are not ours to touch.
        "DOCKER_HOST": "unix:///nonexistent/localaws.sock",
    }


class Joints:
    """The child process with the joints: started, watched, started again when it dies, and asked over HTTP."""

    def __init__(self, options: argparse.Namespace):
        self._command = [sys.executable, "-m", f"{__package__}.joints",
                         "--endpoint", f"http://127.0.0.1:{options.port}", "--clock-scale", str(options.clock_scale),
                         "--directory", str(options.directory / "joints")]
        self._token = secrets.token_hex(16)
        self._ready, self._serving, self._stopping = threading.Event(), threading.Event(), threading.Event()
        self._child: subprocess.Popen | None = None
        self._port = 0
        self.restarts = -1
        self._watcher = threading.Thread(target=self._watch, name="joints", daemon=True)
        self._local = threading.local()

    def start(self) -> None:
        self._watcher.start()

    def serve(self) -> None:
        """The gateway answers now: let the workers resume."""
        self._serving.set()

    def stop(self) -> None:
        """End the child, giving its workers time to finish what they hold."""
        self._stopping.set()
        self._serving.set()
        if self._child:
            with contextlib.suppress(OSError):  # it has just died, and what it was told with it
                self._child.stdin.close()
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()

    def _watch(self) -> None:
        pause = SHORTEST_PAUSE
        while not self._stopping.is_set():
            self.restarts += 1
            started = time.monotonic()
            try:
                ended = f"joints ended with code {self._run()}"
            except (OSError, ValueError) as error:  # no process could be started, or it was none of ours that answered
                ended = f"joints could not be started: {error}"
            self._ready.clear()
            # Those that die at once must not keep the machine busy; those that worked for a while are missed.
            pause = SHORTEST_PAUSE if time.monotonic() - started > LONGEST_PAUSE else min(LONGEST_PAUSE, pause * 2)
            if not self._stopping.is_set():
                _log.error("%s; starting them again in %g s", ended, pause)
            self._stopping.wait(pause)

    def _run(self) -> int:
        """One life of the child: how it ended."""
        self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._tell(self._token)
        hello = self._child.stdout.readline()
        if hello:
            self._port = json.loads(hello)["port"]
            self._ready.set()
            self._serving.wait()
            self._tell("go")
        return self._child.wait()

    def _tell(self, line: str) -> None:
        try:
            self._child.stdin.write(line + "\n")
            self._child.stdin.flush()
        except (OSError, ValueError):
            pass  # it is gone already; the wait that follows says so

    def ask(self, service: str, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Forward one request and wait for its answer; a joint that is starting again is waited for, 20 s at most."""
        for attempt in (1, 2):
            if not self._ready.wait(20):
                break
            connection = getattr(self._local, "connection", None)
            if connection is None or self._local.port != self._port:
                connection = self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=330)
                self._local.port = self._port
            try:
                connection.request(method, f"/{service}{target}", body, {**headers, "x-localaws-token": self._token})
                response = connection.getresponse()
                return response.status, response.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                self._local.connection = None
                time.sleep(0.2)
        message = "The local AWS's joints do not answer; `localaws logs` says why."
        return 503, json.dumps({"__type": "ServiceUnavailableException", "message": message}).encode()


class Forwarded:
    """A service in MiniStack's table whose requests go to the joints, all or only `operations` of them."""

    def __init__(self, name: str, joints: Joints, original=None, operations: frozenset[str] | None = None):
        self.name, self._joints, self._original, self._operations = name, joints, original, operations

    def __getattr__(self, member):
        """Whatever else MiniStack wants of a service (its state, its reset) is that of the one replaced, if there is one."""
        if self._original is None:
            raise AttributeError(member)
        return getattr(self._original, member)

    async def handle_request(self, method, path, headers, body, query_params):
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if self._operations is not None and operation not in self._operations:
            return await self._original.handle_request(method, path, headers, body, query_params)
        from ministack.core.responses import get_account_id, get_region

        kind = "application/x-amz-json-1.1" if "x-amz-target" in headers else "application/json"
        if refusal := refusal_to_pass(self.name, headers, body, query_params):
            return (400 if "x-amz-target" in headers else 403,
                    {"content-type": kind, "x-amzn-errortype": "AccessDeniedException"},
                    json.dumps({"__type": "AccessDeniedException", "message": refusal}).encode())
        target = quote(path, safe="/:") + (f"?{urlencode(query_params, doseq=True)}" if query_params else "")
        passed = {key: headers[key] for key in ("x-amz-target", "content-type") if key in headers}
        passed |= {"x-localaws-account": get_account_id(), "x-localaws-region": get_region()}
        status, answer = await asyncio.to_thread(self._joints.ask, self.name, method, target, passed, body)
        reply = {"content-type": kind}
        if status >= 400:
            reply["x-amzn-errortype"] = json.loads(answer).get("__type", "")
        return status, reply, answer


class Replaced(Forwarded):
    """A service of which nothing is MiniStack's: it has no state there."""

    def get_state(self):
        return None

    def load_persisted_state(self, data) -> None:
        """Its state is the joint's own."""

    def reset(self) -> None:
        """Its state is the joint's own."""


def install(joints: Joints, clock: Clock, *, shard_limits: float) -> None:
    """Put the joints into MiniStack's table of services, and let its own do as AWS does."""
    import ministack.app as ministack
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime
    from ministack.services import dynamodb, dynamodb_streams, glue, kinesis, lambda_svc, sts

    for name in ("pipes", "firehose", "athena"):
        ministack._loaded_modules[name] = Replaced(name, joints)
    ministack._loaded_modules["glue"] = Forwarded("glue", joints, GuardedCatalogue(Catalogue(glue)), CRAWLER_OPERATIONS)
    ministack._loaded_modules["sts"] = trust = ServiceTrust(sts, iam_evaluator)
    ministack._loaded_modules["lambda_svc"] = Functions(lambda_svc, trust)
    ministack._loaded_modules["dynamodb"] = TablesWithStreams(dynamodb, clock)
    name_resources(iam_actions, dynamodb_streams, kinesis)
    expire_at_little_cost(kinesis)
    await_whole_logs(lambda_runtime.Worker)
    if shard_limits:
        limit_writes(kinesis, shard_limits)


def application(ministack_app, describe):
    """MiniStack's ASGI application, with one path of our own: who is there."""

    async def app(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == settings.STATUS_PATH:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
            await send({"type": "http.response.body", "body": json.dumps(describe()).encode()})
        else:
            await ministack_app(scope, receive, send)

    return app


async def serve(options: argparse.Namespace, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; then stop the joints first, so that what they still write is kept with the rest."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config

    joints = Joints(options)
    joints.start()  # its imports run beside MiniStack's
    import ministack.app as ministack

    install(joints, Clock(options.clock_scale), shard_limits=options.shard_limits)
    info = {"product": settings.PRODUCT, "pid": os.getpid(), "port": options.port, "clock_scale": options.clock_scale,
            "shard_limits": options.shard_limits, "account": settings.ACCOUNT, "region": settings.REGION, "started": time.time(),
            "directory": str(options.directory)}
    (options.directory / settings.PID_FILE).write_text(json.dumps(info), "utf-8")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows has no signal handlers in its event loop
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))

    async def until_stopped():
        joints.serve()
        await stop.wait()
        await asyncio.to_thread(joints.stop)

    config = Config()
    config.bind, config.loglevel, config.accesslog = [f"fd://{listener.fileno()}"], "WARNING", None
    config.keep_alive_timeout, config.graceful_timeout, config.backlog = 75, 0.5, 512
    listener.detach()
    app = application(ministack.app, lambda: {**info, "joint_restarts": joints.restarts})
    await hypercorn_serve(app, config, shutdown_trigger=until_stopped)
    (options.directory / settings.PID_FILE).unlink(missing_ok=True)


def bind(port: int) -> socket.socket:
    """The listening socket; OSError if the port is taken. Holding it is what makes this process the only one.

    It listens at once, because Linux lets two sockets bind with this option as long as neither does. Who asks early, waits.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere this option would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(512)
    return listener


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--clock-scale", type=float, required=True)
    parser.add_argument("--shard-limits", type=float, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    listener = bind(options.port)
    if (options.directory / settings.PID_FILE).exists():
        _log.warning("the last local AWS here was ended without being stopped: its state was not saved, so this one starts empty")
        for name in ("state", "s3", "joints", settings.PID_FILE):
            path = options.directory / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a real key in the environment must not become this server's root key
    os.environ.update(ministack_environment(options))
    asyncio.run(serve(options, listener))


if __name__ == "__main__":
    main()
