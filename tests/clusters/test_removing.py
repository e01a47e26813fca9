"""Ending runs: nothing is left behind, nothing removed twice by mistake, nothing forgotten."""

from __future__ import annotations

import pytest

from apps.clusters import reconcile
from apps.clusters.drivers.base import Observation, WorkloadRef, WorkloadSpec
from apps.clusters.drivers.fake import Behaviour, FakeDriver
from apps.clusters.models import Cluster, Phase
from apps.clusters.observing import record_observation
from apps.clusters.reconcile import MAX_TRIES, Step
from apps.clusters.services import request_stop
from tests.clusters.builders import again, fake_cluster, fake_of, make_due, run_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cluster() -> Cluster:
    return fake_cluster()


@pytest.fixture
def fake(cluster: Cluster) -> FakeDriver:
    return fake_of(cluster)


def test_a_stop_leaves_nothing_and_ends_without_a_watcher(
    cluster: Cluster, fake: FakeDriver
) -> None:
    run = run_of(cluster)
    reconcile.reconcile(run.uid)
    request_stop(run, reason="stopped_by_owner")
    assert reconcile.reconcile(run.uid) is Step.DELETE
    row = again(run)
    assert (row.phase, row.reason, row.next_try_at) == (Phase.STOPPED, "stopped_by_owner", None)
    assert fake.list_owned().observations == ()


def test_a_server_that_ignores_the_signal_is_looked_at_again(
    cluster: Cluster, fake: FakeDriver
) -> None:
    fake.conditions.ignores_term = True
    run = run_of(cluster)
    reconcile.reconcile(run.uid)
    request_stop(run, reason="stopped_by_owner")
    reconcile.reconcile(run.uid)
    row = again(run)
    assert row.phase == Phase.STOPPING
    assert row.next_try_at is not None
    fake.conditions.ignores_term = False
    make_due(run)
    reconcile.reconcile(run.uid)
    assert again(run).phase == Phase.STOPPED


def test_a_stop_while_it_is_being_started_is_not_lost(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(cluster)
    apply = fake.apply

    def stop_meanwhile(spec: WorkloadSpec) -> Observation:
        request_stop(run, reason="stopped_by_owner")
        assert reconcile.reconcile(run.uid) is Step.NOTHING
        return apply(spec)

    monkeypatch.setattr(fake, "apply", stop_meanwhile)
    reconcile.reconcile(run.uid)
    assert reconcile.reconcile(run.uid) is Step.DELETE
    assert again(run).phase == Phase.STOPPED
    assert fake.list_owned().observations == ()


def test_a_worker_that_starts_it_after_it_was_removed_has_it_removed_again(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(cluster)
    apply = fake.apply

    def pause(spec: WorkloadSpec) -> Observation:
        make_due(run)
        request_stop(run, reason="stopped_by_owner")
        assert reconcile.reconcile(run.uid) is Step.DELETE
        assert again(run).phase == Phase.STOPPED
        return apply(spec)

    monkeypatch.setattr(fake, "apply", pause)
    reconcile.reconcile(run.uid)
    assert len(fake.list_owned().observations) == 1
    assert reconcile.reconcile(run.uid) is Step.DELETE
    assert fake.list_owned().observations == ()
    assert again(run).next_try_at is None


def test_what_a_run_held_is_cleaned_up_after_its_end(cluster: Cluster, fake: FakeDriver) -> None:
    run = run_of(cluster)
    reconcile.reconcile(run.uid)
    fake.exit(run.uid, 1, "command_failed")
    look = fake.observe(WorkloadRef(run.uid))
    record_observation(cluster, cluster.watch_epoch, look)
    assert again(run).phase == Phase.FAILED
    assert reconcile.reconcile(run.uid) is Step.DELETE
    row = again(run)
    assert (row.phase, row.reason, row.next_try_at) == (Phase.FAILED, "command_failed", None)
    assert fake.list_owned().observations == ()
    assert "ended with 1" in row.log.text


def test_a_removal_is_never_given_up(cluster: Cluster, fake: FakeDriver) -> None:
    run = run_of(cluster)
    reconcile.reconcile(run.uid)
    request_stop(run, reason="stopped_by_owner")
    fake.conditions.behaviour = Behaviour.FAILING
    for _time in range(2 * MAX_TRIES):
        make_due(run)
        assert reconcile.reconcile(run.uid) is Step.DELETE
    assert again(run).next_try_at is not None
    fake.conditions.behaviour = Behaviour.OK
    make_due(run)
    reconcile.reconcile(run.uid)
    assert (again(run).phase, again(run).next_try_at) == (Phase.STOPPED, None)
