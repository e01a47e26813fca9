"""Watching a cluster: what happens is written at once, what was missed is found, one leads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connection, connections

from apps.clusters import leadership
from apps.clusters.clock import database_now
from apps.clusters.drivers.base import Listing
from apps.clusters.drivers.fake import Behaviour, FakeDriver
from apps.clusters.leadership import my_identity, take_term
from apps.clusters.models import Cluster, Phase, Workload
from apps.clusters.pace import Pace
from apps.clusters.reconcile import reconcile
from apps.clusters.services import request_stop
from apps.clusters.watch import Watcher
from tests.clusters.builders import again, fake_cluster, fake_of, run_of, spec_for, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cluster() -> Cluster:
    return fake_cluster()


@pytest.fixture
def fake(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    monkeypatch.setattr("apps.clusters.pace.TOKEN_EVERY_S", 0.2)
    driver = fake_of(cluster)
    driver.conditions.heartbeat_s = 0.2
    return driver


class Running:
    """A watcher in a thread of this process."""

    def __init__(self, name: str) -> None:
        self.watcher = Watcher(name, on_stuck=lambda: None)
        self.thread = threading.Thread(target=self.watcher.run)
        self.thread.start()

    def end(self) -> None:
        self.watcher.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def watching(cluster: Cluster, fake: FakeDriver) -> Iterator[Running]:
    running = Running(cluster.name)
    wait_for(lambda: leads(cluster) and listed(cluster), "a first list")
    yield running
    running.end()


def row_of(cluster: Cluster) -> Cluster:
    return Cluster.objects.get(pk=cluster.pk)


def leads(cluster: Cluster) -> bool:
    return bool(row_of(cluster).watcher)


def listed(cluster: Cluster) -> bool:
    return row_of(cluster).listed_at is not None


def is_in(run: Workload, phase: str) -> bool:
    return again(run).phase == phase


def ready_run(cluster: Cluster) -> Workload:
    run = run_of(cluster)
    reconcile(run.uid)
    wait_for(lambda: is_in(run, Phase.READY), "ready")
    return again(run)


def test_from_launch_to_stop(cluster: Cluster, watching: Running) -> None:
    run = ready_run(cluster)
    assert run.observed_endpoint
    request_stop(run, reason="stopped_by_owner")
    reconcile(run.uid)
    wait_for(lambda: is_in(run, Phase.STOPPED), "stopped")
    wait_for(lambda: again(run).observed_exited_at is not None, "its end is seen")
    assert again(run).next_try_at is None


def test_a_crash_is_seen_and_cleaned_up(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    run = ready_run(cluster)
    fake.exit(run.uid, 137, "out_of_memory")
    wait_for(lambda: is_in(run, Phase.FAILED), "failed")
    assert again(run).reason == "out_of_memory"
    reconcile(run.uid)
    assert fake.list_owned().observations == ()


def test_what_vanished_in_a_gap_is_noticed(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    run, other = ready_run(cluster), ready_run(cluster)
    fake.forget(run.uid)
    fake.expire_cursors()
    wait_for(lambda: is_in(run, Phase.FAILED), "lost", 25)
    assert again(run).reason == "lost"
    assert is_in(other, Phase.READY)


@pytest.mark.parametrize("broken", ["lists_nothing", "partial"])
def test_a_list_that_is_empty_or_partial_ends_nothing(
    cluster: Cluster, fake: FakeDriver, watching: Running, broken: str
) -> None:
    run = ready_run(cluster)
    fake.conditions.lists_nothing = True
    fake.conditions.list_complete = broken != "partial"
    before = database_now()
    fake.expire_cursors()

    def is_over() -> bool:
        row = row_of(cluster)
        if broken == "partial":
            return bool(row.trouble)
        return row.listed_at is not None and row.listed_at > before

    wait_for(is_over, "the broken list", 25)
    assert is_in(run, Phase.READY)


def test_a_cluster_that_fails_is_told_and_caught_up_with(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    run = ready_run(cluster)
    fake.conditions.behaviour = Behaviour.FAILING
    wait_for(lambda: bool(row_of(cluster).trouble), "trouble")
    fake.exit(run.uid, 1, "command_failed")
    assert is_in(run, Phase.READY)
    fake.conditions.behaviour = Behaviour.OK
    wait_for(lambda: is_in(run, Phase.FAILED), "caught up")
    wait_for(lambda: not row_of(cluster).trouble, "no trouble")


def test_a_flapping_cluster_is_followed(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    run = ready_run(cluster)
    fake.conditions.behaviour = Behaviour.FLAPPING
    fake.exit(run.uid, 3, "command_failed")
    wait_for(lambda: is_in(run, Phase.FAILED), "seen all the same", 30)


def test_a_database_that_hangs_up_is_survived(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    run = ready_run(cluster)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    fake.exit(run.uid, 1, "command_failed")
    wait_for(lambda: is_in(run, Phase.FAILED), "seen all the same", 30)


def test_a_second_watcher_stands_by_and_takes_over(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    second = Running(cluster.name)
    first_epoch = row_of(cluster).watch_epoch
    run = ready_run(cluster)
    assert row_of(cluster).watch_epoch == first_epoch
    watching.end()
    wait_for(lambda: second.watcher.term is not None, "the second one leads", 5)
    assert row_of(cluster).watch_epoch == first_epoch + 1
    fake.exit(run.uid, 1, "command_failed")
    wait_for(lambda: is_in(run, Phase.FAILED), "the second one sees")
    second.end()
    assert row_of(cluster).watcher_until is None


def test_one_that_wakes_after_its_lease_writes_nothing(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    """Another one has taken over while it was paused; what it hears now is refused."""
    run = ready_run(cluster)
    Cluster.objects.filter(pk=cluster.pk).update(
        watch_epoch=row_of(cluster).watch_epoch + 1,
        watcher="elsewhere/1/x",
        watcher_until=database_now() + 100 * leadership.LEASE,
    )
    fake.exit(run.uid, 1, "command_failed")
    wait_for(lambda: watching.watcher.term is None, "it steps down")
    assert is_in(run, Phase.READY)
    assert row_of(cluster).watcher == "elsewhere/1/x"


def test_the_lease_is_one_at_a_time_and_each_term_is_new(cluster: Cluster) -> None:
    first = take_term(cluster.name, my_identity())
    assert first is not None
    assert take_term(cluster.name, my_identity()) is None
    assert leadership.renew(first, is_alive=True)
    Cluster.objects.update(watcher_until=database_now() - leadership.LEASE)
    second = take_term(cluster.name, my_identity())
    assert second is not None
    assert second.epoch == first.epoch + 1
    assert not leadership.renew(first, is_alive=True)
    leadership.release(first)
    leadership.note(first, trouble="I still think so")
    assert row_of(cluster).watcher == second.watcher
    assert row_of(cluster).trouble == ""


def test_twenty_at_once_make_one_leader(cluster: Cluster) -> None:
    start = threading.Barrier(20)
    terms: list[object] = []

    def run() -> None:
        start.wait()
        terms.append(take_term(cluster.name, my_identity()))
        connections.close_all()

    threads = [threading.Thread(target=run) for _number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(term is not None for term in terms) == 1
    assert row_of(cluster).watch_epoch == 1


def test_a_run_that_is_back_after_its_removal_is_removed_again(
    cluster: Cluster, fake: FakeDriver, watching: Running
) -> None:
    run = ready_run(cluster)
    fake.forget(run.uid)
    fake.expire_cursors()
    wait_for(lambda: is_in(run, Phase.FAILED), "lost", 25)
    reconcile(run.uid)
    assert again(run).next_try_at is None
    spec = spec_for(run.owner, uid=run.uid, spec_hash=run.spec_hash)
    fake.apply(spec)
    fake.expire_cursors()
    wait_for(lambda: again(run).next_try_at is not None, "it is due again", 40)
    reconcile(run.uid)
    assert fake.list_owned().observations == ()
    assert is_in(run, Phase.FAILED)


def test_lists_are_at_most_six_a_minute() -> None:
    now = 1000.0
    pace = Pace(clock=lambda: now)
    times: list[float] = []
    end = now + 3600
    while now < end:
        if pace.wait_before_list_s() == 0:
            pace.listed()
            times.append(now)
        now += 0.25
    assert all(later - first > 59 for first, later in zip(times, times[6:], strict=False))
    assert len(times) > 200


def test_a_watch_that_hears_nothing_is_told_and_broken_off(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.clusters.watch.QUIET_AFTER_S", 0.2)
    monkeypatch.setattr("apps.clusters.watch.RENEW_EVERY_S", 0.05)
    monkeypatch.setattr("apps.clusters.watch.STUCK_AFTER_S", 1.0)
    fake.conditions.heartbeat_s = 1000
    running = Running(cluster.name)
    wait_for(lambda: "said nothing" in row_of(cluster).trouble, "told")
    heard = row_of(cluster).listed_at
    wait_for(lambda: row_of(cluster).listed_at != heard, "listed again")
    running.end()


def test_one_that_hangs_in_the_cluster_is_ended(
    cluster: Cluster, fake: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.clusters.watch.RENEW_EVERY_S", 0.05)
    monkeypatch.setattr("apps.clusters.watch.STUCK_AFTER_S", 0.3)
    hung, let_go = threading.Event(), threading.Event()

    def hang() -> Listing:
        let_go.wait(20)
        return Listing((), complete=False)

    monkeypatch.setattr(fake, "list_owned", hang)
    watcher = Watcher(cluster.name, on_stuck=hung.set)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    began = time.monotonic()
    assert hung.wait(15)
    assert time.monotonic() - began < 10
    watcher.stop()
    let_go.set()
    thread.join(20)
