"""Starting, adopting, ending: real processes, killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.clusters.drivers.base import RunState
from apps.clusters.drivers.local.driver import LocalDriver
from apps.clusters.drivers.local.logs import bound_log
from apps.clusters.drivers.local.places import Places
from apps.clusters.drivers.local.processes import count_running, end_all
from tests.clusters.drivers.following import followed, is_alive
from tests.contracts.clusters import ROOT, Cluster, ref_of, run_inside, until

MANY_CHILDREN = """
import os, signal, time
pids = []
for kind in ("child", "session", "orphan"):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        if kind != "child":
            os.setsid()
        if kind == "orphan" and os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(writing, str(os.getpid()).encode())
        os.closerange(0, 64)
        if kind == "orphan":
            os.execve("/bin/sh", ["sh", "-c", "trap '' TERM; while :; do sleep 60; done"], {})
        while True:
            time.sleep(60)
    pids.append(int(os.read(reading, 20)))
result = pids
"""
APPLY = """
import os, pickle, sys
from apps.clusters.drivers.local.driver import LocalDriver
config, spec = pickle.load(sys.stdin.buffer)
LocalDriver(config).apply(spec)
print("applied", flush=True)
os.kill(os.getpid(), 9)
"""


def shim_of(cluster: Cluster, uid: str) -> int:
    assert isinstance(cluster.driver, LocalDriver)
    state = json.loads((Places(cluster.driver.config, uid).record / "state.json").read_text())
    pid: int = state["pid"]
    return pid


@pytest.mark.fault
def test_a_run_survives_whoever_started_it(local: Cluster, driver: LocalDriver) -> None:
    import pickle

    spec = local.spec_for("ok")
    worker = subprocess.run(
        [sys.executable, "-c", APPLY],
        input=pickle.dumps((driver.config, spec)),
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    assert (worker.returncode, worker.stdout) == (-9, b"applied\n")
    seen = local.reach(spec, RunState.READY)
    pid = run_inside(seen, "import os; result = os.getpid()")
    with followed(LocalDriver(driver.config)) as told:
        until(lambda: told, bool)
        assert told[0].state is RunState.READY
        assert told[0].started_at == seen.started_at
    assert run_inside(seen, "import os; result = os.getpid()") == pid


@pytest.mark.fault
def test_a_killed_server_is_told_with_its_signal(local: Cluster) -> None:
    spec = local.started()
    with followed(local.driver) as told:
        until(lambda: told, bool)
        pid = run_inside(told[0], "import os; result = os.getpid()")
        killed_at = time.time()
        os.kill(pid, signal.SIGKILL)
        until(lambda: told[-1], lambda seen: seen.state is RunState.EXITED)
        noticed_s = time.time() - killed_at
    last = told[-1]
    assert (last.exit_code, last.reason) == (-9, "killed")
    assert last.exited_at is not None
    assert last.exited_at.timestamp() - killed_at < noticed_s < 2
    assert local.driver.observe(ref_of(spec)).state is RunState.EXITED


@pytest.mark.fault
def test_a_killed_shim_takes_its_run_along(either: Cluster) -> None:
    spec = either.started()
    server = run_inside(either.driver.observe(ref_of(spec)), "import os; result = os.getpid()")
    os.kill(shim_of(either, spec.uid), signal.SIGKILL)
    seen = either.reach(spec, RunState.EXITED)
    assert (seen.exit_code, seen.reason) == (None, "killed")
    until(lambda: is_alive(server), lambda alive: not alive)


def test_nothing_of_a_stopped_run_is_left(either: Cluster) -> None:
    spec = either.started("stubborn")
    seen = either.driver.observe(ref_of(spec))
    children: list[int] = run_inside(seen, MANY_CHILDREN)
    assert all(is_alive(pid) for pid in children)
    shim = shim_of(either, spec.uid)
    with followed(either.driver) as told:
        until(lambda: told, bool)
        either.driver.delete(ref_of(spec), 1)
        assert either.driver.observe(ref_of(spec)).state is RunState.STOPPING
        # The watcher insists by itself: nobody calls the driver again.
        until(lambda: told[-1], lambda seen: seen.state is RunState.ABSENT)
    assert not [pid for pid in (*children, shim) if is_alive(pid)]
    assert isinstance(either.driver, LocalDriver)
    places = Places(either.driver.config, spec.uid)
    assert not places.run.exists()
    assert not places.temporary.exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/gpucommons-{spec.uid}"))
    assert "tiny server" in either.driver.logs(ref_of(spec), 0).text


def test_what_a_server_leaves_behind_ends_with_it(either: Cluster) -> None:
    spec = either.started()
    seen = either.driver.observe(ref_of(spec))
    children: list[int] = run_inside(seen, MANY_CHILDREN)
    server = run_inside(seen, "import os; result = os.getpid()")
    os.kill(server, signal.SIGKILL)
    either.reach(spec, RunState.EXITED)
    until(lambda: [pid for pid in children if is_alive(pid)], lambda left: not left)


def test_a_repeated_delete_insists_without_a_watcher(local: Cluster) -> None:
    spec = local.started("stubborn")
    local.driver.delete(ref_of(spec), 60)
    assert local.driver.observe(ref_of(spec)).state is RunState.STOPPING
    until(
        lambda: local.driver.delete(ref_of(spec), 0).state,
        lambda state: state is RunState.ABSENT,
    )


def test_readiness_is_noticed_at_once(local: Cluster) -> None:
    spec = local.spec_for("slow")
    with followed(local.driver) as told:
        began = time.time()
        local.driver.apply(spec)
        until(lambda: told, lambda seen: seen and seen[-1].state is RunState.READY)
        took_s = time.time() - began
    ready_at = told[-1].ready_at
    assert ready_at is not None
    socket = Path(told[-1].endpoint.removeprefix("unix:"))
    assert ready_at.timestamp() - socket.lstat().st_ctime < took_s / 2


def test_an_idle_watch_costs_next_to_nothing(local: Cluster) -> None:
    local.started()
    used: list[float] = []

    def watched() -> None:
        began, deadline = time.thread_time(), time.monotonic() + 2
        for _event in local.driver.watch("", lambda: time.monotonic() > deadline):
            pass
        used.append(time.thread_time() - began)

    watched()
    assert used[0] < 0.2, "a tenth of a core for nothing"


def test_a_log_is_bounded_and_keeps_its_positions(local: Cluster, driver: LocalDriver) -> None:
    spec = local.started()
    seen = local.driver.observe(ref_of(spec))
    code = "import sys\nfor n in range(40000): print(f'line {n:09d}')\nsys.stdout.flush()"
    assert run_inside(seen, code) is None
    before = local.driver.logs(ref_of(spec), -16)
    path = Places(driver.config, spec.uid).record / "server.log"
    bound_log(path, 64 << 10)
    assert path.stat().st_blocks * 512 < 128 << 10
    assert local.driver.logs(ref_of(spec), -16) == before
    kept = local.driver.logs(ref_of(spec), 0)
    assert 0 < kept.start < kept.end
    assert "\0" not in kept.text


def test_down_ends_everything(local: Cluster, driver: LocalDriver) -> None:
    specs = [local.started("stubborn"), local.started()]
    shims = [shim_of(local, spec.uid) for spec in specs]
    assert count_running(driver.config.data) == 2
    began = time.monotonic()
    assert end_all(driver.config.data, driver.config.run) == 2
    assert time.monotonic() - began < 15
    assert count_running(driver.config.data) == 0
    assert not [pid for pid in shims if is_alive(pid)]
    assert driver.list_owned().observations == ()
    assert end_all(driver.config.data, driver.config.run) == 0


def test_out_of_memory_is_named(either: Cluster) -> None:
    spec = either.started()
    hog = "block = bytearray(400 << 20)\nimport time; time.sleep(30)"
    with followed(either.driver) as told:
        seen = until(lambda: told, bool)[0]
        hogging: Callable[[], object] = lambda: run_inside(seen, hog)  # noqa: E731
        with pytest.raises((OSError, ValueError)):
            hogging()
        until(lambda: told[-1], lambda one: one.state is RunState.EXITED)
    last = told[-1]
    assert last.reason == "out_of_memory"
    assert "256 MiB" in last.message
    assert "most" in last.message
    assert either.driver.apply(spec).state is RunState.EXITED
