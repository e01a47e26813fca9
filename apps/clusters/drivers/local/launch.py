"""The small program between a worker and a run: starts the shim in a session of its own.

`driver.apply` runs it and waits the few milliseconds that it takes. What it starts has no tie to
the worker any more. Nothing runs that is not written down: the shim waits until `state.json`
is there, and ends if this program dies before.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_SHIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shim.sh")
_ENTER = "import sys; sys.path.insert(0, {root!r}); from {module} import main; main(sys.argv[1])"
_MODULE = "apps.clusters.drivers.local.enter"


def main(record: str, spec_hash: str) -> None:
    """Start the run that is planned in `record`/launch.json, and write `state.json`."""
    waiting, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go)
        _become_shim(record, waiting)
    os.close(waiting)
    state = {
        "pid": pid,
        "start_ticks": start_ticks(pid),
        "boot_id": boot_id(),
        "spec_hash": spec_hash,
        "started_at": time.time(),
    }
    partial = os.path.join(record, ".state.part")
    with open(partial, "w", encoding="ascii") as file:
        json.dump(state, file)
    os.rename(partial, os.path.join(record, "state.json"))
    os.write(go, b"g")


def _become_shim(record: str, waiting: int) -> None:
    try:
        os.setsid()
        if os.read(waiting, 1) != b"g":
            os._exit(1)
        os.close(waiting)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        nothing = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        os.closerange(3, 65536)
        os.chdir("/")
        root = os.path.abspath(os.path.join(os.path.dirname(_SHIM), *[os.pardir] * 4))
        code = _ENTER.format(root=root, module=_MODULE)
        command = [sys.executable, "-I", "-S", "-c", code, record]
        os.execve("/bin/sh", ["/bin/sh", _SHIM, record, *command], {"PATH": os.defpath})
    finally:
        os._exit(127)


def start_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot: field 22 of /proc/<pid>/stat. With the
    boot's id it tells a process from a later one of the same number. Raises OSError."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def boot_id() -> str:
    """The machine's present boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
