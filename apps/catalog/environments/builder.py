"""Making the environment of an image on this machine: one folder per digest, never changed.

`apps.catalog.tasks` calls `build` (a worker, outside any transaction), `manage.py build_image`
too; the local driver looks for the folder that it leaves. No Django here.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from apps.catalog.environments.installers import (
    Step,
    Target,
    compile_step,
    create_step,
    hashed_step,
    unhashed_step,
)
from apps.catalog.environments.locks import lock_digest, parts_of

__all__ = [
    "BuildError",
    "BuildRequest",
    "build",
    "build_log",
    "environment_dir",
    "is_built",
    "lock_digest",
]

Progress = Callable[[float], None]
READY = "ready.json"
_TAIL_BYTES = 4000
_LOOK_S = 0.25
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_AT_CREATED, _AT_INSTALLED, _AT_COMPILED = 0.03, 0.7, 0.97


class BuildError(Exception):
    """An environment could not be made. `message` is for people, `tail` the end of the log."""

    def __init__(self, message: str, tail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.tail = tail


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to make, and beneath which folder. `cache` is uv's ("": next to `root`)."""

    root: Path
    digest: str
    lock: str
    python_version: str
    pip_args: tuple[str, ...] = ()
    cache: Path | None = None
    timeout_s: int = 1800


def environment_dir(root: Path, digest: str) -> Path:
    """Where the environment of `digest` is, or will be."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"not a digest: {digest!r}")
    return root / digest.removeprefix("sha256:")[:32]


def is_built(root: Path, digest: str) -> bool:
    """True if it is complete and the interpreter that it was made with is still there."""
    folder = environment_dir(root, digest)
    return (folder / READY).is_file() and (folder / "bin" / "python").exists()


def build_log(root: Path, digest: str, tail_bytes: int = _TAIL_BYTES) -> str:
    """The end of the last build's log; "" if there was none."""
    try:
        with _log_path(root, digest).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - tail_bytes))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def build(request: BuildRequest, progress: Progress = lambda _done: None) -> None:
    """Make the environment, unless it is there. `progress` gets rising numbers up to 1.

    Two builds of one digest, in any processes, make it once; the second waits. A build that was
    killed leaves nothing that counts, and the next one starts anew. Raises `BuildError`.
    """
    folder = environment_dir(request.root, request.digest)
    if not is_built(request.root, request.digest):
        (request.root / "logs").mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")):
            if not is_built(request.root, request.digest):
                _build(request, folder, progress)
    progress(1.0)


def _build(request: BuildRequest, folder: Path, progress: Progress) -> None:
    interpreter = find_interpreter(request.python_version)
    parts = parts_of(request.lock)
    cache = request.cache or request.root.parent / "uv"
    target = Target(folder, interpreter, cache)
    if folder.exists():
        shutil.rmtree(folder)
    log = _log_path(request.root, request.digest)
    log.unlink(missing_ok=True)
    run = _Run(log, folder, parts.count, progress, request.timeout_s)
    old_umask = os.umask(0o022)
    try:
        run.step(create_step(target), _AT_CREATED)
        with tempfile.TemporaryDirectory() as scratch:
            if parts.hashed:
                file = _written(Path(scratch, "hashed.txt"), parts.hashed)
                run.step(hashed_step(target, file), _AT_INSTALLED)
            if parts.unhashed:
                file = _written(Path(scratch, "plain.txt"), parts.unhashed)
                run.step(unhashed_step(target, file, request.pip_args), _AT_INSTALLED)
        run.step(compile_step(target), _AT_COMPILED)
        _open_to_read(folder)
        _finish(folder, request)
    except BuildError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.umask(old_umask)


def find_interpreter(python_version: str) -> str:
    """A base interpreter of that version ("3.11"): the portal's own, or one on PATH."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python_version == own:
        # Of a virtual environment only the interpreter below it stays when the portal moves.
        base: str = getattr(sys, "_base_executable", sys.executable)
        return os.path.realpath(base)
    found = shutil.which(f"python{python_version}")
    if found is None:
        raise BuildError(
            f"This image needs Python {python_version}; this machine has {own}. "
            f"Install python{python_version} where the portal finds it."
        )
    return os.path.realpath(found)


@dataclass(slots=True)
class _Run:
    """The programs of one build, their common log, and how far it is."""

    log: Path
    folder: Path
    expected: int
    progress: Progress
    timeout_s: int
    done: float = 0.0

    def step(self, step: Step, until: float) -> None:
        """Run one program to its end; raise the progress to `until`."""
        code = self._run(step, until)
        if code != 0 and step.otherwise is not None:
            code = self._run(step.otherwise, until)
        if code != 0:
            tail = self.log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
            lines = [line.strip() for line in tail.splitlines() if line.strip()]
            last = lines[-1][:200] if lines else f"it ended with code {code}"
            raise BuildError(f"Building the environment failed: {last}", tail)
        self._advance(until)

    def _run(self, step: Step, until: float) -> int:
        before = self.done
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                step.argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=dict(step.env)
            )
            waited_s = 0.0
            try:
                while True:
                    try:
                        return process.wait(_LOOK_S)
                    except subprocess.TimeoutExpired:
                        waited_s += _LOOK_S
                    if waited_s > self.timeout_s:
                        out.write(f"\nended after {self.timeout_s} s without result\n".encode())
                        return -1
                    self._advance(before + (until - before) * self._share())
            finally:
                process.kill()
                process.wait()

    def _share(self) -> float:
        """How much of the installing is done: half is fetching (by the log), half unpacking."""
        text = self.log.read_text(errors="replace")
        started = len(re.findall(r"^\s*Downloading ", text, re.MULTILINE))
        fetched = len(re.findall(r"^\s*(?:Downloaded|Using cached) ", text, re.MULTILINE))
        unpacked = sum(1 for _ in self.folder.glob("lib/python*/site-packages/*.dist-info"))
        by_log = min(1.0, fetched / started) if started else 0.0
        return min(1.0, 0.5 * by_log + unpacked / max(self.expected, 1))

    def _advance(self, done: float) -> None:
        if done > self.done:
            self.done = done
            self.progress(round(done, 3))


def _finish(folder: Path, request: BuildRequest) -> None:
    """Say that it is complete, so that a crash before this line leaves nothing that counts."""
    partial = folder / (READY + ".part")
    content = {
        "digest": request.digest,
        "python_version": request.python_version,
        "built_at": datetime.now(UTC).isoformat(),
    }
    with partial.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / READY)


def _open_to_read(folder: Path) -> None:
    """Everyone may read it, nobody but its owner write: it is shared by all people."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        executable = 0o111 if path.is_dir() or mode & 0o100 else 0
        wanted = (mode | 0o444 | executable) & ~0o022
        if wanted != mode:
            path.chmod(wanted)


def _written(path: Path, lines: tuple[str, ...]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def _log_path(root: Path, digest: str) -> Path:
    return root / "logs" / f"{environment_dir(root, digest).name}.log"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel lets go of it when its holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
