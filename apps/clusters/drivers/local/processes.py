"""The processes of runs: which are alive, which belong to a run, ending them, counting them.

`ending` and `looking` use it for one run; `make down` uses `count_running` and `end_all`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from apps.clusters.drivers.local.cgroups import Cgroup
from apps.clusters.drivers.local.config import UID_BASE, LocalConfig
from apps.clusters.drivers.local.launch import boot_id, start_ticks
from apps.clusters.drivers.local.places import Record, read_record

MARK = "GPUCOMMONS_WORKLOAD"
_KILL_S = 5.0
_MIB = 1 << 20


def is_shim_alive(state: Record) -> bool:
    """True if the very process that `state.json` names still runs (a zombie does not)."""
    if state["boot_id"] != boot_id():
        return False
    try:
        text = Path(f"/proc/{state['pid']}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return int(text[19]) == state["start_ticks"] and text[0] not in (b"Z", b"X")


def open_pidfd(state: Record) -> int | None:
    """A descriptor that becomes readable when the shim ends; None if it has ended already."""
    try:
        fd = os.pidfd_open(state["pid"])
    except OSError:
        return None
    if not is_shim_alive(state):
        os.close(fd)
        return None
    return fd


@dataclass(frozen=True, slots=True)
class Family:
    """All processes of one run but its shim."""

    uid: str
    state: Record
    user_id: int
    cgroup: Cgroup | None

    def members(self) -> set[int]:
        """Their numbers. By control group where there is one. Else by descent from the shim, which
        inherits whatever its descendants leave behind, and by the mark in their environment; once
        the shim has been killed, also those of the person that nobody's shim is above."""
        if self.cgroup is not None:
            return self.cgroup.processes()
        shim = self.state["pid"]
        is_led = is_shim_alive(self.state)
        found = set(_descendants(shim)) if is_led else set()
        mark = f"{MARK}={self.uid}".encode()
        for pid in _processes_of(self.user_id):
            if pid not in found and (_has_mark(pid, mark) or (not is_led and self._is_stray(pid))):
                found.add(pid)
        return found - {shim, os.getpid()}

    def _is_stray(self, pid: int) -> bool:
        """True if it has a user id that only runs of one person have, and is beneath no run's shim.

        Whoever started an unisolated portal has other processes, which are none of our business.
        """
        if os.geteuid() != 0 or self.user_id < UID_BASE:
            return False
        with suppress(OSError, IndexError):
            while os.stat(f"/proc/{pid}").st_uid == self.user_id:
                pid = _parent_of(pid)
            return b"/shim.sh" not in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False

    def ask_to_end(self) -> None:
        """SIGTERM to all of them."""
        _send(self.members(), signal.SIGTERM)

    def end(self) -> bool:
        """SIGKILL until none is left; False if some cannot be ended (for 5 s)."""
        if self.cgroup is not None:
            self.cgroup.forbid_new_processes()
        deadline = time.monotonic() + _KILL_S
        while members := self.members():
            if time.monotonic() > deadline:
                return False
            _send(members, signal.SIGKILL)
            time.sleep(0.005)
        return True

    def memory_bytes(self) -> int:
        """What they hold, memory that several share counted in proportion (PSS), else resident."""
        return sum(_memory_of(pid) for pid in self.members())

    def cpu_seconds(self) -> float:
        """Processor time of those that are alive, and of their ended children."""
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(_cpu_ticks(pid) for pid in self.members()) / ticks


def count_running(data: Path) -> int:
    """How many runs of this DATA have a process."""
    return sum(1 for _folder, state in _states(data) if is_shim_alive(state))


def _states(data: Path) -> Iterator[tuple[Path, Record]]:
    for folder in sorted((data / "workloads").glob("*/state.json")):
        state = read_record(folder.parent, "state.json")
        if state is not None:
            yield folder.parent, state


def end_all(data: Path, run: Path) -> int:
    """End every run of this DATA within seconds and clean up; how many had a process."""
    from apps.clusters.drivers.local.ending import finish, request_stop
    from apps.clusters.drivers.local.places import Places

    if not (data / "workloads").is_dir():
        return 0
    config = LocalConfig(data.resolve(), run.resolve(), data, data)
    running = count_running(data)
    all_places = [Places(config, folder.name) for folder, _state in _states(data)]
    for places in all_places:
        request_stop(places, grace_s=3, reason="")
    deadline = time.monotonic() + 3
    while count_running(data) and time.monotonic() < deadline:
        time.sleep(0.05)
    for places in all_places:
        finish(places)
    return running


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for entry in _numbers():
        with suppress(OSError, ValueError, IndexError):
            children.setdefault(_parent_of(entry), []).append(entry)
    todo = list(children.get(pid, ()))
    while todo:
        one = todo.pop()
        yield one
        todo.extend(children.get(one, ()))


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def _processes_of(user_id: int) -> Iterator[int]:
    for pid in _numbers():
        with suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == user_id and _is_running(pid):
                yield pid


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def _numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _memory_of(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return sum(int(field) for field in fields[11:15])


__all__ = ["MARK", "Family", "count_running", "end_all", "is_shim_alive", "start_ticks"]
