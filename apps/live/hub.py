"""The one place of a live process where changes come in and go out to all its sockets.

In: words from Valkey (group `live.changes`), and every two seconds a look at the versions of
everything that someone looks at, one query per kind of topic, so that lost words, or no Valkey at
all, cost two seconds and nothing else. Out: feeds, which render once and fill mailboxes. The same
look shows out whoever may no longer be here. Runs on the event loop; no thread belongs to a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import structlog
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from apps.live import frames
from apps.live.announcing import GROUP
from apps.live.doors import Doorkeeper
from apps.live.errors import DomainError, NotFound
from apps.live.feeds import Feed, Subscription
from apps.live.guests import Guest
from apps.live.metrics import LOOK_FAILURES, SOCKETS
from apps.live.outages import is_outage
from apps.live.rendering import Rendered, Task, render
from apps.live.topics import TopicType, find

LOOK_S = 2.0
CHECK_S = 10.0
CHECKS_AT_ONCE = 50
LISTEN_AGAIN_S = 1.0
THREADS = 4
REVOKED = 4401

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="live")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work`, which may use the database, in one of the few threads of this process."""
    call = database_sync_to_async(work, thread_sensitive=False, executor=_threads)
    result: T = await call(*args, **kwargs)
    return result


class Hub:
    """All live topics of one process. Its two tasks run while anybody is here."""

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        self.doorkeeper = doorkeeper
        self.guests: set[Guest] = set()
        self.feeds: dict[str, Feed] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def join(self, guest: Guest) -> None:
        """A socket is open."""
        self.guests.add(guest)
        SOCKETS.inc()
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._listen(), name="live listen"),
                asyncio.create_task(self._keep_looking(), name="live look"),
            ]

    def leave(self, guest: Guest) -> None:
        """A socket is closed. Idempotent."""
        if guest not in self.guests:
            return
        self.guests.remove(guest)
        SOCKETS.dec()
        for name in list(guest.topics):
            self.unsubscribe(guest, name)
        if not self.guests:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    async def subscribe(self, guest: Guest, name: str, look: tuple[str, str], have: int) -> None:
        """Let the guest follow a topic, and answer. Again: start from what they have now.

        Raises what the database raises when it cannot be asked.
        """
        if name not in guest.topics and len(guest.topics) >= frames.MAX_TOPICS:
            guest.mailbox.answer(frames.refused(name, "too_many"))
            return
        try:
            topic, key, present = await in_thread(_resolve, guest.person, name)
        except DomainError as error:
            self.unsubscribe(guest, name)
            guest.mailbox.answer(frames.refused(name, error.code, str(error.message)))
            return
        if guest not in self.guests:
            return
        guest.mailbox.answer(frames.accepted(name))
        address = f"{topic.name}:{key}"
        feed = self.feeds.get(address)
        if feed is None:
            feed = self.feeds[address] = Feed(topic, key, _render, self._forget)
        guest.topics[name] = address
        feed.add(guest, Subscription(guest.mailbox, look, have, time.monotonic()), present)

    def unsubscribe(self, guest: Guest, name: str) -> None:
        """The guest follows it no more. Idempotent."""
        feed = self.feeds.get(guest.topics.pop(name, ""))
        if feed is not None:
            feed.remove(guest)
            if not feed.readers:
                self._forget(feed)

    def heard(self, topic: object) -> None:
        """Someone says that a topic has changed."""
        feed = self.feeds.get(topic) if isinstance(topic, str) else None
        if feed is not None:
            feed.want()

    async def look(self) -> None:
        """Compare what is shown with the database, and who is here with who may be."""
        await self._review()
        keys: dict[TopicType, list[str]] = defaultdict(list)
        for feed in self.feeds.values():
            keys[feed.topic].append(feed.key)
        for topic, present in (await in_thread(_versions, keys)).items():
            for key in keys[topic]:
                feed_now = self.feeds.get(f"{topic.name}:{key}")
                if feed_now is not None:
                    feed_now.take(present.get(key))
        await self._check_subscriptions()

    async def _review(self) -> None:
        guests = list(self.guests)
        people = await in_thread(self.doorkeeper.review, [guest.visitor for guest in guests])
        for guest, person in zip(guests, people, strict=True):
            if person is None:
                self.leave(guest)
                guest.show_out(REVOKED)
            else:
                guest.person = person

    async def _check_subscriptions(self) -> None:
        """Ask the policies again, a few at a time: who leads a group may stop leading it."""
        before = time.monotonic() - CHECK_S
        due = [
            (guest, name, subscription)
            for guest in self.guests
            for name, address in guest.topics.items()
            if (subscription := self._subscription(guest, address)) is not None
            and subscription.checked_at < before
        ]
        due.sort(key=lambda entry: entry[2].checked_at)
        asked = due[:CHECKS_AT_ONCE]
        answers = await in_thread(_allowed, [(guest.person, name) for guest, name, _ in asked])
        for (guest, name, subscription), refusal in zip(asked, answers, strict=True):
            subscription.checked_at = time.monotonic()
            if refusal is not None and name in guest.topics:
                self.unsubscribe(guest, name)
                guest.mailbox.answer(frames.refused(name, refusal))

    def _subscription(self, guest: Guest, address: str) -> Subscription | None:
        feed = self.feeds.get(address)
        return feed.readers.get(guest) if feed is not None else None

    def _forget(self, feed: Feed) -> None:
        address = f"{feed.topic.name}:{feed.key}"
        if self.feeds.get(address) is feed:
            del self.feeds[address]
        for guest in self.guests:
            for name in [name for name, at in guest.topics.items() if at == address]:
                del guest.topics[name]
        feed.stop()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001
                # The loop outlives whatever a round meets; the next one is two seconds away.
                LOOK_FAILURES.inc()
                level = log.warning if is_outage(error) else log.exception
                level("look_failed", error=str(error))

    async def _listen(self) -> None:
        while self.guests:
            with contextlib.suppress(OSError, RedisError):
                await self._listen_to_layer()
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def _listen_to_layer(self) -> None:
        layer = get_channel_layer()
        if layer is None:
            return
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        # A cancellation while it connects may be lost in the client library, hence the question.
        while self.guests:
            message = await layer.receive(channel)
            self.heard(message.get("topic"))


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub_of_process(doorkeeper: Doorkeeper) -> Hub:
    """The hub of the running event loop, which a process has one of."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(doorkeeper)
    return _hubs[loop]


async def _render(task: Task) -> Rendered | None:
    return await in_thread(render, task)


def _resolve(person: object, name: str) -> tuple[TopicType, str, int]:
    kind, colon, key = name.partition(":")
    topic = find(kind)
    # Two names of one thing would be two subscriptions that share a reader.
    if topic is None or (topic.is_personal and colon):
        raise NotFound("There is no such topic.")
    canonical = topic.resolve(person, key)
    present = topic.versions([canonical]).get(canonical)
    if present is None:
        raise NotFound("There is no such topic.")
    return topic, canonical, present


def _versions(
    keys: Mapping[TopicType, Sequence[str]],
) -> dict[TopicType, Mapping[str, int]]:
    return {topic: topic.versions(wanted) for topic, wanted in keys.items()}


def _allowed(asked: Sequence[tuple[object, str]]) -> list[str | None]:
    """For each person and topic None, or the code of the refusal."""
    answers: list[str | None] = []
    for person, name in asked:
        try:
            _resolve(person, name)
        except DomainError as error:
            answers.append(error.code)
        else:
            answers.append(None)
    return answers
