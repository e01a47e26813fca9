"""Follows PostgreSQL and keeps `table.Table` up to date: NOTIFY at once, and a look every 2 s.

One connection, one read-only transaction a look, so that the four views always fit together.
A look first asks for fingerprints (computed by the server) and reads only what changed.
While the database cannot be reached the last table stays; its age says so.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import structlog
from psycopg.rows import TupleRow

from apps.gate.table import Person, Route, Table, Token

log = structlog.get_logger("gate.store")

POLL_S = 2.0
SIGNOUT_MEMORY_S = 600.0
"""Blind for longer than this, gate may have missed a sign-out (the view keeps them 15 min)."""

_LOOK_TIMEOUT_S = 5.0
_CONNECT_TIMEOUT_S = 3
_COALESCE_S = 0.02
_BACKOFF_S = (0.1, 2.0)
_CHANNEL = "LISTEN gate"

_FINGERPRINTS = " UNION ALL ".join(
    f"SELECT '{view}', count(*), sum(hashtextextended(v::text, 0)) FROM {view} v"  # noqa: S608
    for view in ("gate_routes", "gate_people", "gate_tokens", "gate_signouts")
)
_ROUTES = (
    "SELECT workspace_uid, owner_id, owner_uid, run, upstream, auth_header, strip_prefix,"
    " ready, phase, name FROM gate_routes"
)
_PEOPLE = "SELECT person_id, uid, epoch, active FROM gate_people"
_TOKENS = (
    "SELECT digest, person_id, scopes, extract(epoch from expires_at)::float8 FROM gate_tokens"
)
_SIGNOUTS = "SELECT session FROM gate_signouts"

Connection = psycopg.AsyncConnection[TupleRow]


class Store:
    """Holds the newest table. `run()` follows the database until it is cancelled."""

    def __init__(self, conninfo: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.table = Table()
        self._conninfo = conninfo
        self._monotonic = monotonic
        self._fingerprints: dict[str, tuple[Any, ...]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._wanted = asyncio.Event()
        self._looked = asyncio.Condition()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of the table."""
        self._listeners.append(listener)

    async def look_now(self, timeout_s: float) -> bool:
        """Wait for a look that began after this call; False if none succeeded in time."""
        asked_at = self._monotonic()
        self._wanted.set()
        try:
            async with asyncio.timeout(timeout_s), self._looked:
                await self._looked.wait_for(lambda: (self.table.read_at or 0.0) > asked_at)
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Follow the database for ever, with back-off while it cannot be reached."""
        pause_s = _BACKOFF_S[0]
        while True:
            before = self.table.read_at
            try:
                await self._follow()
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("database_unreachable", error=type(error).__name__)
            if self.table.read_at != before:
                pause_s = _BACKOFF_S[0]
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  (only spreads)
            pause_s = min(pause_s * 2, _BACKOFF_S[1])

    async def _follow(self) -> None:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S + 2):
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name="gate",
                options="-c statement_timeout=4000 -c default_transaction_read_only=on",
            )
        async with connection:
            await connection.execute(_CHANNEL)
            self._fingerprints = {}
            log.info("database_followed")
            while True:
                self._wanted.clear()
                async with asyncio.timeout(_LOOK_TIMEOUT_S):
                    await self._look(connection)
                await self._wait(connection)
                # A burst of notifications makes one look, not one each.
                await asyncio.sleep(_COALESCE_S)

    async def _wait(self, connection: Connection) -> None:
        """Return on a notification, when a look is wanted, or after the polling interval."""
        notified = asyncio.ensure_future(self._next_notification(connection))
        wanted = asyncio.ensure_future(self._wanted.wait())
        try:
            await asyncio.wait({notified, wanted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wanted.cancel()
            if not notified.done():
                notified.cancel()
            await asyncio.gather(notified, wanted, return_exceptions=True)
        if not notified.cancelled() and (error := notified.exception()) is not None:
            raise error

    @staticmethod
    async def _next_notification(connection: Connection) -> None:
        async for _ in connection.notifies(timeout=POLL_S, stop_after=1):
            pass

    async def _look(self, connection: Connection) -> None:
        began = self._monotonic()
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            rows = await (await connection.execute(_FINGERPRINTS)).fetchall()
            fingerprints = {str(name): tuple(rest) for name, *rest in rows}
            changes = await self._changes(connection, fingerprints)
        self._fingerprints = fingerprints
        changes["read_at"] = began
        if (age := self.table.age_s(began)) is not None and age > SIGNOUT_MEMORY_S:
            changes["generation"] = self.table.generation + 1
        changed = len(changes) > 1
        self.table = replace(self.table, **changes)
        async with self._looked:
            self._looked.notify_all()
        if changed:
            for listener in self._listeners:
                listener()

    async def _changes(
        self, connection: Connection, fingerprints: dict[str, tuple[Any, ...]]
    ) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if self._differs("gate_routes", fingerprints):
            rows = await (await connection.execute(_ROUTES)).fetchall()
            changes["routes"] = {row[0]: Route(*row) for row in rows}
        if self._differs("gate_people", fingerprints):
            rows = await (await connection.execute(_PEOPLE)).fetchall()
            changes["people"] = {row[0]: Person(*row) for row in rows}
        if self._differs("gate_tokens", fingerprints):
            rows = await (await connection.execute(_TOKENS)).fetchall()
            changes["tokens"] = {
                digest: Token(person, frozenset(scopes), expires_at)
                for digest, person, scopes, expires_at in rows
            }
        if self._differs("gate_signouts", fingerprints):
            rows = await (await connection.execute(_SIGNOUTS)).fetchall()
            changes["signouts"] = frozenset(row[0] for row in rows)
        return changes

    def _differs(self, view: str, fingerprints: dict[str, tuple[Any, ...]]) -> bool:
        return self._fingerprints.get(view) != fingerprints[view]
