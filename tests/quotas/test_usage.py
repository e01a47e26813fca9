"""What is billed: intervals opened and closed once, never negative, and the sum they make."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.clusters.models import Cluster, Workload
from apps.quotas.models import UsageInterval
from apps.quotas.selectors import cost_of, rounded
from apps.quotas.services import close_intervals, open_interval
from apps.quotas.types import Billing
from tests.clusters.builders import fake_cluster, run_of

pytestmark = pytest.mark.django_db
BILLING = Billing("small", "python", Decimal("0.0500"), "EUR")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def cluster() -> Cluster:
    return fake_cluster()


@pytest.fixture
def run(cluster: Cluster) -> Workload:
    return run_of(cluster)


def long_ago(hours: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - hours * HOUR


def test_opened_and_closed_once_whatever_is_doubled(run: Workload) -> None:
    start, end = long_ago(3), long_ago(1)
    assert [open_interval(run, billing=BILLING, at=start) for _time in range(3)] == [
        True,
        False,
        False,
    ]
    assert close_intervals(run, at=end, reason="stopped_by_owner")
    assert not close_intervals(run, at=long_ago(0), reason="lost")
    assert not open_interval(run, billing=BILLING, at=start)
    interval = UsageInterval.objects.get()
    assert (interval.started_at, interval.ended_at) == (start, end)
    assert (interval.cpu_millis, interval.memory_mib) == (1000, 2048)
    assert interval.end_reason == "stopped_by_owner"


def test_a_readmission_opens_the_next(run: Workload) -> None:
    open_interval(run, billing=BILLING, at=long_ago(4))
    close_intervals(run, at=long_ago(3), reason="evicted")
    assert open_interval(run, billing=BILLING, at=long_ago(2))
    assert not open_interval(run, billing=BILLING, at=long_ago(3.5))
    assert UsageInterval.objects.count() == 2


def test_a_clock_that_is_off_makes_nothing_negative_and_nothing_extra(run: Workload) -> None:
    assert open_interval(run, billing=BILLING, at=long_ago(-1))
    assert close_intervals(run, at=long_ago(2), reason="exited")
    interval = UsageInterval.objects.get()
    assert interval.started_at == interval.ended_at
    assert cost_of([run.subject_uid])[run.subject_uid].amount == 0


def test_an_end_in_the_future_is_now(run: Workload) -> None:
    open_interval(run, billing=BILLING, at=long_ago(1))
    close_intervals(run, at=long_ago(-5), reason="exited")
    ended = UsageInterval.objects.get().ended_at
    assert ended is not None
    assert ended <= dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)


def test_the_cost_of_many_takes_one_query(
    cluster: Cluster, django_assert_num_queries: object
) -> None:
    runs = [run_of(cluster) for _number in range(5)]
    for number, run in enumerate(runs[:4]):
        open_interval(run, billing=BILLING, at=long_ago(number + 1))
        close_intervals(run, at=long_ago(0.5), reason="exited")
    subjects = [run.subject_uid for run in runs]
    with django_assert_num_queries(1):  # type: ignore[operator]  # pytest-django's
        costs = cost_of(subjects)
    expected = ["0.0250", "0.0750", "0.1250", "0.1750", "0.0000"]
    assert [str(costs[uid].amount) for uid in subjects] == expected
    assert {cost.currency for cost in costs.values()} == {"EUR"}


def test_an_open_interval_counts_up_to_now(run: Workload) -> None:
    open_interval(run, billing=BILLING, at=long_ago(2))
    assert cost_of([run.subject_uid])[run.subject_uid].amount == Decimal("0.1000")


def test_the_cost_is_rounded_once_at_the_end(run: Workload) -> None:
    """Three runs of 1 ms at a price at which each alone would round to nothing."""
    price = Billing("big", "python", Decimal("36.0000"), "EUR")
    start = long_ago(1)
    for number in range(5):
        begin = start + dt.timedelta(seconds=number)
        open_interval(run, billing=price, at=begin)
        close_intervals(run, at=begin + dt.timedelta(milliseconds=3), reason="evicted")
    assert cost_of([run.subject_uid])[run.subject_uid].amount == Decimal("0.0002")


@given(st.decimals(min_value=0, max_value=10**6, places=9))
def test_rounding_is_half_up_and_never_off_by_more_than_half(amount: Decimal) -> None:
    off = rounded(amount) - amount
    assert Decimal("-0.00005") < off <= Decimal("0.00005")
