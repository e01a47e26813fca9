"""`/ws/live/`: one socket of one page or program."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from apps.live import frames
from apps.live.doors import Doorkeeper, Knock, Visitor
from apps.live.guests import Guest
from apps.live.hub import REVOKED, Hub, hub_of_process, in_thread
from apps.live.mailboxes import Mailbox
from apps.live.outages import is_outage

WRONG_ORIGIN = 4403
TOO_OFTEN = 4429
TOO_LARGE = 1009
COME_AGAIN = 1013
MAX_PER_PERSON = 100
BURST = 40
PER_SECOND = 10
CLOSE_S = 2.0
log = structlog.get_logger()


class Pace:
    """How many frames a client may send: `BURST` at once, `PER_SECOND` in the long run."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = time.monotonic()

    def allows(self) -> bool:
        """Whether one more is fine now; counts it."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels is not typed
    """Reads requests, hands them to the hub, and lets the mailbox write. Refusals are told by the
    close code, so the handshake is always taken first."""

    channel_layer_alias = None

    def __init__(self, doorkeeper: Doorkeeper) -> None:
        super().__init__()
        self.doorkeeper = doorkeeper
        self.guest: Guest | None = None
        self.pace = Pace()
        self.tasks: set[asyncio.Task[None]] = set()
        self.main: asyncio.Task[Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket; however it ends, nothing of it stays behind."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()

    @property
    def hub(self) -> Hub:
        """The hub of this process."""
        return hub_of_process(self.doorkeeper)

    async def connect(self) -> None:
        """Let in whoever is known, from the portal's own pages or with a token."""
        self.main = asyncio.current_task()
        knock = Knock.of(self.scope["headers"])
        await self.accept()
        if not knock.comes_from(settings.PORTAL_URL):
            await self.close(WRONG_ORIGIN)
            return
        try:
            visitor = await in_thread(self.doorkeeper.admit, knock)
        except (DatabaseError, InterfaceError) as error:
            # An outage must reach the client as "come again", not as a broken socket.
            if not is_outage(error):
                raise
            await self.close(COME_AGAIN)
            return
        if visitor is None:
            await self.close(REVOKED)
        elif self._sockets_of(visitor) >= MAX_PER_PERSON:
            await self.close(TOO_OFTEN)
        else:
            self._let_in(visitor)

    def _let_in(self, visitor: Visitor) -> None:
        mailbox = Mailbox(self._write)
        self.guest = Guest(visitor, mailbox, self._show_out)
        self._begin(mailbox.run())
        self.hub.join(self.guest)

    def _sockets_of(self, visitor: Visitor) -> int:
        return sum(guest.visitor.person_id == visitor.person_id for guest in self.hub.guests)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame. What cannot be read is answered; too many or too large ones end it."""
        guest = self.guest
        if guest is None or guest not in self.hub.guests:
            return
        if not self.pace.allows() or guest.mailbox.is_full:
            self._show_out(TOO_OFTEN)
            return
        if len(text_data or bytes_data or "") > frames.MAX_BYTES:
            self._show_out(TOO_LARGE)
            return
        try:
            request = frames.read(text_data or "")
        except frames.Malformed as error:
            guest.mailbox.answer(frames.refused(None, "malformed", str(error)))
            return
        await self._obey(guest, request)

    async def _obey(self, guest: Guest, request: frames.Request) -> None:
        for name in request.unsubscribe:
            self.hub.unsubscribe(guest, name)
        look = (request.form, guest.visitor.language)
        try:
            for name in request.subscribe:
                await self.hub.subscribe(guest, name, look, request.have.get(name, 0))
        except (DatabaseError, InterfaceError) as error:
            # As at the door: the client comes again, with what it has.
            if not is_outage(error):
                raise
            log.warning("subscribe_failed", error=str(error))
            self._show_out(COME_AGAIN)

    def _leave(self) -> None:
        if self.guest is not None:
            self.hub.leave(self.guest)
        for task in self.tasks:
            task.cancel()

    async def _write(self, text: str) -> None:
        await self.send(text_data=text)

    def _show_out(self, code: int) -> None:
        self._leave()
        self._begin(self._close_or_cut(code))

    async def _close_or_cut(self, code: int) -> None:
        # A reader who does not read must not keep a socket open that was revoked.
        try:
            await asyncio.wait_for(self.close(code), CLOSE_S)
        except TimeoutError:
            if self.main is not None:
                self.main.cancel()

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(self._survive(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _survive(self, work: Any) -> None:
        # The transport may be gone while we write; then there is nobody left to tell.
        with contextlib.suppress(RuntimeError, OSError):
            await work
