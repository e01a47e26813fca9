"""Becoming another user id who can reach just what is needed, then becoming a program.

The local driver starts every person's processes through it, the trial its PostgreSQL as `nobody`.
Standard library only, and small: it runs before each start.

    python -I -S confine.py --uid N --gid N --need PATH... --chdir PATH -- argv...

Folders above a needed path may be closed to that user id (a checkout under /root, a data folder
made by mktemp). Then the process gets a mount namespace of its own, in which the topmost closed
folder is an empty one that holds the needed paths alone, under their own names. Nothing is opened
on the real file system. With everything reachable there is no namespace and no mount.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_SLAVE = 1, 32, 4096, 16384, 1 << 19
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_USAGE = 64
_libc = ctypes.CDLL(None, use_errno=True)


class ConfineError(Exception):
    """It cannot be done here; the message names the folder or the right that is missing."""


@dataclass(frozen=True)
class Confinement:
    """Who to become, the absolute paths that must be reachable then, and where to start.

    `die_with_signal`: sent to the process when its parent dies (0: none).
    """

    uid: int
    gid: int
    needs: tuple[str, ...] = ()
    chdir: str = "/"
    die_with_signal: int = 0


def closed_folder(path: str, uid: int, gid: int, below: str = "/") -> str | None:
    """The topmost folder above `path`, inside `below`, that `uid` may not pass; None: reachable.

    Reads permission bits, not access control lists. `path` itself is not judged.
    """
    path = os.path.realpath(path)
    inside = [part for part in os.path.relpath(os.path.dirname(path), below).split("/") if part]
    folder = below
    for part in [".", *inside]:
        folder = os.path.normpath(os.path.join(folder, part))
        seen = os.stat(folder)
        if seen.st_uid == uid:
            may = seen.st_mode & stat.S_IXUSR
        elif seen.st_gid == gid:
            may = seen.st_mode & stat.S_IXGRP
        else:
            may = seen.st_mode & stat.S_IXOTH
        if not may:
            return folder
    return None


def enter(confinement: Confinement) -> None:
    """Make the needed paths reachable and become the user id, for good.

    Does nothing of it when not root or when the id is 0. Raises `ConfineError`.
    """
    uid, gid = confinement.uid, confinement.gid
    if os.geteuid() == 0 and uid != 0:
        reveal(confinement.needs, uid, gid)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if confinement.die_with_signal:
        _prctl(_PR_SET_PDEATHSIG, confinement.die_with_signal)
    os.umask(0o077)
    os.chdir(confinement.chdir)


def reveal(needs: Sequence[str], uid: int, gid: int) -> None:
    """Give this process a view of the file system in which `uid` can reach all of `needs`.

    Raises `ConfineError` where a mount namespace cannot be had, or a path is not there.
    """
    closed: dict[str, list[str]] = {}
    for need in sorted({os.path.realpath(need) for need in needs}, key=len):
        if not os.path.exists(need):
            raise ConfineError(f"{need} does not exist")
        folder = closed_folder(need, uid, gid)
        if folder is not None:
            closed.setdefault(folder, []).append(need)
    if not closed:
        return
    names = ", ".join(sorted(closed))
    if not _syscall("unshare", _CLONE_NEWNS):
        raise ConfineError(
            f"user id {uid} cannot pass {names}, and this machine allows no mount namespace: "
            f"open it (chmod o+x {names}) or put the checkout, DATA and CACHE elsewhere"
        )
    _mount("none", "/", "", _MS_REC | _MS_SLAVE)
    for folder, paths in closed.items():
        _replace(folder, _outermost(paths, uid, gid))


def _outermost(paths: list[str], uid: int, gid: int) -> list[str]:
    """Those of `paths` (shortest first) that do not come along inside another one."""
    chosen: list[str] = []
    for path in paths:
        parent = next((p for p in chosen if path.startswith(p.rstrip("/") + "/")), None)
        if parent is None:
            chosen.append(path)
        elif (blocked := closed_folder(path, uid, gid, below=parent)) is not None:
            raise ConfineError(f"user id {uid} cannot pass {blocked} inside {parent}")
    return chosen


def _replace(folder: str, paths: list[str]) -> None:
    """Cover `folder` with an empty one that holds `paths` alone."""
    opened = [(path, os.open(path, os.O_PATH | os.O_NOFOLLOW)) for path in paths]
    _mount("tmpfs", folder, "tmpfs", 0, "mode=0755,size=1m,nr_inodes=4096")
    old_umask = os.umask(0o022)
    for path, fd in opened:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.makedirs(path, 0o755, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
        _mount(f"/proc/self/fd/{fd}", path, "", _MS_BIND | _MS_REC)
        os.close(fd)
    os.umask(old_umask)
    _mount("none", folder, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY)


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = (
        source.encode(),
        target.encode(),
        kind.encode() or None,
        flags,
        data.encode(),
    )
    if not _syscall("mount", *arguments):
        raise ConfineError(f"mounting over {target} failed: {os.strerror(ctypes.get_errno())}")


def _prctl(option: int, value: int) -> None:
    if not _syscall("prctl", option, value, 0, 0, 0):
        raise ConfineError(f"prctl({option}) failed: {os.strerror(ctypes.get_errno())}")


def _syscall(name: str, *arguments: object) -> bool:
    wide = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    return bool(_libc[name](*wide) == 0)


def _parse(arguments: list[str]) -> tuple[Confinement, list[str]]:
    import argparse

    parser = argparse.ArgumentParser(prog="confine.py")
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--need", nargs="*", action="extend", default=[])
    parser.add_argument("--chdir", default="/")
    parser.add_argument("--die-with-signal", type=int, default=0)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    got = parser.parse_args(arguments[:split])
    argv = arguments[split + 1 :]
    if not argv:
        parser.error("what to run is missing: -- argv...")
    wanted = Confinement(got.uid, got.gid, tuple(got.need), got.chdir, got.die_with_signal)
    return wanted, argv


def main(arguments: list[str]) -> None:
    """The program: confine, then become `argv`. Exits with 64 and a line on stderr if it cannot."""
    confinement, argv = _parse(arguments)
    try:
        enter(confinement)
        os.execvp(argv[0], argv)
    except (ConfineError, OSError) as error:
        sys.stderr.write(f"confine: {error}\n")
        sys.exit(_USAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
