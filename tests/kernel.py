"""A Jupyter kernel as a program reaches it: over HTTP and a websocket, nothing shared."""

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


async def start_kernel(server: Server) -> str:
    """The id of a new `python3` kernel."""
    async with client(server) as http:
        answer = await http.post("api/kernels", json={"name": "python3"})
        answer.raise_for_status()
        return str(answer.json()["id"])


async def evaluate(server: Server, kernel: str, code: str) -> str:
    """Run `code` in a kernel over its websocket; the text of its result."""
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
                    return str(message["content"]["data"]["text/plain"])
                if message.get("msg_type") == "error":
                    raise AssertionError("\n".join(message["content"]["traceback"]))
    raise AssertionError("the kernel closed its socket without an answer")


async def first_answer(server: Server) -> None:
    """Start a kernel and return when `1+1` came back as 2."""
    found = await evaluate(server, await start_kernel(server), "1+1")
    assert found == "2", found
