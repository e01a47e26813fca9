"""Live sockets in the test's own process, as a browser or a program opens them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from channels.db import database_sync_to_async
from django.conf import settings
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services.tokens import TokenRequest, create_token
from apps.workspaces.models import Workspace
from portal.asgi import application

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]


def topic_of(workspace: Workspace) -> str:
    return f"workspace:{workspace.uid}"


async def on_thread(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run what uses the database."""
    result: T = await database_sync_to_async(work)(*args, **kwargs)
    return result


def session_of(user: User) -> str:
    """A portal session of that person; the key."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def cookie_headers(key: str, *, origin: str | None = None, language: str = "") -> Headers:
    """What a browser sends."""
    cookies = f"{settings.SESSION_COOKIE_NAME}={key}"
    if language:
        cookies += f"; {settings.LANGUAGE_COOKIE_NAME}={language}"
    headers = [(b"cookie", cookies.encode())]
    wanted = settings.PORTAL_URL if origin is None else origin
    return [*headers, (b"origin", wanted.encode())] if wanted else headers


def bearer_headers(user: User, *scopes: str) -> Headers:
    """What a program sends."""
    request = TokenRequest(scopes=scopes or ("read",))
    _token, text = create_token(None, user=user, request=request)
    return [(b"authorization", f"Bearer {text}".encode())]


class Wire:
    """The client's end of an ASGI websocket, with the portal at the other."""

    def __init__(self, path: str, headers: Headers) -> None:
        self.scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers}
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def connect(self, within_s: float = 10) -> bool:
        """Whether the handshake is taken."""
        serve = application(self.scope, self._in.get, self._out.put)
        self._task = asyncio.ensure_future(serve)
        await self._in.put({"type": "websocket.connect"})
        answer = await self.receive_output(within_s)
        return bool(answer["type"] == "websocket.accept")

    async def send_text(self, text: str) -> None:
        await self._in.put({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._in.put({"type": "websocket.receive", "bytes": data})

    async def receive_output(self, within_s: float) -> dict[str, Any]:
        """What comes next; the portal's own exception if it ended with one."""
        assert self._task is not None
        getting = asyncio.ensure_future(self._out.get())
        both = [getting, self._task]
        done, _ = await asyncio.wait(both, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if getting in done:
            return getting.result()
        getting.cancel()
        assert self._task in done, f"nothing came within {within_s} s"
        self._task.result()
        raise AssertionError("the portal has hung up")

    async def receive_nothing(self, within_s: float) -> bool:
        """Whether nothing comes for so long."""
        try:
            await asyncio.wait_for(self._out.get(), within_s)
        except TimeoutError:
            return True
        return False

    async def disconnect(self) -> None:
        assert self._task is not None
        await self._in.put({"type": "websocket.disconnect", "code": 1000})
        await asyncio.wait_for(self._task, 10)


class Socket:
    """One open live socket."""

    def __init__(self, headers: Headers, path: str = "/ws/live/") -> None:
        self.wire = Wire(path, headers)
        self.frames: list[dict[str, Any]] = []
        self.close_code: int | None = None

    async def open(self) -> Socket:
        assert await self.wire.connect()
        return self

    async def close(self) -> None:
        await self.wire.disconnect()

    async def send(self, **frame: object) -> None:
        await self.wire.send_text(json.dumps(frame))

    async def next(self, within_s: float = 10) -> dict[str, Any]:
        """The next frame; a close is `{"close": code}`."""
        said = await self.wire.receive_output(within_s)
        if said["type"] == "websocket.close":
            self.close_code = said["code"]
            return {"close": said["code"]}
        frame: dict[str, Any] = json.loads(said["text"])
        self.frames.append(frame)
        return frame

    async def until(
        self, condition: Callable[[dict[str, Any]], object], within_s: float = 10
    ) -> dict[str, Any]:
        """The first frame for which `condition` holds."""
        deadline = time.monotonic() + within_s
        while True:
            frame = await self.next(max(0.01, deadline - time.monotonic()))
            if condition(frame):
                return frame

    async def subscribe(self, *topics: str, **more: object) -> dict[str, Any]:
        """Ask for topics; the first state that comes."""
        await self.send(subscribe=list(topics), **more)
        return await self.until(lambda frame: "version" in frame)


Open = Callable[[Headers], Awaitable[Socket]]


async def eventually(
    condition: Callable[[], Awaitable[object]], what: str, within_s: float = 10
) -> None:
    """Until `condition`, looking every 20 ms."""
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, f"waited {within_s} s in vain: {what}"
        await asyncio.sleep(0.02)
