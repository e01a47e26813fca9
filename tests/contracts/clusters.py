"""Clusters for the contract suite: each makes its driver, and specifications that it can run."""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from apps.clusters.drivers.base import (
    SECRET_AGENT_TOKEN,
    SECRET_APP_TOKEN,
    AppSpec,
    Driver,
    DriverError,
    ImageSpec,
    Observation,
    OwnerSpec,
    Resources,
    RunState,
    WorkloadRef,
    WorkloadSpec,
)
from apps.clusters.drivers.fake import Conditions, FakeDriver
from apps.clusters.drivers.fake_remote.client import RemoteDriver
from apps.clusters.drivers.local.config import LocalConfig
from apps.clusters.drivers.local.driver import LocalDriver
from apps.clusters.drivers.local.processes import end_all

ROOT = Path(__file__).resolve().parent.parent.parent
DIGEST = "sha256:" + "7" * 64
WITHIN_S = 20.0
T = TypeVar("T")
OWNER = OwnerSpec("pa", "student", 1)
STRANGER = OwnerSpec("pb", "stranger", 2)
TINY = AppSpec(
    slug="tiny",
    command=("{python}", "-I", "-S", "{sdk}/tiny_server.py", "ok"),
    socket_args=("--socket={socket}", "--base-url={base_url}"),
    port_args=(),
    readiness_path="",
    token_env="TINY_TOKEN",
    activity="none",
)


def until(look: Callable[[], T], good: Callable[[T], object], within_s: float = WITHIN_S) -> T:
    """Look until it is good; fails with the last look."""
    deadline = time.monotonic() + within_s
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {seen!r}"
        time.sleep(0.01)
    return seen


def new_uid() -> str:
    """A workload's uid, as the portal makes them."""
    return "t" + secrets.token_hex(10)


def spec_for(behaviour: str = "ok", *, owner: OwnerSpec = OWNER, **changes: Any) -> WorkloadSpec:
    """A run of the tiny server that behaves so."""
    uid = new_uid()
    command = (*TINY.command[:-1], behaviour)
    spec = WorkloadSpec(
        uid=uid,
        kind="workspace",
        owner=owner,
        home=f"h{uid}",
        image=ImageSpec("tiny", DIGEST, f"{sys.version_info.major}.{sys.version_info.minor}"),
        app=replace(TINY, command=command),
        resources=Resources(cpu_millis=1000, memory_mib=256, disk_gib=1),
        base_url=f"/w/{uid}/",
        portal_url="http://localhost:9",
        stop_grace_s=5,
        spec_hash="one",
        secrets=((SECRET_AGENT_TOKEN, "agent-secret"), (SECRET_APP_TOKEN, "app-secret")),
    )
    return replace(spec, **changes)


def ref_of(spec: WorkloadSpec) -> WorkloadRef:
    """How to name it later."""
    return WorkloadRef(spec.uid, spec.owner.uid)


@dataclass(frozen=True)
class Cluster:
    """One kind of cluster. `spec_for(behaviour)` gives a run that it lets behave so."""

    kind: str
    driver: Driver
    spec_for: Callable[[str], WorkloadSpec]
    turn: Callable[[str, object], None]

    def reach(self, spec: WorkloadSpec, *states: RunState) -> Observation:
        """Observe until it is in one of `states`, as often as the cluster lets us."""
        return until(lambda: self.driver.observe(ref_of(spec)), lambda seen: seen.state in states)

    def started(self, behaviour: str = "ok") -> WorkloadSpec:
        """A run that is ready."""
        spec = self.spec_for(behaviour)
        self.driver.apply(spec)
        self.reach(spec, RunState.READY)
        return spec


def fake_cluster() -> Cluster:
    """In this process."""
    conditions = Conditions(heartbeat_s=0.2, ready_deadline_s=0.5, slow_s=0.3)
    driver = FakeDriver(conditions)

    def make(behaviour: str) -> WorkloadSpec:
        spec = spec_for()
        driver.conditions.per_workload[spec.uid] = FAKE_NAMES[behaviour]
        return spec

    return Cluster("fake", driver, make, lambda name, value: setattr(conditions, name, value))


FAKE_NAMES: dict[str, Any] = {
    "ok": "ok",
    "slow": "slow",
    "mute": "never_ready",
    "crash": "crashing",
    "stubborn": "ok",
}


@contextmanager
def remote_process(folder: Path) -> Iterator[RemoteDriver]:
    """The same fake, in another process."""
    path = folder / "fake.sock"
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.clusters.drivers.fake_remote.server", str(path)], cwd=ROOT
    )
    driver = RemoteDriver(path)
    try:
        until(lambda: _answers(driver), bool)
        yield driver
    finally:
        process.kill()
        process.wait()


def _answers(driver: RemoteDriver) -> bool:
    try:
        driver.capacity()
    except DriverError:
        return False
    return True


def remote_cluster(driver: RemoteDriver) -> Cluster:
    """An empty cluster in the other process."""
    names: dict[str, str] = {}
    driver.reset()
    for name, value in (("ready_deadline_s", 0.5), ("slow_s", 0.3), ("heartbeat_s", 0.2)):
        driver.turn(name, value)

    def make(behaviour: str) -> WorkloadSpec:
        spec = spec_for()
        names[spec.uid] = FAKE_NAMES[behaviour]
        driver.turn("per_workload", names)
        return spec

    return Cluster("fake-remote", driver, make, driver.turn)


def local_config(folder: Path, **changes: Any) -> LocalConfig:
    """Folders of its own, an image that is nothing but this interpreter, and the tiny server."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    environments, sdk = folder / "environments", folder / "sdk"
    image = environments / DIGEST.removeprefix("sha256:")[:32]
    for made in (image / "bin", image / "lib" / version / "site-packages"):
        made.mkdir(parents=True)
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    (image / "bin" / "python").symlink_to(base)
    (image / "ready.json").write_text("{}")
    shutil.copytree(ROOT / "sdk" / "gpucommons", sdk / "gpucommons")
    shutil.copy(ROOT / "tests" / "contracts" / "tiny_server.py", sdk)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and path.is_relative_to(folder):
            path.chmod(0o755)
    config = LocalConfig(folder / "data", folder / "run", environments, sdk)
    return replace(config, ready_deadline_s=2.0, **changes)


@contextmanager
def local_cluster(folder: Path, **changes: Any) -> Iterator[Cluster]:
    """Real processes on this machine."""
    config = local_config(folder, **changes)

    def turn(name: str, value: object) -> None:
        raise AssertionError(f"a real machine has no {name}")

    try:
        yield Cluster("local", LocalDriver(config), spec_for, turn)
    finally:
        end_all(config.data, config.run)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def run_inside(seen: Observation, code: str) -> Any:
    """Execute Python in a tiny server that is ready; what it left in `result`, or its error."""
    connection = _UnixConnection(seen.endpoint.removeprefix("unix:"))
    try:
        connection.request("POST", "/run", code.encode())
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer.get("error", answer.get("result"))
