"""Who may come in by socket. `portal.doorkeeper` answers, because this app knows no people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from django.http import parse_cookie

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Knock:
    """What a handshake brings; header values are "" where there is none."""

    origin: str
    authorization: str
    accept_language: str
    cookies: Mapping[str, str]

    @classmethod
    def of(cls, headers: Sequence[tuple[bytes, bytes]]) -> Knock:
        """From the headers of an ASGI scope. A header that comes twice counts as malformed: "?"."""
        found: dict[bytes, str] = {}
        for name, value in headers:
            found[name] = "?" if name in found and name != b"cookie" else value.decode("latin-1")
        return cls(
            origin=found.get(b"origin", ""),
            authorization=found.get(b"authorization", ""),
            accept_language=found.get(b"accept-language", ""),
            cookies=parse_cookie(found.get(b"cookie", "")),
        )

    def comes_from(self, portal_url: str) -> bool:
        """Whether the Origin is the portal's own. Browsers always send one; programs that bring a
        token need none."""
        if not self.origin:
            return bool(self.authorization)
        return _origin(self.origin) == _origin(portal_url)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Someone who was let in, by what, and in which language they read."""

    person: object = field(compare=False, repr=False)
    person_id: int
    epoch: int
    language: str
    session_key: str = field(default="", repr=False)
    token_id: int | None = None


class Doorkeeper(Protocol):
    """Knows sessions, tokens and people. Synchronous; may use the database."""

    def admit(self, knock: Knock) -> Visitor | None:
        """Who knocks, by cookie or bearer token with the scope `read`; None: nobody we know."""
        ...

    def review(self, visitors: Sequence[Visitor]) -> list[object | None]:
        """For each visitor the person as they are now, or None where what let them in no longer
        holds. A fixed number of queries."""
        ...


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", None, None
    return parts.scheme, parts.hostname, port
