"""Memory of a live run: what the watcher notes of it, and the warning that follows from the note.

`watching` notes every second, with control groups and without; `looking` reads the note, so that
every look at a run says the same, in whatever process.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from apps.clusters.drivers.local.places import Record, read_record, write_record

WARN_SHARE = 0.9
#: Below this it is over: what goes up and down around one limit would be told again and again.
CALM_SHARE = 0.8
#: For how long after it a process that was ended for want of memory is told.
TELL_S = 600.0
_NOTE = "memory.json"


def note_memory(record: Path, share: float, kills: int) -> bool:
    """Write down how full the memory is (1.0: the limit) and how many processes were ended for
    want of it, if a warning follows from it or ends. True if it did."""
    before = read_record(record, _NOTE)
    was_low = bool(before and before["is_low"])
    told = before["kills"] if before else 0
    is_low = share >= (CALM_SHARE if was_low else WARN_SHARE)
    if is_low == was_low and kills <= told:
        return False
    killed_at = time.time() if kills > told else before["killed_at"] if before else 0.0
    note = {"is_low": is_low, "kills": max(kills, told), "killed_at": killed_at}
    with suppress(FileNotFoundError):
        write_record(record, _NOTE, note)
    return True


def memory_warning(record: Path, spec: Record) -> tuple[str, str]:
    """Code and message of what the person should know about memory now; both "" while there is
    nothing. The message changes only with a new occurrence."""
    note, limit = read_record(record, _NOTE), spec["resources"]["memory_mib"]
    if note is None:
        return "", ""
    if note["kills"] and time.time() - note["killed_at"] < TELL_S:
        message = f"{note['kills']} of its processes ended: out of memory: limit {limit} MiB"
        return "process_out_of_memory", message
    if note["is_low"]:
        return "memory_low", f"memory is nearly full: limit {limit} MiB"
    return "", ""
