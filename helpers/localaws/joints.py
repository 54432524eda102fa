"""The second process: hosts the joints, answers what the gateway forwards, and runs their workers.

It is the gateway's child, reaches everything through AWS's APIs at the gateway's endpoint, and ends when its standard input
closes, that is, when the gateway ends, however it ends.
"""

import argparse
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .athena import Athena
from .clock import Clock
from .crawler import Crawlers
from .firehose import Firehose
from .pipes import Pipes
from .service import Caller, Context, Service

TOKEN_HEADER, ACCOUNT_HEADER, REGION_HEADER = "x-localaws-token", "x-localaws-account", "x-localaws-region"
JOINTS: tuple[type[Service], ...] = (Pipes, Firehose, Crawlers, Athena)


class Handler(BaseHTTPRequestHandler):
    """`/<service>/<original path and query>`, with the caller in headers, to the service's control plane."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer's body follows its head at once, not after the other side's delayed ACK (40 ms)
    services: dict[str, Service] = {}
    token = ""

    def answer(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        # Whoever does not come through the gateway has not passed IAM.
        if headers.get(TOKEN_HEADER) != self.token:
            return self.reply(403, b"{}")
        name, _, target = self.path[1:].partition("/")
        caller = Caller(headers[ACCOUNT_HEADER], headers[REGION_HEADER])
        self.reply(*self.services[name].handle(caller, self.command, "/" + target, headers, body))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def reply(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        """Requests are not news; what the joints do is logged by the joints."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--clock-scale", type=float, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
    Handler.token = sys.stdin.readline().strip()
    clock = Clock(options.clock_scale)
    for joint in JOINTS:
        Handler.services[joint.name] = joint(Context(options.endpoint, clock, options.directory / joint.name))
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    print(json.dumps({"port": server.server_address[1]}), flush=True)
    # A second line on standard input means that the gateway answers; its end means that it is time to go.
    if sys.stdin.readline():
        for service in Handler.services.values():
            service.start()
        sys.stdin.read()
    for service in Handler.services.values():
        service.stop()


if __name__ == "__main__":
    main()
