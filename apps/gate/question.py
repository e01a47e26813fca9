"""The headers in which nginx and gate speak with each other (see `deploy/nginx`).

nginx sets every one of these itself, from what it parsed, so that nothing a client sends under
these names arrives. Other headers of a request come under their own names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apps.gate.policy import Facts

PREFIX = "x-gate-"
WORKSPACE = "x-gate-workspace"
METHOD = "x-gate-method"
URI = "x-gate-uri"

IDENTITY_HEADERS = frozenset(
    {
        "forwarded",
        "proxy-authorization",
        "proxy-connection",
        "remote-user",
        "remote-email",
        "remote-groups",
        "remote-name",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-preferred-username",
        "x-forwarded-access-token",
        "x-auth-request-user",
        "x-auth-request-email",
        "x-auth-request-groups",
        "x-remote-user",
        "x-upstream",
        "x-user",
    }
)
"""What a client may not say about itself; the tunnel drops them, and so does nginx."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request as nginx describes it. `uri` is the raw request target with query."""

    facts: Facts
    uri: str
    language: str


def read_question(headers: Iterable[tuple[bytes, bytes]], *, upgrade: bool = False) -> Question:
    """The question in a request's headers (names in lower case). Absent ones are ""."""
    found = dict(headers)

    def text(name: str) -> str:
        return found.get(name.encode(), b"").decode("latin-1")

    facts = Facts(
        workspace=text(WORKSPACE),
        method=text(METHOD).upper(),
        upgrade=upgrade,
        origin=text("origin"),
        fetch_site=text("sec-fetch-site"),
        fetch_mode=text("sec-fetch-mode"),
        fetch_dest=text("sec-fetch-dest"),
        cookie=text("cookie"),
        authorization=text("authorization"),
        accept=text("accept"),
    )
    return Question(facts=facts, uri=text(URI), language=text("accept-language"))
