"""Telling open pages that something changed. The lowest step of all: any app may call it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction

from apps.live.announcing import announcer


@dataclass(frozen=True, slots=True)
class Announcement:
    """One word to the live processes, said when it is called."""

    topic: str

    def __call__(self) -> None:
        announcer.say(self.topic)


def announce(topic: str) -> None:
    """After the running transaction commits, tell the live processes once that `topic` changed.

    Only for speed: nobody waits for it and it never raises. They also poll versions, so a lost
    word costs 3 s at most.
    """
    word = Announcement(topic)
    if not any(entry[1] == word for entry in connection.run_on_commit):
        transaction.on_commit(word, robust=True)


def announce_to_gate() -> None:
    """With the commit, have gate read its table again (PostgreSQL NOTIFY)."""
    with connection.cursor() as cursor:
        cursor.execute("NOTIFY gate")
