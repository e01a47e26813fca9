"""The same through REST and a bearer token, from a process that shares nothing with the portal."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.kernel import Server, client, evaluate, start_kernel
from tests.stack import Stack, eventually

pytestmark = [pytest.mark.trial, pytest.mark.timeout(300)]


def api(stack: Stack, username: str) -> httpx.Client:
    return httpx.Client(
        base_url=f"http://127.0.0.1:{stack.port}/api/v1",
        headers={
            "Authorization": f"Bearer {stack.token(username)}",
            "Host": f"localhost:{stack.port}",
        },
        timeout=30,
    )


def wait_for(http: httpx.Client, uid: str, phase: str) -> dict[str, object]:
    def look() -> dict[str, object] | None:
        found: dict[str, object] = http.get(f"/workspaces/{uid}").json()
        assert found["phase"] != "failed", found
        return found if found["phase"] == phase else None

    found = eventually(look, f"workspace {phase}", 90)
    assert isinstance(found, dict)
    return found


def launch(http: httpx.Client) -> dict[str, object]:
    images = http.get("/images").json()["items"]
    body = {
        "image": next(i["slug"] for i in images if i["slug"] == "python"),
        "ide": "jupyterlab",
        "size": "small",
    }
    answer = http.post("/workspaces", json=body)
    assert answer.status_code == 202, answer.text
    return wait_for(http, answer.json()["uid"], "ready")


def server_of(workspace: dict[str, object], http: httpx.Client) -> Server:
    return Server(str(workspace["url"]), {"Authorization": http.headers["Authorization"]})


def test_a_program_does_what_a_student_does(stack: Stack) -> None:
    with api(stack, "student") as http, api(stack, "student2") as other:
        workspace = launch(http)
        server = server_of(workspace, http)

        async def work() -> None:
            kernel = await start_kernel(server)
            assert await evaluate(server, kernel, "import sklearn; 6 * 7") == "42"
            async with client(server) as files:
                saved = await files.put(
                    "api/contents/note.txt",
                    json={"type": "file", "format": "text", "content": "kept"},
                )
                assert saved.status_code == 201

        asyncio.run(work())
        uid = str(workspace["uid"])
        assert other.get(f"/workspaces/{uid}").status_code == 404
        foreign = server_of(workspace, other)

        async def knock() -> int:
            async with client(foreign) as files:
                return (await files.get("api/contents")).status_code

        assert asyncio.run(knock()) == 404
        assert http.post(f"/workspaces/{uid}/stop", json={}).status_code == 202
        wait_for(http, uid, "stopped")
        assert http.post(f"/workspaces/{uid}/start", json={}).status_code == 202
        again = wait_for(http, uid, "ready")

        async def find() -> str:
            async with client(server_of(again, http)) as files:
                return str((await files.get("api/contents/note.txt")).json()["content"])

        assert asyncio.run(find()) == "kept"
        cost = again["cost"]
        assert isinstance(cost, dict)
        assert float(cost["amount"]) >= 0
        assert http.delete(f"/workspaces/{uid}").status_code == 202
        assert http.get(f"/workspaces/{uid}").status_code in {404, 410}


def portal_pids(stack: Stack) -> list[int]:
    files = (stack.data / "run").glob("*.pid")
    return [int(Path(file).read_text().split()[0]) for file in files]


def test_a_notebook_outlives_the_death_of_the_whole_portal() -> None:
    stack = Stack()
    try:
        stack.up()
        with api(stack, "student") as http:
            workspace = launch(http)
            server = server_of(workspace, http)
            kernel = asyncio.run(start_kernel(server))
            asyncio.run(evaluate(server, kernel, "answer = 41; answer"))
            for pid in portal_pids(stack):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            assert stack.process is not None
            stack.process.wait(timeout=30)
            stack.up()
            found = wait_for(http, str(workspace["uid"]), "ready")
            assert found["url"] == workspace["url"]
            assert asyncio.run(evaluate(server, kernel, "answer + 1")) == "42"
    finally:
        stack.remove()
