"""A process is known by pid and start time, and only that very process is ended."""

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.trial.processes import Identity, bound_log, end, fit_log, identity_of, started_at


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def identify(process: subprocess.Popen[bytes]) -> Identity:
    found = identity_of(process.pid)
    assert found is not None
    return found


def test_another_process_with_the_same_pid_is_left_alone(
    sleeper: subprocess.Popen[bytes],
) -> None:
    earlier = replace(identify(sleeper), started="0badb007:1")
    assert not earlier.is_alive()
    assert end([earlier], signal.SIGKILL, 1) == []
    assert earlier.wait(0)
    assert sleeper.poll() is None


def test_a_process_that_ignores_the_signal_is_killed_after_its_grace() -> None:
    script = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(["python3", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    identity = identify(process)
    assert end([identity], signal.SIGTERM, 0.2) == [identity]
    assert process.wait(5) == -signal.SIGKILL
    process.stdout.close()


def test_a_zombie_has_ended(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identify(sleeper)
    sleeper.kill()
    assert identity.wait(5)
    assert not identity.is_alive()
    assert started_at(sleeper.pid) is None


def test_a_log_that_has_grown_is_put_aside_once(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    fit_log(log)
    log.write_bytes(b"x" * 100)
    fit_log(log, limit_bytes=100)
    assert log.exists()
    fit_log(log, limit_bytes=99)
    assert not log.exists()
    assert (tmp_path / "web.log.1").stat().st_size == 100


def test_a_log_that_is_being_written_is_copied_and_emptied(tmp_path: Path) -> None:
    log, older = tmp_path / "web.log", tmp_path / "web.log.1"
    bound_log(log)
    outside = tmp_path / "outside"
    outside.write_text("mine")
    older.symlink_to(outside)
    with log.open("ab", buffering=0) as writer:
        log.chmod(0o600)
        writer.write(b"x" * 100)
        bound_log(log, limit_bytes=100)
        assert log.stat().st_size == 100
        bound_log(log, limit_bytes=99)
        writer.write(b"next")
    assert log.read_bytes() == b"next"
    assert older.read_bytes() == b"x" * 100
    assert older.stat().st_mode & 0o777 == 0o600
    assert outside.read_text() == "mine"
