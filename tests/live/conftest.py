"""Everything that a launch needs, on a cluster on which nothing happens by itself; and sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import wait

import pytest
import pytest_asyncio

from apps.accounts.models import User
from apps.catalog.models import Image, Size
from apps.clusters.models import Cluster, ClusterKind
from apps.live import hub
from apps.workspaces.models import Workspace
from tests.live.sockets import Headers, Open, Socket
from tests.workspaces.lab import launch, make_ready


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.clusters.hints.send", lambda *args, **more: True)


@pytest.fixture
def lab(transactional_db: None, image: Image, sizes: dict[str, Size]) -> Cluster:
    return Cluster.objects.create(name="fake", kind=ClusterKind.FAKE, config={"name": "fake"})


@pytest.fixture
def workspace(lab: Cluster, owner: User) -> Workspace:
    return make_ready(launch(owner))


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Open]:
    """Opens sockets and closes them at the end."""
    opened: list[Socket] = []

    async def open_(headers: Headers) -> Socket:
        socket = await Socket(headers).open()
        opened.append(socket)
        return socket

    yield open_
    for socket in opened:
        await socket.close()
    await asyncio.to_thread(wait_for_threads)


def wait_for_threads() -> None:
    """Until the hub's threads have ended what they do: the database is about to be emptied."""
    all_here = threading.Barrier(hub.THREADS)
    wait([hub._threads.submit(all_here.wait, 30) for _ in range(hub.THREADS)])
