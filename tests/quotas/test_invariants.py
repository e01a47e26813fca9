"""Each check finds what it is for, and finds nothing where all is well."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from apps.clusters.clock import database_now
from apps.clusters.invariants import CHECKS as RUN_CHECKS
from apps.clusters.models import Phase, Workload
from apps.live.uids import new_uid
from apps.quotas.invariants import CHECKS as QUOTA_CHECKS
from apps.quotas.models import Reservation
from apps.quotas.services import close_intervals, open_interval, reserve
from apps.quotas.types import Billing
from tests.clusters.builders import again, fake_cluster, run_of

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)
BILLING = Billing("small", "python", Decimal("0.0500"), "EUR")


@pytest.fixture
def run() -> Workload:
    """A run that is ready, billed, and holds its reservation, all for an hour."""
    run = run_of(fake_cluster())
    start = database_now() - HOUR
    Workload.objects.filter(pk=run.pk).update(
        created_at=start,
        applied_generation=1,
        next_try_at=None,
        phase=Phase.READY,
        observed_endpoint="unix:/a",
        observed_started_at=start,
    )
    open_interval(run, billing=BILLING, at=start)
    reserve(run.owner, subject_uid=run.uid, amounts={"workspaces": 1, "disk_gib": 5})
    Reservation.objects.update(created_at=start)
    return again(run)


def found() -> set[str]:
    return {broken.rule for check in (*RUN_CHECKS, *QUOTA_CHECKS) for broken in check()}


def set_to(run: Workload, **fields: object) -> None:
    Workload.objects.filter(pk=run.pk).update(**fields)


def over(run: Workload, **fields: object) -> None:
    at = database_now() - HOUR / 2
    close_intervals(run, at=at, reason="exited")
    Reservation.objects.filter(resource="workspaces").update(released_at=at)
    set_to(run, phase=Phase.STOPPED, ended_at=at, desired="stopped", **fields)


def test_a_healthy_run_breaks_nothing(run: Workload) -> None:
    assert found() == set()
    over(run)
    assert found() == set()


def test_a_run_that_is_over_and_still_there(run: Workload) -> None:
    over(run, generation=2)
    assert found() == {"workload_over_but_held"}


def test_a_run_that_is_over_and_still_due(run: Workload) -> None:
    over(run, next_try_at=database_now())
    assert found() == {"workload_over_but_due"}


def test_a_run_that_nobody_comes_back_to(run: Workload) -> None:
    set_to(run, generation=2, next_try_at=None)
    assert found() == {"workload_forgotten"}
    set_to(run, next_try_at=database_now() - HOUR)
    assert found() == {"workload_starved"}


def test_a_run_that_is_ready_nowhere(run: Workload) -> None:
    set_to(run, observed_endpoint="")
    assert found() == {"workload_ready_nowhere"}


def test_times_out_of_order(run: Workload) -> None:
    set_to(run, observed_exited_at=database_now() - 2 * HOUR)
    assert found() == {"workload_times"}


def test_a_run_that_is_over_and_still_billed_or_held(run: Workload) -> None:
    set_to(run, phase=Phase.STOPPED, ended_at=database_now() - HOUR / 2, desired="stopped")
    assert found() == {"usage_open_after_end", "reservation_without_run"}


def test_a_run_that_was_never_billed(run: Workload) -> None:
    run.intervals.all().delete()
    assert found() == {"usage_missing"}


def test_an_interval_that_begins_too_early(run: Workload) -> None:
    run.intervals.update(started_at=database_now() - 3 * HOUR)
    assert found() == {"usage_times"}


def test_what_is_held_for_nothing(run: Workload) -> None:
    reserve(run.owner, subject_uid=new_uid(), amounts={"cpu": 1000})
    assert found() == set()
    Reservation.objects.update(created_at=database_now() - HOUR)
    assert found() == {"reservation_without_run"}
