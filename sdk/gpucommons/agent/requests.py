"""HTTP for the agent: to the portal, and to the run's own server over a unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from gpucommons.agent.settings import Settings

_PORTAL_TIMEOUT_S = 40.0
_SERVER_TIMEOUT_S = 10.0


class Unreachable(Exception):
    """No answer, or none that can be used."""


@dataclass(frozen=True)
class Answer:
    """Status, and the body if it was JSON."""

    status: int
    body: Any


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask_portal(settings: Settings, method: str, path: str, body: object = None) -> Answer:
    """One request with the run's token. Raises `Unreachable`."""
    parts = urlsplit(settings.url)
    https = parts.scheme == "https"
    kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_PORTAL_TIMEOUT_S)
    try:
        authorization = f"Bearer {settings.token()}"
    except OSError as error:
        raise Unreachable(f"no token: {error}") from None
    return _ask(connection, method, parts.path + path, authorization, body)


def ask_server(settings: Settings, path: str) -> Answer:
    """One GET to the run's own server, with its token. Raises `Unreachable`."""
    kind, _colon, where = settings.server.partition(":")
    connection: http.client.HTTPConnection
    if kind == "unix":
        connection = _UnixConnection(where, _SERVER_TIMEOUT_S)
    else:
        connection = http.client.HTTPConnection(settings.server, timeout=_SERVER_TIMEOUT_S)
    authorization = f"token {settings.app_token}" if settings.app_token else ""
    return _ask(connection, "GET", settings.base_url + path, authorization, None)


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, authorization: str, body: object
) -> Answer:
    headers = {"Accept": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    try:
        connection.request(method, path, data, headers)
        response = connection.getresponse()
        text = response.read()
        return Answer(response.status, json.loads(text) if text.strip() else None)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(str(error)) from None
    finally:
        connection.close()
