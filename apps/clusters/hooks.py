"""Who wants to know when a workload changed. `portal.wiring` fills the list; nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apps.clusters.models import Workload


@dataclass(frozen=True, slots=True)
class WorkloadChange:
    """A workload after a change that people can see, and its phase before ("" when it is new).

    Followers are called in the transaction that made the change, under the row's lock; what must
    leave the database they register with `transaction.on_commit`.
    """

    workload: Workload
    before: str


Follower = Callable[[WorkloadChange], None]
followers: list[Follower] = []


def workload_changed(change: WorkloadChange) -> None:
    """Tell every follower, in the order in which they were registered."""
    for follower in followers:
        follower(change)
