"""What must always be true of workspaces. Reads only; `manage.py invariants` runs it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from apps.accounts.models import ApiToken
from apps.clusters.models import FINAL, Desired, Kind, Workload
from apps.live.invariants import Broken, Check
from apps.quotas.models import Reservation, Resource
from apps.workspaces.models import Workspace

SETTLE = dt.timedelta(seconds=60)
"""How long something may take to follow from something else."""


def every_run_belongs_to_its_workspace() -> Iterator[Broken]:
    """A run that is not over is the current one of the workspace it names, and of its owner."""
    owner = Workspace.objects.filter(current=OuterRef("pk"), uid=OuterRef("subject_uid"))
    strays = Workload.objects.filter(kind=Kind.WORKSPACE).exclude(phase__in=FINAL)
    for run in strays.filter(~Exists(owner.filter(owner=OuterRef("owner")))):
        yield Broken(
            "run_without_workspace",
            f"workload:{run.uid}",
            "It is not over, but no workspace of its owner has it as its current run.",
        )


def every_current_run_is_its_own() -> Iterator[Broken]:
    """`current` is a run of this workspace, and the newest one."""
    newer = Workload.objects.filter(subject_uid=OuterRef("uid"), pk__gt=OuterRef("current"))
    wrong = Workspace.objects.filter(current__isnull=False)
    for workspace in wrong.filter(~Q(current__subject_uid=F("uid")) | Exists(newer)):
        yield Broken(
            "current_run_is_not_the_newest",
            f"workspace:{workspace.uid}",
            "Its current run is another workspace's, or not its newest.",
        )


def nothing_runs_for_what_is_deleted() -> Iterator[Broken]:
    """The run of a deleted workspace is wanted no more."""
    gone = Workspace.objects.filter(deleted_at__lt=Now() - SETTLE)
    for workspace in gone.filter(current__desired=Desired.RUNNING).exclude(
        current__phase__in=FINAL
    ):
        yield Broken(
            "deleted_but_running",
            f"workspace:{workspace.uid}",
            "It was deleted, but its run is still wanted.",
        )


def deletion_is_complete() -> Iterator[Broken]:
    """Deleted means that an end of the grace period is set; only the deleted are purged."""
    halves = (
        Q(deleted_at=None, purge_after__isnull=False)
        | Q(deleted_at__isnull=False, purge_after=None)
        | Q(deleted_at=None, purged_at__isnull=False)
    )
    for workspace in Workspace.objects.filter(halves):
        yield Broken(
            "half_deleted",
            f"workspace:{workspace.uid}",
            "deleted_at, purge_after and purged_at do not fit together.",
        )


def homes_count_against_disk() -> Iterator[Broken]:
    """A home that is kept holds disk; one that was removed holds none."""
    held = Reservation.objects.filter(
        subject_uid=OuterRef("uid"), resource=Resource.DISK_GIB, released_at=None
    )
    for workspace in Workspace.objects.filter(~Exists(held), purged_at=None):
        yield Broken(
            "home_without_disk",
            f"workspace:{workspace.uid}",
            "Its home is kept but does not count against its owner's disk.",
        )
    for workspace in Workspace.objects.filter(Exists(held), purged_at__lt=Now() - SETTLE):
        yield Broken(
            "disk_without_home",
            f"workspace:{workspace.uid}",
            "Its home was removed but still counts against its owner's disk.",
        )


def tokens_end_with_their_run() -> Iterator[Broken]:
    """The token of a run that is over is good no more."""
    over = Workload.objects.filter(
        uid=OuterRef("workload_uid"), phase__in=FINAL, ended_at__lt=Now() - SETTLE
    )
    for token in ApiToken.objects.filter(Exists(over), revoked_at=None, expires_at__gt=Now()):
        yield Broken(
            "token_outlives_its_run",
            f"workload:{token.workload_uid}",
            "The run is over, but its token still opens the portal.",
        )


CHECKS: tuple[Check, ...] = (
    every_run_belongs_to_its_workspace,
    every_current_run_is_its_own,
    nothing_runs_for_what_is_deleted,
    deletion_is_complete,
    homes_count_against_disk,
    tokens_end_with_their_run,
)
