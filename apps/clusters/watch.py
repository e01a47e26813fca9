"""Watching one cluster: list, then follow its events, and write each down within milliseconds.

One process leads per cluster and another may stand by. A thread of its own renews the lease, so
that a slow cluster does not cost it; the thread also notices a watch that hears nothing any more.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

import structlog
from django.db import Error as DatabaseError
from django.db import connections

from apps.clusters import leadership, metrics
from apps.clusters.drivers.base import CursorExpired, Driver, DriverError, RunState
from apps.clusters.leadership import RENEW_EVERY_S, Term, my_identity, take_term
from apps.clusters.listing import relist, write
from apps.clusters.models import Desired, Workload
from apps.clusters.observing import Deposed
from apps.clusters.orphans import Strangers
from apps.clusters.pace import Pace
from apps.clusters.selectors import driver_of

STANDBY_LOOK_S = 1.0
QUIET_AFTER_S = 15.0
STUCK_AFTER_S = 30.0
SILENT = "The cluster has said nothing for some time."

log = structlog.get_logger()


def _end_process() -> None:
    # The watch hangs in a call that cannot be interrupted; the supervisor starts us anew.
    os._exit(70)


class Watcher:
    """The watch of one cluster by one process. `run` returns when `stop` was called."""

    def __init__(self, name: str, *, on_stuck: Callable[[], None] = _end_process) -> None:
        self.name = name
        self.term: Term | None = None
        self._on_stuck = on_stuck
        self._stop = threading.Event()
        self._over = threading.Event()
        self._heard_at = self._moved_at = time.monotonic()
        self._pace = Pace()
        self._strangers = Strangers()
        self._list_now = False
        self._in_trouble = True

    def stop(self) -> None:
        """End soon and give the lease back. May be called from a signal handler."""
        self._stop.set()
        self._over.set()

    def run(self) -> None:
        """Lead whenever nobody else does, until `stop`. Survives errors of database and cluster.
        Raises Cluster.DoesNotExist."""
        while not self._stop.is_set():
            try:
                term = take_term(self.name, my_identity())
            except DatabaseError as error:
                self._rest("database_away", error)
                continue
            if term is None:
                self._stop.wait(STANDBY_LOOK_S)
                continue
            self._lead(term)
        connections.close_all()

    def _lead(self, term: Term) -> None:
        log.info("leading", cluster=self.name, epoch=term.epoch)
        self.term = term
        self._over.clear()
        if self._stop.is_set():
            self._over.set()
        self._heard()
        renewer = threading.Thread(target=self._renew, args=(term,), name="renew", daemon=True)
        renewer.start()
        metrics.LEADING.labels(self.name).set(1)
        try:
            self._follow(term)
        finally:
            metrics.LEADING.labels(self.name).set(0)
            self._over.set()
            renewer.join()
            self.term = None
            with contextlib.suppress(DatabaseError):
                leadership.release(term)

    def _follow(self, term: Term) -> None:
        cursor: str | None = None
        while not self._over.is_set():
            try:
                driver = driver_of(term.cluster)
                if cursor is None or self._wants_list():
                    cursor = self._list(driver, term)
                cursor = self._watch(driver, term, cursor)
            except Deposed:
                log.warning("deposed", cluster=self.name, epoch=term.epoch)
                self._over.set()
            except CursorExpired:
                metrics.EVENTS.labels(self.name, "expired").inc()
                cursor = None
            except DriverError as error:
                metrics.EVENTS.labels(self.name, "error").inc()
                # Who knows what it is when it is back: look at all of it, as soon as one may.
                self._list_now = True
                self._complain(term, error.message)
                self._rest("cluster_away", error)
            except DatabaseError as error:
                # What was heard meanwhile is lost: list again.
                cursor = None
                self._rest("database_away", error)

    def _list(self, driver: Driver, term: Term) -> str | None:
        wait_s = self._pace.wait_before_list_s()
        while wait_s > 0:
            self._heard()
            if self._over.wait(min(wait_s, 1.0)):
                return None
            wait_s = self._pace.wait_before_list_s()
        self._list_now = False
        cursor = relist(driver, term, self._strangers)
        self._pace.listed()
        self._heard()
        return cursor

    def _watch(self, driver: Driver, term: Term, cursor: str | None) -> str | None:
        """Write down events until the watch drops or a list is due; where to go on from, None
        where only a list can tell."""
        if cursor is None:
            return None
        for event in driver.watch(cursor, self._is_enough):
            self._heard()
            self._take_back(term)
            cursor = event.cursor
            seen = event.observation
            metrics.EVENTS.labels(self.name, "event" if seen else "sign").inc()
            if seen is not None:
                write(term, seen)
                self._list_now |= seen.state is RunState.ABSENT and _is_wanted(seen.uid)
            if self._is_enough():
                return cursor
        if self._is_silent(STUCK_AFTER_S):
            self._complain(term, SILENT)
            self._heard()
            return None
        if not self._is_enough():
            metrics.EVENTS.labels(self.name, "dropped").inc()
            self._over.wait(self._pace.failed())
        return cursor

    def _renew(self, term: Term) -> None:
        while True:
            try:
                alive = not self._is_silent(QUIET_AFTER_S)
                if not leadership.renew(term, is_alive=alive):
                    log.warning("deposed", cluster=self.name, epoch=term.epoch)
                    self._over.set()
                elif not alive:
                    self._complain(term, SILENT)
            except DatabaseError as error:
                log.warning("lease_not_renewed", cluster=self.name, error=str(error))
                connections.close_all()
            if time.monotonic() - self._moved_at > STUCK_AFTER_S:
                log.error("watch_stuck", cluster=self.name)
                self._on_stuck()
            if self._over.wait(RENEW_EVERY_S):
                connections.close_all()
                return

    def _is_enough(self) -> bool:
        self._moved_at = time.monotonic()
        return self._over.is_set() or self._wants_list() or self._is_silent(STUCK_AFTER_S)

    def _wants_list(self) -> bool:
        if self._pace.is_list_due():
            return True
        return self._list_now and self._pace.wait_before_list_s() == 0

    def _is_silent(self, for_s: float) -> bool:
        return time.monotonic() - self._heard_at > for_s

    def _heard(self) -> None:
        self._heard_at = self._moved_at = time.monotonic()

    def _take_back(self, term: Term) -> None:
        """The cluster speaks: whatever was wrong with it is over."""
        self._pace.succeeded()
        if self._in_trouble:
            leadership.note(term, trouble="")
            self._in_trouble = False

    def _complain(self, term: Term, trouble: str) -> None:
        self._in_trouble = True
        with contextlib.suppress(DatabaseError):
            leadership.note(term, trouble=trouble)

    def _rest(self, what: str, error: Exception) -> None:
        wait_s = self._pace.failed()
        log.warning(what, cluster=self.name, error=str(error), wait_s=wait_s)
        if isinstance(error, DatabaseError):
            connections.close_all()
        self._moved_at = time.monotonic()
        self._stop.wait(wait_s)


def _is_wanted(uid: str) -> bool:
    """Whether a run that a bare event called absent should be there: only a list can tell."""
    return Workload.objects.filter(uid=uid, desired=Desired.RUNNING).exists()
