"""A watch in a thread, and looking at processes from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.clusters.drivers.base import Driver, Observation


@contextmanager
def followed(driver: Driver) -> Iterator[list[Observation]]:
    """What a watch tells, as it comes."""
    told: list[Observation] = []
    ended = threading.Event()

    def follow() -> None:
        for event in driver.watch("", ended.is_set):
            if event.observation is not None:
                told.append(event.observation)  # noqa: PERF401 - read meanwhile

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield told
    finally:
        ended.set()
        thread.join(10)


def is_alive(pid: int) -> bool:
    """True if a process of that number runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state not in (b"Z", b"X")
