"""Where the things of one workload are, and files that are written whole or not at all.

    DATA/workloads/<uid>/   spec.json state.json launch.json stop.json ready.json ended.json
                            exit server.log lock      ours alone; the record of one run
    DATA/ended/<uid>/       the same, when nothing of the run is left
    DATA/homes/<home>/      the person's own, 0700
    RUN/w/<uid>/s/s         where the server binds   .../k/  secrets   .../t/  temporary files
    RUN/w/<uid>/p           the same socket, published: a hard link in a folder of ours

People may write in `s`, `t` and their home alone. What nginx and the watcher connect to is `p`: a
person who puts a symbolic link in the place of the own socket cannot lead them anywhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.clusters.drivers.base import DriverError
from apps.clusters.drivers.local.config import LocalConfig

SOCKET_BYTES = 107
_KERNEL_SOCKET_BYTES = 50
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
Record = dict[str, Any]


def checked_name(name: str) -> str:
    """`name`, if it may be a folder's name. Raises `DriverError` "invalid"."""
    if not _NAME.fullmatch(name):
        raise DriverError(f"{name!r} is no usable name", retryable=False, code="invalid")
    return name


def record_names(config: LocalConfig) -> list[str]:
    """The names of all records; what else may lie there is not ours. Raises OSError."""
    return [name for name in os.listdir(config.data / "workloads") if _NAME.fullmatch(name)]


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one workload. Nothing is made here."""

    config: LocalConfig
    uid: str

    @property
    def record(self) -> Path:
        """Where the run is written down while anything of it may be left."""
        return self.config.data / "workloads" / checked_name(self.uid)

    @property
    def ended(self) -> Path:
        """Where its record lies when nothing is left."""
        return self.config.data / "ended" / checked_name(self.uid)

    @property
    def run(self) -> Path:
        """The folder of its sockets and secrets; gone when it has ended."""
        return self.config.run / "w" / checked_name(self.uid)

    @property
    def socket(self) -> Path:
        """Where its server binds. Raises `DriverError` "path_too_long" (107 bytes is all)."""
        path = self.run / "s" / "s"
        if len(os.fsencode(path)) > SOCKET_BYTES:
            raise DriverError(
                f"the socket path {path} is longer than {SOCKET_BYTES} bytes: "
                "set PORTAL_RUN_DIR to a shorter folder",
                retryable=False,
                code="path_too_long",
            )
        return path

    @property
    def published(self) -> Path:
        """Where the portal connects to; there once `probing.publish` has seen the socket."""
        return self.run / "p"

    @property
    def secrets(self) -> Path:
        """Files that the person may read and nobody else."""
        return self.run / "k"

    @property
    def temporary(self) -> Path:
        """TMPDIR and the kernels' sockets: short, whatever RUN is, because those have names."""
        path = self.run / "t"
        if len(os.fsencode(path)) + _KERNEL_SOCKET_BYTES <= SOCKET_BYTES:
            return path
        place = hashlib.sha256(os.fsencode(self.config.run)).hexdigest()[:12]
        return Path("/tmp") / f"gpc-{place}-t" / self.uid  # noqa: S108 - made 0711, checked

    def home(self, home: str) -> Path:
        """The person's home of that uid."""
        return self.config.data / "homes" / checked_name(home)


def read_record(folder: Path, name: str) -> Record | None:
    """What `name` holds in a record's folder; None if it is not there (yet)."""
    try:
        content: Record = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return content


def write_record(folder: Path, name: str, content: Mapping[str, object]) -> None:
    """Replace `name` at once: a reader sees the old content or the new."""
    partial = folder / f".{name}.{os.getpid()}"
    with open(partial, "w", opener=_private) as file:
        json.dump(content, file)
    partial.rename(folder / name)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def ring(config: LocalConfig) -> None:
    """Let the watcher look at once: it waits for the time of this folder to change."""
    os.utime(config.data / "workloads")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One at a time on this record, among all processes."""
    with open(folder / "lock", "a", opener=_private) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
