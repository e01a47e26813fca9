"""`make up` and `make down` as a whole: what they promise, and what they leave behind.

One portal for all of these, in this order: the later ones stop and kill it.
"""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.trial import ports
from deploy.trial.environment import PROCESSES, read
from deploy.trial.probes import Endpoint
from deploy.trial.processes import Identity, identity_of
from tests.stack import Stack, eventually

pytestmark = [pytest.mark.trial, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    made = Stack()
    made.up()
    yield made
    made.remove()


def identity(stack: Stack, name: str) -> Identity:
    found = identity_of(int((stack.data / "run" / f"{name}.pid").read_text()))
    assert found is not None, f"{name} does not run"
    return found


def states(stack: Stack) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(
        (stack.data / "run" / "supervisor.json").read_text()
    )
    return found


def checks(stack: Stack) -> tuple[int, dict[str, dict[str, Any]]]:
    """Status and checks of /readyz?all=1."""
    answer = Endpoint(("127.0.0.1", stack.port), f"localhost:{stack.port}").get("/readyz?all=1")
    if answer is None:
        return 0, {}
    try:
        return answer[0], json.loads(answer[1])["checks"]
    except (ValueError, KeyError):
        return answer[0], {}


def failing(stack: Stack) -> dict[str, str]:
    """What is not well, and why."""
    status, found = checks(stack)
    if not found:
        return {"web": f"answers {status}"}
    return {name: str(check["detail"]) for name, check in found.items() if not check["ok"]}


def is_well(stack: Stack) -> bool:
    return not failing(stack)


def processes_of(data: Path) -> list[str]:
    """Command lines of all processes that name a folder in arguments, environment or cwd."""
    mark = os.fsencode(data)
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            command = (process / "cmdline").read_bytes()
            seen = command + (process / "environ").read_bytes()
            seen += os.fsencode((process / "cwd").readlink())
        except OSError:
            continue
        if mark in seen:
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_it_prints_the_promised_lines_and_nothing_else(stack: Stack) -> None:
    lines = [line for line in stack.lines if line]
    assert lines[0] == f"READY {stack.url}"
    assert [line.split()[:2] for line in lines[1:]] == [["SIGNIN", "admin"], ["SIGNIN", "student"]]
    for line in lines[1:]:
        assert line.split()[2].startswith(f"{stack.url}/")


def test_every_process_is_up_and_has_pid_and_log(stack: Stack) -> None:
    assert failing(stack) == {}
    status, found = checks(stack)
    assert status == 200
    assert set(PROCESSES) <= set(found)
    assert {name: state["state"] for name, state in states(stack).items()} == dict.fromkeys(
        PROCESSES, "up"
    )
    for name in PROCESSES:
        assert identity(stack, name).is_alive()
    for name in PROCESSES:
        assert (stack.data / "log" / f"{name}.log").exists()


def test_only_nginx_listens_on_tcp(stack: Stack) -> None:
    nginx = identity(stack, "nginx")
    assert ports.owner(stack.port).startswith("nginx")
    listening = {
        inode
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A"
        for inode in [fields[9]]
    }
    for name in set(PROCESSES) - {"nginx", "supervisor"}:
        process = Path("/proc") / str(identity(stack, name).pid)
        assert not listening & set(ports.socket_inodes(process)), name
    assert listening & set(ports.socket_inodes(Path("/proc") / str(nginx.pid)))


def test_secrets_are_for_their_owner_alone(stack: Stack) -> None:
    assert (stack.data / "etc" / "portal.env").stat().st_mode & 0o777 == 0o600
    assert (stack.data / "log").stat().st_mode & 0o777 == 0o700
    secrets = [
        value for name, value in read(stack.data / "etc" / "portal.env").items() if "KEY" in name
    ]
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_text(errors="replace")
            except OSError:
                continue
            assert not [secret for secret in secrets if secret in command]


@pytest.mark.parametrize("name", ["gate", "web", "live", "nginx", "valkey", "postgres", "worker"])
def test_a_killed_process_comes_back_and_is_counted(stack: Stack, name: str) -> None:
    eventually(lambda: is_well(stack), "all well before")
    killed, restarts = identity(stack, name), states(stack)[name]["restarts"]
    os.kill(killed.pid, signal.SIGKILL)
    eventually(lambda: states(stack)[name]["restarts"] > restarts, f"{name} is restarted")
    eventually(lambda: states(stack)[name]["state"] == "up", f"{name} is up")
    assert identity(stack, name) != killed
    eventually(lambda: is_well(stack), f"all well after {name} was killed", 60)


def test_a_second_one_for_the_same_data_is_refused(stack: Stack) -> None:
    second = Stack(data=stack.data)
    with pytest.raises(AssertionError, match="in use by another"):
        second.up()
    assert second.process is not None
    assert second.process.wait(10) == 2


def test_ctrl_c_stops_the_portal_and_the_next_finds_everything(stack: Stack) -> None:
    before = read(stack.data / "etc" / "portal.env")
    stack.interrupt()
    assert "Stopped." in stack.log("make-up.stderr")
    assert ports.is_free("127.0.0.1", stack.port)
    assert not list((stack.data / "run").glob("*.pid"))
    assert processes_of(stack.data) == []
    stack.up()
    assert "Installing" not in stack.log("make-up.stderr")
    assert read(stack.data / "etc" / "portal.env") == before


def wait_over(stack: Stack) -> None:
    assert stack.process is not None
    stack.process.wait(30)


def test_nothing_of_the_portal_outlives_a_killed_supervisor(stack: Stack) -> None:
    everything = {name: identity(stack, name) for name in PROCESSES}
    os.kill(everything["supervisor"].pid, signal.SIGKILL)
    for name, process in everything.items():
        assert process.wait(15), f"{name} still runs"
    wait_over(stack)
    stack.up()
    assert is_well(stack)


def test_it_is_up_again_at_once_after_everything_was_killed(stack: Stack) -> None:
    for process in [identity(stack, name) for name in PROCESSES]:
        process.send(signal.SIGKILL)
    wait_over(stack)
    stack.up()
    assert is_well(stack)


def launched(stack: Stack) -> Path:
    """The folder of a running workspace's record."""
    api = httpx.Client(
        base_url=f"{stack.url}/api/v1",
        headers={"Authorization": f"Bearer {stack.token('student')}"},
        timeout=30,
    )
    with api:
        body = {"image": "python", "ide": "jupyterlab", "size": "small"}
        answer = api.post("/workspaces", json=body)
        assert answer.status_code == 202, answer.text + stack.log("web.log")
        path = f"/workspaces/{answer.json()['uid']}"
        eventually(lambda: api.get(path).json()["phase"] == "ready", "workspace ready", 90)
    (record,) = (stack.data / "workloads").glob("*/state.json")
    return record


def test_workspaces_outlive_the_portal_but_not_down(stack: Stack) -> None:
    record = launched(stack)
    shim = identity_of(json.loads(record.read_text())["pid"])
    assert shim is not None
    stack.interrupt()
    assert "still running: 1" in stack.log("make-up.stderr")
    assert shim.is_alive()
    stack.up()
    assert shim.is_alive()
    os.kill(identity(stack, "supervisor").pid, signal.SIGKILL)
    wait_over(stack)
    assert shim.is_alive()
    stack.down()
    assert not shim.is_alive()
    assert processes_of(stack.data) == []
    stack.up()


def test_down_clears_up_after_a_killed_supervisor(stack: Stack) -> None:
    os.kill(identity(stack, "supervisor").pid, signal.SIGKILL)
    wait_over(stack)
    stack.down()
    assert processes_of(stack.data) == []
    assert ports.is_free("127.0.0.1", stack.port)
    assert not [path for path in stack.data.rglob("*") if path.is_socket()]
    assert not list((stack.data / "run").glob("*.pid"))
    stack.down()
