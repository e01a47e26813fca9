"""Limits by control groups, where this machine lets us make them: version 1 or 2.

`driver.apply` makes the groups of a run, `enter` joins them, `looking` and `ending` read and empty
them. Groups are made beneath the group that we are in ourselves, so that no limit that was put
on us is escaped. Facts: kernel documentation, cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apps.clusters.drivers.base import Resources

_CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
_MAX_PROCESSES = 4096
_PERIOD_US = 100_000
_REMOVE_S = 2.0
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The groups of one run: controller to folder; under version 2 all are the same folder."""

    folders: Mapping[str, Path]
    is_unified: bool = False

    @property
    def limits_memory(self) -> bool:
        """True if the kernel itself keeps the memory limit."""
        return "memory" in self.folders

    def distinct(self) -> list[Path]:
        """Every folder once."""
        return sorted(set(self.folders.values()))

    def limit(self, resources: Resources) -> None:
        """Set the limits. What this kernel does not know is left out; OSError if it refuses."""
        if self.is_unified:
            self._limit_unified(resources)
            return
        quota = resources.cpu_millis * _PERIOD_US // 1000
        memory = str(resources.memory_mib * _MIB)
        self._write("memory", "memory.limit_in_bytes", memory)
        self._write("memory", "memory.memsw.limit_in_bytes", memory)
        self._write("cpu", "cpu.shares", str(max(2, resources.cpu_millis * 1024 // 1000)))
        self._write("cpu", "cpu.cfs_period_us", str(_PERIOD_US))
        self._write("cpu", "cpu.cfs_quota_us", str(max(1000, quota)))
        self._write("cpu", "cpu.cfs_burst_us", str(max(1000, quota)))
        self._write("pids", "pids.max", str(_MAX_PROCESSES))

    def _limit_unified(self, resources: Resources) -> None:
        quota = max(1000, resources.cpu_millis * _PERIOD_US // 1000)
        self._write("memory", "memory.max", str(resources.memory_mib * _MIB))
        self._write("memory", "memory.swap.max", "0")
        self._write("cpu", "cpu.max", f"{quota} {_PERIOD_US}")
        self._write("cpu", "cpu.max.burst", str(quota))
        self._write("pids", "pids.max", str(_MAX_PROCESSES))

    def processes(self) -> set[int]:
        """Everything in it, whatever session or parent it has taken."""
        found: set[int] = set()
        for folder in self.distinct():
            found.update(int(line) for line in _text(folder / "cgroup.procs").split())
        return found

    def forbid_new_processes(self) -> None:
        """So that what is being ended cannot multiply."""
        with suppress(OSError):
            self._write("pids", "pids.max", "0")

    def memory_bytes(self) -> int | None:
        """What it holds now, less what the kernel could give back at once."""
        if not self.limits_memory:
            return None
        name = "memory.current" if self.is_unified else "memory.usage_in_bytes"
        key = "inactive_file" if self.is_unified else "total_inactive_file"
        used = _text(self.folders["memory"] / name)
        return max(0, int(used) - self._stat("memory.stat", key)) if used else None

    def memory_peak_bytes(self) -> int | None:
        """The most that it ever held; None where the kernel does not count it."""
        if not self.limits_memory:
            return None
        name = "memory.peak" if self.is_unified else "memory.max_usage_in_bytes"
        text = _text(self.folders["memory"] / name)
        return int(text) if text else None

    def memory_kills(self) -> int:
        """How many of its processes the kernel has ended for want of memory."""
        if not self.limits_memory:
            return 0
        name = "memory.events" if self.is_unified else "memory.oom_control"
        return self._stat(name, "oom_kill")

    def cpu_seconds(self) -> float | None:
        """The processor time that it has used in all."""
        if self.is_unified and "cpu" in self.folders:
            return _keyed(self.folders["cpu"] / "cpu.stat", "usage_usec") / 1e6
        if "cpuacct" in self.folders:
            text = _text(self.folders["cpuacct"] / "cpuacct.usage")
            return int(text) / 1e9 if text else None
        return None

    def remove(self) -> bool:
        """Take the groups away; True if none is left. Only empty ones go."""
        deadline = time.monotonic() + _REMOVE_S
        for folder in self.distinct():
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if self.processes() or time.monotonic() > deadline:
                        return False
                    time.sleep(0.005)
        return True

    def _stat(self, name: str, key: str) -> int:
        return _keyed(self.folders["memory"] / name, key)

    def _write(self, controller: str, name: str, value: str) -> None:
        folder = self.folders.get(controller)
        if folder is not None and (folder / name).exists():
            (folder / name).write_text(value)


def make_cgroup(uid: str, resources: Resources) -> Cgroup | None:
    """Groups for one run with its limits set; None where we may not make any."""
    folders: dict[str, Path] = {}
    unified = False
    for controller, parent, is_unified in _parents():
        folder = parent / f"gpucommons-{uid}"
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        folders[controller] = folder
        unified = unified or is_unified
    if not folders:
        return None
    cgroup = Cgroup(folders, unified)
    try:
        cgroup.limit(resources)
    except OSError:
        cgroup.remove()
        return None
    return cgroup


def _parents() -> Iterator[tuple[str, Path, bool]]:
    """Controller, folder to make groups in, and whether it is of version 2."""
    mounts = dict(_mounts())
    own = {}
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _number, names, path = line.split(":", 2)
        own.update(dict.fromkeys(names.split(","), path))
    classic = [name for name in _CONTROLLERS if name in mounts and name in own]
    for name in classic:
        yield name, Path(mounts[name] + own[name]), False
    if "memory" not in classic and "" in mounts and "" in own:
        here = Path(mounts[""] + own[""])
        for parent in (here, here.parent):
            # Given to us by whoever started us (Delegate=yes): children get these controllers.
            given = _text(parent / "cgroup.subtree_control").split()
            if "memory" in given and os.access(parent / "cgroup.procs", os.W_OK):
                yield from ((name, parent, True) for name in given if name in _CONTROLLERS)
                return


def _mounts() -> Iterator[tuple[str, str]]:
    """Controller ("" for version 2) and where its tree is mounted."""
    for line in _text(Path("/proc/self/mounts")).splitlines():
        _device, where, kind, options, *_rest = line.split()
        if kind == "cgroup":
            yield from ((name, where) for name in options.split(",") if name in _CONTROLLERS)
        elif kind == "cgroup2":
            yield "", where


def _keyed(path: Path, key: str) -> int:
    for line in _text(path).splitlines():
        name, _space, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


def _text(path: Path) -> str:
    """The file's text; "" if it (or its group) is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
