"""The real processes around a fake cluster that is a process of its own, and killing them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings

from deploy.trial.processes import Start, spawn

ROOT = Path(__file__).resolve().parent.parent.parent


def environment() -> dict[str, str]:
    """This process's environment, with the database of the tests."""
    parts = urlsplit(os.environ["PORTAL_DATABASE_URL"])
    name = str(settings.DATABASES["default"]["NAME"])
    url = urlunsplit(parts._replace(path=f"/{name}"))
    return {
        **os.environ,
        "PORTAL_DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "portal.settings.test",
        "PYTHONPATH": str(ROOT),
    }


@dataclass
class Processes:
    """Started by name, killed by name; whatever is left is killed at the end, and dies with this
    process."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, *arguments]
        log = self.folder / f"{name}.log"
        process = spawn(Start(argv, environment(), ROOT, log, signal.SIGKILL))
        self.running[name] = process
        return process

    def start_worker(self, name: str = "worker") -> subprocess.Popen[bytes]:
        options = ("--pool", "threads", "--concurrency", "4", "--without-mingle")
        celery = ("-m", "celery", "-A", "portal.celery:app", "worker", *options)
        return self.start(name, *celery, "--without-gossip", "--hostname", f"{name}@test")

    def start_watcher(self, cluster: str, name: str = "watcher") -> subprocess.Popen[bytes]:
        return self.start(name, "manage.py", "watch_cluster", cluster)

    def start_cluster(self, socket: Path) -> subprocess.Popen[bytes]:
        return self.start("cluster", "-m", "apps.clusters.drivers.fake_remote.server", str(socket))

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """To the process and all that it started, at once."""
        process = self.running.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, number)
        process.wait(20)

    def end(self) -> None:
        for name in list(self.running):
            self.kill(name)
