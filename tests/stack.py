"""A whole portal of its own for a test: `make up` on a free port with a folder of its own.

Used by the tests that drive a browser, speak REST from outside, or kill real processes.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY_S = 900
STEP_S = 0.05


def free_port() -> int:
    """A loopback port below the range of outgoing connections that is free now."""
    for _ in range(200):
        port = 20000 + int.from_bytes(os.urandom(2)) % 12000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def eventually(condition: Callable[[], object], what: str, within_s: float = 30) -> object:
    """The first true value of `condition`; after the deadline an error that says `what`."""
    deadline = time.monotonic() + within_s
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        pause.wait(STEP_S)


@dataclass
class Stack:
    """One installation; `up` may be called again after `interrupt` or a kill."""

    data: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="gpc-")))
    port: int = field(default_factory=free_port)
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PORTAL_", "DJANGO_", "PYTEST"))
        }
        return {**mine, "DATA": str(self.data), "PORT": str(self.port), **self.settings}

    def up(self, within_s: float = READY_S) -> Stack:
        """`make up`, until it has printed its three lines."""
        self.lines = []
        log = (self.data / "make-up.stderr").open("ab")
        self.process = subprocess.Popen(
            ["make", "--no-print-directory", "up"],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        heard: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, args=(self.process, heard), daemon=True).start()
        deadline = time.monotonic() + within_s
        while len([line for line in self.lines if line.startswith("SIGNIN")]) < 2:
            line = heard.get(timeout=max(0.1, deadline - time.monotonic()))
            if line == "" or line.startswith("FAILED"):
                raise AssertionError(f"make up: {line or 'ended'}\n{self.log('make-up.stderr')}")
            self.lines.append(line)
        return self

    @staticmethod
    def _listen(process: subprocess.Popen[str], heard: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                heard.put(line.strip() or " ")
        heard.put("")

    def log(self, name: str) -> str:
        """The end of a log, for messages."""
        for path in (self.data / name, self.data / "log" / name):
            if path.exists():
                return path.read_text(errors="replace")[-4000:]
        return ""

    def signin_link(self, username: str) -> str:
        return self.manage("signin_link", username)

    def token(self, username: str, *options: str) -> str:
        return self.manage("token", username, *options)

    def manage(self, *command: str) -> str:
        """Standard output of a `manage.py` command; fails loudly."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT, env=self.environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    def interrupt(self) -> int:
        """Ctrl-C; the exit status of `make up`."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def down(self) -> None:
        """`make down`, and wait for `make up` to be over."""
        subprocess.run(
            ["make", "--no-print-directory", "down"],
            cwd=ROOT, env=self.environment, check=True, capture_output=True,
        )  # fmt: skip
        if self.process is not None:
            self.process.wait(timeout=60)

    def remove(self) -> None:
        """`down`, and the folder."""
        try:
            self.down()
        finally:
            shutil.rmtree(self.data, ignore_errors=True)
