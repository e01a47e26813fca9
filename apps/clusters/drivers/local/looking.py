"""What is seen of one run, from its record, its processes and its groups. Changes nothing.

`driver.observe`, `driver.list_owned` and `watching` all look through here.
"""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apps.clusters.drivers.base import Observation, RunState, Usage
from apps.clusters.drivers.local.cgroups import Cgroup
from apps.clusters.drivers.local.memory import memory_warning
from apps.clusters.drivers.local.places import Places, Record, read_record
from apps.clusters.drivers.local.processes import Family, is_shim_alive

_MIB = 1 << 20


def look(places: Places) -> Observation:
    """One look at a run, whatever state its record is in."""
    try:
        return _look(places)
    except FileNotFoundError:
        # Put away while we looked.
        return _gone(places)


def _look(places: Places) -> Observation:
    record = places.record
    spec, state = read_record(record, "spec.json"), read_record(record, "state.json")
    if spec is None or state is None:
        return _gone(places)
    ended = read_record(record, "ended.json")
    if ended is not None:
        return _of_end(places, RunState.EXITED, ended, state)
    if not is_shim_alive(state):
        return _of_end(places, RunState.EXITED, describe_end(record, spec, state), state)
    return _of_life(places, spec, state)


def _of_life(places: Places, spec: Record, state: Record) -> Observation:
    record = places.record
    ready, stop = read_record(record, "ready.json"), read_record(record, "stop.json")
    seen: dict[str, Any] = {"state": RunState.READY if ready else RunState.STARTING}
    if ready:
        seen["endpoint"] = f"unix:{places.published}"
        seen["ready_at"] = _time(ready["at"])
        seen["reason"], seen["message"] = memory_warning(record, spec)
    if stop is not None:
        seen.update(state=RunState.STOPPING, endpoint="", reason=stop["reason"], message="")
    family = family_of(places, spec, state)
    return Observation(
        uid=places.uid,
        at=datetime.now(UTC),
        spec_hash=state["spec_hash"],
        node=platform.node(),
        started_at=_time(state["started_at"]),
        usage=_usage(family),
        **seen,
    )


def _of_end(places: Places, kind: RunState, ended: Record, state: Record) -> Observation:
    ready = ended.get("ready_at")
    return Observation(
        uid=places.uid,
        state=kind,
        at=datetime.now(UTC),
        spec_hash=state["spec_hash"],
        node=platform.node(),
        started_at=_time(state["started_at"]),
        ready_at=_time(ready) if ready else None,
        exited_at=_time(ended["exited_at"]),
        exit_code=ended["exit_code"],
        reason=ended["reason"],
        message=ended["message"],
    )


def _gone(places: Places) -> Observation:
    ended = read_record(places.ended, "ended.json")
    state = read_record(places.ended, "state.json")
    if ended is None or state is None:
        return Observation(uid=places.uid, state=RunState.ABSENT, at=datetime.now(UTC))
    return _of_end(places, RunState.ABSENT, ended, state)


def describe_end(record: Path, spec: Record, state: Record) -> Record:
    """How and why a run ended, from what its shim wrote down and its groups counted."""
    stop = read_record(record, "stop.json")
    ready = read_record(record, "ready.json")
    code, at = _exit_of(record)
    cgroup = cgroup_of(spec)
    kills = cgroup.memory_kills() if cgroup else 0
    message = ""
    if stop is not None and stop["reason"]:
        reason, message = stop["reason"], stop.get("message", "")
    elif kills and code == -9:
        reason, message = "out_of_memory", _out_of_memory(spec, cgroup)
    elif code is None:
        from apps.clusters.drivers.local.launch import boot_id

        reason = "killed" if state["boot_id"] == boot_id() else "lost"
    elif stop is not None or code == 0:
        reason = "exited"
    else:
        reason = "killed" if code < 0 else "command_failed"
    return {
        "exit_code": code,
        "exited_at": at,
        "reason": reason,
        "message": message,
        "ready_at": ready["at"] if ready else None,
    }


def _exit_of(record: Path) -> tuple[int | None, float]:
    """Exit code and time. Without the shim's word: when it was last known to be alive."""
    try:
        code = int((record / "exit").read_text())
        at = (record / "exit").stat().st_mtime
    except (FileNotFoundError, ValueError):
        return None, (record / "state.json").stat().st_mtime
    # A shell reports a death by signal N as 128 + N.
    return (128 - code if 128 < code <= 192 else code), at


def family_of(places: Places, spec: Record, state: Record) -> Family:
    """The run's processes."""
    return Family(places.uid, state, spec["user_id"], cgroup_of(spec))


def cgroup_of(spec: Record) -> Cgroup | None:
    """The control groups that were made for it."""
    made = spec.get("cgroup")
    if not made:
        return None
    folders = {name: Path(path) for name, path in made["folders"].items()}
    return Cgroup(folders, made["is_unified"])


def _out_of_memory(spec: Record, cgroup: Cgroup | None) -> str:
    peak = cgroup.memory_peak_bytes() if cgroup else None
    most = f", most {round(peak / _MIB)} MiB" if peak else ""
    return f"out of memory: limit {spec['resources']['memory_mib']} MiB{most}"


def _usage(family: Family) -> Usage | None:
    """Memory now; the rate of processor time needs two looks, so only the watcher tells it."""
    cgroup = family.cgroup
    used = cgroup.memory_bytes() if cgroup is not None else None
    return Usage(memory_mib=round(used / _MIB, 1)) if used is not None else None


def mark_alive(record: Path) -> None:
    """Write down that it lived until now, for the day on which its recorder is lost."""
    with suppress(FileNotFoundError):
        os.utime(record / "state.json", (time.time(), time.time()))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
