"""Where one trial keeps what: paths and addresses derived from DATA, CACHE, PORT, BIND and HOST.

Everything else in this package takes a `Layout`; nothing else reads those variables.
Standard library only: the bootstrap needs it before anything is installed.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]

#: Longest runtime folder, in bytes, that leaves room for every socket name below it: the kernel
#: takes 107 bytes for the whole path.
SOCKET_FOLDER_LIMIT = 60

LOOPBACK = "127.0.0.1"


class LayoutError(Exception):
    """The variables of this run contradict each other or the machine. The text says what to do."""


@dataclass(frozen=True)
class Layout:
    """One trial on this machine. Two with different `data` and `port` run side by side."""

    data: Path
    cache: Path
    port: int = 8000
    bind: str = LOOPBACK
    host: str = "localhost"

    @property
    def pids(self) -> Path:
        return self.data / "run"

    @property
    def logs(self) -> Path:
        return self.data / "log"

    @property
    def env_file(self) -> Path:
        return self.data / "etc" / "portal.env"

    @property
    def static(self) -> Path:
        return self.data / "static"

    @property
    def environments(self) -> Path:
        return self.cache / "environments"

    @property
    def run(self) -> Path:
        """Folder of the sockets: DATA/run, or a short one in /tmp where DATA is too deep."""
        if len(os.fsencode(self.pids)) <= SOCKET_FOLDER_LIMIT:
            return self.pids
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path("/tmp") / f"gpc-{digest}"  # noqa: S108  (owner and mode are checked in make())

    @property
    def state_file(self) -> Path:
        """What the supervisor knows of its processes, as JSON."""
        return self.run / "supervisor.json"

    @property
    def lock_file(self) -> Path:
        """Held by the one `make up` of this DATA."""
        return self.pids / "supervisor.lock"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def pid_file(self, name: str) -> Path:
        return self.pids / f"{name}.pid"

    def log_file(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def socket(self, name: str) -> Path:
        return self.run / f"{name}.sock"

    def make(self) -> None:
        """Make the folders that must be there before the first process starts. Idempotent.

        Raises LayoutError where the socket folder belongs to somebody else.
        """
        for folder, mode in (
            (self.data, 0o711),
            (self.data / "etc", 0o700),
            (self.logs, 0o700),
            (self.pids, 0o711),
            (self.run, 0o711),
        ):
            folder.mkdir(parents=True, exist_ok=True, mode=mode)
            own_folder(folder, mode)


def own_folder(folder: Path, mode: int) -> None:
    """Set `mode` on a folder of ours; LayoutError if it is a link or somebody else's."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise LayoutError(f"{folder} is not a folder of this user: remove it, or use another DATA")
    if stat.S_IMODE(found.st_mode) != mode:
        folder.chmod(mode)


def layout_from(environ: Mapping[str, str]) -> Layout:
    """The layout that the variables of `make up` describe. Raises LayoutError."""
    try:
        port = int(environ.get("PORT") or 8000)
    except ValueError as error:
        raise LayoutError(f"PORT={environ['PORT']} is not a number") from error
    if not 0 < port < 65536:
        raise LayoutError(f"PORT={port} is not between 1 and 65535")
    bind = environ.get("BIND") or LOOPBACK
    host = environ.get("HOST") or ""
    if bind != LOOPBACK and not host:
        raise LayoutError(
            f"BIND={bind} also needs HOST=, the name under which browsers reach this machine"
        )
    return Layout(
        data=folder_from(environ.get("DATA") or "./var"),
        cache=folder_from(environ.get("CACHE") or "~/.cache/gpucommons"),
        port=port,
        bind=bind,
        host=host or "localhost",
    )


def folder_from(text: str) -> Path:
    """An absolute path without links; relative ones count from the checkout."""
    return (CHECKOUT / Path(text).expanduser()).resolve()
