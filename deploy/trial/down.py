"""`make down`: ends whatever belongs to one DATA, workspaces and jobs included.

Processes are found by the pids and start times that were written down, never by name. It also
clears up after a supervisor that was killed. Standard library only.
"""

import signal
import sys
import time

from deploy.trial import locking, records, workloads
from deploy.trial.arrival import layout_here
from deploy.trial.console import say
from deploy.trial.layout import Layout
from deploy.trial.processes import end

#: What a supervisor gets to end its children one group after the other, PostgreSQL last.
SUPERVISOR_GRACE_S = 60.0
LOCK_WAIT_S = 10.0


def main() -> int:
    """End everything of this DATA; the exit code."""
    layout = layout_here()
    if not layout.pids.is_dir():
        say(f"Nothing runs for {layout.data}")
        return 0
    ended = end_supervisor(layout)
    handle = lock_of(layout)
    if handle is None:
        say(f"{layout.data} is still in use by another `make up` that is being set up: try again")
        return 1
    ended += records.end_leftovers(layout)
    workspaces = workloads.end_all(layout)
    records.clear_all(layout)
    if not ended and not workspaces:
        say(f"Nothing runs for {layout.data}")
    else:
        say(f"Ended the portal of {layout.data}, and workspaces and jobs: {workspaces}")
    return 0


def end_supervisor(layout: Layout) -> list[str]:
    """Stop the supervisor in the way Ctrl-C does; return its name if there was one."""
    found = records.identities(layout).get(records.SUPERVISOR)
    if found is None:
        return []
    end([found], signal.SIGTERM, SUPERVISOR_GRACE_S)
    return [records.SUPERVISOR]


def lock_of(layout: Layout) -> int | None:
    """The lock of this DATA, so that no `make up` starts while things are being ended."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while (handle := locking.take(layout)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return handle


if __name__ == "__main__":
    sys.exit(main())
