"""Making a cluster do what is wanted: one call per step, outside transactions, never twice."""

from __future__ import annotations

import threading

import pytest
from django.db import connection, connections

from apps.clusters import hooks, reconcile
from apps.clusters.claims import LEASE, claim
from apps.clusters.clock import database_now
from apps.clusters.drivers.base import DriverError, Observation, RunState, WorkloadRef, WorkloadSpec
from apps.clusters.drivers.fake import Behaviour, FakeDriver
from apps.clusters.models import Cluster, ImageState, Phase, Workload
from apps.clusters.observing import record_observation
from apps.clusters.reasons import words_of
from apps.clusters.reconcile import MAX_TRIES, Step, back_off_s
from apps.clusters.services import image_changed
from apps.clusters.sweeping import sweep
from tests.clusters.builders import DIGEST, again, fake_cluster, fake_of, make_due, run_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cluster() -> Cluster:
    return fake_cluster()


@pytest.fixture
def fake(cluster: Cluster) -> FakeDriver:
    return fake_of(cluster)


def refuse(fake: FakeDriver, monkeypatch: pytest.MonkeyPatch, error: DriverError) -> None:
    def apply(_spec: WorkloadSpec) -> Observation:
        raise error

    monkeypatch.setattr(fake, "apply", apply)


def test_a_launch_is_one_call_outside_any_transaction(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[WorkloadSpec] = []
    apply = fake.apply

    def look(spec: WorkloadSpec) -> Observation:
        assert not connection.in_atomic_block
        given.append(spec)
        return apply(spec)

    monkeypatch.setattr(fake, "apply", look)
    run = run_of(cluster)
    assert reconcile.reconcile(run.uid) is Step.APPLY
    row = again(run)
    assert (row.phase, row.applied_generation, row.next_try_at) == (Phase.STARTING, 1, None)
    assert (row.lease, row.lease_until, row.tries) == ("", None, 0)
    assert [name for name, _secret in given[0].secrets] == ["token", "app_token"]


def test_delivered_three_times_it_has_one_effect(cluster: Cluster, fake: FakeDriver) -> None:
    run = run_of(cluster)
    assert [reconcile.reconcile(run.uid) for _time in range(3)] == ["apply", "nothing", "nothing"]
    assert fake.applied == [run.uid]


def test_delivered_to_eight_workers_at_once_it_is_one_call(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    apply = fake.apply

    def count(spec: WorkloadSpec) -> Observation:
        calls.append(spec.uid)
        return apply(spec)

    monkeypatch.setattr(fake, "apply", count)
    run = run_of(cluster)
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        reconcile.reconcile(run.uid)
        connections.close_all()

    threads = [threading.Thread(target=work) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert calls == [run.uid]


def test_a_worker_killed_after_the_answer_is_followed_by_one_that_adopts(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(cluster)
    apply = fake.apply

    def die(spec: WorkloadSpec) -> Observation:
        apply(spec)
        raise SystemExit

    monkeypatch.setattr(fake, "apply", die)
    with pytest.raises(SystemExit):
        reconcile.reconcile(run.uid)
    assert fake.applied == [run.uid]
    assert again(run).applied_generation == 0
    monkeypatch.setattr(fake, "apply", apply)
    assert reconcile.reconcile(run.uid) is Step.NOTHING
    make_due(run)
    assert reconcile.reconcile(run.uid) is Step.APPLY
    assert fake.applied == [run.uid]
    assert again(run).applied_generation == 1


def test_a_run_that_kills_its_worker_each_time_is_given_up(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(cluster)
    deaths: list[str] = []

    def die(spec: WorkloadSpec) -> Observation:
        deaths.append(spec.uid)
        raise SystemExit

    monkeypatch.setattr(fake, "apply", die)
    for _time in range(MAX_TRIES):
        with pytest.raises(SystemExit):
            reconcile.reconcile(run.uid)
        make_due(run)
    assert reconcile.reconcile(run.uid) is Step.GIVE_UP
    row = again(run)
    assert (row.phase, row.reason) == (Phase.FAILED, "worker_lost")
    assert len(deaths) == MAX_TRIES


def test_a_cluster_that_does_not_answer_is_tried_again_and_then_no_more(
    cluster: Cluster, fake: FakeDriver
) -> None:
    fake.conditions.behaviour = Behaviour.FAILING
    run = run_of(cluster)
    reconcile.reconcile(run.uid)
    row = again(run)
    assert (row.phase, row.reason, row.tries) == (Phase.QUEUED, "retrying", 1)
    assert "does not answer" in words_of(row).message
    assert row.next_try_at is not None
    assert row.next_try_at > database_now()
    assert reconcile.reconcile(run.uid) is Step.NOTHING
    for _time in range(MAX_TRIES - 1):
        make_due(run)
        reconcile.reconcile(run.uid)
    row = again(run)
    assert (row.phase, row.reason) == (Phase.FAILED, "cluster_error")
    fake.conditions.behaviour = Behaviour.OK
    make_due(run)
    assert reconcile.reconcile(run.uid) is Step.DELETE
    row = again(run)
    assert (row.next_try_at, fake.applied) == (None, [])
    assert "does not answer" in words_of(row).message


def test_a_flapping_cluster_makes_one(cluster: Cluster, fake: FakeDriver) -> None:
    fake.conditions.behaviour = Behaviour.FLAPPING
    run = run_of(cluster)
    for _time in range(4):
        make_due(run)
        reconcile.reconcile(run.uid)
    assert fake.applied == [run.uid]
    assert again(run).phase == Phase.STARTING


def test_a_reply_that_is_lost_makes_no_second(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(cluster)
    apply = fake.apply

    def lose(spec: WorkloadSpec) -> Observation:
        apply(spec)
        raise DriverError("connection reset", retryable=True, code="unavailable")

    monkeypatch.setattr(fake, "apply", lose)
    for _time in range(MAX_TRIES + 1):
        make_due(run)
        reconcile.reconcile(run.uid)
        if _time == 2:
            look = fake.observe(WorkloadRef(run.uid))
            record_observation(cluster, cluster.watch_epoch, look)
    row = again(run)
    assert (row.phase, row.applied_generation, row.next_try_at) == (Phase.READY, 1, None)
    assert fake.applied == [run.uid]


@pytest.mark.parametrize("code", ["not_isolated", "conflict", "quota"])
def test_what_cannot_succeed_fails_at_once(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    refuse(fake, monkeypatch, DriverError("no: it stands there", retryable=False, code=code))
    run = run_of(cluster)
    reconcile.reconcile(run.uid)
    row = again(run)
    assert row.phase == Phase.FAILED
    assert row.reason == {"quota": "cluster_error"}.get(code, code)
    assert words_of(row).hint
    reconcile.reconcile(run.uid)
    assert again(run).next_try_at is None


def test_an_image_that_is_missing_is_asked_for_and_waited_for(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(hooks, "image_followers", [asked.append])
    apply = fake.apply
    gone = DriverError("not built", retryable=True, code="image_missing")
    refuse(fake, monkeypatch, gone)
    run = run_of(cluster)
    for _time in range(MAX_TRIES + 2):
        make_due(run)
        reconcile.reconcile(run.uid)
    row = again(run)
    assert (row.phase, row.reason, row.tries) == (Phase.PULLING, "image_pulling", 1)
    assert asked == [DIGEST]
    monkeypatch.setattr(fake, "apply", apply)
    image_changed(DIGEST, state=ImageState.READY)
    assert reconcile.reconcile(run.uid) is Step.APPLY
    assert again(run).phase == Phase.STARTING


def test_an_image_that_is_always_missing_again_is_given_up(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(fake, monkeypatch, DriverError("gone", retryable=True, code="image_missing"))
    run = run_of(cluster)
    for _time in range(MAX_TRIES + 1):
        reconcile.reconcile(run.uid)
        image_changed(DIGEST, state=ImageState.READY)
    row = again(run)
    assert (row.phase, row.reason) == (Phase.FAILED, "image_failed")


def test_a_word_about_an_image_that_was_lost_is_not_missed(
    cluster: Cluster, fake: FakeDriver
) -> None:
    run = run_of(cluster, image_state=ImageState.PULLING)
    reconcile.reconcile(run.uid)
    row = again(run)
    assert (row.phase, row.image_state) == (Phase.STARTING, ImageState.READY)


def test_the_sweep_hands_out_what_is_due_and_nothing_else(cluster: Cluster) -> None:
    waiting, running, later = (run_of(cluster) for _number in range(3))
    reconcile.reconcile(running.uid)
    Workload.objects.filter(pk=later.pk).update(next_try_at=database_now() + LEASE)
    assert sweep() == 1
    held = claim(waiting.uid)
    assert held is not None
    assert sweep() == 0
    make_due(waiting)
    assert sweep() == 1


def test_waiting_doubles_up_to_a_bound() -> None:
    for tries in range(1, 50):
        assert 0 < back_off_s(tries) <= min(30.0, 0.5 * 2 ** (tries - 1))


def test_a_run_seen_on_the_cluster_is_not_a_seen_absence(
    cluster: Cluster, fake: FakeDriver
) -> None:
    run = run_of(cluster)
    reconcile.reconcile(run.uid)
    look = fake.delete(WorkloadRef(run.uid), 1)
    assert look.state is RunState.ABSENT
    assert not record_observation(cluster, cluster.watch_epoch, look)
    assert again(run).phase == Phase.STARTING
