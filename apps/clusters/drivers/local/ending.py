"""Ending a run: asking, insisting, writing down how it ended, and leaving nothing behind.

A stop is a file with a deadline. Whoever comes by later (a repeated `delete`, the watcher, the next
watcher after a crash, `make down`) carries it on, so nothing depends on one process living.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from apps.clusters.drivers.base import DriverError
from apps.clusters.drivers.local.looking import describe_end, family_of
from apps.clusters.drivers.local.places import (
    Places,
    Record,
    locked,
    read_record,
    ring,
    write_record,
)
from apps.clusters.drivers.local.processes import is_shim_alive

KEEP_ENDED = 500
_SHIM_ENDS_S = 2.0


def request_stop(places: Places, grace_s: float, reason: str, message: str = "") -> None:
    """Ask a live run to end; its processes get SIGTERM once. A second request can only shorten
    the time. `reason` is set when the driver itself ends it. Idempotent, returns at once."""
    record = places.record
    if not record.is_dir():
        return
    with locked(record):
        spec, state = read_record(record, "spec.json"), read_record(record, "state.json")
        if spec is None or state is None or not is_shim_alive(state):
            return
        before = read_record(record, "stop.json")
        stop: Record = {"at": time.time() + grace_s, "reason": reason, "message": message}
        if before is not None:
            stop = {**before, "at": min(stop["at"], before["at"])}
        write_record(record, "stop.json", stop)
        if before is None:
            family_of(places, spec, state).ask_to_end()
    ring(places.config)


def is_foreign(record: Path) -> bool:
    """True if there is no specification there but something that we do not write before one."""
    names = os.listdir(record)
    return "spec.json" not in names and any(
        not name.startswith((".", "lock", "launch.json")) for name in names
    )


def insist(places: Places) -> None:
    """If its time to end is over, end all its processes."""
    stop = read_record(places.record, "stop.json")
    if stop is not None and time.time() >= stop["at"]:
        _kill(places)


def settle(places: Places) -> bool:
    """Once its shim has ended: end what is left, write down how it ended, free what it held.
    True if it is over. Idempotent, by any number of processes."""
    record = places.record
    if not record.is_dir():
        return True
    with locked(record):
        spec, state = read_record(record, "spec.json"), read_record(record, "state.json")
        if spec is None or state is None:
            return spec is None
        if is_shim_alive(state):
            return False
        if read_record(record, "ended.json") is not None:
            return True
        family = family_of(places, spec, state)
        if not family.end():
            return False
        # Counters are in the groups: read before they go.
        write_record(record, "ended.json", describe_end(record, spec, state))
        if family.cgroup is not None:
            family.cgroup.remove()
        _remove(places.run)
        _remove(places.temporary)
    return True


def retire(places: Places) -> None:
    """Put the record of a settled run away: from now on the run is absent. Only the last few are
    kept, for their logs."""
    kept = places.ended.parent
    kept.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        if read_record(places.record, "state.json") is None:
            _remove(places.record)
        else:
            places.record.rename(places.ended)
    ring(places.config)
    names = sorted(kept.iterdir(), key=_changed)
    for old in names[: max(0, len(names) - KEEP_ENDED)]:
        _remove(old)


def finish(places: Places) -> None:
    """End it now, whatever it does, and put it away (for `make down`)."""
    _kill(places)
    if settle(places):
        retire(places)


def _kill(places: Places) -> None:
    """SIGKILL for its processes, until its shim has seen them end and ended too."""
    spec = read_record(places.record, "spec.json")
    state = read_record(places.record, "state.json")
    if spec is None or state is None:
        return
    family = family_of(places, spec, state)
    deadline = time.monotonic() + _SHIM_ENDS_S
    while is_shim_alive(state):
        if not family.end() or time.monotonic() > deadline:
            return
        time.sleep(0.005)


def remove_home(home: Path) -> None:
    """Remove a home and all in it. Nothing that a link in it names is followed. Raises DriverError
    (retryable) if something of it is left."""
    if home.is_symlink():
        raise DriverError(f"{home} is not a folder", retryable=False, code="conflict")
    # Out of the way first, so that a crash in between leaves nothing that looks like a home.
    doomed = home.with_name(f".{home.name}.deleted")
    _remove(doomed)
    with suppress(FileNotFoundError):
        home.rename(doomed)
    _remove(doomed)
    if os.path.lexists(doomed) or os.path.lexists(home):
        raise DriverError(f"not all of {home} could be removed", retryable=True, code="not_removed")


def _remove(folder: Path) -> None:
    if not folder.exists():
        return
    assert shutil.rmtree.avoids_symlink_attacks
    if os.geteuid() != 0:
        _unlock(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _unlock(folder: Path) -> None:
    """Folders that their owner closed to himself can still be removed by him."""
    folder.chmod(0o700)
    for path, folders, _files in os.walk(folder):
        for name in folders:
            inner = os.path.join(path, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
