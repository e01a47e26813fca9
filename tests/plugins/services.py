"""A real PostgreSQL and a real Valkey for every test run.

Loaded with `-p`, before pytest-django reads the settings: these take PORTAL_DATABASE_URL,
PORTAL_BROKER_URL and PORTAL_CHANNEL_URL from the environment. Under pytest-xdist the controller
starts one PostgreSQL for all (pytest-django gives each worker a database of its own), and each
process that runs tests starts a Valkey of its own, because published messages know no databases.
What was started dies with the process that started it, kill -9 included.
"""

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import quote

import pytest

from deploy.trial.database import ROLE, ensure_database, wait_accepting
from deploy.trial.postgres import Cluster
from deploy.trial.processes import spawn, started_at
from deploy.trial.valkey import Valkey

READY_TIMEOUT_S = 60
PREFIX = "gpc-test-"
DATABASE_URL = "PORTAL_DATABASE_URL"

#: A test database that loses its last second in a power cut is no loss.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
}

_running: list[subprocess.Popen[bytes]] = []
_folders: list[Path] = []
_owner = os.getpid()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None]:
    # Not only at the end of the session: settings that fail to load end pytest before that.
    atexit.register(stop)
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()
    _folders.append(folder)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ[DATABASE_URL] = start_postgres(folder)
        os.environ["PORTAL_SECRET_KEY"] = secrets.token_urlsafe(48)
        os.environ["PORTAL_GATE_KEY"] = secrets.token_urlsafe(48)
    socket = start_valkey(folder)
    os.environ["PORTAL_BROKER_URL"] = f"redis+socket://{socket}?virtual_host=0"
    os.environ["PORTAL_CHANNEL_URL"] = f"unix://{socket}?db=1"
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    stop()


def stop() -> None:
    """End what this process started and remove its folder. Idempotent."""
    if os.getpid() != _owner:  # a fork of ours ended: the servers are not its own
        return
    for process in reversed(_running):
        process.send_signal(signal.SIGINT)
    for process in reversed(_running):
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _running.clear()
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)
    _folders.clear()


def sweep() -> None:
    """Remove folders of sessions that were killed; their servers have died with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and started_at(int(pid)) is None:
            shutil.rmtree(folder, ignore_errors=True)


def start_postgres(folder: Path) -> str:
    """Start PostgreSQL below `folder`; return the URL of the portal's database."""
    sockets = folder / "pg"
    cluster = Cluster(folder / "postgres", sockets, folder / "postgres.log", FAST)
    cluster.prepare()
    _running.append(spawn(cluster.start()))
    wait_accepting(cluster, READY_TIMEOUT_S)
    password = secrets.token_urlsafe(16)
    ensure_database(cluster, password, may_create_databases=True)
    return f"postgresql://{ROLE}:{password}@/{ROLE}?host={quote(str(sockets), safe='/')}"


def start_valkey(folder: Path) -> Path:
    """Start Valkey below `folder`, nothing kept on disk; return its socket."""
    server = Valkey(folder / "valkey.sock", folder / "valkey.log", home=None)
    _running.append(spawn(server.start()))
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not server.is_answering():
        if time.monotonic() > deadline:
            pytest.exit(f"Valkey does not answer, see {server.log}", returncode=3)
        time.sleep(0.01)
    return server.socket
