"""The agent against a portal and a Jupyter Server that are played here, as a real process."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.clusters import ROOT, until

KERNEL = {
    "id": "k",
    "name": "python3",
    "execution_state": "busy",
    "last_activity": "2026-01-01T00:00:00Z",
    "connections": 2,
}
TERMINAL = {"name": "1", "last_activity": "2026-01-02T00:00:00Z"}


@dataclass
class Played:
    """What the portal hears, and what it says."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    kernels: list[dict[str, Any]] = field(default_factory=lambda: [dict(KERNEL)])
    terminals: list[dict[str, Any]] = field(default_factory=lambda: [dict(TERMINAL)])
    server: dict[str, Any] = field(default_factory=dict)
    status: int = 204
    waits: threading.Event = field(default_factory=threading.Event)


class _Portal(http.server.BaseHTTPRequestHandler):
    played: Played

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        return

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.played.tokens.add(self.headers["Authorization"])
        if self.played.status == 204:
            self.played.heard.append({"path": self.path, **json.loads(body)})
        else:
            self.played.asked.append("refused")
        self.send_response(self.played.status)
        self.end_headers()

    def do_GET(self) -> None:
        self.played.asked.append(self.path)
        after = int(self.path.partition("after=")[2].partition("&")[0])
        due = [one for one in self.played.commands if one["id"] > after]
        if not due:
            self.played.waits.wait(20)
        body = json.dumps({"commands": due}).encode() if due else b""
        self.send_response(200 if due else 204)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):
            self.wfile.write(body)


class _Jupyter(_Portal):
    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        found: dict[str, object] = {
            "kernels": self.played.kernels,
            "terminals": self.played.terminals,
            "status": self.played.server,
        }
        what = self.path.removeprefix("/w/x/api/").removesuffix("?no_track_activity=1")
        allowed = self.headers["Authorization"] == "token app"
        body = json.dumps(found.get(what) if allowed else "no").encode()
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@pytest.fixture
def played() -> Iterator[tuple[Played, dict[str, str]]]:
    """The play, and the environment of an agent in it."""
    state = Played()
    portal_type = type("Portal", (_Portal,), {"played": state})
    jupyter_type = type("Jupyter", (_Jupyter,), {"played": state})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text("agent\n")
        portal = http.server.ThreadingHTTPServer(("127.0.0.1", 0), portal_type)
        jupyter = _UnixServer(str(folder / "s"), jupyter_type)
        for server in (portal, jupyter):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        yield (
            state,
            {
                "PATH": os.defpath,
                "HOME": name,
                "PYTHONPATH": str(ROOT / "sdk"),
                "GPUCOMMONS_URL": f"http://127.0.0.1:{portal.server_port}",
                "GPUCOMMONS_WORKLOAD": "w1",
                "GPUCOMMONS_TOKEN_FILE": str(folder / "token"),
                "GPUCOMMONS_AGENT_SERVER": f"unix:{folder / 's'}",
                "GPUCOMMONS_AGENT_BASE_URL": "/w/x/",
                "GPUCOMMONS_AGENT_ACTIVITY": "jupyter",
                "GPUCOMMONS_AGENT_TOKEN_ENV": "APP",
                "APP": "app",
            },
        )
        state.waits.set()
        for server in (portal, jupyter):
            server.shutdown()
            server.server_close()


@pytest.fixture
def agent(played: tuple[Played, dict[str, str]]) -> Iterator[subprocess.Popen[str]]:
    """An agent under a shell, as in a run."""
    command = f"'{sys.executable}' -s -S -m gpucommons.agent & echo $!; wait"
    process = subprocess.Popen(
        ["/bin/sh", "-c", command],
        env=played[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_it_tells_what_jupyter_does(
    played: tuple[Played, dict[str, str]], agent: subprocess.Popen[str]
) -> None:
    state = played[0]
    first = until(lambda: state.heard, bool)[0]
    assert first["path"] == "/agent/v1/activity"
    assert state.tokens == {"Bearer agent"}
    assert (first["busy"], first["terminals"], first["connections"]) == (True, 1, 2)
    assert first["last_activity"] == TERMINAL["last_activity"]
    assert first["kernels"][0]["state"] == "busy"
    assert first["disk_gib"] >= 0
    assert first["memory_mib"] > 0
    state.kernels[0]["execution_state"] = "idle"
    changed = until(lambda: state.heard, lambda heard: len(heard) > 1)[1]
    assert changed["busy"] is False


@pytest.mark.parametrize("last", ["2026-01-03T00:00:00Z", None])
def test_with_nothing_open_the_server_itself_says_when_it_was_used(
    played: tuple[Played, dict[str, str]], last: str | None
) -> None:
    state, environment = played
    state.kernels, state.terminals = [], []
    state.server = {"last_activity": last} if last else {}
    assert read(environment)["last_activity"] == last


@pytest.mark.parametrize("activity", ["heartbeat", "none"])
def test_what_cannot_be_read_is_told_as_unknown(
    played: tuple[Played, dict[str, str]], activity: str
) -> None:
    told = read({**played[1], "GPUCOMMONS_AGENT_ACTIVITY": activity})
    assert (told["busy"], told["last_activity"]) == (False, None)


def read(environment: dict[str, str]) -> dict[str, Any]:
    """What an agent in this environment would say of its server."""
    program = (
        "import json; import os; from gpucommons.agent.activity import read_server;"
        "from gpucommons.agent.settings import Settings;"
        "print(json.dumps(read_server(Settings.read(os.environ))))"
    )
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-c", program],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_it_hears_commands_once(
    played: tuple[Played, dict[str, str]], agent: subprocess.Popen[str]
) -> None:
    state = played[0]
    state.commands.append({"id": 7, "type": "about_to_stop", "at": "soon"})
    until(lambda: state.asked, lambda asked: any("after=7&" in path for path in asked))
    assert sum("after=0&" in path for path in state.asked) == 1


def test_it_is_patient_with_a_portal_that_refuses(
    played: tuple[Played, dict[str, str]], agent: subprocess.Popen[str]
) -> None:
    state = played[0]
    state.status = 503
    until(lambda: state.asked, lambda asked: "refused" in asked)
    state.status = 204
    assert until(lambda: state.heard, bool)
    assert agent.poll() is None


def test_it_ends_with_its_run(
    played: tuple[Played, dict[str, str]], agent: subprocess.Popen[str]
) -> None:
    assert agent.stdout is not None
    pid = int(agent.stdout.readline())
    until(lambda: played[0].heard, bool)
    os.kill(agent.pid, signal.SIGKILL)
    agent.wait()
    stat = Path(f"/proc/{pid}/stat")
    until(lambda: stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z", _not)


def _not(value: object) -> bool:
    return not value


def test_it_is_small() -> None:
    """No more than the standard library's smallest client: it is in every run."""
    code = (
        "import gpucommons.agent.__main__, sys; "
        "print([m for m in sys.modules if m in ('asyncio', 'ssl', 'urllib.request', 'logging')])"
    )
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-c", code],
        env={"PYTHONPATH": str(ROOT / "sdk")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in ("[]", "['ssl']")
