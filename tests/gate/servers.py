"""What stands around gate in its tests: a workspace's server, the portal's web, a database wire.

The servers are real ones (uvicorn on unix sockets, in threads) with small applications.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn

from apps.gate.addresses import Addresses
from apps.gate.tickets import Entry, enter_location, enter_ticket, session_digest

Application = Callable[..., Awaitable[None]]
WAIT_S = 10.0


def wait_for(condition: Callable[[], object], what: str, within_s: float = WAIT_S) -> None:
    """Return once `condition` holds; fail with `what` if it does not in time."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        pause.wait(0.02)


class Server:
    """An ASGI application on a unix socket, in a thread of its own."""

    def __init__(self, application: Application, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self._socket.bind(str(path))
        config = uvicorn.Config(
            application, lifespan="off", log_config=None, ws="wsproto", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        wait_for(lambda: self._server.started, "server started")

    def ask_to_stop(self) -> None:
        """Begin to end it."""
        self._server.should_exit = True

    def stop(self) -> None:
        """End it and remove its socket. May be called again."""
        self.ask_to_stop()
        self._thread.join(WAIT_S)
        self._socket.close()
        self.path.unlink(missing_ok=True)


@dataclass
class Workspace:
    """Tells in JSON what reached it. `/say?name=value` answers with that header, once per pair."""

    label: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        record = {
            "label": self.label,
            "type": scope["type"],
            "method": scope.get("method", "GET"),
            "target": scope["raw_path"].decode() + _query(scope),
            "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        }
        self.seen.append(record)
        if scope["type"] == "websocket":
            await self._echo(record, receive, send)
            return
        size = 0
        while True:
            event = await receive()
            size += len(event.get("body", b""))
            if not event.get("more_body"):
                break
        record["body_bytes"] = size
        said = parse_qs(scope["query_string"].decode()) if scope["path"].endswith("/say") else {}
        headers = [(k.encode(), v.encode()) for k, values in said.items() for v in values]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(record).encode()})

    @staticmethod
    async def _echo(record: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        planted = [(b"set-cookie", b"gpc_session=planted"), (b"set-cookie", b"own=1")]
        await send({"type": "websocket.accept", "headers": planted})
        await send({"type": "websocket.send", "text": json.dumps(record)})
        while (event := await receive())["type"] == "websocket.receive":
            reply = {key: event[key] for key in ("text", "bytes") if event.get(key) is not None}
            await send({"type": "websocket.send", **reply})


def _query(scope: dict[str, Any]) -> str:
    return f"?{scope['query_string'].decode()}" if scope["query_string"] else ""


@dataclass
class Portal:
    """The portal's web as far as gate meets it: `/workspaces/<uid>/enter/`, and an echo.

    The cookie `gpc_session` holds the id of who is signed in; `people` maps ids to uid and epoch.
    """

    addresses: Addresses
    key: str
    people: dict[int, tuple[str, int]] = field(default_factory=dict)
    owners: dict[str, int] = field(default_factory=dict)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        parts = scope["path"].split("/")
        status, location, body = 200, "", json.dumps([scope["path"], headers]).encode()
        if parts[1] == "workspaces" and parts[3:4] == ["enter"]:
            status, location = self._enter(parts[2], headers.get("cookie", ""), scope)
        answer = [(b"location", location.encode())] if location else []
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": body})

    def _enter(self, uid: str, cookie: str, scope: dict[str, Any]) -> tuple[int, str]:
        cookies = dict(pair.strip().partition("=")[::2] for pair in cookie.split(";"))
        session = cookies.get("gpc_session", "")
        if not session:
            return 302, "/account/login/"
        person = int(session.partition("-")[0])
        if self.owners.get(uid) != person:
            return 404, ""
        wanted = parse_qs(scope["query_string"].decode()).get("next", [""])[0]
        person_uid, epoch = self.people[person]
        entry = Entry(person, person_uid, epoch, session_digest(session), uid, wanted)
        ticket = enter_ticket(entry, key=self.key, now=time.time())
        return 302, enter_location(self.addresses.url(uid), ticket)


class DatabaseWire:
    """A socket folder that leads to the real PostgreSQL, and can be cut."""

    def __init__(self, folder: Path, real: Path) -> None:
        self._path = folder / real.name
        self._real = real
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.mend()

    def mend(self) -> None:
        """Let connections through."""

        async def listen() -> None:
            self._server = await asyncio.start_unix_server(self._carry, self._path)

        asyncio.run_coroutine_threadsafe(listen(), self._loop).result(WAIT_S)

    def cut(self) -> None:
        """End every connection and refuse new ones."""

        async def close() -> None:
            if self._server is not None:
                self._server.close()
            self._path.unlink(missing_ok=True)
            for writer in list(self._writers):
                writer.transport.abort()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(WAIT_S)

    def stop(self) -> None:
        """Cut, for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._real)
        ends = {writer, far_writer}
        self._writers |= ends
        await asyncio.gather(
            self._copy(reader, far_writer), self._copy(far_reader, writer), return_exceptions=True
        )
        self._writers -= ends

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
