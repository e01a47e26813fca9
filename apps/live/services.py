"""Telling open pages that something changed. The lowest step of all: any app may call it."""

from __future__ import annotations

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import connection, transaction

GROUP = "live.changes"
log = structlog.get_logger()


def announce(topic: str) -> None:
    """After the running transaction commits, tell the live processes that `topic` changed.

    Only for speed and never raises: they also poll versions, so a lost word costs 3 s at most.
    """
    transaction.on_commit(lambda: _send(topic), robust=True)


def announce_to_gate() -> None:
    """With the commit, have gate read its table again (PostgreSQL NOTIFY)."""
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY gate")


def _send(topic: str) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(GROUP, {"type": "live.changed", "topic": topic})
    except (OSError, ConnectionError, TimeoutError) as error:
        log.warning("announce_failed", topic=topic, error=str(error))
