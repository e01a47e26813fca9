"""A server of a few milliseconds, for runs in tests. Standard library only, run with -I -S.

    tiny_server.py BEHAVIOUR --socket S --base-url U

Behaviours: ok, slow (answers after 0.6 s), mute (listens, never answers), crash (exits with 3),
stubborn (ignores SIGTERM). `POST /run` executes Python sent as the body, as whoever runs this,
and answers with what it left in `result`.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import signal
import socketserver
import sys
import time
from typing import Any


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "someone"

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(200 if self.path.startswith(BASE_URL) else 404, b"tiny\n")

    def do_POST(self) -> None:
        code = self.rfile.read(int(self.headers["Content-Length"])).decode()
        scope: dict[str, Any] = {}
        try:
            exec(code, scope)
            body: dict[str, object] = {"result": scope.get("result")}
        except OSError as error:
            body = {"error": type(error).__name__}
        self._answer(200, json.dumps(body).encode())


parser = argparse.ArgumentParser()
parser.add_argument("behaviour")
parser.add_argument("--socket")
parser.add_argument("--base-url")
arguments = parser.parse_args()
BASE_URL = arguments.base_url
print("tiny server", arguments.behaviour, flush=True)
if arguments.behaviour == "crash":
    sys.exit(3)
if arguments.behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if arguments.behaviour == "slow":
    time.sleep(0.6)
os.umask(0o077)
if arguments.behaviour == "mute":
    server = Server(arguments.socket, Handler)
    server.socket.listen(64)
    while True:
        time.sleep(3600)
Server(arguments.socket, Handler).serve_forever()
