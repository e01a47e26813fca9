"""A fake cluster as a process of its own: `python -m apps.clusters.drivers.fake_remote.server S`.

Serves one `FakeDriver` on the unix socket S until it is killed.
"""

from __future__ import annotations

import argparse
import json
import os
import socketserver
from typing import Any

from apps.clusters.drivers.base import DriverError
from apps.clusters.drivers.fake import Behaviour, Conditions, FakeDriver
from apps.clusters.drivers.fake_remote.wire import ARGUMENTS, encode_error, encode_result


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, behaviour: Behaviour) -> None:
        super().__init__(path, _Handler)
        self.behaviour = behaviour
        self.reset()

    def reset(self) -> None:
        """An empty cluster."""
        conditions = Conditions(behaviour=self.behaviour, heartbeat_s=0.5)
        self.driver = FakeDriver(conditions)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One call per connection."""
        line = self.rfile.readline()
        if not line:
            return
        request: dict[str, Any] = json.loads(line)
        call = request.pop("call")
        try:
            if call == "watch":
                self._watch(request["cursor"])
            else:
                self.wfile.write(encode_result(call, self._call(call, request)))
        except DriverError as error:
            self.wfile.write(encode_error(error))
        except (BrokenPipeError, ConnectionResetError):
            return

    def _call(self, call: str, request: dict[str, Any]) -> object:
        adapters = ARGUMENTS[call]
        values = {name: adapters[name].validate_python(request[name]) for name in adapters}
        if call == "reset":
            self.server.reset()
            return None
        if call == "turn":
            setattr(self.server.driver.conditions, values["name"], values["value"])
            return None
        return getattr(self.server.driver, call)(**values)

    def _watch(self, cursor: str) -> None:
        for event in self.server.driver.watch(cursor, lambda: False):
            self.wfile.write(encode_result("watch", event))


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="fake_remote")
    parser.add_argument("socket")
    parser.add_argument("--behaviour", type=Behaviour, default=Behaviour.OK)
    arguments = parser.parse_args()
    if os.path.exists(arguments.socket):
        os.unlink(arguments.socket)
    _Server(arguments.socket, arguments.behaviour).serve_forever()


if __name__ == "__main__":
    main()
