"""Workspaces and jobs of this DATA, as the local driver wrote them down: counting, ending.

They are not the supervisor's children: they survive it, and only `make down` ends them.
"""

from deploy.trial.layout import Layout


def count_running(layout: Layout) -> int:
    """How many workspaces and jobs of this DATA have a process."""
    return 0


def end_all(layout: Layout) -> int:
    """End every workspace and job of this DATA; return how many there were."""
    return 0
