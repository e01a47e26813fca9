"""What is written down about the processes of a trial: pid files, and the supervisor's state.

Written by the supervisor, read by `/readyz`, by the next `make up` and by `make down`.
Standard library only.
"""

import json
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.trial.layout import CHECKOUT, Layout
from deploy.trial.processes import Identity, boot_id, end, orphans_of

SUPERVISOR = "supervisor"
#: Time that processes whose supervisor was killed get to end by themselves.
LEFTOVER_GRACE_S = 5.0


@dataclass(frozen=True)
class ProcessState:
    """One process as the supervisor knows it.

    `state`: starting, up, backoff or stopped. `since`: Unix time of the last change of state.
    `started` makes the pid unmistakable. `last_exit`: exit code, negative for a signal.
    """

    pid: int | None
    started: str | None
    state: str
    restarts: int
    since: float
    last_exit: int | None
    log: str


def write_states(layout: Layout, states: Mapping[str, ProcessState]) -> None:
    """Replace the state file and the pid files; a reader sees the old or the new, never half."""
    for name, state in states.items():
        if state.pid is None:
            layout.pid_file(name).unlink(missing_ok=True)
        else:
            replace(layout.pid_file(name), f"{state.pid}\n")
    text = json.dumps({name: asdict(state) for name, state in states.items()}, indent=1)
    replace(layout.state_file, text + "\n")


def replace(file: Path, text: str) -> None:
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(text)
    fresh.replace(file)


def read_states(layout: Layout) -> dict[str, ProcessState]:
    """The last written state, empty if there is none or it cannot be understood."""
    try:
        found = json.loads(layout.state_file.read_text())
        return {name: ProcessState(**fields) for name, fields in found.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def clear(layout: Layout) -> None:
    """Forget the portal's processes: remove state, pid files and the portal's own sockets."""
    for file in (
        layout.state_file,
        *layout.pids.glob("*.pid"),
        *layout.run.glob("*.sock"),
    ):
        file.unlink(missing_ok=True)
    if layout.run != layout.pids:
        with suppress(OSError):  # workspaces may still have their sockets there
            layout.run.rmdir()


def clear_all(layout: Layout) -> None:
    """Also remove what workloads left in the folder of sockets; call it when none runs."""
    for entry in layout.run.iterdir() if layout.run.is_dir() else ():
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
    clear(layout)


def written(layout: Layout) -> dict[str, Identity]:
    """Every process written down since the machine was started, by name."""
    return {
        name: Identity(state.pid, state.started)
        for name, state in read_states(layout).items()
        if state.pid and state.started and state.started.startswith(f"{boot_id()}:")
    }


def identities(layout: Layout) -> dict[str, Identity]:
    """Those written down that still run, by name."""
    return {name: found for name, found in written(layout).items() if found.is_alive()}


def end_leftovers(layout: Layout) -> list[str]:
    """End the portal's processes that outlived a supervisor that is gone; return their names.

    Call it only while holding the lock of this DATA. Workloads are not among them.
    """
    left = identities(layout)
    left.pop(SUPERVISOR, None)
    database = left.pop("postgres", None)
    end(left.values(), signal.SIGTERM, LEFTOVER_GRACE_S)
    if database:
        end([database], signal.SIGINT, LEFTOVER_GRACE_S * 2)
        left["postgres"] = database
    # Whoever has lost their leader ends at once: there is nobody left to answer to.
    gone = {name: dead for name, dead in written(layout).items() if dead.is_over()}
    orphans = orphans_of({dead.pid for dead in gone.values()}, (CHECKOUT, layout.data))
    end(orphans, signal.SIGKILL, LEFTOVER_GRACE_S)
    return sorted(left) + [f"pid {orphan.pid}" for orphan in orphans]
