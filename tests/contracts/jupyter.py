"""The real image for tests, built once per machine, and a kernel reached over the run's socket."""

from __future__ import annotations

import json
import os
import tomllib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, unix_connect

from apps.catalog.environments.builder import BuildRequest, build, lock_digest
from apps.clusters.drivers.base import AppSpec, ImageSpec
from tests.contracts.clusters import ROOT

IMAGES = ROOT / "deploy" / "images"
PYTHON_VERSION = "3.11"
TOKEN = "app-secret"


def cache() -> Path:
    """Where environments are kept between test runs; the same as the trial's."""
    return Path(os.environ.get("CACHE") or Path.home() / ".cache" / "gpucommons")


def built_image() -> tuple[Path, ImageSpec]:
    """The folder of environments, and the default image, which is in it now."""
    lock = (IMAGES / "python" / "requirements.lock").read_text()
    digest = lock_digest(lock, (), PYTHON_VERSION)
    root = cache() / "environments"
    build(BuildRequest(root, digest, lock, PYTHON_VERSION))
    return root, ImageSpec("python", digest, PYTHON_VERSION)


def app_of(slug: str) -> AppSpec:
    """An app as the installation's seed describes it."""
    with (IMAGES / "apps.toml").open("rb") as file:
        row = next(row for row in tomllib.load(file)["app"] if row["slug"] == slug)
    return AppSpec(
        slug=slug,
        command=tuple(row["command"]),
        socket_args=tuple(row["socket_args"]),
        port_args=tuple(row["port_args"]),
        readiness_path=row["readiness_path"],
        token_env=row["token_env"],
        activity=row["activity"],
        env=tuple(row.get("env", {}).items()),
    )


@dataclass(frozen=True)
class Jupyter:
    """A Jupyter Server on a unix socket, as nginx would reach it for the host `host`."""

    socket: str
    base_url: str
    host: str = "w-x.localhost:8000"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"token {TOKEN}", "Host": self.host}

    def client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=self.socket)
        base = f"http://{self.host}{self.base_url}"
        return httpx.AsyncClient(
            transport=transport, base_url=base, headers=self.headers, timeout=60
        )

    async def start_kernel(self) -> str:
        """A new kernel of the default kind; its id."""
        async with self.client() as client:
            answer = await client.post("api/kernels", json={"name": "python3"})
            assert answer.status_code == 201, answer.text
            kernel: str = answer.json()["id"]
            return kernel

    async def execute(self, kernel: str, code: str) -> str:
        """Run code in it; what it printed and what it was worth."""
        uri = f"ws://{self.host}{self.base_url}api/kernels/{kernel}/channels"
        headers = {"Authorization": f"token {TOKEN}"}
        async with unix_connect(self.socket, uri, additional_headers=headers) as channel:
            message = _request(code)
            await channel.send(json.dumps(message))
            return await _output(channel, message["header"]["msg_id"])


async def _output(channel: ClientConnection, asked: str) -> str:
    told = ""
    while True:
        message = json.loads(await channel.recv())
        if message["parent_header"].get("msg_id") != asked:
            continue
        content = message["content"]
        kind = message["msg_type"]
        if kind == "stream":
            told += content["text"]
        elif kind == "execute_result":
            told += content["data"]["text/plain"]
        elif kind == "error":
            told += "\n".join(content["traceback"])
        elif kind == "status" and content["execution_state"] == "idle":
            return told


def _request(code: str) -> dict[str, Any]:
    return {
        "header": {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "username": "test",
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
