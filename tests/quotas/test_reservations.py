"""Taking and giving back: which limit counts, what is refused and in which words."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections, transaction

from apps.accounts.models import Group, Membership, User
from apps.live.errors import QuotaExceeded
from apps.live.uids import new_uid
from apps.quotas.models import Limit, LimitScope, Reservation, Resource
from apps.quotas.selectors import held_by, limits_for, quota_lines, would_exceed
from apps.quotas.services import release, reserve, resize

pytestmark = pytest.mark.django_db
ONE = {Resource.WORKSPACES.value: 1}


@pytest.fixture
def student() -> User:
    return User.objects.create_user(username="student")


def limit(resource: str, most: int | None, **whom: object) -> Limit:
    scope = LimitScope.PERSON if "user" in whom else LimitScope.EVERYONE
    scope = LimitScope.GROUP if "group" in whom else scope
    return Limit.objects.create(scope=scope, resource=resource, max=most, **whom)


def test_the_setting_counts_where_there_is_no_row(student: User, settings: object) -> None:
    settings.MAX_RUNNING_PER_PERSON = 2  # type: ignore[attr-defined]  # pytest-django's
    assert limits_for(student) == {"workspaces": 2}


def test_the_most_specific_limit_counts(student: User) -> None:
    groups = [Group.objects.create(slug=slug, name=slug) for slug in ("a", "b", "c")]
    for group in groups[:2]:
        Membership.objects.create(user=student, group=group)
    limit("cpu", 1000)
    assert limits_for(student)["cpu"] == 1000
    for group, most in zip(groups, (2000, 3000, 9000), strict=True):
        limit("cpu", most, group=group)
    assert limits_for(student)["cpu"] == 3000
    limit("cpu", 500, user=student)
    assert limits_for(student)["cpu"] == 500


def test_no_limit_is_the_largest_of_the_groups(student: User) -> None:
    for slug, most in (("a", None), ("b", 5)):
        group = Group.objects.create(slug=slug, name=slug)
        Membership.objects.create(user=student, group=group)
        limit("disk_gib", most, group=group)
    assert limits_for(student)["disk_gib"] is None


def test_taking_twice_takes_once_and_giving_back_frees(student: User) -> None:
    subject = new_uid()
    amounts = {"workspaces": 1, "cpu": 1500, "memory_mib": 0}
    for _time in range(2):
        reserve(student, subject_uid=subject, amounts=amounts)
    assert held_by(student) == {"workspaces": 1, "cpu": 1500}
    assert release(subject, resources=["cpu"]) == 1
    assert held_by(student) == {"workspaces": 1}
    assert release(subject) == 1
    assert release(subject) == 0
    assert held_by(student) == {}


def test_the_refusal_says_what_is_used_and_what_helps(student: User) -> None:
    limit("workspaces", 2)
    for _time in range(2):
        reserve(student, subject_uid=new_uid(), amounts=ONE)
    with pytest.raises(QuotaExceeded) as refused:
        reserve(student, subject_uid=new_uid(), amounts=ONE)
    assert str(refused.value.message) == "You have 2 workspaces running and may have 2 at once."
    assert "Stop a workspace" in str(refused.value.hint)


def test_asking_for_more_than_the_whole_limit_is_said(student: User) -> None:
    limit("cpu", 2500)
    with pytest.raises(QuotaExceeded) as refused:
        reserve(student, subject_uid=new_uid(), amounts={"cpu": 4000})
    assert "4 CPU cores" in str(refused.value.message)
    assert "2.5" in str(refused.value.message)
    assert "whole limit" in str(refused.value.hint)


def test_a_form_is_told_before_it_is_sent(student: User) -> None:
    limit("memory_mib", 4096)
    subject = new_uid()
    reserve(student, subject_uid=subject, amounts={"memory_mib": 4096})
    [line] = would_exceed(student, {"memory_mib": 1, "workspaces": 1})
    assert (line.resource, line.limit, line.used, line.left) == ("memory_mib", 4096, 4096, 0)
    assert would_exceed(student, {"memory_mib": 4096}, subject_uid=subject) == []


def test_lines_take_two_queries(student: User, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(2):  # type: ignore[operator]  # pytest-django's
        lines = quota_lines(student)
    assert [line.resource for line in lines] == ["workspaces", "cpu", "memory_mib", "disk_gib"]


def test_shrinking_is_allowed_past_the_limit_and_growing_is_not(student: User) -> None:
    subject = new_uid()
    reserve(student, subject_uid=subject, amounts={"disk_gib": 20})
    limit("disk_gib", 5)
    resize(student, subject_uid=subject, amounts={"disk_gib": 10})
    assert held_by(student) == {"disk_gib": 10}
    with pytest.raises(QuotaExceeded):
        resize(student, subject_uid=subject, amounts={"disk_gib": 11})
    assert held_by(student) == {"disk_gib": 10}


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_for_one_place_make_one() -> None:
    student = User.objects.create_user(username="student")
    limit("workspaces", 1)
    start = threading.Barrier(20)
    outcomes: list[bool] = []

    def launch() -> None:
        try:
            start.wait()
            with transaction.atomic():
                reserve(student, subject_uid=new_uid(), amounts=ONE)
            outcomes.append(True)
        except QuotaExceeded:
            outcomes.append(False)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=launch) for _number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes) == [False] * 19 + [True]
    assert Reservation.objects.filter(released_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_limit_that_is_being_lowered_is_waited_for() -> None:
    student = User.objects.create_user(username="student")
    row = limit("workspaces", 1)
    refused: list[bool] = []

    def launch() -> None:
        try:
            reserve(student, subject_uid=new_uid(), amounts=ONE)
            refused.append(False)
        except QuotaExceeded:
            refused.append(True)
        finally:
            connections.close_all()

    thread = threading.Thread(target=launch)
    with transaction.atomic():
        Limit.objects.filter(pk=row.pk).update(max=0)
        thread.start()
        _wait_for_a_waiting_lock(thread)
    thread.join(30)
    assert refused == [True]


def _wait_for_a_waiting_lock(thread: threading.Thread) -> None:
    """Until somebody waits for a lock; the thread must not get through meanwhile."""
    for _look in range(2000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone()[0]:
                return
        assert thread.is_alive(), "it did not wait for the limit"
        thread.join(0.005)
    pytest.fail("nobody waited for the limit")
