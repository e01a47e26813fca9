"""The supervisor, over programs that do nothing but run: what it starts, notices and ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.trial.processes import Identity, identity_of
from tests.stack import eventually

pytestmark = pytest.mark.fault
Run = Callable[..., "Dummy"]


class Dummy:
    """A running `dummy_portal` and what it wrote down."""

    def __init__(self, data: Path, *names: str) -> None:
        self.data = data
        argv = [sys.executable, "-m", "tests.trial.dummy_portal", str(data), *names]
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def states(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(
            (self.data / "run" / "supervisor.json").read_text()
        )
        return found

    def identity(self, name: str) -> Identity:
        found = identity_of(int((self.data / "run" / f"{name}.pid").read_text()))
        assert found is not None
        return found

    def grandchild(self) -> Identity:
        found = identity_of(int((self.data / "mark").read_text()))
        assert found is not None
        return found


@pytest.fixture
def run(data: Path) -> Iterator[Run]:
    started: list[Dummy] = []

    def start(*names: str) -> Dummy:
        started.append(Dummy(data, *names))
        return started[-1]

    yield start
    for dummy in started:
        if dummy.process.poll() is None:
            dummy.process.terminate()
            dummy.process.wait(10)
        if dummy.process.stdout:
            dummy.process.stdout.close()


def test_states_and_pid_files_name_what_runs(run: Run) -> None:
    dummy = run("steady", "late")
    assert dummy.line() == "ready"
    states = dummy.states()
    assert {name: state["state"] for name, state in states.items()} == {
        "supervisor": "up",
        "steady": "up",
        "late": "up",
    }
    assert states["late"]["pid"] == dummy.identity("late").pid
    assert states["supervisor"]["pid"] == dummy.process.pid


def test_every_log_stays_bounded_while_it_is_written(run: Run, data: Path) -> None:
    access = data / "log" / "nginx-access.log"
    access.parent.mkdir()
    with access.open("ab") as writer:
        writer.truncate(9_000_000)
        dummy = run("steady")
        assert dummy.line() == "ready"
        older = access.with_name(f"{access.name}.1")
        eventually(lambda: older.exists() and access.stat().st_size == 0, "a bounded log")
        assert older.stat().st_size == 9_000_000


def test_a_killed_process_is_restarted_and_its_group_is_gone(run: Run) -> None:
    dummy = run("steady", "late")
    assert dummy.line() == "ready"
    first, grandchild = dummy.identity("steady"), dummy.grandchild()
    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: dummy.states()["steady"]["restarts"] == 1, "a restart")
    assert dummy.states()["steady"]["last_exit"] == -signal.SIGKILL
    assert not grandchild.is_alive()
    assert dummy.identity("steady") != first


def test_restarts_come_slower_each_time(run: Run) -> None:
    dummy = run("steady", "hasty")
    assert dummy.line() == "ready"

    def restarts() -> int:
        return int(dummy.states()["hasty"]["restarts"])

    eventually(lambda: restarts() == 1, "the first restart")
    second = eventually(lambda: restarts() == 2 and dummy.states()["hasty"], "the second")
    third = eventually(lambda: restarts() == 3 and dummy.states()["hasty"], "the third")
    assert isinstance(second, dict)
    assert isinstance(third, dict)
    assert third["since"] - second["since"] > 1.5


def test_what_cannot_be_started_is_named(run: Run) -> None:
    dummy = run("hasty")
    assert dummy.line() == "ready"
    assert dummy.line() == "hasty"
    assert dummy.process.wait(10) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_in_order(run: Run, number: signal.Signals) -> None:
    dummy = run("steady", "late")
    assert dummy.line() == "ready"
    everything = [dummy.identity("steady"), dummy.identity("late"), dummy.grandchild()]
    dummy.process.send_signal(number)
    assert dummy.process.wait(10) == 0
    assert not [identity for identity in everything if identity.is_alive()]
    assert not list((dummy.data / "run").glob("*.pid"))


def test_children_do_not_outlive_a_killed_supervisor(run: Run) -> None:
    dummy = run("steady", "late")
    assert dummy.line() == "ready"
    children = [dummy.identity("steady"), dummy.identity("late")]
    dummy.process.kill()
    dummy.process.wait(10)
    for child in children:
        assert child.wait(5), f"{child} still runs"
