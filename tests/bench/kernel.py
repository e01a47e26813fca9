"""The end of every measured launch: a new kernel answers `1+1` over its websocket."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect

KERNEL_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A Jupyter Server as a client reaches it. `url` ends in "/"; all names resolve to loopback."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def authority(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80


def client(server: Server) -> httpx.AsyncClient:
    """An HTTP client that connects to loopback whatever the host name, and sends that name."""
    path = urlsplit(server.url).path
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}{path}",
        headers={**server.headers, "Host": server.authority},
        timeout=KERNEL_TIMEOUT_S,
    )


def execute_request(code: str) -> dict[str, object]:
    """A message of the Jupyter protocol 5.3."""
    return {
        "header": {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "bench",
            "session": uuid.uuid4().hex,
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "channel": "shell",
        "content": {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        },
    }


async def first_answer(server: Server, code: str = "1+1", expected: str = "2") -> None:
    """Start a kernel, run `code`, and return when `expected` came back as its result."""
    async with client(server) as http:
        answer = await http.post("api/kernels", json={"name": "python3"})
        answer.raise_for_status()
        kernel = answer.json()["id"]
    parts = urlsplit(server.url)
    async with connect(
        f"ws://{parts.netloc}{parts.path}api/kernels/{kernel}/channels",
        host="127.0.0.1",
        port=server.port,
        additional_headers=server.headers,
        max_size=None,
    ) as socket:
        await socket.send(json.dumps(execute_request(code)))
        async with asyncio.timeout(KERNEL_TIMEOUT_S):
            async for text in socket:
                message = json.loads(text)
                if message.get("msg_type") == "execute_result":
                    found = message["content"]["data"]["text/plain"]
                    if found != expected:
                        raise AssertionError(f"the kernel answered {found!r}")
                    return
    raise AssertionError("the kernel closed its socket without an answer")
