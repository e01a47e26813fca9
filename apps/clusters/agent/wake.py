"""Waking the long-poll of one run's agent. Only for speed: the poll looks at the table too."""

from __future__ import annotations

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

log = structlog.get_logger()


def group_of(workload_uid: str) -> str:
    """The group of the channel layer in which this run's long-polls wait."""
    return f"agent.{workload_uid}"


def wake(workload_uid: str) -> None:
    """After the running transaction commits, let this run's agent fetch its commands at once.
    Never raises."""
    transaction.on_commit(lambda: _send(workload_uid), robust=True)


def _send(workload_uid: str) -> None:
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        async_to_sync(layer.group_send)(group_of(workload_uid), {"type": "agent.commands"})
    except (OSError, ConnectionError, TimeoutError) as error:
        log.warning("wake_failed", workload=workload_uid, error=str(error))
