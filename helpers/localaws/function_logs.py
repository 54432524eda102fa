"""What a function has logged by the time it answers is in its log then, as on AWS, however busy the machine is.

MiniStack reads a function's output in a thread of its own. After an answer it gives that thread 50 ms for a first line and 5 ms for
each further one, which a busy machine does not keep: the lines appear with the next call, or, where the process has ended, never.
"""

import sys
import time

PATIENCE = 5  # seconds for a thread that only has to be scheduled


def await_whole_logs(worker: type) -> None:
    """Have `worker`, MiniStack's class for the process of a function, read all that was written before it says what the log is."""
    drain, drain_ended = worker._drain_stderr_bounded, worker._drain_stderr

    def ended(self) -> str:
        if self._stderr_thread:
            self._stderr_thread.join(PATIENCE)  # it ends with the output, and that ends with the process
        return drain_ended(self)

    def whole(self, *waits, **named) -> str:
        if self._proc is None:
            return ended(self)
        give_up = time.monotonic() + PATIENCE
        while _unread(self._proc.stderr) and time.monotonic() < give_up:
            named |= {"first_line_wait": PATIENCE, "idle_confirm": 0.02, "hard_cap": PATIENCE}  # there is one, so it comes
            time.sleep(0.001)
        return drain(self, *waits, **named)

    worker._drain_stderr_bounded, worker._drain_stderr = whole, ended


def _unread(pipe) -> int:
    """Bytes that were written and that nobody has read; 0 where the system does not tell, or nothing is piped."""
    try:
        import fcntl
        import termios
    except ImportError:  # Windows
        return 0
    if pipe is None:
        return 0
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
