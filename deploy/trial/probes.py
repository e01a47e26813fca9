"""Asking a process whether it truly serves: one HTTP request over its unix or TCP socket."""

import http.client
import json
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Endpoint:
    """A unix socket, or an address and port."""

    address: Path | tuple[str, int]
    host: str

    def status(self, path: str) -> int | None:
        """The status of `GET path`; None if nobody answers in HTTP within two seconds."""
        answer = self.get(path)
        return answer[0] if answer else None

    def get(self, path: str) -> tuple[int, bytes] | None:
        """Status and body of `GET path`, None if nobody answers."""
        connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        try:
            with closing(connection):
                connection.sock = self._connect()
                connection.request("GET", path, headers={"Host": self.host})
                answer = connection.getresponse()
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return None

    def _connect(self) -> socket.socket:
        if not isinstance(self.address, Path):
            return socket.create_connection(self.address, TIMEOUT_S)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(TIMEOUT_S)
        try:
            client.connect(str(self.address))
        except OSError:
            client.close()
            raise
        return client


def failing_checks(readyz: bytes) -> dict[str, str]:
    """Names and details of what `/readyz?all=1` calls wrong."""
    try:
        checks = json.loads(readyz)["checks"]
        return {name: str(c.get("detail", "")) for name, c in checks.items() if not c["ok"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {"readyz": "its answer cannot be read"}
