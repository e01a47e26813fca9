"""How the clients of gate's tests reach nginx: loopback, whatever name a request is for."""

from __future__ import annotations

import secrets
import socket

import httpx


class Loopback(httpx.BaseTransport):
    """Sends every request to nginx on loopback, whatever name it is for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return self._inner.handle_request(
            httpx.Request(
                request.method,
                url,
                headers=request.headers,
                stream=request.stream,
                extensions={**request.extensions, "target": request.url.raw_path},
            )
        )

    def close(self) -> None:
        self._inner.close()


def free_port() -> int:
    """A loopback port that is free now, below the range of outgoing connections."""
    while True:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
