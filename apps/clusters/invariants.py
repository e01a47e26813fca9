"""What must always be true of runs, and where it is not. Looks only; see `apps.live.invariants`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db.models import Count, F, Q
from django.db.models.functions import Now

from apps.clusters.models import FINAL, Desired, Phase, Workload
from apps.live.invariants import Broken, Check

GRACE = dt.timedelta(seconds=60)
STARVED = dt.timedelta(minutes=5)


def removed_when_over() -> Iterable[Broken]:
    """A run that is over holds nothing on its cluster after a minute."""
    rows = Workload.objects.filter(phase__in=FINAL, ended_at__lt=Now() - GRACE)
    for row in rows.filter(applied_generation__lt=F("generation")):
        yield _broken("workload_over_but_held", row, "it is over and was not removed")


def over_is_at_rest() -> Iterable[Broken]:
    """A run that is over and removed waits for nothing."""
    rows = Workload.objects.filter(phase__in=FINAL, applied_generation__gte=F("generation"))
    for row in rows.filter(next_try_at__isnull=False):
        yield _broken("workload_over_but_due", row, "it is over, removed, and still due")


def moving_towards_an_end() -> Iterable[Broken]:
    """A run that is wanted and not taken, or not wanted and not gone, is always due again."""
    rows = Workload.objects.exclude(phase__in=FINAL).filter(
        applied_generation__lt=F("generation"), gave_up=False
    )
    for row in rows.filter(next_try_at=None):
        yield _broken("workload_forgotten", row, "something is to be done and nothing is due")
    for row in rows.filter(next_try_at__lt=Now() - STARVED):
        yield _broken("workload_starved", row, "it has been due for five minutes")


def over_is_not_wanted() -> Iterable[Broken]:
    """A run that is over is not wanted, and one that is ready has somewhere to reach it."""
    for row in Workload.objects.filter(phase__in=FINAL, desired=Desired.RUNNING):
        yield _broken("workload_over_but_wanted", row, "it is over and still wanted")
    for row in Workload.objects.filter(phase=Phase.READY, observed_endpoint=""):
        yield _broken("workload_ready_nowhere", row, "it is ready and has no address")


def times_in_order() -> Iterable[Broken]:
    """Made, started, ready, exited: in that order."""
    wrong = (
        Q(observed_started_at__lt=F("created_at"))
        | Q(observed_ready_at__lt=F("observed_started_at"))
        | Q(observed_exited_at__lt=F("observed_started_at"))
    )
    for row in Workload.objects.filter(wrong):
        yield _broken("workload_times", row, "it was started, ready or over too early")


def one_live_run() -> Iterable[Broken]:
    """A subject has at most one run that is not over."""
    live = Workload.objects.exclude(phase__in=FINAL).values("subject_uid")
    for found in live.annotate(runs=Count("pk")).filter(runs__gt=1):
        subject = found["subject_uid"]
        yield Broken("workload_doubled", f"subject:{subject}", f"{found['runs']} live runs, not 1")


def _broken(rule: str, row: Workload, message: str) -> Broken:
    return Broken(rule, f"workload:{row.uid}", f"{message} ({row.phase})")


CHECKS: tuple[Check, ...] = (
    removed_when_over,
    over_is_at_rest,
    moving_towards_an_end,
    over_is_not_wanted,
    times_in_order,
    one_live_run,
)
