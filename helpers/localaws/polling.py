"""What the joints that poll a stream share: a worker thread, pages as they are on the wire, failures as sentences."""

import json
import logging
import threading
import time
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from .clock import Clock

_log = logging.getLogger("localaws")

LONGEST_BACKOFF = 60.0   # AWS seconds between two attempts at something that keeps failing
SHORTEST_BACKOFF = 0.25  # real seconds: what fails must not keep the local AWS busy, whatever the clock's scale
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
HOP_ERRORS = (ClientError, BotoCoreError)  # what a call to AWS can end with


class Worker(threading.Thread):
    """A daemon thread that calls `step` until it is halted; `step` answers how many real seconds to wait before the next.

    No exception ends it: what `step` lets through is given to `failed` and followed by a back-off that doubles.
    """

    def __init__(self, name: str, clock: Clock):
        super().__init__(name=name, daemon=True)
        self.clock = clock
        self.halted = threading.Event()
        self._failures = 0

    def step(self) -> float:
        raise NotImplementedError

    def failed(self, error: BaseException) -> None:
        """Say why this round failed."""
        raise NotImplementedError

    def run(self) -> None:
        while not self.halted.is_set():
            try:
                pause = self.step()
                self._failures = 0
            except BaseException as error:  # noqa: BLE001 - whatever it is, a worker goes on and says why it did not
                self._failures += 1
                pause = backoff(self.clock, self._failures)
                if not isinstance(error, HOP_ERRORS):
                    _log.exception("%s failed", self.name)
                try:
                    self.failed(error)
                except BaseException:  # noqa: BLE001 - not even that may end it
                    _log.exception("%s could not say why it failed", self.name)
            self.halted.wait(pause)

    def ask_to_halt(self) -> None:
        """Stop after the call that is under way."""
        self.halted.set()

    def halt(self, timeout: float = 5.0) -> None:
        """Stop, and wait `timeout` real seconds at most for the call that is under way."""
        self.ask_to_halt()
        if self.is_alive() and self is not threading.current_thread():
            self.join(timeout)


def halt_all(workers: list, timeout: float = 5.0) -> None:
    """Halt `workers` (whatever has `ask_to_halt` and `halt`) together, in `timeout` real seconds at most."""
    end = now() + timeout
    for worker in workers:
        worker.ask_to_halt()
    for worker in workers:
        worker.halt(max(0.0, end - now()))


def backoff(clock: Clock, failures: int) -> float:
    """Real seconds to wait after the `failures`-th failure in a row: 1, 2, 4 … 60 AWS seconds."""
    return max(SHORTEST_BACKOFF, clock.real(min(LONGEST_BACKOFF, 2.0 ** min(failures - 1, 6))))


def error_code(error: Exception) -> str:
    """The AWS error code of `error`; the exception's name if it is not AWS's answer.

    The answer to a HEAD has no body, so botocore takes its status for the code: 403 is a refusal.
    """
    if not isinstance(error, ClientError):
        return type(error).__name__
    code = error.response["Error"]["Code"]
    return "AccessDenied" if code == "403" else code


def sentence(error: Exception, action: str = "") -> str:
    """One sentence that says what failed. A refusal always names the `action` ("s3:PutObject"), even where AWS does not."""
    if not isinstance(error, ClientError):
        return f"{action + ': ' if action else ''}{type(error).__name__}: {error}"
    code, message = error_code(error), error.response["Error"].get("Message", "")
    if error.operation_name == "AssumeRole":
        action = "sts:AssumeRole"
    named = f" ({action})" if action and action not in message else ""
    return f"{code}{named}: {message}"


def wire_records(client):
    """`client`, whose GetRecords from now on answers `Records` as they are on the wire.

    What a poller passes on is what came: numbers as epoch seconds, binary as base64, members in their order. It also
    saves parsing every record into Python types and back again, which is most of a poller's work.
    """
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-parse.{service}.GetRecords", _keep_records, unique_id="wire-records")
    return client


def _keep_records(response_dict: dict, customized_response_dict: dict, **_) -> None:
    if response_dict["status_code"] < 300:
        page = json.loads(response_dict["body"])
        customized_response_dict["Records"] = page.pop("Records")
        response_dict["body"] = json.dumps(page).encode()


def in_background(task: Callable[[], None], name: str) -> None:
    """Run `task` in a thread of its own: a state such as CREATING is answered first and passes afterwards."""

    def run() -> None:
        try:
            task()
        except Exception:  # noqa: BLE001 - nobody waits for this thread: the log is told
            _log.exception("%s failed", name)

    threading.Thread(target=run, name=name, daemon=True).start()


def now() -> float:
    """Monotonic seconds, for waits."""
    return time.monotonic()
