"""Starting, recognising and ending single processes by pid *and* start time.

A pid alone may have been given to a stranger's process since it was written down; a pid with the
time at which it started cannot. Linux only. Standard library only.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
#: Exit code of a child whose parent died while it was being started.
ORPHANED = 126

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for another: `started` is boot id and clock ticks."""

    pid: int
    started: str

    def is_alive(self) -> bool:
        """True while this very process runs; a zombie counts as ended."""
        return started_at(self.pid) == self.started

    def is_over(self) -> bool:
        """True if it has ended and nobody else has its number: there may be a zombie of it."""
        fields = stat_fields(self.pid)
        return not fields or (fields[0] in "ZX" and start_of(fields) == self.started)

    def send(self, number: int) -> None:
        """Send a signal to this very process, or do nothing if it is gone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            # The pidfd pins the process: what is checked now is what is signalled.
            if self.is_alive():
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)

    def wait(self, timeout_s: float) -> bool:
        """True when the process has ended within `timeout_s`."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.is_alive():
                return True
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            return bool(poller.poll(max(timeout_s, 0) * 1000))
        finally:
            os.close(handle)


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]


def started_at(pid: int) -> str | None:
    """`<boot>:<ticks>` of a running process, None if there is none (or only its zombie)."""
    fields = stat_fields(pid)
    if not fields or fields[0] in "ZX":
        return None
    return start_of(fields)


def start_of(fields: Sequence[str]) -> str:
    return f"{boot_id()}:{fields[19]}"


def stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third, the state, on; none if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The command may hold spaces and brackets: fields count from the last bracket (proc(5)).
    return text.rpartition(")")[2].split()


def orphans_of(leaders: Collection[int], folders: Sequence[Path]) -> list[Identity]:
    """Processes whose session one of `leaders` made, working in one of `folders`.

    For leaders that are gone: a killed nginx leaves workers that hold the port. While there are
    such, the kernel gives the number to nobody else; the folder is a second safeguard.
    """
    found = []
    for name in os.listdir("/proc"):
        fields = stat_fields(int(name)) if name.isdigit() else []
        if fields and int(fields[3]) in leaders and works_in(int(name), folders):
            found.append(identity_of(int(name)))
    return [identity for identity in found if identity]


def works_in(pid: int, folders: Sequence[Path]) -> bool:
    try:
        cwd = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    return any(cwd.is_relative_to(folder) for folder in folders)


def identity_of(pid: int) -> Identity | None:
    started = started_at(pid)
    return Identity(pid, started) if started else None


def end(identities: Iterable[Identity], number: int, grace_s: float) -> list[Identity]:
    """Send `number` to all, SIGKILL to those left after `grace_s`; return those that were alive."""
    alive = [identity for identity in identities if identity.is_alive()]
    for identity in alive:
        identity.send(number)
    deadline = time.monotonic() + grace_s
    for identity in alive:
        if not identity.wait(deadline - time.monotonic()):
            identity.send(signal.SIGKILL)
            identity.wait(5)
    return alive


@dataclass(frozen=True)
class Start:
    """How to start one process.

    `death_signal` is what the kernel sends it when we die, kill -9 included. `output`: where its
    standard output goes instead of the log.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    death_signal: int = signal.SIGTERM
    output: IO[bytes] | None = None


def spawn(start: Start) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, its output appended to its log.

    Must be called from the main thread: the kernel ties the death signal to the thread that forks.
    """
    parent = os.getpid()
    with start.log.open("ab") as log:
        # Ours is a single thread at this point, so running Python between fork and exec is safe.
        return subprocess.Popen(
            list(start.argv),
            env=dict(start.env),
            cwd=start.cwd,
            stdin=subprocess.DEVNULL,
            stdout=start.output or log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: die_with(parent, start.death_signal),  # noqa: PLW1509
        )


def die_with(parent: int, number: int) -> None:
    """Ask the kernel for `number` when `parent` dies. Runs in the child."""
    if _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0) != 0 or os.getppid() != parent:
        os._exit(ORPHANED)


def fit_log(log: Path, limit_bytes: int = 8_000_000) -> None:
    """Keep one older generation of a log that has grown past the limit."""
    with suppress(FileNotFoundError):
        if log.stat().st_size > limit_bytes:
            log.replace(log.with_name(log.name + ".1"))


def bound_log(log: Path, limit_bytes: int = 8_000_000) -> None:
    """Keep one older generation of a log that is being written and has grown past the limit.

    Copied and emptied, because its writer keeps it open, appending: what it writes between the
    two is lost.
    """
    with suppress(FileNotFoundError):
        if log.stat().st_size > limit_bytes:
            # Made anew rather than overwritten: as closed to others as the log, and never a link.
            older = log.with_name(log.name + ".1")
            older.unlink(missing_ok=True)
            shutil.copy(log, older)
            os.truncate(log, 0)
