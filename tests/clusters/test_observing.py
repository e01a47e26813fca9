"""What the watcher writes: once, fenced, in the database's time, whatever comes twice or late."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace

import pytest

from apps.clusters import hooks
from apps.clusters.clock import database_now
from apps.clusters.drivers.base import Observation, RunState
from apps.clusters.hooks import WorkloadChange
from apps.clusters.models import Cluster, Observed, Phase, Workload
from apps.clusters.observing import Deposed, record_observation
from apps.clusters.services import request_stop
from tests.clusters.builders import again, run_of

pytestmark = pytest.mark.django_db
HOUR = dt.timedelta(hours=1)
SECOND = dt.timedelta(seconds=1)


@pytest.fixture
def run(cluster: Cluster) -> Workload:
    """A run that the cluster has taken, made an hour ago."""
    run = run_of(cluster)
    Workload.objects.filter(pk=run.pk).update(
        applied_generation=1,
        next_try_at=None,
        phase=Phase.STARTING,
        reason="starting",
        created_at=database_now() - HOUR,
    )
    return again(run)


def seen(run: Workload, state: RunState, after_s: float = 0, **more: object) -> Observation:
    at = run.created_at + dt.timedelta(seconds=after_s)
    return replace(Observation(uid=run.uid, state=state, at=at), **more)  # type: ignore[arg-type]


def story(run: Workload, shift: dt.timedelta = dt.timedelta()) -> list[Observation]:
    """Started after 1 s, ready after 2, ended after 100, by a clock that is off by `shift`."""
    start = run.created_at + shift
    begun = {"started_at": start + SECOND, "spec_hash": run.spec_hash}
    ready = {**begun, "ready_at": start + 2 * SECOND}
    starting = seen(run, RunState.STARTING, 1, **begun)
    up = seen(run, RunState.READY, 2, endpoint="unix:/a", **ready)
    ended = seen(run, RunState.EXITED, 100, exited_at=start + 100 * SECOND, exit_code=1, **ready)
    gone = seen(run, RunState.ABSENT, 101)
    return [replace(look, at=look.at + shift) for look in (starting, up, ended, gone)]


def record(cluster: Cluster, look: Observation, *, listed: bool = False) -> bool:
    return record_observation(cluster, cluster.watch_epoch, look, listed=listed)


def ending(run: Workload) -> tuple[object, ...]:
    row = again(run)
    return (
        row.phase,
        row.reason,
        row.observed,
        row.observed_exit_code,
        row.observed_started_at,
        row.observed_exited_at,
        row.observed_endpoint,
    )


def test_a_story_in_order(cluster: Cluster, run: Workload) -> None:
    starting, ready, ended, _gone = story(run)
    assert record(cluster, starting)
    assert again(run).phase == Phase.STARTING
    assert record(cluster, ready)
    row = again(run)
    assert (row.phase, row.observed_endpoint) == (Phase.READY, "unix:/a")
    assert row.ready_at == row.observed_ready_at == run.created_at + 2 * SECOND
    assert record(cluster, ended)
    row = again(run)
    assert (row.phase, row.reason, row.observed_endpoint) == (Phase.FAILED, "command_failed", "")
    assert row.ended_at is not None
    assert row.observed_exited_at == run.created_at + 100 * SECOND
    assert (row.desired, row.generation) == ("stopped", 2)
    assert row.next_try_at is not None


def test_a_doubled_event_has_no_second_effect(
    cluster: Cluster, run: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []

    def follow(change: WorkloadChange) -> None:
        heard.append(change.workload.version)

    monkeypatch.setattr(hooks, "followers", [follow])
    for look in story(run):
        for _time in range(3):
            record(cluster, look)
    assert heard == [2, 3, 4]
    assert again(run).version == 4


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_events_does_not_matter(
    cluster: Cluster, run: Workload, order: tuple[int, ...]
) -> None:
    looks = story(run)
    for number in order:
        record(cluster, looks[number])
        record(cluster, looks[number])
    record(cluster, looks[2], listed=True)
    assert ending(run)[:4] == (Phase.FAILED, "command_failed", Observed.EXITED, 1)
    assert ending(run)[5] == run.created_at + 100 * SECOND


def test_what_a_deposed_watcher_writes_is_refused(cluster: Cluster, run: Workload) -> None:
    old = cluster.watch_epoch
    Cluster.objects.filter(pk=cluster.pk).update(watch_epoch=old + 1)
    with pytest.raises(Deposed):
        record_observation(cluster, old, story(run)[1])
    assert again(run).observed == Observed.UNKNOWN
    assert record_observation(cluster, old + 1, story(run)[1])


def test_another_specification_is_not_ours(cluster: Cluster, run: Workload) -> None:
    assert not record(cluster, replace(story(run)[1], spec_hash="another"))
    assert not record(cluster, replace(story(run)[1], uid="unknown" * 3))
    assert again(run).observed == Observed.UNKNOWN


def test_absence_is_believed_from_a_list_alone(cluster: Cluster, run: Workload) -> None:
    _starting, ready, _ended, gone = story(run)
    record(cluster, ready)
    assert not record(cluster, gone)
    assert again(run).phase == Phase.READY
    assert record(cluster, gone, listed=True)
    assert (again(run).phase, again(run).reason) == (Phase.FAILED, "lost")


def test_what_was_never_there_cannot_vanish(cluster: Cluster) -> None:
    run = run_of(cluster)
    assert not record(cluster, seen(run, RunState.ABSENT), listed=True)
    assert again(run).phase == Phase.QUEUED


def test_charging_a_lost_run_stops_when_it_was_last_known_alive(
    cluster: Cluster, run: Workload
) -> None:
    starting, ready, _ended, gone = story(run)
    record(cluster, starting)
    record(cluster, ready)
    listed = run.created_at + 600 * SECOND
    Cluster.objects.filter(pk=cluster.pk).update(listed_at=listed)
    record(cluster, replace(gone, at=database_now()), listed=True)
    assert again(run).observed_exited_at == listed


def test_its_end_is_worth_more_than_that_it_is_gone(cluster: Cluster, run: Workload) -> None:
    for look in story(run):
        record(cluster, look, listed=True)
    assert ending(run)[:4] == (Phase.FAILED, "command_failed", Observed.EXITED, 1)


def test_absence_after_a_wanted_stop_needs_no_list(cluster: Cluster, run: Workload) -> None:
    record(cluster, story(run)[1])
    request_stop(run, reason="idle")
    assert again(run).phase == Phase.STOPPING
    assert record(cluster, story(run)[3])
    assert (again(run).phase, again(run).reason) == (Phase.STOPPED, "idle")


@pytest.mark.parametrize("shift", [HOUR, -HOUR, 10 * HOUR])
def test_a_clock_that_is_off_does_not_change_how_long_it_held(
    cluster: Cluster, run: Workload, shift: dt.timedelta
) -> None:
    for look in story(run, shift):
        record(cluster, look)
    row = again(run)
    assert row.observed_started_at is not None
    assert row.observed_exited_at is not None
    held = row.observed_exited_at - row.observed_started_at
    assert dt.timedelta() <= held <= 99 * SECOND
    assert row.created_at <= row.observed_started_at
    assert row.observed_exited_at <= database_now()
    if shift < dt.timedelta():
        assert held == 99 * SECOND


def test_a_clock_that_goes_back_does_not_hide_the_end(cluster: Cluster, run: Workload) -> None:
    _starting, ready, ended, _gone = story(run)
    record(cluster, replace(ready, at=ready.at + HOUR))
    assert record(cluster, ended)
    assert again(run).phase == Phase.FAILED


def test_a_new_leader_need_not_share_the_old_ones_clock(cluster: Cluster, run: Workload) -> None:
    starting, ready, *_rest = story(run)
    record(cluster, replace(starting, at=starting.at + HOUR))
    assert not record(cluster, ready)
    Cluster.objects.filter(pk=cluster.pk).update(watch_epoch=7)
    assert record_observation(cluster, 7, ready)
    assert again(run).phase == Phase.READY


def test_a_ready_run_may_stop_answering_and_come_back(cluster: Cluster, run: Workload) -> None:
    starting, ready, *_rest = story(run)
    record(cluster, ready)
    record(cluster, replace(starting, at=ready.at + SECOND))
    row = again(run)
    assert (row.phase, row.reason, row.observed_endpoint) == (Phase.STARTING, "not_answering", "")
    record(cluster, replace(ready, at=ready.at + 2 * SECOND))
    row = again(run)
    assert row.phase == Phase.READY
    assert row.ready_at == run.created_at + 2 * SECOND
