"""How long chapters take: measured by a run, and from that a bound for another run, before it starts.

A run writes the seconds of its chapters beside its settings, its clock and the speed of its machine at that time. The bound scales
them to the settings, the clock and the speed of now.
"""

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path

from .environment import ROOT
from .settings import Settings

COMMITTED = ROOT / "data" / "pace.json"  # of the run whose outputs the notebooks carry
ALLOWANCE = 2  # the bound over what is expected: machines have other work as well
FASTEST = 200  # changes a second that any machine makes at rate 0; a laptop makes a thousand
SENDS = "05"  # the chapter that sends `changes` changes; the others send a few, whatever the settings


def speed() -> float:
    """Seconds that this machine takes now, with all else that it does, for a fixed piece of work in Python."""
    started = time.monotonic()
    sum(number * number for number in range(3_000_000))
    return time.monotonic() - started


def record(seconds: dict[str, float], settings: Settings, clock_scale: float, path: Path) -> None:
    """Write the `seconds` of a run's chapters, by number, with what they depended on."""
    found = {"changes": settings.changes, "rate": settings.rate, "clock_scale": clock_scale, "speed": round(speed(), 3),
             "seconds": {number: round(took, 1) for number, took in seconds.items()}}
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def at_most(chapters: Iterable[str], settings: Settings, clock_scale: float, own: Path) -> float:
    """A bound, in seconds, for running `chapters` (their numbers) with `settings` on a clock of `clock_scale`.

    own  what this machine's last run has recorded; if it is not there, or not whole, the committed run's record is taken

    On real AWS nobody has measured it: there all seconds are taken for waits at AWS's own pace.
    """
    try:
        measured = json.loads(own.read_text("utf-8"))
    except (OSError, ValueError):
        measured = json.loads(COMMITTED.read_text("utf-8"))
    slower = max(1, speed() / measured["speed"]) * max(1, measured["clock_scale"] / clock_scale)
    expected = 0.0
    for number in chapters:
        seconds = measured["seconds"][number]
        if number == SENDS:
            seconds = max(0, seconds - _sending(measured["changes"], measured["rate"])) * max(1, settings.changes / measured["changes"])
            expected += _sending(settings.changes, settings.rate)
        expected += seconds * slower
    return ALLOWANCE * expected


def in_words(seconds: float) -> str:
    """ "50 s" or "3 min", rounded up."""
    return f"{math.ceil(seconds / 10) * 10} s" if seconds <= 120 else f"{math.ceil(seconds / 60)} min"


def _sending(changes: int, rate: float) -> float:
    """Seconds in which the order source makes `changes` changes."""
    return changes / min(rate or FASTEST, FASTEST)
