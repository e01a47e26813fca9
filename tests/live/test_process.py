"""A real live process and real clients: Valkey comes and goes, and some readers do not read."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from apps.accounts.models import User
from apps.accounts.services.people import disable
from apps.live.announcing import announcer
from apps.workspaces.models import Workspace
from apps.workspaces.services import rename
from tests.live.process import LiveProcess, read_until
from tests.live.sockets import Headers, bearer_headers, on_thread


@pytest.fixture
def live(workspace: Workspace, settings: Settings) -> Iterator[LiveProcess]:
    """A live process, and this one speaking through the same Valkey."""
    folder = Path(tempfile.mkdtemp(prefix="gpc-live-"))
    process = LiveProcess(folder)
    layer = settings.CHANNEL_LAYERS["default"]
    config = {**layer["CONFIG"], "hosts": [process.channel_url]}
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": config}}
    announcer.try_again()
    process.start_valkey()
    process.start()
    yield process
    process.stop()
    print(process.log())  # pytest shows it where a test failed
    announcer.try_again()
    shutil.rmtree(folder, ignore_errors=True)


def texts(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in headers]


class Reader:
    """A client that keeps every version that it was sent."""

    def __init__(self, client: ClientConnection, topic: str) -> None:
        self.client = client
        self.topic = topic
        self.versions: list[int] = []

    async def follow(self) -> None:
        await self.client.send(json.dumps({"subscribe": [self.topic], "as": "data"}))
        await self.until(lambda frame: True)

    async def until(self, condition: Any, within_s: float = 30) -> dict[str, Any]:
        def is_it(frame: dict[str, Any]) -> bool:
            if "version" not in frame:
                return False
            self.versions.append(frame["version"])
            return bool(condition(frame["data"]))

        async with asyncio.timeout(within_s):
            return await read_until(self.client, is_it)

    async def sees(self, name: str, within_s: float = 5) -> None:
        await self.until(lambda data: data["name"] == name if "name" in data else True, within_s)

    @property
    def never_went_back(self) -> bool:
        return all(one < two for one, two in itertools.pairwise(self.versions))


@pytest.mark.fault
@pytest.mark.timeout(180)
async def test_valkey_goes_and_comes_back(
    live: LiveProcess, workspace: Workspace, owner: User
) -> None:
    headers = texts(await on_thread(bearer_headers, owner))
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(live.open(headers)) for _ in range(5)]
        readers = [Reader(client, f"workspace:{workspace.uid}") for client in clients]
        await asyncio.gather(*(reader.follow() for reader in readers))

        await change_and_see(workspace, owner, readers, "with Valkey")
        await asyncio.to_thread(live.stop_valkey)
        await change_and_see(workspace, owner, readers, "without Valkey")
        late = await stack.enter_async_context(live.open(headers))
        newcomer = Reader(late, f"workspace:{workspace.uid}")
        await newcomer.follow()
        await change_and_see(workspace, owner, [*readers, newcomer], "still without")
        await asyncio.to_thread(live.start_valkey)
        await change_and_see(workspace, owner, [*readers, newcomer], "with it again")
        await fast_again(workspace, owner, readers[0])

    assert all(reader.never_went_back for reader in [*readers, newcomer])


async def change_and_see(
    workspace: Workspace, owner: User, readers: list[Reader], name: str
) -> None:
    await on_thread(rename, owner, uid=workspace.uid, name=name)
    await asyncio.gather(*(reader.sees(name) for reader in readers))


async def fast_again(workspace: Workspace, owner: User, reader: Reader) -> None:
    """Words arrive again: sooner or later five changes in a row are seen before the hub's next look
    could have found them all."""
    loop = asyncio.get_running_loop()
    in_a_row = 0
    for number in range(40):
        name = f"word {number}"
        began = loop.time()
        await on_thread(rename, owner, uid=workspace.uid, name=name)
        await reader.sees(name)
        in_a_row = in_a_row + 1 if loop.time() - began < 0.8 else 0
        if in_a_row == 5:
            return
    pytest.fail("words from Valkey no longer arrive")


@pytest.mark.timeout(180)
async def test_who_does_not_read_holds_up_nobody(
    live: LiveProcess, workspace: Workspace, owner: User
) -> None:
    headers = texts(await on_thread(bearer_headers, owner))
    topic = f"workspace:{workspace.uid}"
    async with live.open(headers) as idle, live.open(headers) as busy:
        await idle.send(json.dumps({"subscribe": [topic]}))
        reader = Reader(busy, topic)
        await reader.follow()
        for number in range(20):
            await on_thread(rename, owner, uid=workspace.uid, name=f"{number}")
        await reader.sees("19")
        assert reader.never_went_back


@pytest.mark.timeout(180)
async def test_a_revoked_socket_is_closed_within_five_seconds(
    live: LiveProcess, workspace: Workspace, owner: User, admin: User
) -> None:
    headers = texts(await on_thread(bearer_headers, owner))
    async with live.open(headers) as client:
        await Reader(client, f"workspace:{workspace.uid}").follow()
        await on_thread(disable, admin, user=owner)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(read_until(client, lambda frame: False), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_wrong_origin_is_told_by_its_code(live: LiveProcess, owner: User) -> None:
    headers = texts(await on_thread(bearer_headers, owner))
    async with live.open([*headers, ("Origin", "http://evil.example")]) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4403
