"""Running a command where there is no network but loopback: in one of Linux's network namespaces."""

import os
import signal
import subprocess
import sys

import pytest

CUT_OFF = ["unshare", "--net", "--map-root-user"]
WITH_LOOPBACK = """
import fcntl, os, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS: the loopback interface up, there is no other
os.execvp(sys.argv[1], sys.argv[1:])
"""


def run(*command, **options) -> subprocess.CompletedProcess:
    """What `command` did and printed. Skips the test, saying why, where nobody can be cut off."""
    if sys.platform != "linux":
        pytest.skip("needs Linux's network namespaces")
    if subprocess.run([*CUT_OFF, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    process = subprocess.Popen([*CUT_OFF, sys.executable, "-c", WITH_LOOPBACK, *command], text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True, **options)
    try:
        out, err = process.communicate(timeout=1500)
    finally:
        if process.poll() is None:  # too slow: what it started ends with it
            os.killpg(process.pid, signal.SIGINT)
            process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err)
