"""The doctor: follows one order through every hop, names the joint where it stops, why, and the call that mends it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from .checks import MARK
from .clean_up import says_gone
from .joints import JOINTS, SLACK, Broken, Case, Wait, denied
from .session import Aws
from .trail import Trail
from .waits import WaitTimeout, wait_until

PATIENCE = 600  # AWS seconds: the longest that a probe is followed
RECHECK = 5     # real seconds after which the hops are looked at again, where nobody knows when it is due


@dataclass(frozen=True)
class Verdict:
    """What the doctor found.

    state   "healthy", "wait" or "broken"
    joint   where it stopped, one of JOINTS; None if healthy
    why     in one or two sentences
    fix     what mends it, with the call; "" if nothing is broken
    due_in  seconds until it is due, if it is to be waited for and that is known
    hops    what was seen: (joint, mark, words)
    """

    state: str
    joint: str | None = None
    why: str = ""
    fix: str = ""
    due_in: float | None = None
    hops: list[tuple[str, str, str]] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        width = max((len(joint) for joint, _, _ in self.hops), default=0)
        lines = [f"{mark} {joint:<{width}}  {words}" for joint, mark, words in self.hops]
        where = f" at the {self.joint}" if self.joint else ""
        lines.append(f"{self.state}{where}: {self.why}")
        return "\n".join(lines + [f"mend it: {self.fix}"] * bool(self.fix))


def doctor(aws: Aws, orderid: str | None = None, *, probe: bool = True, patience: float | None = None) -> Verdict:
    """Follow one order through every hop; print what was seen and the verdict, and return it.

    orderid   the order whose newest change is followed (or the partition key of a record that was put into the stream directly).
              Without it a probe order is written, followed and removed: two ordinary changes, which reach the lake like any other
    probe     False writes nothing: without an orderid the newest change that makes a row is followed
    patience  seconds to wait, visibly, for what is due. None: with a probe until there is a verdict (at most PATIENCE AWS
              seconds), otherwise not at all
    """
    probing = probe and orderid is None and _write_probe(aws)
    if patience is None:
        patience = aws.real(PATIENCE) + 2 * SLACK if probing else 0
    try:
        trail = Trail(aws, probing or orderid)
        verdict, end = _examine(trail), time.monotonic() + patience
        while verdict.state == "wait" and (left := end - time.monotonic()) > 0:
            _wait_for(verdict, trail, left)
            verdict = _examine(trail)
    finally:
        if probing:
            aws.table().delete_item(Key={"orderid": probing})
    print(f"following order {trail.orderid}{' (a probe, removed again)' if probing else ''}" if trail.orderid else "no order to follow")
    print(verdict)
    return verdict


def _write_probe(aws: Aws) -> str | None:
    """A new order that no sum over orders notices. None if there is no table to write it into."""
    orderid = f"probe-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    try:
        aws.table().put_item(Item={"orderid": orderid, "product_name": "Probe of the doctor", "quantity": 1, "price": 0})
    except ClientError as error:
        if not says_gone(error):
            raise
        return None
    return orderid


def _wait_for(verdict: Verdict, trail: Trail, left: float) -> None:
    """Wait until it has come further, or until it is time to look at the hops again."""
    before, due = trail.reached, RECHECK if verdict.due_in is None else verdict.due_in + 1
    with suppress(WaitTimeout):
        wait_until(f"the {verdict.joint} hands it on", lambda: trail.look() > before, timeout=min(left, due),
                   every=max(0.5, trail.aws.real(2)))


def _examine(trail: Trail) -> Verdict:
    """Look at every joint in order, up to the first that is broken. What is to be waited for hides nothing broken further on."""
    trail.look()
    case, verdict = Case(trail), None
    hops = dict.fromkeys(JOINTS, ("–", "not looked at"))
    for joint, look in JOINTS.items():
        try:
            hops[joint] = (MARK, look(case))
        except Wait as found:
            hops[joint] = ("…", "not yet")
            if verdict is None:
                verdict = Verdict("wait", found.joint or joint, found.why, due_in=found.due_in)
                hops[verdict.joint] = ("…", "not yet: it is here")
        except (Broken, ClientError) as error:
            if not isinstance(error, Broken) and not denied(error):
                raise
            found = error if isinstance(error, Broken) else _refused(error)
            verdict = Verdict("broken", found.joint or joint, found.why, found.fix)
            hops[verdict.joint] = ("✘", "broken: see below")
            break
    verdict = verdict or Verdict("healthy", why=_summary(trail))
    return replace(verdict, hops=[(joint, *seen) for joint, seen in hops.items()])


def _refused(error: ClientError) -> Broken:
    """A call of the doctor's own that AWS refused to whoever asks."""
    return Broken(f"Your own credentials may not call {error.operation_name}: {error.response['Error'].get('Message')}",
                  "ask for that permission, or choose other credentials (AWS_PROFILE).")


def _summary(trail: Trail) -> str:
    if line := trail.delivered:
        took = f" in {(line.written - trail.made).total_seconds():.0f} s" if trail.made else ""
        return f"order {trail.orderid} went from the table to the lake{took}, and Athena finds it."
    return "every hop is whole" + (", and the order's last change is one that the transform drops." if trail.event else
                                   "; there was no change in the last 24 hours to follow.")
