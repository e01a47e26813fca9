"""One `make up` at a time for one DATA, and one installation at a time for one checkout.

The lock of DATA goes with the process that holds it, through exec, and is gone when it dies.
Standard library only.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.trial.layout import Layout

LOCK_FD = "GPUCOMMONS_LOCK_FD"


def take(layout: Layout) -> int | None:
    """The lock of this DATA as an open descriptor that survives exec, or None: it is taken."""
    inherited = os.environ.pop(LOCK_FD, "")
    if inherited:
        handle = int(inherited)
        os.set_inheritable(handle, False)
        return handle
    handle = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def hand_on(handle: int) -> None:
    """Let the program that this process becomes next have the lock."""
    os.set_inheritable(handle, True)
    os.environ[LOCK_FD] = str(handle)


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Wait for, then hold, the only right to change `folder`."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
