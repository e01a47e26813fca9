"""Telling open pages that something changed. The lowest step of all: any app may call it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import connection, transaction
from redis.exceptions import RedisError

GROUP = "live.changes"
SEND_S = 0.2
QUIET_S = 2.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Announcement:
    """One word to the live processes, said when it is called."""

    topic: str

    def __call__(self) -> None:
        if time.monotonic() < _outage.until:
            return
        try:
            async_to_sync(_publish)(self.topic)
        except (OSError, TimeoutError, RedisError) as error:
            _outage.until = time.monotonic() + QUIET_S
            log.warning("announce_failed", topic=self.topic, error=str(error))


@dataclass(slots=True)
class _Outage:
    """After a failure nothing is tried for a moment, so that nobody waits for it twice."""

    until: float = 0.0


_outage = _Outage()


def announce(topic: str) -> None:
    """After the running transaction commits, tell the live processes once that `topic` changed.

    Only for speed: never raises, delays by 0.2 s at most where Valkey hangs. They also poll
    versions, so a lost word costs 3 s at most.
    """
    word = Announcement(topic)
    if not any(entry[1] == word for entry in connection.run_on_commit):
        transaction.on_commit(word, robust=True)


def announce_to_gate() -> None:
    """With the commit, have gate read its table again (PostgreSQL NOTIFY)."""
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY gate")


async def _publish(topic: str) -> None:
    layer = get_channel_layer()
    if layer is not None:
        message = {"type": "live.changed", "topic": topic}
        await asyncio.wait_for(layer.group_send(GROUP, message), SEND_S)
