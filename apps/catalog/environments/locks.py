"""Lock files: what an environment contains, and the digest that names exactly that.

Read by `builder` (to install), by `apps.catalog.services` (to name versions) and by tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LockParts:
    """The requirements of a lock, by whether they name the hashes of their files.

    A line without hashes is for packages that come from a place of the admin's choosing
    (`pip_args`); pip refuses to install both kinds at once.
    """

    hashed: tuple[str, ...]
    unhashed: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many requirements there are; some may not apply to this machine."""
        return len(self.hashed) + len(self.unhashed)


def lock_digest(lock: str, pip_args: tuple[str, ...], python_version: str) -> str:
    """Name the content: "sha256:" and 64 hexadecimal digits.

    Comments, blank lines, spacing and the order of lines do not matter, everything else does.
    """
    lines = sorted(requirements_of(lock))
    text = "\n".join([f"python {python_version}", *(f"arg {arg}" for arg in pip_args), *lines])
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def requirements_of(lock: str) -> Iterator[str]:
    """Each requirement as one line, without comments, continuation or repeated spaces."""
    for line in lock.replace("\\\n", " ").splitlines():
        bare = " ".join(line.split())
        if bare.startswith("#"):
            continue
        bare = bare.split(" #")[0].strip()
        if bare:
            yield bare


def parts_of(lock: str) -> LockParts:
    """Split a lock into what pip must check by hash and what it cannot."""
    hashed: list[str] = []
    unhashed: list[str] = []
    for line in requirements_of(lock):
        (hashed if "--hash=" in line else unhashed).append(line)
    return LockParts(tuple(hashed), tuple(unhashed))
