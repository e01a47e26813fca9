"""Waking a worker. Only for speed: the row is the work, and a sweep finds it soon.

A broker that is away, full or frozen must not be felt by whoever commits: the connection for hints
is our own, with short time limits, and after a failure none is tried for a moment.
"""

from __future__ import annotations

import threading
import time
from functools import cache

import structlog
from celery import current_app
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerAway
from kombu.pools import ProducerPool

LIMIT_S = 0.1
QUIET_S = 2.0
HINT_EXPIRES_S = 60.0

log = structlog.get_logger()


class _Breaker:
    """Skips hints for `QUIET_S` after one has failed."""

    def __init__(self) -> None:
        self._closed_at = 0.0
        self._lock = threading.Lock()

    def is_open(self) -> bool:
        return time.monotonic() < self._closed_at

    def trip(self) -> None:
        with self._lock:
            self._closed_at = time.monotonic() + QUIET_S

    def reset(self) -> None:
        self._closed_at = 0.0


breaker = _Breaker()


def send(task: str, *args: str, expires_s: float = HINT_EXPIRES_S) -> bool:
    """Send a task by name now; False if the broker did not take it in time."""
    if breaker.is_open():
        return False
    try:
        with _producers().acquire(block=True, timeout=LIMIT_S) as producer:
            current_app.send_task(
                task, args=args, producer=producer, retry=False, expires=expires_s
            )
    except (BrokerAway, OSError) as error:
        breaker.trip()
        log.warning("hint_failed", task=task, error=str(error))
        return False
    return True


@cache
def _producers() -> ProducerPool:
    options = {
        **current_app.conf.broker_transport_options,
        "socket_timeout": LIMIT_S,
        "socket_connect_timeout": LIMIT_S,
        "max_retries": 0,
        "retry_on_timeout": False,
    }
    connection = Connection(
        current_app.conf.broker_url, transport_options=options, connect_timeout=LIMIT_S
    )
    return ProducerPool(connection.Pool(limit=4), limit=4)
