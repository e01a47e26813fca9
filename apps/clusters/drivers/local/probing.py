"""Whether a server answers: publishing its socket, and one small HTTP request over it.

The watcher keeps a `Probe` per starting run in its selector; `driver.observe` asks once.
"""

from __future__ import annotations

import os
import socket
import stat
import time

from apps.clusters.drivers.local.places import Places, Record

_TIMEOUT_S = 2.0


def publish(places: Places, user_id: int) -> bool:
    """Link the server's socket to where the portal connects; True if it is there.

    Only a real socket that belongs to the person is published. A hard link, made without
    following anything: what the person does to the original later changes nothing. It is checked
    under another name first, so that nothing else is ever where the portal connects.
    """
    published = places.published
    candidate = published.with_name(published.name + ".new")
    try:
        original = os.lstat(places.run / "s" / "s")
    except OSError:
        return published.is_socket()
    if not (stat.S_ISSOCK(original.st_mode) and original.st_uid == user_id):
        return False
    try:
        if os.lstat(published).st_ino == original.st_ino:
            return True
    except FileNotFoundError:
        pass
    try:
        candidate.unlink(missing_ok=True)
        os.link(places.run / "s" / "s", candidate, follow_symlinks=False)
        made = os.lstat(candidate)
        if stat.S_ISSOCK(made.st_mode) and made.st_uid == user_id:
            candidate.rename(published)
            return True
        candidate.unlink()
    except OSError:
        return False
    return False


class Probe:
    """One question on its way. `fileno` is for a selector; readable means: ask `answer`."""

    def __init__(self, places: Places, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self.began = time.monotonic()
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        try:
            self._socket.connect(str(places.published))
            self._socket.sendall(request.encode())
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    @property
    def is_overdue(self) -> bool:
        """True if it has waited long enough for one answer."""
        return time.monotonic() - self.began > _TIMEOUT_S

    def answer(self) -> bool | None:
        """Whether the answer means ready: a status below 500. None: nothing has come yet."""
        try:
            data = self._socket.recv(64)
        except BlockingIOError:
            return None
        except OSError:
            return False
        words = data.split(b" ", 2)
        return (
            len(words) > 1
            and words[0].startswith(b"HTTP/1.")
            and words[1][:3].isdigit()
            and int(words[1][:3]) < 500
        )

    def wait(self, timeout_s: float) -> bool:
        """Wait for the answer instead of using a selector."""
        self._socket.settimeout(timeout_s)
        return self.answer() is True

    def close(self) -> None:
        """Give it up."""
        self._socket.close()


def readiness_path(spec: Record) -> str:
    """The path to ask for, from a run's `spec.json`."""
    return str(spec["base_url"]) + str(spec["app"]["readiness_path"]).lstrip("/")


def is_answering(places: Places, spec: Record, timeout_s: float = 0.5) -> bool:
    """Ask once and wait for the answer."""
    if not publish(places, spec["user_id"]):
        return False
    try:
        probe = Probe(places, readiness_path(spec))
    except OSError:
        return False
    try:
        return probe.wait(timeout_s)
    finally:
        probe.close()
