"""A live process of its own: uvicorn on a unix socket, with a Valkey that can be taken away."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from websockets.asyncio.client import ClientConnection, unix_connect

from deploy.trial.processes import spawn
from deploy.trial.valkey import Valkey

ROOT = Path(__file__).resolve().parents[2]


def wait_for(condition: Callable[[], bool], what: str, within_s: float = 30) -> None:
    """Until `condition()`, looking every 20 ms."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {within_s} s in vain: {what}"
        time.sleep(0.02)


def end(process: subprocess.Popen[bytes] | None) -> None:
    """End what we started."""
    if process is None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class LiveProcess:
    """`folder` must have a short path: sockets lie in it."""

    folder: Path
    valkey: Valkey = field(init=False)
    _valkey: subprocess.Popen[bytes] | None = None
    _live: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.valkey = Valkey(self.folder / "v.sock", self.folder / "valkey.log", home=None)

    @property
    def path(self) -> Path:
        return self.folder / "live.sock"

    @property
    def channel_url(self) -> str:
        return f"unix://{self.valkey.socket}?db=1"

    def start_valkey(self) -> None:
        self._valkey = spawn(self.valkey.start())
        wait_for(self.valkey.is_answering, "Valkey answers")

    def stop_valkey(self) -> None:
        end(self._valkey)
        self._valkey = None

    def start(self) -> None:
        """Begin to serve; returns when it answers."""
        log = (self.folder / "live.log").open("ab")
        self._live = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "portal.asgi:application"),
                *("--uds", str(self.path), "--lifespan", "off", "--ws", "wsproto"),
                *("--log-level", "warning"),
            ],
            cwd=ROOT,
            env={**os.environ, **self._environment()},
            stdout=log,
            stderr=log,
        )
        log.close()
        wait_for(self._is_answering, "the live process answers", within_s=60)

    def stop(self) -> None:
        end(self._live)
        self.stop_valkey()

    def log(self) -> str:
        return (self.folder / "live.log").read_text(errors="replace")

    def open(
        self, headers: list[tuple[str, str]]
    ) -> contextlib.AbstractAsyncContextManager[ClientConnection]:
        """A client's socket."""
        return unix_connect(
            str(self.path), "ws://localhost/ws/live/", additional_headers=headers, origin=None
        )

    def _environment(self) -> dict[str, str]:
        database = connection.settings_dict
        folder = quote(str(database["HOST"]), safe="/")
        account = f"{database['USER']}:{database['PASSWORD']}"
        return {
            "DJANGO_SETTINGS_MODULE": "portal.settings.test",
            "PORTAL_DATABASE_URL": f"postgresql://{account}@/{database['NAME']}?host={folder}",
            "PORTAL_CHANNEL_URL": self.channel_url,
            "PORTAL_SECRET_KEY": settings.SECRET_KEY,
        }

    def _is_answering(self) -> bool:
        assert self._live is not None
        assert self._live.poll() is None, self.log()
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.path))
            except OSError:
                return False
        return True


async def read_until(
    client: ClientConnection, condition: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """The first frame for which `condition` holds; bound it with `asyncio.timeout`."""
    while True:
        frame: dict[str, Any] = json.loads(await client.recv())
        if condition(frame):
            return frame
