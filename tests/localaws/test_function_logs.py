"""A function's log is whole when its answer is there, however late the thread that reads it comes to run."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from ministack.core.lambda_runtime import Worker

from helpers.localaws.function_logs import await_whole_logs
from tests.localaws.making import client, drop_role, function, role

LATE = 1.0  # seconds; MiniStack waits for 0.05


class LateReader(Worker):
    """A worker whose reader is not scheduled for a while, as on a busy machine."""

    def __init__(self, code):
        super().__init__("late", {}, b"")
        self._proc = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        self.answered = threading.Event()
        self._stderr_thread = threading.Thread(target=self._read_stderr, daemon=True)
        self._stderr_thread.start()

    def _read_stderr(self):
        pipe = self._proc.stderr
        self.answered.wait(20)
        time.sleep(LATE)
        for line in pipe:
            self._stderr_queue.put(line.rstrip())


class Mended(LateReader):
    pass


await_whole_logs(Mended)
LINES = "import sys; print('\\n'.join(f'line {n}' for n in range(10)), file=sys.stderr, flush=True); print('answer', flush=True); "


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell what is unread in a pipe")
@pytest.mark.parametrize("kind, lines", [(LateReader, 0), (Mended, 10)])
@pytest.mark.parametrize("ends", [False, True], ids=["it answers", "it ends"])
def test_every_line_is_there(kind, lines, ends):
    """That MiniStack alone finds none shows that this is needed."""
    worker = kind(LINES + ("" if ends else "sys.stdin.read()"))
    process = worker._proc
    try:
        assert process.stdout.readline() == "answer\n"
        if ends:
            process.wait(20)
            worker._proc = None
        worker.answered.set()
        assert len(worker._drain_stderr_bounded().splitlines()) == lines
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_what_a_call_wrote_is_in_the_log_when_it_has_answered(aws):
    """Also of a call that fails, which ends the process."""
    arn = role(aws, "writes-logs", "lambda.amazonaws.com", ["logs:*"])
    function(aws, "writes-logs", "def handler(event, context):\n    print('saw', event)\n    return 1 / event\n", arn)
    try:
        for number in (1, 2, 0, 3):
            client(aws, "lambda").invoke(FunctionName="writes-logs", Payload=json.dumps(number))
            pages = client(aws, "logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/writes-logs")
            assert f"saw {number}" in [event["message"] for page in pages for event in page["events"]]
    finally:
        client(aws, "lambda").delete_function(FunctionName="writes-logs")
        drop_role(aws, "writes-logs")
