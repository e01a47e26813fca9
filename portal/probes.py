"""One way to see each part, without relying on any other: sockets, heartbeats, rows.

Every probe returns a `Check` and raises nothing; `portal.checks` bounds how long it may take.
Details are public: they name no paths, addresses or secrets.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import psycopg
import redis
from django.conf import settings
from django.db import connection

from portal import broker as broker_client

TIMEOUT_S = 0.8
BEAT_SILENT_S = 35.0
WATCH_SILENT_S = 30.0
GATE_STALE_S = 15.0
DOWN = frozenset({"backoff", "stopped"})
ROWS = """
SELECT 'beat:' || name, EXTRACT(EPOCH FROM now() - at), '' FROM live_heartbeat
UNION ALL
SELECT 'watcher:' || name, EXTRACT(EPOCH FROM now() - watched_at), trouble
FROM clusters_cluster WHERE is_enabled
"""


@dataclass(frozen=True, slots=True)
class Check:
    """What was seen of one part. `age_s`: how old that is, None where nothing was seen."""

    ok: bool
    age_s: float | None
    detail: str = ""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket; raises OSError."""
        self.sock = _unix(self.path, TIMEOUT_S)


def query(sql: str) -> list[tuple[object, ...]]:
    """Run one reading statement on a connection of its own; raises psycopg.Error. The pool is left
    alone: when it is exhausted, that must be seen in seconds and not add to the crowd."""
    parameters = {**connection.get_connection_params(), "connect_timeout": 2}
    parameters["options"] = f"-c statement_timeout={int(TIMEOUT_S * 1000)}"
    for ours in ("context", "prepare_threshold", "cursor_factory"):
        parameters.pop(ours, None)
    with psycopg.connect(**parameters, autocommit=True) as fresh:
        return fresh.execute(sql).fetchall()


def database() -> Check:
    """`SELECT 1`."""
    try:
        query("SELECT 1")
    except psycopg.Error:
        return Check(ok=False, age_s=None, detail="does not answer")
    return Check(ok=True, age_s=0.0)


def broker() -> Check:
    """PING."""
    try:
        broker_client.ping(TIMEOUT_S)
    except redis.RedisError:
        return Check(ok=False, age_s=None, detail="does not answer")
    return Check(ok=True, age_s=0.0)


def web() -> Check:
    """Who else would be answering?"""
    return Check(ok=True, age_s=0.0)


def live() -> Check:
    """Its socket takes a connection."""
    try:
        _unix(str(settings.RUN_DIR / "live.sock"), TIMEOUT_S).close()
    except OSError:
        return Check(ok=False, age_s=None, detail="does not answer")
    return Check(ok=True, age_s=0.0)


def gate() -> Check:
    """Its own status, and how old its knowledge is."""
    asked = UnixConnection(str(settings.RUN_DIR / "gate.sock"), TIMEOUT_S)
    try:
        asked.request("GET", "/status")
        answer = asked.getresponse()
        told = json.loads(answer.read(65536))
    except (OSError, http.client.HTTPException, ValueError):
        return Check(ok=False, age_s=None, detail="does not answer")
    finally:
        asked.close()
    age_s = told.get("age_s") if isinstance(told, dict) else None
    if not isinstance(age_s, int | float) or age_s > GATE_STALE_S:
        return Check(ok=False, age_s=age_s, detail="has not read the database for a while")
    return Check(ok=True, age_s=round(float(age_s), 3))


def proxy() -> Check:
    """The portal's own address takes a connection."""
    address = urlsplit(settings.PORTAL_URL)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "localhost", port), TIMEOUT_S).close()
    except OSError:
        return Check(ok=False, age_s=None, detail="does not answer")
    return Check(ok=True, age_s=0.0)


def beat() -> Check:
    """A task that beat sends every 10 s was done lately."""
    return _row("beat:beat", BEAT_SILENT_S, "no heartbeat")


def worker() -> Check:
    """Did what beat sent; where nothing came of that, it is asked by way of the broker."""
    seen = beat()
    if seen.ok:
        return seen
    from portal.celery import app  # a probe must not cost start-up time

    try:
        answers = app.control.ping(timeout=TIMEOUT_S / 2, limit=1)
    except (OSError, redis.RedisError):
        answers = []
    if answers:
        return Check(ok=True, age_s=0.0)
    return Check(ok=False, age_s=seen.age_s, detail="does not answer")


def watcher(cluster: str) -> Check:
    """The cluster was seen lately."""
    return _row(f"watcher:{cluster}", WATCH_SILENT_S, "has not seen the cluster")


def _row(name: str, limit_s: float, complaint: str) -> Check:
    try:
        rows = {str(row[0]): row for row in query(ROWS)}
    except psycopg.Error:
        return Check(ok=False, age_s=None, detail="cannot be told: the database does not answer")
    _name, age, trouble = rows.get(name, (name, None, ""))
    if age is None:
        return Check(ok=False, age_s=None, detail=f"{complaint} yet")
    age_s = round(float(str(age)), 3)
    if age_s > limit_s:
        return Check(ok=False, age_s=age_s, detail=f"{complaint} for {age_s:.0f} s")
    return Check(ok=not trouble, age_s=age_s, detail="the cluster is in trouble" if trouble else "")


def supervisor() -> Check:
    """Its process exists."""
    state = _states().get("supervisor")
    if state is None:
        return Check(ok=False, age_s=None, detail="has left no word")
    return _alive(state)


def supervised(name: str) -> Check:
    """A name of which only a supervisor can know."""
    state = _states().get(name)
    if state is None:
        return Check(ok=False, age_s=None, detail="nothing is known of it")
    return _alive(state)


def with_supervisor(name: str, check: Check) -> Check:
    """The check with what the supervisor adds: restarts, and that a process is down although its
    last heartbeat is young."""
    state = _states().get(name, {})
    is_down = state.get("state") in DOWN
    words = [check.detail] if check.detail else []
    if is_down:
        words.append(f"{state['state']}, last exit {state.get('last_exit')}")
    restarts = state.get("restarts")
    if isinstance(restarts, int) and restarts > 0:
        words.append(f"restarts: {restarts}")
    return replace(check, ok=check.ok and not is_down, detail="; ".join(words))


def _alive(state: dict[str, object]) -> Check:
    pid = state.get("pid")
    since = state.get("since")
    age_s = round(max(0.0, time.time() - since), 3) if isinstance(since, int | float) else None
    try:
        os.kill(pid if isinstance(pid, int) else -1, 0) if isinstance(pid, int) else os.stat("")
    except PermissionError:
        return Check(ok=True, age_s=age_s)
    except OSError:
        return Check(ok=False, age_s=age_s, detail="its process has ended")
    return Check(ok=True, age_s=age_s)


def _states() -> dict[str, dict[str, object]]:
    try:
        told = json.loads((settings.RUN_DIR / "supervisor.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _unix(path: str, timeout_s: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(timeout_s)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made
