"""The echo server on a unix socket, as the local driver starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import unix_connect

from tests.contracts.clusters import ROOT, until


@pytest.fixture
def echo() -> Iterator[str]:
    """Its socket; its base URL is /w/e/."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s"
        process = subprocess.Popen(
            [sys.executable, "-m", "gpucommons.echo", "--base-url=/w/e/", f"--socket={path}"],
            env={**os.environ, "PYTHONPATH": str(ROOT / "sdk")},
        )
        until(Path(path).exists, bool)
        yield path
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("path", "status", "size"),
    [("", 200, 5), ("1k", 200, 1024), ("1m", 200, 1 << 20), ("else", 404, 9)],
)
async def test_it_answers(echo: str, path: str, status: int, size: int) -> None:
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=echo)) as client:
        answer = await client.get(f"http://w-e.localhost/w/e/{path}")
    assert (answer.status_code, len(answer.content)) == (status, size)


async def test_it_echoes(echo: str) -> None:
    async with unix_connect(echo, "ws://w-e.localhost/w/e/ws") as channel:
        for message in ("text", b"bytes"):
            await channel.send(message)
            assert await channel.recv() == message
