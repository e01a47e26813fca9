"""Saying words to the live processes without anybody waiting for it.

`services.announce` hands topics over when a transaction has committed; a thread of this process
with an event loop and one connection of its own publishes them. What is lost (Valkey away, the
process ends) the live processes find by themselves when they next look.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time

import structlog
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

GROUP = "live.changes"
SEND_S = 1.0
QUIET_S = 2.0
MAX_WAITING = 10_000
log = structlog.get_logger()


class Announcer:
    """Thread-safe. The thread begins with the first word, again in a process that was forked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._quiet_until = 0.0

    def say(self, topic: str) -> None:
        """Publish soon that `topic` has changed; the same word that still waits is said once.
        Never raises and never waits."""
        with self._lock:
            if topic in self._waiting or len(self._waiting) >= MAX_WAITING:
                return
            loop = self._running_loop()
            self._waiting.add(topic)
        asyncio.run_coroutine_threadsafe(self._publish(topic), loop)

    def try_again(self) -> None:
        """Forget that Valkey was away."""
        self._quiet_until = 0.0

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None or self._pid != os.getpid():
            self._waiting.clear()
            self._pid = os.getpid()
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="announce", daemon=True).start()
        return self._loop

    async def _publish(self, topic: str) -> None:
        with self._lock:
            self._waiting.discard(topic)
        layer = get_channel_layer()
        if layer is None or time.monotonic() < self._quiet_until:
            return
        message = {"type": "live.changed", "topic": topic}
        try:
            await asyncio.wait_for(layer.group_send(GROUP, message), SEND_S)
        except (OSError, TimeoutError, RedisError) as error:
            self._quiet_until = time.monotonic() + QUIET_S
            log.warning("announce_failed", topic=topic, error=str(error))


announcer = Announcer()
