"""The server's log of one run: reading a part, and keeping it bounded while it is written.

The server writes to it directly. To bound it, the oldest part is given back to the disk with the
positions of the rest unchanged (a hole), so that followers never lose their place.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from apps.clusters.drivers.base import LogChunk

_MOST_AT_ONCE = 1 << 20
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_BLOCK = 4096


def read_log(path: Path, since: int) -> LogChunk:
    """From byte `since` (negative: from the end), at most 1 MiB; empty if there is no log."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return LogChunk("", 0, 0)
    try:
        size = os.fstat(fd).st_size
        start = max(0, size + since) if since < 0 else min(since, size)
        start = max(start, _first_kept(fd, size))
        data = os.pread(fd, min(size - start, _MOST_AT_ONCE), start)
    finally:
        os.close(fd)
    end = start + len(data)
    return LogChunk(data.decode(errors="replace"), start, end)


def bound_log(path: Path, keep_bytes: int) -> None:
    """Give the disk back what lies before the last `keep_bytes`, where the file system can."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        seen = os.fstat(fd)
        if seen.st_blocks * 512 <= keep_bytes + (keep_bytes >> 2):
            return
        whole = (seen.st_size - keep_bytes) // _BLOCK * _BLOCK
        libc = ctypes.CDLL(None, use_errno=True)
        length = ctypes.c_int64(whole)
        if libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_int64(0), length) != 0:
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _first_kept(fd: int, size: int) -> int:
    try:
        return os.lseek(fd, 0, os.SEEK_DATA)
    except OSError:
        return size
