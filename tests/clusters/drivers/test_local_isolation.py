"""What one person's processes can do to another's, and to the portal: nothing.

As root each person has a user id; there the attacks are tried. Without root there is one person.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apps.clusters.drivers.base import DriverError, Observation, RunState, WorkloadSpec
from apps.clusters.drivers.local import confine
from apps.clusters.drivers.local.config import UID_BASE
from apps.clusters.drivers.local.driver import LocalDriver
from apps.clusters.drivers.local.places import SOCKET_BYTES, Places
from apps.clusters.drivers.local.processes import end_all
from tests.contracts.clusters import (
    OWNER,
    ROOT,
    STRANGER,
    Cluster,
    local_config,
    ref_of,
    run_inside,
    spec_for,
)

pytestmark = pytest.mark.attack
IS_ROOT = os.geteuid() == 0
DENIED = {"PermissionError", "FileNotFoundError"}
SECOND_PERSON = """
import pickle, sys
from apps.clusters.drivers.base import DriverError
from apps.clusters.drivers.local.driver import LocalDriver
config, first, second = pickle.load(sys.stdin.buffer)
driver = LocalDriver(config)
driver.apply(first)
try:
    driver.apply(second)
    print("let in")
except DriverError as refusal:
    print(refusal.code, refusal.retryable)
"""


def ready(cluster: Cluster, spec: WorkloadSpec) -> Observation:
    cluster.driver.apply(spec)
    return cluster.reach(spec, RunState.READY)


def test_a_person_reaches_nothing_of_anyone_else(local: Cluster, driver: LocalDriver) -> None:
    if not IS_ROOT:
        assert not driver.config.is_isolating
        return
    data = driver.config.data
    (data / "etc").mkdir(mode=0o700)
    (data / "etc" / "portal.env").write_text("PORTAL_SECRET_KEY=x")
    theirs = spec_for(owner=STRANGER)
    victim = ready(local, theirs)
    assert run_inside(victim, "import os; open(os.environ['HOME'] + '/diary', 'w').write('x')") is (
        None
    )
    mine = ready(local, spec_for())
    places = Places(driver.config, theirs.uid)
    targets = (
        places.home(theirs.home) / "diary",
        places.secrets / "token",
        places.secrets / "app_token",
        places.record / "server.log",
        places.record / "launch.json",
        data / "etc" / "portal.env",
    )
    assert all(path.exists() for path in targets)
    for path in targets:
        assert run_inside(mine, f"result = open({str(path)!r}).read()") in DENIED, path
    for folder in (places.home(theirs.home), data / "homes", data / "workloads", places.run / "s"):
        assert run_inside(mine, f"import os; result = os.listdir({str(folder)!r})") in DENIED
    for path in (places.published, places.run / "s" / "s"):
        knock = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({str(path)!r})"
        assert run_inside(mine, knock) in DENIED
    pid = run_inside(victim, "import os; result = os.getpid()")
    assert run_inside(mine, f"import os; os.kill({pid}, 9)") == "PermissionError"
    assert run_inside(mine, f"result = open('/proc/{pid}/environ').read()") in DENIED


def test_a_person_cannot_change_what_all_share(local: Cluster, driver: LocalDriver) -> None:
    if not IS_ROOT:
        return
    mine = ready(local, spec_for())
    for folder in (driver.config.environments, driver.config.sdk, driver.config.data):
        assert run_inside(mine, f"open({str(folder)!r} + '/x', 'w')") in {*DENIED, "OSError"}
    assert run_inside(mine, "import os; os.setuid(0)") == "PermissionError"
    assert run_inside(mine, "import os; result = os.getuid()") == UID_BASE + OWNER.number
    assert run_inside(mine, "import os; result = os.getgroups()") == []


def test_what_is_a_persons_own_is_closed(local: Cluster, driver: LocalDriver) -> None:
    spec = spec_for()
    seen = ready(local, spec)
    places = Places(driver.config, spec.uid)
    for folder in (places.home(spec.home), places.run / "s", places.temporary):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in places.secrets.iterdir()} == {0o400}
    made = run_inside(seen, "import os; open('f', 'w'); result = os.stat('f').st_mode & 0o777")
    assert made == 0o600


def test_a_link_in_place_of_the_socket_leads_nobody_astray(local: Cluster) -> None:
    theirs, spec = spec_for(), spec_for()
    target = ready(local, theirs).endpoint.removeprefix("unix:")
    seen = ready(local, spec)
    path = Path(seen.endpoint.removeprefix("unix:")).parent / "s" / "s"
    swap = f"import os; os.unlink({str(path)!r}); os.symlink({target!r}, {str(path)!r})"
    assert run_inside(seen, swap) is None
    assert path.is_symlink()
    again = local.driver.observe(ref_of(spec))
    name = run_inside(again, "import os; result = os.environ['GPUCOMMONS_WORKLOAD']")
    assert name == spec.uid


def test_secrets_are_in_files_only(
    local: Cluster, driver: LocalDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_for()
    monkeypatch.setenv("PORTAL_SECRET_KEY", "the-portals-own")
    seen = ready(local, spec)
    env = run_inside(seen, "import os; result = dict(os.environ)")
    assert env["TINY_TOKEN"] == "app-secret"
    assert not [name for name in env if name.startswith(("PORTAL_", "DJANGO_"))]
    read = run_inside(seen, "import os; result = open(os.environ['GPUCOMMONS_TOKEN_FILE']).read()")
    assert read == "agent-secret"
    pid = run_inside(seen, "import os; result = os.getpid()")
    assert b"secret" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    record = Places(driver.config, spec.uid).record
    assert not [p for p in record.iterdir() if p.is_file() and b"-secret" in p.read_bytes()]


def test_the_environment_is_an_allow_list(local: Cluster) -> None:
    seen = ready(local, spec_for())
    env = run_inside(seen, "import os; result = dict(os.environ)")
    assert env["GPUCOMMONS_URL"] == "http://localhost:9"
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["PATH"].split(":")[0] == env["VIRTUAL_ENV"] + "/bin"
    assert env["HOME"] in env["VIRTUAL_ENV"]
    assert "PYTEST_CURRENT_TEST" not in env


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with runs, of the user that the next test runs as."""
    who = {"user": 65534, "group": 65534} if IS_ROOT else {}
    process = subprocess.Popen(["sleep", "600"], **who)  # type: ignore[call-overload]  # ids only
    yield process
    process.kill()
    process.wait()


def test_without_root_there_is_one_person(folder: Path, bystander: subprocess.Popen[bytes]) -> None:
    import pickle

    config = local_config(folder)
    first, second = spec_for(), spec_for(owner=STRANGER)
    argv = [sys.executable, "-c", SECOND_PERSON]
    if IS_ROOT:
        os.chown(folder, 65534, 65534)
        base = str(Path(sys.base_prefix).resolve())
        # Not the checkout itself: it may be closed to others.
        parts = [str(ROOT / name) for name in ("apps", "sdk", "tests", ".venv")]
        needs = ["--need", *parts, base, str(folder), "--chdir", str(ROOT)]
        who = ["--uid", "65534", "--gid", "65534"]
        argv = [sys.executable, confine.__file__, *who, *needs, "--", *argv]
    try:
        for trusted, answer in ((False, "not_isolated False"), (True, "let in")):
            content = pickle.dumps((replace(config, trusted=trusted), first, second))
            done = subprocess.run(argv, input=content, capture_output=True, cwd=ROOT, check=False)
            assert done.stdout.decode().strip() == answer, done.stderr.decode()
    finally:
        end_all(config.data, config.run)
    assert bystander.poll() is None, "other processes of whoever ran it are left alone"


def test_a_home_of_someone_else_is_not_mounted_or_deleted(local: Cluster) -> None:
    if not IS_ROOT:
        return
    spec = local.started()
    with pytest.raises(DriverError) as refusal:
        local.driver.apply(spec_for(owner=STRANGER, home=spec.home))
    assert refusal.value.code == "conflict"
    assert isinstance(local.driver, LocalDriver)
    for owner in (STRANGER, OWNER):
        with pytest.raises(DriverError) as refusal:
            local.driver.delete_home(spec.home, owner)
        assert refusal.value.code == "conflict", "in use, or not hers"


def test_a_deleted_home_takes_nothing_else_along(local: Cluster, driver: LocalDriver) -> None:
    spec = spec_for()
    seen = ready(local, spec)
    kept = driver.config.data / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    code = f"import os; os.symlink({str(kept)!r}, 'link'); os.makedirs('a/b'); os.chmod('a', 0)"
    assert run_inside(seen, code) is None
    while driver.delete(ref_of(spec), 0).state is not RunState.ABSENT:
        pass
    driver.delete_home(spec.home, OWNER)
    assert (kept / "file").exists()
    assert not Places(driver.config, spec.uid).home(spec.home).exists()


@pytest.mark.parametrize("uid", ["../x", "a/b", "", ".", "A", "x" * 41])
def test_names_cannot_lead_out(driver: LocalDriver, uid: str) -> None:
    with pytest.raises(DriverError) as refusal:
        driver.apply(spec_for(uid=uid))
    assert refusal.value.code == "invalid"
    with pytest.raises(DriverError) as refusal:
        driver.apply(spec_for(home=uid))
    assert refusal.value.code == "invalid"


def test_a_socket_path_that_is_too_long_is_refused(folder: Path) -> None:
    config = local_config(folder / ("x" * SOCKET_BYTES))
    with pytest.raises(DriverError) as refusal:
        LocalDriver(config).apply(spec_for())
    assert refusal.value.code == "path_too_long"
    assert "PORTAL_RUN_DIR" in refusal.value.message
    assert LocalDriver(config).list_owned().observations == ()


def test_an_image_that_is_not_there_can_be_tried_again(driver: LocalDriver) -> None:
    spec = spec_for()
    missing = replace(spec, image=replace(spec.image, digest="sha256:" + "8" * 64))
    with pytest.raises(DriverError) as refusal:
        driver.apply(missing)
    assert (refusal.value.code, refusal.value.retryable) == ("image_missing", True)
    assert driver.observe(ref_of(missing)).state is RunState.ABSENT
    assert driver.list_owned().observations == ()


def test_a_record_that_is_not_ours_is_left_alone(driver: LocalDriver) -> None:
    spec = spec_for()
    folder = driver.config.data / "workloads" / spec.uid
    folder.mkdir()
    (folder / "theirs.json").write_text(json.dumps({}))
    with pytest.raises(DriverError) as refusal:
        driver.apply(spec)
    assert refusal.value.code == "conflict"
    driver.delete(ref_of(spec), 0)
    assert (folder / "theirs.json").exists()
