"""What waits to be sent to one socket: answers in order, and of each topic the newest state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

MAX_ANSWERS = 256


class Mailbox:
    """Filled by the hub without ever waiting, emptied as fast as its reader reads.

    Bounded: a state replaces the one of the same topic that has not left yet, so a slow reader
    skips to the newest; answers are as many as a client's requests, and `is_full` says when it
    does not read them.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._answers: deque[str] = deque()
        self._states: dict[str, str] = {}
        self._something = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether answers wait that nobody fetches."""
        return len(self._answers) >= MAX_ANSWERS

    def answer(self, text: str) -> None:
        """Send after the answers before, ahead of any state."""
        self._answers.append(text)
        self._something.set()

    def put(self, topic: str, text: str) -> None:
        """Send as the newest state of `topic`."""
        self._states.pop(topic, None)
        self._states[topic] = text
        self._something.set()

    def drop(self, topic: str) -> None:
        """What waits of `topic` is not to be sent any more."""
        self._states.pop(topic, None)

    async def run(self) -> None:
        """Send whatever comes, until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._answers or self._states:
                await self._send(self._next())

    def _next(self) -> str:
        if self._answers:
            return self._answers.popleft()
        return self._states.pop(next(iter(self._states)))
