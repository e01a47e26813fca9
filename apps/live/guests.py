"""One open socket, as the hub knows it."""

from __future__ import annotations

from collections.abc import Callable

from apps.live.doors import Visitor
from apps.live.mailboxes import Mailbox


class Guest:
    """Who is at the other end, what waits for them, and how to show them out.

    `person` is newer than `visitor.person` once the doorkeeper has looked again.
    """

    def __init__(self, visitor: Visitor, mailbox: Mailbox, show_out: Callable[[int], None]) -> None:
        self.visitor = visitor
        self.person: object = visitor.person
        self.mailbox = mailbox
        self.show_out = show_out
        self.topics: dict[str, str] = {}
        """What the client calls its topics -> under which address the hub has their feeds."""
