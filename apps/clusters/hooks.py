"""Who wants to know when a workload changed. `portal.wiring` fills the list; nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apps.clusters.models import Workload


@dataclass(frozen=True, slots=True)
class WorkloadChange:
    """A workload after a change that people can see, and its phase ("" when it is new) and reason
    before.

    Followers are called in the transaction that made the change, under the row's lock; what must
    leave the database they register with `transaction.on_commit`.
    """

    workload: Workload
    before: str
    reason_before: str = ""


Follower = Callable[[WorkloadChange], None]
followers: list[Follower] = []
ImageFollower = Callable[[str], None]
image_followers: list[ImageFollower] = []
activity_followers: list[Callable[[Workload], None]] = []


def workload_changed(change: WorkloadChange) -> None:
    """Tell every follower, in the order in which they were registered."""
    for follower in followers:
        follower(change)


def activity_reported(workload: Workload) -> None:
    """Tell every activity follower that the agent of a run said what it does now."""
    for follower in activity_followers:
        follower(workload)


def image_missing(digest: str) -> None:
    """Tell every image follower that a cluster does not have an image that was said to be there.
    In the transaction that makes the run wait for it."""
    for follower in image_followers:
        follower(digest)
