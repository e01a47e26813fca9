"""Is a TCP port free, and if not, whose is it? Standard library only."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def is_free(bind: str, port: int) -> bool:
    """True if nginx could listen there now. Raises OSError where the address is not ours."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def owner(port: int) -> str:
    """Who listens on a port, as `command (pid N)`; a vague answer where we may not look."""
    inodes = set(listening_inodes(port))
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and inodes & set(socket_inodes(process)):
            with suppress(OSError):
                command = (process / "comm").read_text().strip()
                return f"{command} (pid {process.name})"
    return "another user's process"


def listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                listens = fields[3] == "0A"
                if listens and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def socket_inodes(process: Path) -> Iterator[str]:
    """Socket inodes that a process has open; none where we may not look."""
    try:
        handles = list(os.scandir(process / "fd"))
    except OSError:
        return
    for handle in handles:
        with suppress(OSError):
            target = Path(handle.path).readlink().name
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
