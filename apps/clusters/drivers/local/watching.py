"""Following all runs of this machine: new ones, answers, exits, stops, memory, logs.

One thread in a selector: an exit wakes it by pidfd, an answer by the probe's socket; every 50 ms it
compares one folder's time to notice what workers did. The rest happens every few seconds.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from apps.clusters.drivers.base import Observation, RunState, Usage, WatchEvent
from apps.clusters.drivers.local.config import LocalConfig
from apps.clusters.drivers.local.ending import insist, request_stop, retire, settle
from apps.clusters.drivers.local.logs import bound_log
from apps.clusters.drivers.local.looking import (
    family_of,
    look,
    mark_alive,
)
from apps.clusters.drivers.local.memory import note_memory
from apps.clusters.drivers.local.places import (
    Places,
    Record,
    read_record,
    record_names,
    write_record,
)
from apps.clusters.drivers.local.probing import Probe, publish, readiness_path
from apps.clusters.drivers.local.processes import open_pidfd

STEP_S = 0.05
ROUND_S = 5.0
_GUARD_S = 1.0
_GRANULE_NS = 100_000_000
_FINAL = (RunState.EXITED, RunState.ABSENT)
_MIB = 1 << 20


@dataclass(slots=True)
class _Followed:
    """One run that the watch follows."""

    places: Places
    spec: Record
    state: Record
    pidfd: int | None
    seen: Observation
    probe: Probe | None = None
    cpu_s: float | None = None
    cpu_at: float = 0.0
    usage: Usage | None = None


@dataclass(slots=True)
class Watch:
    """One watch. `events` is the generator that a driver gives out; `close` frees descriptors."""

    config: LocalConfig
    since_ns: int
    _runs: dict[str, _Followed] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _due: list[Observation] = field(default_factory=list)
    _rung_ns: int = -1
    _round_at: float = 0.0
    _guard_at: float = 0.0
    _pending: bool = False

    def events(self, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
        """Changes, and a sign of life every `ROUND_S`, until `stop()`."""
        try:
            self._tell_ended_since()
            while not stop():
                now = time.monotonic()
                self._notice()
                self._step(now)
                is_round = now >= self._round_at
                if is_round:
                    self._round_at = now + ROUND_S
                    self._round(now)
                cursor = str(time.time_ns())
                for seen in self._taken():
                    yield WatchEvent(cursor, seen)
                if is_round:
                    yield WatchEvent(cursor, None)
                for key, _events in self._selector.select(STEP_S):
                    self._woken(key)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of every descriptor."""
        for run in list(self._runs.values()):
            self._unfollow(run)
        self._selector.close()

    def _taken(self) -> list[Observation]:
        due, self._due = self._due, []
        return due

    def _tell_ended_since(self) -> None:
        folder = self.config.data / "ended"
        with suppress(FileNotFoundError):
            for entry in os.scandir(folder):
                if entry.stat().st_mtime_ns >= self.since_ns:
                    self._due.append(look(Places(self.config, entry.name)))

    def _notice(self) -> None:
        """Look at the records again if a worker has rung since."""
        folder = self.config.data / "workloads"
        rung = folder.stat().st_mtime_ns
        # File times are coarse: what was rung just now may be rung again within the same tick.
        if rung == self._rung_ns and not self._pending:
            return
        self._pending = time.time_ns() - rung < _GRANULE_NS
        self._rung_ns = rung
        names = set(record_names(self.config))
        for name in names:
            run = self._runs.get(name)
            if run is None:
                self._follow(Places(self.config, name))
            else:
                self._tell(run)
        for name in set(self._runs) - names:
            self._tell(self._runs[name])

    def _follow(self, places: Places) -> None:
        spec = read_record(places.record, "spec.json")
        state = read_record(places.record, "state.json")
        if spec is None or state is None:
            return
        pidfd = open_pidfd(state)
        run = _Followed(places, spec, state, pidfd, look(places))
        self._runs[places.uid] = run
        if pidfd is not None:
            self._selector.register(pidfd, selectors.EVENT_READ, run)
        self._due.append(run.seen)
        if pidfd is None:
            self._over(run)

    def _unfollow(self, run: _Followed) -> None:
        self._drop_probe(run)
        if run.pidfd is not None:
            self._selector.unregister(run.pidfd)
            os.close(run.pidfd)
            run.pidfd = None
        self._runs.pop(run.places.uid, None)

    def _tell(self, run: _Followed) -> None:
        """Look again, and pass it on if anything but the time and the usage is different."""
        seen = replace(look(run.places), usage=run.usage)
        if replace(seen, at=run.seen.at) != run.seen:
            self._due.append(seen)
        run.seen = seen
        if seen.state is RunState.ABSENT:
            self._unfollow(run)

    def _step(self, now: float) -> None:
        guard = now >= self._guard_at
        if guard:
            self._guard_at = now + _GUARD_S
        for run in list(self._runs.values()):
            if run.seen.state is RunState.STARTING:
                self._try_ready(run)
            elif run.seen.state is RunState.STOPPING:
                insist(run.places)
            elif run.pidfd is None:
                continue
            if guard:
                self._guard_memory(run)

    def _try_ready(self, run: _Followed) -> None:
        started = run.state["started_at"]
        if time.time() - started > self.config.ready_deadline_s:
            seconds = round(self.config.ready_deadline_s)
            request_stop(run.places, 0, "never_ready", f"no answer within {seconds} s")
            return
        if run.probe is not None:
            if run.probe.is_overdue:
                self._drop_probe(run)
            return
        if not publish(run.places, run.spec["user_id"]):
            return
        with suppress(OSError):
            run.probe = Probe(run.places, readiness_path(run.spec))
            self._selector.register(run.probe, selectors.EVENT_READ, run)

    def _woken(self, key: selectors.SelectorKey) -> None:
        run: _Followed = key.data
        if isinstance(key.fileobj, Probe):
            answer = key.fileobj.answer()
            if answer is None:
                return
            self._drop_probe(run)
            if answer:
                note_ready(run.places)
                self._tell(run)
        else:
            self._over(run)

    def _drop_probe(self, run: _Followed) -> None:
        if run.probe is not None:
            self._selector.unregister(run.probe)
            run.probe.close()
            run.probe = None

    def _over(self, run: _Followed) -> None:
        """Its shim has ended. Settled; and put away at once where that was asked for."""
        if run.pidfd is not None:
            self._drop_probe(run)
            self._selector.unregister(run.pidfd)
            os.close(run.pidfd)
            run.pidfd = None
        if settle(run.places) and is_deleted(run.places):
            retire(run.places)
        run.usage = None
        self._tell(run)

    def _guard_memory(self, run: _Followed) -> None:
        """Warn before memory is full, and keep the limit where the kernel does not."""
        if run.seen.state is RunState.STOPPING:
            return
        family = family_of(run.places, run.spec, run.state)
        cgroup, limit = family.cgroup, run.spec["resources"]["memory_mib"]
        if cgroup is not None and cgroup.limits_memory:
            used, kills = (cgroup.memory_bytes() or 0) / _MIB, cgroup.memory_kills()
        else:
            used, kills = family.memory_bytes() / _MIB, 0
            if used >= limit:
                message = f"out of memory: limit {limit} MiB, most {round(used)} MiB"
                request_stop(run.places, 0, "out_of_memory", message)
        if note_memory(run.places.record, used / limit, kills):
            self._tell(run)

    def _round(self, now: float) -> None:
        for run in list(self._runs.values()):
            if run.pidfd is None:
                if run.seen.state is not RunState.ABSENT:
                    self._over(run)
                continue
            mark_alive(run.places.record)
            bound_log(run.places.record / "server.log", self.config.log_bytes)
            self._measure(run, now)

    def _measure(self, run: _Followed, now: float) -> None:
        """Usage; passed on when it has moved enough to be worth a message."""
        family = family_of(run.places, run.spec, run.state)
        cgroup = family.cgroup
        used = cgroup.memory_bytes() if cgroup else family.memory_bytes()
        spent = cgroup.cpu_seconds() if cgroup else family.cpu_seconds()
        rate = None
        if spent is not None and run.cpu_s is not None:
            rate = round(max(0.0, spent - run.cpu_s) / max(now - run.cpu_at, 0.001), 2)
        run.cpu_s, run.cpu_at = spent, now
        usage = Usage(cpu=rate, memory_mib=round((used or 0) / _MIB, 1))
        if _is_news(run.usage, usage):
            run.usage = usage
            self._due.append(replace(look(run.places), usage=usage))
        self._tell(run)


def note_ready(places: Places) -> None:
    """Write down, once, that the server has answered."""
    if places.record.is_dir() and read_record(places.record, "ready.json") is None:
        write_record(places.record, "ready.json", {"at": time.time()})


def is_deleted(places: Places) -> bool:
    """True if someone asked to remove it, rather than the driver ending it for a reason."""
    stop = read_record(places.record, "stop.json")
    return stop is not None and not stop["reason"]


def _is_news(before: Usage | None, after: Usage) -> bool:
    if before is None:
        return True
    memory = abs((after.memory_mib or 0) - (before.memory_mib or 0))
    cpu = abs((after.cpu or 0) - (before.cpu or 0))
    return memory > max(32.0, 0.1 * (before.memory_mib or 0)) or cpu > 0.1
