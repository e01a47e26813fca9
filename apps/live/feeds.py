"""One topic in one live process: who looks at it, and when it is rendered for all of them.

A feed is told that its topic may have changed (`want`), by a word from Valkey or by the hub's look
at the versions. It renders at once, and then at most four times a second, the last time always
after the last word. Every call is on the event loop; rendering is done by a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from apps.live import frames
from apps.live.mailboxes import Mailbox
from apps.live.metrics import FRAMES
from apps.live.outages import is_outage
from apps.live.rendering import Look, Rendered, Task
from apps.live.topics import TopicType

GAP_S = 0.25
Renderer = Callable[[Task], Awaitable[Rendered | None]]
log = structlog.get_logger()


@dataclass(slots=True)
class Subscription:
    """One reader of a feed. `version` is the newest that was put into its mailbox."""

    mailbox: Mailbox
    look: Look
    version: int
    checked_at: float


class Feed:
    """A topic with its readers. `on_gone` is called once, when there is no such thing any more."""

    def __init__(
        self, topic: TopicType, key: str, render: Renderer, on_gone: Callable[[Feed], None]
    ) -> None:
        self.topic = topic
        self.key = key
        self.name = f"{topic.name}:{key}" if not topic.is_personal else topic.name
        self.readers: dict[object, Subscription] = {}
        self.rendered = Rendered()
        self._render = render
        self._on_gone = on_gone
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, reader: object, subscription: Subscription, present: int) -> None:
        """Let `reader` have the state, unless it has the `present` version already."""
        if subscription.version > present:
            subscription.version = 0
        self.readers[reader] = subscription
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"feed {self.name}")
        if self.rendered.version >= present:
            self._deliver()
        if subscription.version < present:
            self.want()

    def remove(self, reader: object) -> None:
        """`reader` looks elsewhere; what waits for it is dropped."""
        subscription = self.readers.pop(reader, None)
        if subscription is not None:
            subscription.mailbox.drop(self.name)

    def want(self) -> None:
        """The topic may have changed, or somebody lacks its state."""
        self._wanted.set()

    def take(self, version: int | None) -> None:
        """The version in the database is this; None: it is gone."""
        if version is None:
            self.end()
        elif version > self.rendered.version or self._is_someone_behind():
            self.want()

    def end(self) -> None:
        """There is no such thing any more: tell every reader, then the hub."""
        for reader, subscription in list(self.readers.items()):
            subscription.mailbox.answer(frames.refused(self.name, "not_found"))
            self.remove(reader)
        self._on_gone(self)

    def stop(self) -> None:
        """Nobody looks any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _is_someone_behind(self) -> bool:
        newest = self.rendered.version
        return any(one.version < newest for one in self.readers.values())

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._refresh()
            except Exception as error:  # noqa: BLE001
                # Nothing may end a feed but its last reader; the hub's next look tries again.
                level = log.warning if is_outage(error) else log.exception
                level("feed_failed", topic=self.name, error=str(error))
            await asyncio.sleep(GAP_S)

    async def _refresh(self) -> None:
        looks = {one.look for one in self.readers.values()}
        if not looks:
            return
        rendered = await self._render(Task(self.topic, self.key, self.name, looks, self.rendered))
        if rendered is None:
            self.end()
            return
        self.rendered = rendered
        if not self._deliver():
            self.want()

    def _deliver(self) -> bool:
        """Put the newest state into every mailbox that lacks it. False if a look is missing, of a
        reader that came while the others' were rendered."""
        complete = True
        for one in self.readers.values():
            if one.version >= self.rendered.version:
                continue
            frame = self.rendered.frames.get(one.look)
            if frame is None:
                complete = False
                continue
            one.version = self.rendered.version
            one.mailbox.put(self.name, frame)
            FRAMES.inc()
        return complete
