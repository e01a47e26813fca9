"""The two heads of a websocket handshake: what a client asked, what a workspace answered.

h11 parses and writes them, strictly; nothing else of a tunnel is ever parsed. `tunnel` uses this.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import h11

from apps.gate import question
from apps.gate.cookies import is_ours

MAX_HEAD = 64 * 1024
_MAX_BODY = 64 * 1024
_CHUNK = 16 * 1024

Headers = list[tuple[bytes, bytes]]

_NOT_FORWARDED = {b"authorization", b"cookie", b"x-gate-workspace", b"te", b"keep-alive"}
_NOT_RETURNED = (
    b"alt-svc",
    b"clear-site-data",
    b"nel",
    b"report-to",
    b"service-worker-allowed",
    b"strict-transport-security",
    b"x-accel-",
)


class HandshakeError(Exception):
    """A head that is not a proper handshake, or that did not come."""


@dataclass(frozen=True, slots=True)
class Head:
    """A parsed head. `early` are bytes that came right behind it."""

    start: bytes
    headers: Headers
    early: bytes
    status: int = 0


async def read_request(reader: asyncio.StreamReader) -> Head:
    """The client's upgrade request. `start` is its raw target. Raises HandshakeError."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    request = await _next(connection, reader)
    if not isinstance(request, h11.Request):
        raise HandshakeError("no request")
    headers = [(bytes(name), bytes(value)) for name, value in request.headers]
    named = dict(headers)
    if request.method != b"GET" or named.get(b"upgrade", b"").lower() != b"websocket":
        raise HandshakeError("not a websocket handshake")
    if b"content-length" in named or b"transfer-encoding" in named:
        raise HandshakeError("a handshake has no body")
    connection.next_event()
    return Head(bytes(request.target), headers, connection.trailing_data[0])


def request_bytes(head: Head, target: str, cookie: str, authorization: str) -> bytes:
    """The request for the workspace: without our headers, with its own credentials."""
    headers: Headers = []
    for name, value in head.headers:
        text = name.decode("ascii")
        if name in _NOT_FORWARDED or text in question.IDENTITY_HEADERS:
            continue
        if not text.startswith(question.PREFIX):
            headers.append((name, value))
    if cookie:
        headers.append((b"cookie", cookie.encode("latin-1")))
    if authorization:
        headers.append((b"authorization", authorization.encode("latin-1")))
    connection = h11.Connection(h11.CLIENT)
    data = connection.send(
        h11.Request(method=b"GET", target=target.encode("latin-1"), headers=headers)
    )
    return data or b""


async def read_response(reader: asyncio.StreamReader) -> Head:
    """The workspace's answer: 101, or another with its body (as `early`, at most 64 KiB).

    Raises HandshakeError if it is no HTTP response.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    connection.send(
        h11.Request(
            method=b"GET",
            target=b"/",
            headers=[(b"host", b"x"), (b"connection", b"upgrade"), (b"upgrade", b"websocket")],
        )
    )
    connection.send(h11.EndOfMessage())
    answer = await _next(connection, reader)
    while isinstance(answer, h11.InformationalResponse) and answer.status_code != 101:
        answer = await _next(connection, reader)
    if isinstance(answer, h11.InformationalResponse):
        headers = returned(answer.headers.raw_items())
        return Head(b"", headers, connection.trailing_data[0], 101)
    if not isinstance(answer, h11.Response):
        raise HandshakeError("no response")
    body = b""
    while isinstance(event := await _next(connection, reader), h11.Data):
        body += bytes(event.data)
        if len(body) > _MAX_BODY:
            raise HandshakeError("refusal too large")
    kept = [
        (name, value)
        for name, value in returned(answer.headers.raw_items())
        if name.lower() not in (b"content-length", b"transfer-encoding", b"connection")
    ]
    return Head(b"", kept, body, answer.status_code)


def returned(headers: Headers) -> Headers:
    """The headers of a workspace's answer that may go on to the browser."""
    return [
        (name, value)
        for name, value in headers
        if not name.lower().startswith(_NOT_RETURNED)
        and not (name.lower() == b"set-cookie" and is_ours(value.decode("latin-1")))
    ]


def response_bytes(status: int, headers: Headers, body: bytes = b"") -> bytes:
    """A response for the client. Without 101 the connection ends after it."""
    server = h11.Connection(h11.SERVER)
    if status == 101:
        # h11 lets a server switch protocols only where it has seen the client propose it.
        server.receive_data(
            b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        )
        server.next_event()
        server.next_event()
        return server.send(h11.InformationalResponse(status_code=101, headers=headers)) or b""
    whole = [*headers, (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    head = server.send(h11.Response(status_code=status, headers=whole)) or b""
    return head + body


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Event:
    while True:
        try:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK))
        except h11.RemoteProtocolError as error:
            raise HandshakeError("malformed") from error
        if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise HandshakeError("ended early")
        if not isinstance(event, type):
            return event
