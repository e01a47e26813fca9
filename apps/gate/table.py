"""What gate knows of the database, as plain values in dictionaries.

`store` replaces the table when PostgreSQL changes; `policy` reads it. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field

STALE_AFTER_S = 15.0
"""Knowledge older than this lets nobody in anew."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a workspace is served.

    `upstream` is "unix:/path", "host:port", or "" when not ready; `authorization` the value that
    the run's server expects in that header ("" if none).
    """

    workspace_uid: str
    owner_id: int
    owner_uid: str
    run: str
    upstream: str
    authorization: str = field(repr=False)
    strip_prefix: bool
    ready: bool
    phase: str
    name: str

    @property
    def is_open(self) -> bool:
        """True if requests can be sent to it."""
        return self.ready and bool(self.upstream)


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who may own workspaces. A rising `epoch` ends everything given before."""

    person_id: int
    uid: str
    epoch: int
    active: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A live API token, by the digest of its text. `expires_at` in Unix seconds."""

    person_id: int
    scopes: frozenset[str]
    expires_at: float


@dataclass(frozen=True, slots=True)
class Table:
    """One consistent view of the database.

    `read_at` is monotonic time of the newest successful look (not of the newest change);
    `generation` rises when gate was blind for so long that it may have missed a sign-out.
    """

    routes: dict[str, Route] = field(default_factory=dict)
    people: dict[int, Person] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    signouts: frozenset[str] = frozenset()
    read_at: float | None = None
    generation: int = 0

    def age_s(self, monotonic: float) -> float | None:
        """Seconds since the database was last read; None if it never was."""
        return None if self.read_at is None else max(0.0, monotonic - self.read_at)

    def is_fresh(self, monotonic: float) -> bool:
        """True if new people may be let in on what is known."""
        age = self.age_s(monotonic)
        return age is not None and age <= STALE_AFTER_S
