"""What must always be true of what people hold and are billed for, and where it is not.
Looks only; see `apps.live.invariants`. Runs are reached through the intervals' key and by uid:
this app does not know theirs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.apps import apps
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.live.invariants import Broken, Check
from apps.quotas.models import Reservation, Resource, UsageInterval

GRACE = dt.timedelta(seconds=60)


def closed_when_over() -> Iterable[Broken]:
    """What is over is billed no longer, a minute later at most."""
    rows = UsageInterval.objects.filter(ended_at=None, workload__ended_at__lt=Now() - GRACE)
    for row in rows.select_related("workload"):
        subject = f"workload:{row.workload.uid}"
        yield Broken("usage_open_after_end", subject, "the run is over and still billed")


def billed_while_it_ran() -> Iterable[Broken]:
    """No interval is negative, in the future, or begins before its run was wanted."""
    wrong = Q(ended_at__lt=F("started_at")) | Q(ended_at__gt=Now()) | Q(started_at__gt=Now())
    rows = UsageInterval.objects.filter(wrong | Q(started_at__lt=F("workload__created_at")))
    for row in rows.select_related("workload"):
        subject = f"workload:{row.workload.uid}"
        yield Broken("usage_times", subject, f"billed from {row.started_at} to {row.ended_at}")


def billed_once() -> Iterable[Broken]:
    """Intervals of one run do not overlap, and at most one is open."""
    other = UsageInterval.objects.filter(
        Q(ended_at=None) | Q(ended_at__gt=OuterRef("started_at")),
        workload=OuterRef("workload"),
        started_at__lte=OuterRef("started_at"),
    ).exclude(pk=OuterRef("pk"))
    for row in UsageInterval.objects.filter(Exists(other)).select_related("workload"):
        yield Broken("usage_twice", f"workload:{row.workload.uid}", "two intervals overlap")


def billed_when_running() -> Iterable[Broken]:
    """A run that has held resources for a minute is billed."""
    known = UsageInterval.objects.filter(workload=OuterRef("pk"))
    late = _runs().filter(observed_started_at__lt=Now() - GRACE, kind="workspace")
    for uid in late.filter(~Exists(known)).values_list("uid", flat=True):
        yield Broken("usage_missing", f"workload:{uid}", "it held resources and was never billed")


def given_back_when_over() -> Iterable[Broken]:
    """Nothing but homes (disk) is held for what does not run, a minute later at most."""
    runs = _runs().filter(ended_at=None)
    live = runs.filter(Q(uid=OuterRef("subject_uid")) | Q(subject_uid=OuterRef("subject_uid")))
    rows = Reservation.objects.filter(released_at=None, created_at__lt=Now() - GRACE)
    for row in rows.exclude(resource=Resource.DISK_GIB).filter(~Exists(live)):
        message = f"{row.amount} of {row.resource} is held and nothing runs"
        yield Broken("reservation_without_run", f"reservation:{row.subject_uid}", message)


def _runs() -> QuerySet[Model]:
    return apps.get_model("clusters", "Workload")._default_manager.all()  # noqa: SLF001  # Django's name for it


CHECKS: tuple[Check, ...] = (
    closed_when_over,
    billed_while_it_ran,
    billed_once,
    billed_when_running,
    given_back_when_over,
)
