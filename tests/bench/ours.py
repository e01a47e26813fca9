"""The portal under measurement: a trial of its own on a free port, used as a person's page does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from websockets.asyncio.client import connect

from tests.kernel import Server, first_answer

ROOT = Path(__file__).resolve().parent.parent.parent
READY_TIMEOUT_S = 600
LAUNCH_TIMEOUT_S = 120


@dataclass(slots=True)
class Portal:
    """A running trial and a token of its student."""

    port: int
    data: Path
    process: subprocess.Popen[str]
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def api(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}/api/v1",
            headers={**self.headers, "Host": f"localhost:{self.port}"},
            timeout=LAUNCH_TIMEOUT_S,
        )

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PORT": str(self.port), "DATA": str(self.data)}


def start_portal(port: int, data: Path) -> Portal:
    """`make up`, waited for until READY; raises when it fails."""
    environment = {**os.environ, "PORT": str(port), "DATA": str(data)}
    process = subprocess.Popen(
        ["make", "--no-print-directory", "up"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    portal = Portal(port, data, process)
    deadline = time.monotonic() + READY_TIMEOUT_S
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("SIGNIN student"):
            break
        if line.startswith("FAILED") or time.monotonic() > deadline:
            raise RuntimeError(line)
    portal.token = subprocess.run(
        [sys.executable, "manage.py", "token", "student"],
        cwd=ROOT, env=portal.environment(), check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    return portal


def stop_portal(portal: Portal) -> None:
    """`make down`, and the end of `make up`."""
    subprocess.run(
        ["make", "--no-print-directory", "down"], cwd=ROOT, env=portal.environment(), check=False
    )
    if portal.process.poll() is None:
        os.killpg(portal.process.pid, signal.SIGTERM)
    portal.process.wait(timeout=60)


async def make_workspace(portal: Portal) -> dict[str, str]:
    """A stopped workspace of the default image, whose home has been used once."""
    async with portal.api() as api:
        images = (await api.get("/images")).json()["items"]
        image = next(i for i in images if i["slug"] == "python")
        body = {"image": image["slug"], "ide": "jupyterlab", "size": "small"}
        answer = await api.post("/workspaces", json=body)
        answer.raise_for_status()
        workspace: dict[str, str] = answer.json()
    await wait_for_phase(portal, workspace["uid"], "ready")
    await stop(portal, workspace["uid"])
    return workspace


async def wait_for_phase(portal: Portal, uid: str, phase: str) -> None:
    """By the same socket as the page: no polling."""
    async with connect(
        f"ws://localhost:{portal.port}/ws/live/",
        host="127.0.0.1",
        port=portal.port,
        additional_headers=portal.headers,
        origin=f"http://localhost:{portal.port}",  # type: ignore[arg-type]  # a NewType of str
    ) as socket:
        await socket.send(json.dumps({"subscribe": [f"workspace:{uid}"], "as": "data"}))
        async with asyncio.timeout(LAUNCH_TIMEOUT_S):
            async for text in socket:
                data = json.loads(text).get("data") or {}
                if data.get("phase") == phase:
                    return
                if data.get("phase") == "failed":
                    raise RuntimeError(data.get("message"))


async def stop(portal: Portal, uid: str) -> None:
    async with portal.api() as api:
        (await api.post(f"/workspaces/{uid}/stop", json={})).raise_for_status()
    await wait_for_phase(portal, uid, "stopped")


async def launch(portal: Portal, workspace: dict[str, str]) -> float:
    """Seconds from the click on Start to the first kernel answer through the proxy."""
    begun = time.perf_counter()
    async with portal.api() as api:
        (await api.post(f"/workspaces/{workspace['uid']}/start", json={})).raise_for_status()
    await wait_for_phase(portal, workspace["uid"], "ready")
    await first_answer(Server(workspace["url"], portal.headers))
    took = time.perf_counter() - begun
    await stop(portal, workspace["uid"])
    return took
