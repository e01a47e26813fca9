"""A cluster in memory, for tests of everything above a driver and for failures on demand.

Stands where a real driver stands: `apps.clusters.reconcile` calls it, `apps.clusters.watch`
listens to it. `apps.clusters.drivers.fake_remote` serves the same object from another process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from apps.clusters.drivers.base import (
    Capacity,
    CursorExpired,
    DriverError,
    Listing,
    LogChunk,
    Observation,
    OwnerSpec,
    RunState,
    WatchEvent,
    WorkloadRef,
    WorkloadSpec,
)

FINAL = (RunState.EXITED, RunState.ABSENT)


class Behaviour(StrEnum):
    """How a fake workload, or the whole fake cluster, behaves."""

    OK = "ok"
    """Ready as soon as it is applied."""
    SLOW = "slow"
    """Ready only after `Conditions.slow_s` on the driver's clock."""
    NEVER_READY = "never_ready"
    """Starts, never answers, is ended after `Conditions.ready_deadline_s`."""
    FAILING = "failing"
    """Every call to the cluster raises a retryable `DriverError`."""
    FLAPPING = "flapping"
    """Every second call to the cluster raises a retryable `DriverError`."""
    CRASHING = "crashing"
    """Starts and exits with code 1 at once."""


@dataclass(slots=True)
class Conditions:
    """What a test may turn while the driver is in use. Durations in seconds."""

    behaviour: Behaviour = Behaviour.OK
    per_workload: dict[str, Behaviour] = field(default_factory=dict)
    slow_s: float = 0.5
    ready_deadline_s: float = 120.0
    heartbeat_s: float = 5.0
    list_complete: bool = True
    lists_nothing: bool = False
    ignores_term: bool = False
    history: int = 1000


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Run:
    spec: WorkloadSpec
    seen: Observation
    stop_at: datetime | None = None
    log: str = ""


class FakeDriver:
    """Implements `Driver` and `SupportsHomes`. Thread-safe; `clock` must give aware datetimes."""

    def __init__(
        self, conditions: Conditions | None = None, clock: Callable[[], datetime] = _now
    ) -> None:
        self.conditions = conditions or Conditions()
        self.clock = clock
        self.homes: dict[str, str] = {}
        self.applied: list[str] = []
        self._runs: dict[str, _Run] = {}
        self._events: list[tuple[int, Observation]] = []
        self._sequence = 0
        self._calls = 0
        self._changed = threading.Condition(threading.RLock())

    def apply(self, spec: WorkloadSpec) -> Observation:
        """See `Driver.apply`."""
        with self._changed:
            self._call()
            run = self._runs.get(spec.uid)
            if run is not None:
                if run.seen.state not in FINAL and run.spec.spec_hash != spec.spec_hash:
                    raise DriverError(
                        f"{spec.uid} runs with another specification",
                        retryable=False,
                        code="conflict",
                    )
                return run.seen
            at = self.clock()
            seen = Observation(
                uid=spec.uid,
                state=RunState.STARTING,
                at=at,
                spec_hash=spec.spec_hash,
                node="fake",
                started_at=at,
            )
            self.homes.setdefault(spec.home, spec.owner.uid)
            self.applied.append(spec.uid)
            self._runs[spec.uid] = _Run(spec, seen, log=f"starting {spec.app.slug}\n")
            self._publish(seen)
            self._advance()
            return self._runs[spec.uid].seen

    def delete(self, ref: WorkloadRef, grace_s: int) -> Observation:
        """See `Driver.delete`. A fake ends at once unless `Conditions.ignores_term`."""
        with self._changed:
            self._call()
            run = self._runs.get(ref.uid)
            if run is None or run.seen.state is RunState.ABSENT:
                return self._absent(ref.uid)
            if run.seen.state is RunState.EXITED:
                self._set(run, state=RunState.ABSENT)
                return run.seen
            deadline = self.clock() + timedelta(seconds=grace_s)
            run.stop_at = min(deadline, run.stop_at or deadline)
            if run.seen.state is not RunState.STOPPING:
                self._set(run, state=RunState.STOPPING)
            self._advance()
            return run.seen

    def observe(self, ref: WorkloadRef) -> Observation:
        """See `Driver.observe`."""
        with self._changed:
            self._call()
            self._advance()
            run = self._runs.get(ref.uid)
            return replace(run.seen, at=self.clock()) if run else self._absent(ref.uid)

    def list_owned(self) -> Listing:
        """See `Driver.list_owned`; `Conditions` can make it partial or empty."""
        with self._changed:
            self._call()
            self._advance()
            found = tuple(
                run.seen for run in self._runs.values() if run.seen.state is not RunState.ABSENT
            )
            if self.conditions.lists_nothing:
                found = ()
            return Listing(found, self.conditions.list_complete, str(self._sequence))

    def watch(self, cursor: str, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
        """See `Driver.watch`. Cursors older than `Conditions.history` events have expired."""
        position = self._position(cursor)
        quiet_since = self.clock()
        while not stop():
            with self._changed:
                self._call()
                self._advance()
                if position < self._sequence - len(self._events):
                    raise CursorExpired
                due = [event for event in self._events if event[0] > position]
                if not due:
                    self._changed.wait(0.02)
            for position, seen in due:
                yield WatchEvent(str(position), seen)
            if due:
                quiet_since = self.clock()
            elif (self.clock() - quiet_since).total_seconds() >= self.conditions.heartbeat_s:
                quiet_since = self.clock()
                yield WatchEvent(str(position), None)

    def logs(self, ref: WorkloadRef, since: int) -> LogChunk:
        """See `Driver.logs`."""
        with self._changed:
            self._call()
            run = self._runs.get(ref.uid)
            raw = run.log.encode() if run else b""
            start = max(0, len(raw) + since) if since < 0 else min(since, len(raw))
            return LogChunk(raw[start:].decode(errors="replace"), start, len(raw))

    def capacity(self) -> Capacity:
        """See `Driver.capacity`."""
        with self._changed:
            self._call()
            return Capacity(cpu_millis=64_000, memory_mib=262_144)

    def delete_home(self, home: str, owner: OwnerSpec) -> None:
        """See `SupportsHomes.delete_home`."""
        with self._changed:
            self._call()
            self.homes.pop(home, None)

    def exit(self, uid: str, exit_code: int = 0, reason: str = "exited") -> None:
        """Let the workload end by itself, as a crash or an eviction would."""
        with self._changed:
            self._end(self._runs[uid], exit_code, reason)

    def forget(self, uid: str) -> None:
        """Let the workload vanish without an event, as when someone deletes it behind our back."""
        with self._changed:
            del self._runs[uid]

    def expire_cursors(self) -> None:
        """Let the next `watch` from an earlier cursor raise `CursorExpired`."""
        with self._changed:
            self._sequence += 1
            self._events.clear()
            self._changed.notify_all()

    def _call(self) -> None:
        self._calls += 1
        behaviour = self.conditions.behaviour
        flaps = behaviour == Behaviour.FLAPPING and self._calls % 2
        if behaviour == Behaviour.FAILING or flaps:
            raise DriverError(
                "the fake cluster does not answer", retryable=True, code="unavailable"
            )

    def _position(self, cursor: str) -> int:
        if cursor and not cursor.isdigit():
            raise CursorExpired
        with self._changed:
            return int(cursor) if cursor else self._sequence

    def _absent(self, uid: str) -> Observation:
        return Observation(uid=uid, state=RunState.ABSENT, at=self.clock())

    def _advance(self) -> None:
        """Let time pass: whatever is due by the clock happens now."""
        for run in list(self._runs.values()):
            if run.seen.state is RunState.STARTING:
                self._advance_start(run)
            elif run.seen.state is RunState.STOPPING:
                assert run.stop_at is not None
                obeys = not self.conditions.ignores_term
                if obeys or self.clock() >= run.stop_at:
                    self._end(run, -15 if obeys else -9, "killed")
                    self._set(run, state=RunState.ABSENT)

    def _advance_start(self, run: _Run) -> None:
        conditions = self.conditions
        behaviour = conditions.per_workload.get(run.spec.uid, conditions.behaviour)
        assert run.seen.started_at is not None
        age_s = (self.clock() - run.seen.started_at).total_seconds()
        if behaviour == Behaviour.CRASHING:
            self._end(run, 1, "command_failed")
        elif behaviour == Behaviour.NEVER_READY:
            if age_s >= conditions.ready_deadline_s:
                self._end(run, -9, "never_ready")
        elif behaviour != Behaviour.SLOW or age_s >= conditions.slow_s:
            endpoint = f"unix:/fake/{run.spec.uid}"
            self._set(run, state=RunState.READY, endpoint=endpoint, ready_at=self.clock())

    def _end(self, run: _Run, exit_code: int, reason: str) -> None:
        if run.seen.state in FINAL:
            return
        run.log += f"ended with {exit_code}\n"
        self._set(
            run,
            state=RunState.EXITED,
            endpoint="",
            exited_at=self.clock(),
            exit_code=exit_code,
            reason=reason,
        )

    def _set(self, run: _Run, **changes: object) -> None:
        run.seen = replace(run.seen, at=self.clock(), **changes)  # type: ignore[arg-type] # by name
        self._publish(run.seen)

    def _publish(self, seen: Observation) -> None:
        self._sequence += 1
        self._events.append((self._sequence, seen))
        del self._events[: -self.conditions.history]
        self._changed.notify_all()
