"""Looking at every part of the portal: what `/readyz` and `doctor` know.

Each name has a way to be seen that works wherever it runs: its socket, its heartbeat, its rows.
Where there is a supervisor (`RUN/supervisor.json`) its words are added, but never relied on. Checks
run side by side, each for a second at most, and their result is good for a second.
"""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from django.conf import settings

from portal import probes
from portal.probes import Check

LIMIT_S = 1.0
GOOD_FOR_S = 1.0
WATCHER = "watcher-"

Probe = Callable[[], Check]

PROBES: dict[str, Probe] = {
    "database": probes.database,
    "postgres": probes.database,
    "broker": probes.broker,
    "valkey": probes.broker,
    "web": probes.web,
    "live": probes.live,
    "gate": probes.gate,
    "nginx": probes.proxy,
    "beat": probes.beat,
    "worker": probes.worker,
    "supervisor": probes.supervisor,
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `status`: `ok`; `degraded` where something fails; `down` where pages do."""

    status: str
    checks: Mapping[str, Check]


@dataclass(slots=True)
class _Known:
    check: Check
    at: float


_executor = concurrent.futures.ThreadPoolExecutor(16, thread_name_prefix="health")
_running: dict[str, concurrent.futures.Future[Check]] = {}
_known: dict[str, _Known] = {}
_lock = threading.Lock()


def this_web() -> Report:
    """Whether this process can serve: the database answers."""
    return _report(look(["web", "database"]))


def everything() -> Report:
    """Every name that this installation expects, the database and the broker."""
    return _report(look([*settings.EXPECTED_PROCESSES, "database", "broker"]))


def look(names: list[str]) -> dict[str, Check]:
    """What is known of each, looking again where that is older than a second. Takes a second at
    most; a look that hangs is not begun again until it has ended."""
    now = time.monotonic()
    pending = {name: future for name in names if (future := _begin(name, now)) is not None}
    concurrent.futures.wait(pending.values(), timeout=LIMIT_S)
    return {name: _result(name, pending.get(name)) for name in dict.fromkeys(names)}


def forget() -> None:
    """Look anew next time."""
    with _lock:
        _known.clear()


def _begin(name: str, now: float) -> concurrent.futures.Future[Check] | None:
    with _lock:
        known = _known.get(name)
        if known is not None and now - known.at < GOOD_FOR_S:
            return None
        future = _running.get(name)
        if future is None or future.done():
            future = _running[name] = _executor.submit(_look_at, name)
        return future


def _look_at(name: str) -> Check:
    if name.startswith(WATCHER):
        check = probes.watcher(name.removeprefix(WATCHER))
    else:
        check = PROBES.get(name, lambda: probes.supervised(name))()
    check = probes.with_supervisor(name, check)
    with _lock:
        _known[name] = _Known(check, time.monotonic())
    return check


def _result(name: str, future: concurrent.futures.Future[Check] | None) -> Check:
    if future is not None and not future.done():
        return Check(ok=False, age_s=None, detail=f"no answer within {LIMIT_S:g} s")
    if future is not None:
        return future.result()
    with _lock:
        known = _known[name]
    if known.check.age_s is None:
        return known.check
    return replace(known.check, age_s=round(known.check.age_s + time.monotonic() - known.at, 3))


def _report(checks: Mapping[str, Check]) -> Report:
    if all(check.ok for check in checks.values()):
        return Report("ok", checks)
    return Report("degraded" if checks["database"].ok else "down", checks)
