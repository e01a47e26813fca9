"""`Idempotency-Key`: once, however often, also for two at once and with a crash in between."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.accounts.models import IdempotencyKey, User
from apps.api import workspaces as resource
from apps.workspaces.models import Workspace
from tests.api.rest import Answer, As, Rest, assert_problem

KEY = "2f9d0c3e-launch-1"


@pytest.mark.django_db
def test_the_same_again_is_the_first_answer(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    first = caller.post("/workspaces", ready, Idempotency_Key=KEY)
    assert first.status == 202
    assert "idempotent-replayed" not in first.headers
    reordered = dict(reversed(ready.items()))
    again = caller.post("/workspaces", reordered, Idempotency_Key=KEY)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotent-replayed"] == "true"
    assert Workspace.objects.count() == 1


@pytest.mark.django_db
def test_it_stays_the_first_answer_though_the_object_moved_on(
    rest: As, owner: User, ready: dict[str, str]
) -> None:
    caller = rest(owner)
    first = caller.post("/workspaces", ready, Idempotency_Key=KEY)
    caller.patch(f"/workspaces/{first.body['uid']}", {"name": "Other"})
    assert caller.post("/workspaces", ready, Idempotency_Key=KEY).body == first.body


@pytest.mark.django_db
def test_another_body_is_refused(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    caller.post("/workspaces", ready, Idempotency_Key=KEY)
    answer = caller.post("/workspaces", {**ready, "size": "medium"}, Idempotency_Key=KEY)
    assert_problem(answer, 422, "invalid")
    assert Workspace.objects.count() == 1


@pytest.mark.django_db
def test_keys_are_per_person_and_address(
    rest: As, owner: User, member: User, ready: dict[str, str]
) -> None:
    first = rest(owner).post("/workspaces", ready, Idempotency_Key=KEY)
    second = rest(member).post("/workspaces", ready, Idempotency_Key=KEY)
    assert second.body["uid"] != first.body["uid"]
    stop = f"/workspaces/{first.body['uid']}/stop"
    assert rest(owner).post(stop, {}, Idempotency_Key=KEY).status == 202
    assert IdempotencyKey.objects.count() == 3


@pytest.mark.django_db
def test_refusals_are_not_remembered(
    rest: As, owner: User, ready: dict[str, str], settings: Settings
) -> None:
    settings.MAX_RUNNING_PER_PERSON = 0
    caller = rest(owner)
    refused = caller.post("/workspaces", ready, Idempotency_Key=KEY)
    assert_problem(refused, 409, "quota_exceeded")
    assert not IdempotencyKey.objects.exists()
    settings.MAX_RUNNING_PER_PERSON = 1
    answer = caller.post("/workspaces", ready, Idempotency_Key=KEY)
    assert answer.status == 202
    assert "idempotent-replayed" not in answer.headers


@pytest.mark.django_db
def test_after_a_day_the_key_is_free(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    first = caller.post("/workspaces", ready, Idempotency_Key=KEY)
    IdempotencyKey.objects.update(created_at=timezone.now() - dt.timedelta(hours=25))
    second = caller.post("/workspaces", ready, Idempotency_Key=KEY)
    assert second.body["uid"] != first.body["uid"]


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ü"])
def test_keys_that_are_none(rest: As, owner: User, ready: dict[str, str], key: str) -> None:
    assert_problem(rest(owner).post("/workspaces", ready, Idempotency_Key=key), 422, "invalid")
    assert not Workspace.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_commit_leaves_neither(
    rest: As, owner: User, ready: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = rest(owner)
    real = resource.shown

    def crash(workspace: Workspace) -> None:
        raise RuntimeError("killed between effect and commit")

    monkeypatch.setattr(resource, "shown", crash)
    assert_problem(caller.post("/workspaces", ready, Idempotency_Key=KEY), 500, "internal")
    assert not Workspace.objects.exists()
    assert not IdempotencyKey.objects.exists()
    monkeypatch.setattr(resource, "shown", real)
    assert caller.post("/workspaces", ready, Idempotency_Key=KEY).status == 202


@pytest.mark.fault
@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one(rest: As, owner: User, ready: dict[str, str]) -> None:
    callers = [rest(owner) for _ in range(6)]
    gate = threading.Barrier(len(callers))

    def send(caller: Rest) -> Answer:
        try:
            gate.wait(10)
            return caller.post("/workspaces", ready, Idempotency_Key=KEY)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(callers)) as pool:
        answers = list(pool.map(send, callers))
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["uid"] for answer in answers}) == 1
    replayed = [a for a in answers if a.headers.get("idempotent-replayed") == "true"]
    assert len(replayed) == len(callers) - 1
    assert Workspace.objects.count() == 1


@pytest.mark.fault
@pytest.mark.django_db(transaction=True)
def test_the_second_waits_for_the_first_and_goes_on_if_it_fails(
    rest: As, owner: User, ready: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = [rest(owner), rest(owner)]
    entered, go_on = threading.Event(), threading.Event()
    real = resource.shown
    names: list[str] = []

    def slow_then_broken(workspace: Workspace) -> object:
        names.append(threading.current_thread().name)
        if len(names) == 1:
            entered.set()
            go_on.wait(10)
            raise RuntimeError("the first dies")
        return real(workspace)

    monkeypatch.setattr(resource, "shown", slow_then_broken)

    def send(caller: Rest) -> Answer:
        try:
            return caller.post("/workspaces", ready, Idempotency_Key=KEY)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, callers[0])
        assert entered.wait(10)
        second = pool.submit(send, callers[1])
        wait_until_blocked()
        assert not second.done()
        go_on.set()
        assert first.result(10).status == 500
        answer = second.result(10)
    assert answer.status == 202
    assert "idempotent-replayed" not in answer.headers
    assert Workspace.objects.count() == 1


def wait_until_blocked() -> None:
    """Until one transaction waits for another's."""
    from tests.stack import eventually

    def blocked() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0])

    eventually(blocked, "the second call waits", 10)
