"""Real processes are killed, paused and doubled; each run still comes to one right end."""

from __future__ import annotations

import datetime as dt
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.clusters.clock import database_now
from apps.clusters.drivers.base import RunState
from apps.clusters.drivers.fake_remote.client import RemoteDriver
from apps.clusters.invariants import CHECKS
from apps.clusters.models import Cluster, Phase, Workload
from apps.clusters.selectors import driver_of
from apps.clusters.services import request_stop
from apps.clusters.sweeping import sweep
from tests.clusters.builders import again, person, run_of, wait_for
from tests.clusters.processes import Processes

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="gpc-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def processes(folder: Path) -> Iterator[Processes]:
    running = Processes(folder)
    yield running
    running.end()


@pytest.fixture
def cluster(folder: Path, processes: Processes) -> Cluster:
    socket = folder / "cluster.sock"
    processes.start_cluster(socket)
    wait_for(socket.exists, "the cluster listens", 30)
    return Cluster.objects.create(name="remote", kind="fake-remote", config={"socket": str(socket)})


@pytest.fixture
def remote(cluster: Cluster) -> RemoteDriver:
    driver = driver_of(cluster)
    assert isinstance(driver, RemoteDriver)
    return driver


def launch(cluster: Cluster, count: int) -> list[Workload]:
    owner = person()
    return [run_of(cluster, owner) for _number in range(count)]


def all_in(runs: list[Workload], phase: str) -> bool:
    keys = [run.pk for run in runs]
    return Workload.objects.filter(pk__in=keys, phase=phase).count() == len(runs)


def on_cluster(remote: RemoteDriver) -> list[str]:
    seen = remote.list_owned().observations
    return sorted(look.uid for look in seen if look.state is not RunState.ABSENT)


def nothing_is_due(runs: list[Workload]) -> bool:
    keys = [run.pk for run in runs]
    return not Workload.objects.filter(pk__in=keys, next_try_at__isnull=False).exists()


def forget_leases() -> None:
    """As if the leases of the dead had run out."""
    held = Workload.objects.filter(lease_until__isnull=False)
    held.update(lease_until=database_now() - dt.timedelta(seconds=1))


def uids(runs: list[Workload]) -> list[str]:
    return sorted(run.uid for run in runs)


def stop_all(runs: list[Workload], remote: RemoteDriver) -> None:
    for run in runs:
        request_stop(run, reason="stopped_by_owner")

    def is_over() -> bool:
        sweep()
        # Also of a run that failed before: what it held may be given back last.
        return all_in(runs, Phase.STOPPED) and nothing_is_due(runs) and on_cluster(remote) == []

    wait_for(is_over, "all stopped, and nothing left", 60)
    assert [broken for check in CHECKS for broken in check()] == []


def test_a_watcher_killed_in_the_middle_of_a_batch(
    cluster: Cluster, remote: RemoteDriver, processes: Processes
) -> None:
    processes.start_worker()
    processes.start_watcher(cluster.name)
    runs = launch(cluster, 12)
    wait_for(lambda: Workload.objects.filter(phase=Phase.READY).exists(), "one is ready", 60)
    processes.kill("watcher")
    wait_for(lambda: on_cluster(remote) == uids(runs), "all are applied", 30)
    lost, *others = runs
    remote.exit(lost.uid, 1, "command_failed")
    epoch = Cluster.objects.get().watch_epoch
    # It died on this machine, so that nobody waits for its lease.
    Cluster.objects.update(watcher_until=database_now() + dt.timedelta(hours=1))
    processes.start_watcher(cluster.name)
    wait_for(lambda: Cluster.objects.get().watch_epoch == epoch + 1, "another leads", 60)
    wait_for(lambda: all_in(others, Phase.READY), "all ready", 30)
    wait_for(lambda: again(lost).phase == Phase.FAILED, "what ended meanwhile is seen")
    stop_all(others, remote)


def test_workers_killed_again_and_again_make_no_second(
    cluster: Cluster, remote: RemoteDriver, processes: Processes
) -> None:
    processes.start_watcher(cluster.name)
    runs = launch(cluster, 10)
    for number in range(2):
        processes.start_worker(f"worker{number}")
        wait_for(lambda n=number: len(on_cluster(remote)) > n, "it works", 40)  # type: ignore[misc]
        processes.kill(f"worker{number}")
        forget_leases()
    started = {look.uid: look.started_at for look in remote.list_owned().observations}
    processes.start_worker()

    def is_ready() -> bool:
        sweep()
        return all_in(runs, Phase.READY)

    wait_for(is_ready, "all ready", 60)
    assert on_cluster(remote) == uids(runs)
    for look in remote.list_owned().observations:
        assert started.get(look.uid, look.started_at) == look.started_at
    stop_all(runs, remote)


def test_a_paused_watcher_wakes_after_its_lease(
    cluster: Cluster, remote: RemoteDriver, processes: Processes
) -> None:
    processes.start_worker()
    first = processes.start_watcher(cluster.name, "first")
    runs = launch(cluster, 3)
    wait_for(lambda: all_in(runs, Phase.READY), "ready", 60)
    first.send_signal(signal.SIGSTOP)
    epoch = Cluster.objects.get().watch_epoch
    processes.start_watcher(cluster.name, "second")
    wait_for(lambda: Cluster.objects.get().watch_epoch == epoch + 1, "the second leads", 30)
    first.send_signal(signal.SIGCONT)
    remote.exit(runs[0].uid, 1, "command_failed")
    wait_for(lambda: again(runs[0]).phase == Phase.FAILED, "seen")
    assert again(runs[0]).observed_epoch == epoch + 1
    log = processes.folder / "first.log"
    wait_for(lambda: '"deposed"' in log.read_text(), "the first one gives up", 20)
    assert Cluster.objects.get().watch_epoch == epoch + 1
    stop_all(runs[1:], remote)


def test_a_watcher_that_is_told_to_end_gives_its_lease_back(
    cluster: Cluster, processes: Processes
) -> None:
    watcher = processes.start_watcher(cluster.name)
    wait_for(lambda: bool(Cluster.objects.get().watcher), "it leads", 30)
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(10) == 0
    row = Cluster.objects.get()
    assert (row.watcher, row.watcher_until) == ("", None)


def test_a_cluster_that_is_killed_and_comes_back_empty(
    cluster: Cluster, remote: RemoteDriver, processes: Processes
) -> None:
    processes.start_worker()
    processes.start_watcher(cluster.name)
    runs = launch(cluster, 2)
    wait_for(lambda: all_in(runs, Phase.READY), "ready", 60)
    processes.kill("cluster")
    wait_for(lambda: bool(Cluster.objects.get().trouble), "told", 30)
    assert all_in(runs, Phase.READY)
    processes.start_cluster(Path(str(cluster.config["socket"])))
    wait_for(lambda: all_in(runs, Phase.FAILED), "noticed", 75)
    assert {again(run).reason for run in runs} == {"lost"}
    wait_for(lambda: nothing_is_due(runs), "cleaned up", 30)
