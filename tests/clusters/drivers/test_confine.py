"""Confinement as a program: who one becomes, and what is reachable then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.clusters.drivers.local import confine
from apps.clusters.drivers.local.confine import closed_folder

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
BASE = str(Path(sys.base_prefix).resolve())
LOOK = "import os, sys; print(os.getuid(), os.getgroups(), os.getcwd(), sorted(os.listdir({!r})))"


def run(*options: str, code: str = "") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", "-S", confine.__file__, "--uid", str(NOBODY)]
    program = [f"{BASE}/bin/python3", "-I", "-S", "-c", code]
    return subprocess.run(
        [*argv, "--gid", str(NOBODY), *options, "--", *program],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def closed(folder: Path) -> Path:
    """folder/closed/{wanted,other}, of which nobody may pass `closed`."""
    for name in ("wanted", "other"):
        (folder / "closed" / name).mkdir(parents=True)
        (folder / "closed" / name).chmod(0o755)
    (folder / "closed" / "wanted" / "file").write_text("x")
    (folder / "closed").chmod(0o700)
    folder.chmod(0o755)
    return folder / "closed"


def test_the_topmost_closed_folder_is_found(closed: Path) -> None:
    assert closed_folder(str(closed / "wanted"), NOBODY, NOBODY) == str(closed)
    assert closed_folder(str(closed), NOBODY, NOBODY) is None
    assert closed_folder("/usr/bin/env", NOBODY, NOBODY) is None


def test_only_what_is_needed_is_reachable(closed: Path) -> None:
    if not IS_ROOT:
        return
    wanted = str(closed / "wanted")
    done = run("--need", wanted, BASE, "--chdir", wanted, code=LOOK.format(str(closed)))
    assert done.stdout.strip() == f"{NOBODY} [] {wanted} ['wanted']", done.stderr
    assert sorted(os.listdir(closed)) == ["other", "wanted"], "nothing changed for the rest of us"


def test_nothing_is_mounted_when_all_is_reachable(folder: Path) -> None:
    if not IS_ROOT:
        return
    folder.chmod(0o755)
    namespace = os.readlink("/proc/self/ns/mnt")
    code = "import os; print(os.readlink('/proc/self/ns/mnt'))"
    needs = ["--need", str(folder)]
    if closed_folder(BASE, NOBODY, NOBODY) is None:
        assert run(*needs, code=code).stdout.strip() == namespace


def test_the_way_back_is_closed() -> None:
    if not IS_ROOT:
        return
    code = (
        "import os\ntry: os.setuid(0)\nexcept PermissionError: print('no')\n"
        "print([l for l in open('/proc/self/status') if l.startswith('NoNewPrivs')][0].split()[1])"
    )
    done = run("--need", BASE, code=code)
    assert done.stdout.split() == ["no", "1"], done.stderr


def test_what_is_missing_is_named(folder: Path) -> None:
    if not IS_ROOT:
        return
    done = run("--need", str(folder / "nowhere"))
    assert done.returncode == 64
    assert "nowhere does not exist" in done.stderr


def test_without_the_right_the_folder_is_named(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "_syscall", lambda name, *arguments: False)
    with pytest.raises(confine.ConfineError, match=f"cannot pass {closed}"):
        confine.reveal([str(closed / "wanted")], NOBODY, NOBODY)
