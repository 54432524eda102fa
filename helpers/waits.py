"""Waiting, always bounded and always visible."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential
from tqdm import tqdm

T = TypeVar("T")


class WaitTimeout(TimeoutError):
    """What was waited for did not come; the message says what, how long, and what was seen last."""


def wait_until(what: str, probe: Callable[[], T], *, timeout: float = 180, every: float = 0.25,
               show: Callable[[], object] | None = None) -> T:
    """Call `probe` every `every` seconds until it returns something true, and return that.

    probe    returns a plain truth value, text or list; for a frame, its length
    what     the state that is waited for, as the progress line says it: "the pipe is RUNNING"
    timeout  real seconds; then WaitTimeout, with what `show()` (or else `probe`) returned last
    """
    start = time.monotonic()
    with tqdm(desc=f"waiting until {what}", total=timeout, bar_format="{desc}: {elapsed} (at most {total:.0f} s)",
              mininterval=1, file=sys.stdout) as bar:  # notebooks paint stderr as if something were wrong
        while not (found := probe()):
            passed = time.monotonic() - start
            if passed > timeout:
                seen = show() if show else found
                raise WaitTimeout(f"Waited {timeout:.0f} s until {what}, in vain. Last seen: {seen!r}. "
                                  "`python -m helpers.localaws logs` helps to find out why.")
            bar.update(min(passed, timeout) - bar.n)
            time.sleep(every)
        return found


# What services answer while a role, policy or stream that was made a moment ago has not reached every corner of AWS
# (FAILURES.md, rows 1 and 2).
_NOT_YET = ("assume", "security token", "invalid principal", "not authorized", "cannot access", "must have permission")


def with_patience(call: Callable[[], T], *, timeout: float = 60) -> T:
    """Return what `call` returns, trying again for up to `timeout` seconds while its role has not reached all of AWS.

    Any other error, and the last one, is raised as it came.
    """
    def not_yet(error: BaseException) -> bool:
        return isinstance(error, ClientError) and any(word in str(error).lower() for word in _NOT_YET)

    retrying = Retrying(retry=retry_if_exception(not_yet), stop=stop_after_delay(timeout), reraise=True,
                        wait=wait_exponential(multiplier=0.5, max=8),
                        before_sleep=lambda state: print(f"not yet: {state.outcome.exception()}"))
    return retrying(call)
