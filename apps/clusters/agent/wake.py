"""Waking the long polls of one run's agent. Only for speed: a poll looks at the table, too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

LIMIT_S = 0.2
AWAY = (OSError, TimeoutError, RedisError)

log = structlog.get_logger()


def group_of(workload_uid: str) -> str:
    """The group of the channel layer in which this run's long polls wait."""
    return f"agent.{workload_uid}"


def wake(workload_uid: str) -> None:
    """After the running transaction commits, let this run's agent fetch its commands at once.
    Never raises and delays by 0.2 s at most."""
    transaction.on_commit(lambda: _send(workload_uid), robust=True)


def _send(workload_uid: str) -> None:
    try:
        async_to_sync(_group_send)(group_of(workload_uid))
    except AWAY as error:
        log.warning("wake_failed", workload=workload_uid, error=repr(error))


async def _group_send(group: str) -> None:
    layer = get_channel_layer()
    if layer is not None:
        async with asyncio.timeout(LIMIT_S):
            await layer.group_send(group, {"type": "agent.commands"})


class Bell:
    """Rings when there may be a new command. `is_connected` is false where it cannot ring."""

    def __init__(self, *, is_connected: bool) -> None:
        self.is_connected = is_connected
        self._rang = asyncio.Event()

    def ring(self) -> None:
        self._rang.set()

    async def wait(self, timeout_s: float) -> None:
        """Until it rings, or `timeout_s` have passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rang.wait()
        self._rang.clear()


@contextlib.asynccontextmanager
async def bell_of(workload_uid: str) -> AsyncIterator[Bell]:
    """A bell that `wake` rings while the block runs."""
    layer, group = get_channel_layer(), group_of(workload_uid)
    channel = ""
    if layer is not None:
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(LIMIT_S):
                name = await layer.new_channel("agent.")
                await layer.group_add(group, name)
                channel = name
    bell = Bell(is_connected=bool(channel))
    if not channel or layer is None:
        yield bell
        return

    async def listen() -> None:
        while True:
            await layer.receive(channel)
            bell.ring()

    listener = asyncio.create_task(listen())
    try:
        yield bell
    finally:
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(LIMIT_S):
                await layer.group_discard(group, channel)
        listener.cancel()
        await asyncio.wait([listener], timeout=LIMIT_S)
