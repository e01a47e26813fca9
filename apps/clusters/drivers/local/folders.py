"""Making the folders of a run and of a home, and deciding who may have one here.

Called by `driver`, as root where people have ids of their own. Root makes a person's folders
inside folders of ours only, and touches nothing inside them.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from apps.clusters.drivers.base import DriverError, OwnerSpec, WorkloadSpec
from apps.clusters.drivers.local.config import LocalConfig
from apps.clusters.drivers.local.places import Places, checked_name

_OWNER = ".owner"


def make_roots(config: LocalConfig) -> None:
    """The folders that all runs share. Others may pass through where their own lie beneath."""
    for folder, mode in (
        (config.data, 0o711),
        (config.data / "homes", 0o711),
        (config.data / "workloads", 0o700),
        (config.data / "ended", 0o700),
        (config.run, 0o711),
        (config.run / "w", 0o711),
    ):
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(mode if config.is_isolating else 0o700)


def admit(config: LocalConfig, owner: OwnerSpec) -> None:
    """Refuse a second person where all would run under one user id ("not_isolated")."""
    if config.is_isolating:
        return
    path = config.data / "homes" / _OWNER
    with suppress(FileExistsError), open(path, "x", encoding="utf-8") as file:
        file.write(owner.uid)
    if path.read_text(encoding="utf-8") != owner.uid and not config.trusted:
        raise DriverError(
            "The portal was not started as root, so everyone's processes would run under one user "
            "id and could read each other's files. It therefore serves one person only. Start it "
            "as root, or set TRUSTED=1 if everyone here trusts everyone.",
            retryable=False,
            code="not_isolated",
        )


def make_folders(places: Places, spec: WorkloadSpec) -> None:
    """The home (if it is not there), the run's folders, and its secrets as files. Idempotent."""
    user_id = places.config.user_id_of(spec.owner)
    home = places.home(spec.home)
    _give(home, user_id, 0o700)
    _ours(places.run, 0o711)
    if places.temporary.parent != places.run:
        _ours(places.temporary.parent, 0o711)
    _give(places.run / "s", user_id, 0o700)
    _give(places.temporary, user_id, 0o700)
    _ours(places.secrets, 0o711)
    for name, content in spec.secrets:
        checked_name(name.replace("_", "-"))
        _secret(places.secrets / name, content, user_id)


def owner_of_home(home: Path) -> int | None:
    """The user id that a home belongs to; None if there is no such home."""
    try:
        return home.lstat().st_uid
    except FileNotFoundError:
        return None


def _ours(folder: Path, mode: int) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        raise DriverError(f"{folder} is not ours", retryable=False, code="conflict")
    folder.chmod(mode)


def _give(folder: Path, user_id: int, mode: int) -> None:
    """A folder for that person alone, in a folder of ours: nobody else can have put it there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid == os.geteuid() != user_id:
        os.chown(folder, user_id, user_id, follow_symlinks=False)
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != user_id:
        raise DriverError(
            f"{folder} does not belong to user id {user_id}", retryable=False, code="conflict"
        )
    if stat.S_IMODE(seen.st_mode) != mode:
        os.chmod(folder, mode)


def _secret(path: Path, content: str, user_id: int) -> None:
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(content)
        os.fchown(fd, user_id, user_id)
