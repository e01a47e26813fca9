"""What every driver promises (`drivers.base.Driver`), asked of each kind of cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from apps.clusters.drivers.base import (
    CursorExpired,
    DriverError,
    Observation,
    RunState,
    SupportsHomes,
    WatchEvent,
    WorkloadRef,
)
from tests.contracts.clusters import OWNER, Cluster, ref_of, until

OVER = (RunState.EXITED, RunState.ABSENT)


@contextmanager
def watching(cluster: Cluster, cursor: str | None = None) -> Iterator[list[WatchEvent]]:
    """The events of a watch, as they come, from a thread."""
    events: list[WatchEvent] = []
    ended = threading.Event()
    begun = cluster.driver.list_owned().cursor if cursor is None else cursor

    def follow() -> None:
        for event in cluster.driver.watch(begun, ended.is_set):
            events.append(event)  # noqa: PERF402 - a list that is read meanwhile

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield events
    finally:
        ended.set()
        thread.join(10)
        assert not thread.is_alive(), "the watch does not end when told to"


def seen_of(events: list[WatchEvent], uid: str) -> list[Observation]:
    return [e.observation for e in list(events) if e.observation and e.observation.uid == uid]


def test_apply_makes_it_ready(cluster: Cluster) -> None:
    spec = cluster.spec_for("ok")
    first = cluster.driver.apply(spec)
    assert first.uid == spec.uid
    assert first.state in (RunState.STARTING, RunState.READY)
    seen = cluster.reach(spec, RunState.READY)
    assert seen.endpoint.startswith("unix:")
    assert seen.spec_hash == spec.spec_hash
    assert seen.started_at is not None
    assert seen.ready_at is not None
    assert seen.started_at <= seen.ready_at <= seen.at
    assert seen.at.tzinfo is not None


def test_apply_again_changes_nothing(cluster: Cluster) -> None:
    spec = cluster.started()
    before = cluster.driver.observe(ref_of(spec))
    again = cluster.driver.apply(spec)
    assert again.state is RunState.READY
    assert (again.started_at, again.ready_at) == (before.started_at, before.ready_at)
    assert len(cluster.driver.list_owned().observations) == 1


def test_many_applies_at_once_make_one(cluster: Cluster) -> None:
    spec = cluster.spec_for("ok")
    threads = [threading.Thread(target=cluster.driver.apply, args=(spec,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cluster.reach(spec, RunState.READY)
    assert [seen.uid for seen in cluster.driver.list_owned().observations] == [spec.uid]


def test_another_specification_is_a_conflict(cluster: Cluster) -> None:
    spec = cluster.started()
    with pytest.raises(DriverError) as refusal:
        cluster.driver.apply(replace(spec, spec_hash="two"))
    assert refusal.value.code == "conflict"
    assert not refusal.value.retryable
    assert cluster.driver.observe(ref_of(spec)).state is RunState.READY


def test_not_found_is_an_observation(cluster: Cluster) -> None:
    assert cluster.driver.observe(WorkloadRef("t404")).state is RunState.ABSENT
    assert cluster.driver.delete(WorkloadRef("t404"), 0).state is RunState.ABSENT


def test_delete_ends_and_cleans_up(cluster: Cluster) -> None:
    spec = cluster.started()
    began = time.monotonic()
    first = cluster.driver.delete(ref_of(spec), 5)
    assert time.monotonic() - began < 2
    assert first.state in (RunState.STOPPING, RunState.ABSENT)
    until(lambda: cluster.driver.delete(ref_of(spec), 5), lambda s: s.state is RunState.ABSENT)
    assert cluster.driver.list_owned().observations == ()
    assert cluster.driver.delete(ref_of(spec), 5).state is RunState.ABSENT


def test_a_uid_runs_once(cluster: Cluster) -> None:
    spec = cluster.started()
    until(lambda: cluster.driver.delete(ref_of(spec), 0), lambda s: s.state is RunState.ABSENT)
    assert cluster.driver.apply(spec).state in OVER
    assert cluster.driver.observe(ref_of(spec)).state in OVER


def test_what_exits_stays_exited(cluster: Cluster) -> None:
    spec = cluster.spec_for("crash")
    cluster.driver.apply(spec)
    seen = cluster.reach(spec, RunState.EXITED)
    assert seen.exit_code in (1, 3)
    assert seen.reason == "command_failed"
    assert seen.exited_at is not None
    assert cluster.driver.apply(spec).state is RunState.EXITED
    assert [one.uid for one in cluster.driver.list_owned().observations] == [spec.uid]
    until(lambda: cluster.driver.delete(ref_of(spec), 5), lambda s: s.state is RunState.ABSENT)


def test_slow_is_starting_first(cluster: Cluster) -> None:
    spec = cluster.spec_for("slow")
    assert cluster.driver.apply(spec).state is RunState.STARTING
    cluster.reach(spec, RunState.READY)


def test_what_never_answers_is_ended(cluster: Cluster) -> None:
    spec = cluster.spec_for("mute")
    with watching(cluster):
        cluster.driver.apply(spec)
        seen = cluster.reach(spec, RunState.EXITED)
    assert seen.reason == "never_ready"


def test_watch_tells_a_whole_life(cluster: Cluster) -> None:
    spec = cluster.spec_for("ok")
    with watching(cluster) as events:
        cluster.driver.apply(spec)
        until(lambda: seen_of(events, spec.uid), lambda s: s and s[-1].state is RunState.READY)
        cluster.driver.delete(ref_of(spec), 5)
        until(lambda: seen_of(events, spec.uid), lambda s: s[-1].state is RunState.ABSENT)
    states = [seen.state for seen in seen_of(events, spec.uid)]
    order = list(RunState)
    assert RunState.STARTING in states
    assert states.index(RunState.READY) < states.index(RunState.ABSENT)
    assert all(state in order for state in states)


def test_watch_tells_of_an_end_that_nobody_asked_for(cluster: Cluster) -> None:
    spec = cluster.spec_for("crash")
    with watching(cluster) as events:
        cluster.driver.apply(spec)
        until(lambda: seen_of(events, spec.uid), lambda s: s and s[-1].state is RunState.EXITED)


def test_watch_goes_on_where_the_list_was(cluster: Cluster) -> None:
    cursor = cluster.driver.list_owned().cursor
    spec = cluster.started()
    gone = cluster.started()
    until(lambda: cluster.driver.delete(ref_of(gone), 0), lambda s: s.state is RunState.ABSENT)
    with watching(cluster, cursor) as events:
        until(lambda: seen_of(events, spec.uid), lambda s: s and s[-1].state is RunState.READY)
        until(lambda: seen_of(events, gone.uid), lambda s: s and s[-1].state is RunState.ABSENT)


def test_a_quiet_watch_gives_signs_of_life(cluster: Cluster) -> None:
    with watching(cluster) as events:
        until(lambda: [e for e in events if e.observation is None], bool, within_s=10)


def test_an_unknown_cursor_has_expired(cluster: Cluster) -> None:
    with pytest.raises(CursorExpired):
        next(cluster.driver.watch("from another cluster", lambda: False))


def test_logs_are_read_by_position(cluster: Cluster) -> None:
    spec = cluster.started()
    whole = until(lambda: cluster.driver.logs(ref_of(spec), 0), lambda chunk: chunk.text)
    assert whole.start == 0
    assert whole.end == len(whole.text.encode())
    rest = cluster.driver.logs(ref_of(spec), whole.end)
    assert (rest.start, rest.text[:0]) == (whole.end, "")
    tail = cluster.driver.logs(ref_of(spec), -4)
    assert tail.end - tail.start == 4
    assert cluster.driver.logs(WorkloadRef("t404"), 0).text == ""


def test_capacity_is_something(cluster: Cluster) -> None:
    found = cluster.driver.capacity()
    assert found.cpu_millis > 0
    assert found.memory_mib > 0


def test_a_home_outlives_its_runs_and_can_be_deleted(cluster: Cluster) -> None:
    spec = cluster.started()
    until(lambda: cluster.driver.delete(ref_of(spec), 0), lambda s: s.state is RunState.ABSENT)
    assert isinstance(cluster.driver, SupportsHomes)
    cluster.driver.delete_home(spec.home, OWNER)
    cluster.driver.delete_home(spec.home, OWNER)


def test_a_failing_cluster_raises_what_can_be_tried_again(faulty: Cluster) -> None:
    spec = faulty.spec_for("ok")
    faulty.turn("behaviour", "failing")
    calls = (
        lambda: faulty.driver.apply(spec),
        lambda: faulty.driver.delete(ref_of(spec), 0),
        lambda: faulty.driver.observe(ref_of(spec)),
        faulty.driver.list_owned,
        lambda: next(faulty.driver.watch("0", lambda: False)),
        lambda: faulty.driver.logs(ref_of(spec), 0),
        faulty.driver.capacity,
    )
    for call in calls:
        with pytest.raises(DriverError) as failure:
            call()
        assert failure.value.retryable
    faulty.turn("behaviour", "ok")
    assert faulty.driver.observe(ref_of(spec)).state is RunState.ABSENT
    faulty.driver.apply(spec)
    faulty.reach(spec, RunState.READY)


def test_a_flapping_cluster_comes_to_the_same_end(faulty: Cluster) -> None:
    spec = faulty.spec_for("ok")
    faulty.turn("behaviour", "flapping")

    def try_apply() -> Observation | None:
        try:
            return faulty.driver.apply(spec)
        except DriverError:
            return None

    until(try_apply, lambda seen: seen and seen.state is RunState.READY)
    faulty.turn("behaviour", "ok")
    assert [seen.uid for seen in faulty.driver.list_owned().observations] == [spec.uid]


def test_a_partial_list_says_so(faulty: Cluster) -> None:
    faulty.started()
    faulty.turn("list_complete", False)
    faulty.turn("lists_nothing", True)
    listing = faulty.driver.list_owned()
    assert (listing.observations, listing.complete) == ((), False)
