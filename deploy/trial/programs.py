"""Every process of the portal on one machine: how it is started and when it is ready."""

import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.trial import nginx
from deploy.trial.database import is_accepting
from deploy.trial.environment import METRICS
from deploy.trial.layout import CHECKOUT, Layout
from deploy.trial.postgres import Cluster
from deploy.trial.probes import Endpoint
from deploy.trial.processes import Start
from deploy.trial.supervisor import Program
from deploy.trial.valkey import Valkey

#: In this order groups are ended; what is not named ends last.
STOP_ORDER = (
    ("nginx",),
    ("gate", "web", "live", "worker", "beat", "watcher-local"),
    ("valkey",),
)
WEB_WORKERS, WEB_THREADS = 2, 8
WORKER_THREADS = 8


@dataclass(frozen=True)
class Stage:
    """What programs are made from: where, and with which environment."""

    layout: Layout
    env: Mapping[str, str]

    def python(self, name: str, *arguments: str) -> Start:
        """A process of the portal's own Python, with its log."""
        return Start(
            argv=[sys.executable, *arguments],
            env=self.env,
            cwd=CHECKOUT,
            log=self.layout.log_file(name),
        )

    def endpoint(self, name: str) -> Endpoint:
        return Endpoint(self.layout.socket(name), f"{self.layout.host}:{self.layout.port}")


def cluster_of(layout: Layout) -> Cluster:
    settings = {"shared_buffers": "64MB", "max_connections": "150", "jit": "off"}
    return Cluster(
        layout.data / "postgres", layout.run / "pg", layout.log_file("postgres"), settings
    )


def stores(stage: Stage) -> list[Program]:
    """PostgreSQL and Valkey: what everything else needs."""
    layout = stage.layout
    begin_metrics(Path(stage.env[METRICS]))
    cluster = cluster_of(layout)
    cluster.prepare()
    valkey = Valkey(layout.socket("valkey"), layout.log_file("valkey"), layout.data / "valkey")
    return [
        Program(
            "postgres",
            cluster.start(),
            is_ready=lambda: is_accepting(cluster),
            stop_signal=signal.SIGINT,
            stop_grace_s=30,
        ),
        Program("valkey", valkey.start(), is_ready=valkey.is_answering),
    ]


def services(stage: Stage) -> list[Program]:
    """The portal itself, from the door inwards. They need a migrated database."""
    return [proxy(stage), gate(stage), web(stage), live(stage), *background(stage)]


def begin_metrics(folder: Path) -> None:
    """An empty folder for what the processes count: the counts of earlier ones are over."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)


def proxy(stage: Stage) -> Program:
    layout = stage.layout
    address = "127.0.0.1" if layout.bind == "0.0.0.0" else layout.bind  # noqa: S104
    door = Endpoint((address, layout.port), f"{layout.host}:{layout.port}")
    # Any answer will do, a 502 too: whether web is ready is web's probe.
    return Program(
        "nginx", nginx.start(layout, stage.env), lambda: door.status("/livez") is not None
    )


def gate(stage: Stage) -> Program:
    start = stage.python("gate", "-m", "apps.gate")
    endpoint = stage.endpoint("gate")
    return Program("gate", start, lambda: endpoint.status("/") is not None)


def web(stage: Stage) -> Program:
    start = stage.python(
        "web",
        *("-m", "gunicorn", "portal.wsgi", "--bind", f"unix:{stage.layout.socket('web')}"),
        *("--umask", "0o022", "--worker-class", "gthread", "--workers", str(WEB_WORKERS)),
        *("--threads", str(WEB_THREADS), "--graceful-timeout", "5", "--keep-alive", "75"),
        *("--worker-tmp-dir", worker_folder(), "--log-level", "warning", "--no-control-socket"),
        "--preload",
    )
    endpoint = stage.endpoint("web")
    return Program("web", start, lambda: endpoint.status("/livez") == 200)


def live(stage: Stage) -> Program:
    path = stage.layout.socket("live")
    reserve_socket(path)
    start = stage.python(
        "live",
        *("-m", "uvicorn", "portal.asgi:application", "--uds", str(path), "--lifespan", "off"),
        *("--ws", "auto", "--no-access-log", "--log-level", "warning", "--no-server-header"),
        *("--timeout-graceful-shutdown", "3", "--proxy-headers", "--forwarded-allow-ips", "*"),
    )
    endpoint = stage.endpoint("live")
    return Program("live", start, lambda: endpoint.status("/livez") is not None)


def background(stage: Stage) -> list[Program]:
    """Worker, beat and watcher. Ready when they run; `/readyz?all=1` knows their heartbeats."""
    # At "info" the tasks of every few seconds alone are 23 MB of lines a day.
    quietly = ("--loglevel", "warning")
    celery = ("-m", "celery", "--quiet", "-A", "portal.celery:app")
    schedule = stage.layout.data / "beat" / "schedule"
    schedule.parent.mkdir(exist_ok=True, mode=0o700)
    # Threads: tasks wait for the database and for programs that they start, and one interpreter
    # takes a tenth of the memory of eight.
    worker = stage.python(
        "worker",
        *(*celery, "worker", "--pool", "threads", "--concurrency", str(WORKER_THREADS)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", *quietly),
    )
    beat = stage.python("beat", *celery, "beat", "--schedule", str(schedule), *quietly)
    watcher = stage.python("watcher-local", "manage.py", "watch_cluster", "local")
    return [Program("worker", worker), Program("beat", beat), Program("watcher-local", watcher)]


def reserve_socket(path: Path) -> None:
    """Leave a closed socket at `path`: uvicorn opens its own to everyone unless one is there."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as placeholder:
        placeholder.bind(str(path))
        path.chmod(0o600)


def worker_folder() -> str:
    """Where gunicorn's workers touch a file every second: in memory where there is such a place."""
    memory = Path("/dev/shm")  # noqa: S108
    return str(memory) if memory.is_dir() else "/tmp"  # noqa: S108
