"""The scaled clock: waits that take AWS a minute take a few seconds here."""

import math
import threading

DEFAULT_SCALE = 20.0


class Clock:
    """Turns AWS's waits into real ones. `scale` is AWS seconds per real second: at 20, 60 s pass in 3 s; at 1, in 60 s.

    Only waits are scaled (buffers, crawls, back-off). Times that are written down (arrival, creation) are real.
    """

    def __init__(self, scale: float = DEFAULT_SCALE):
        if not 0 < scale < math.inf:
            raise ValueError(f"the clock's scale must be a number above 0, not {scale!r}: 1 gives AWS's own waits")
        self.scale = float(scale)

    def real(self, aws_seconds: float) -> float:
        """Real seconds for a wait of `aws_seconds`."""
        return aws_seconds / self.scale

    def wait(self, stop: threading.Event, aws_seconds: float) -> bool:
        """Wait `aws_seconds`, scaled; True as soon as `stop` is set."""
        return stop.wait(self.real(aws_seconds))
