"""Workspaces and jobs of this DATA, as the local driver wrote them down: counting, ending.

They are not the supervisor's children: they survive it, and only `make down` ends them.
"""

from contextlib import suppress

from apps.clusters.drivers.local import processes
from apps.clusters.drivers.local.config import LocalConfig
from apps.clusters.drivers.local.places import Places
from deploy.trial.layout import Layout


def count_running(layout: Layout) -> int:
    """How many workspaces and jobs of this DATA have a process."""
    return processes.count_running(layout.data)


def end_all(layout: Layout) -> int:
    """End every workspace and job of this DATA and clean up after them; how many there were."""
    ended = processes.end_all(layout.data, layout.run)
    temporary = Places(LocalConfig(layout.data, layout.run, layout.data, layout.data), "none")
    folder = temporary.temporary.parent
    if folder != temporary.run and folder.is_dir():
        with suppress(OSError):
            folder.rmdir()
    return ended
