"""What a run does now: kernels, terminals, connections, processor, memory, disk.

Kernels and terminals are Jupyter's own words (its REST API); "busy" counts as active however long
ago the last message was, because a silent long cell sends none.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from gpucommons.agent.requests import Unreachable, ask_server
from gpucommons.agent.settings import Settings

_DISK_EVERY_S = 600.0
_DISK_MOST_FILES = 200_000
_UNSEEN = "no_track_activity=1"
"""Tells Jupyter that who asks is nobody's activity: else the server would never be idle."""


def read_server(settings: Settings) -> dict[str, Any] | None:
    """The part of a report that the server knows; None if it does not answer now."""
    if settings.activity != "jupyter":
        return _nothing()
    try:
        kernels = ask_server(settings, f"api/kernels?{_UNSEEN}")
        terminals = ask_server(settings, f"api/terminals?{_UNSEEN}")
    except Unreachable:
        return None
    if kernels.status != 200:
        return None
    found = [
        {
            "name": str(kernel.get("name", "")),
            "state": str(kernel.get("execution_state", "")),
            "last_activity": kernel.get("last_activity"),
            "connections": int(kernel.get("connections") or 0),
        }
        for kernel in kernels.body
    ]
    shells = terminals.body if terminals.status == 200 else []
    moments = [one["last_activity"] for one in found if one["last_activity"]]
    moments += [shell["last_activity"] for shell in shells if shell.get("last_activity")]
    if not found and not shells:
        moments += _of_whole_server(settings)
    return {
        "kernels": found,
        "terminals": len(shells),
        "connections": sum(one["connections"] for one in found),
        "busy": any(one["state"] == "busy" for one in found),
        "last_activity": max(moments, default=None),
    }


def _of_whole_server(settings: Settings) -> list[str]:
    """When anybody last asked the server for anything; nothing where it does not say."""
    try:
        status = ask_server(settings, f"api/status?{_UNSEEN}")
    except Unreachable:
        return []
    said = status.body.get("last_activity") if isinstance(status.body, dict) else None
    return [said] if status.status == 200 and isinstance(said, str) else []


def _nothing() -> dict[str, Any]:
    """No activity is read: `last_activity` null says that it is unknown."""
    return {"kernels": [], "terminals": 0, "connections": 0, "busy": False, "last_activity": None}


def shape_of(report: dict[str, Any]) -> object:
    """What of a report is worth telling at once when it changes; times and figures are not."""
    states = sorted((kernel["name"], kernel["state"]) for kernel in report["kernels"])
    return states, report["terminals"], report["connections"], report["busy"]


def now() -> str:
    """The time as RFC 3339, in UTC."""
    return datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")


@dataclass
class Meter:
    """Figures about all processes of the run: those that descend from the agent's parent."""

    home: str
    _cpu_s: float = 0.0
    _cpu_at: float = 0.0
    _disk_at: float = field(default=-_DISK_EVERY_S)
    _disk_gib: float | None = None

    def read(self) -> dict[str, float | None]:
        """`cpu` in cores since the last reading, `memory_mib` now, `disk_gib` of the home, which
        is counted anew every ten minutes."""
        spent, memory = _tree(os.getppid())
        at = time.monotonic()
        rate = (spent - self._cpu_s) / (at - self._cpu_at) if self._cpu_at else None
        self._cpu_s, self._cpu_at = spent, at
        if at - self._disk_at >= _DISK_EVERY_S:
            self._disk_at, self._disk_gib = at, _disk_gib(self.home)
        return {
            "cpu": None if rate is None else round(max(0.0, rate), 2),
            "memory_mib": round(memory / (1 << 20), 1),
            "disk_gib": self._disk_gib,
        }


def _tree(root: int) -> tuple[float, int]:
    """Processor seconds and resident bytes of all that descends from `root`."""
    rows: dict[int, list[tuple[int, int, int]]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        ticks = sum(int(part) for part in fields[11:15])
        rows.setdefault(int(fields[1]), []).append((int(name), ticks, int(fields[21])))
    ticks = pages = 0
    todo = [root]
    while todo:
        for pid, one_ticks, one_pages in rows.get(todo.pop(), ()):
            ticks += one_ticks
            pages += one_pages
            todo.append(pid)
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE")


def _disk_gib(home: str) -> float | None:
    """What the home takes on disk; None if it has too many files to count in passing."""
    blocks = files = 0
    seen: set[int] = set()
    for folder, _folders, names in os.walk(home):
        for name in names:
            files += 1
            if files > _DISK_MOST_FILES:
                return None
            try:
                stat = os.lstat(os.path.join(folder, name))
            except OSError:
                continue
            if stat.st_nlink > 1:
                if stat.st_ino in seen:
                    continue
                seen.add(stat.st_ino)
            blocks += stat.st_blocks
        time.sleep(0)
    return round(blocks * 512 / (1 << 30), 3)
