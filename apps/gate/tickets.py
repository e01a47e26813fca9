"""Signed texts between web and gate, and between gate and browsers.

The way in: gate sends a browser without a grant to the portal's
`/workspaces/<uid>/enter/?next=<path>`; that view checks who asks and answers 302 to
`<workspace url>_gate/enter?ticket=<enter_ticket(...)>`; gate burns the ticket and gives a grant,
a cookie of at most ten minutes that gate renews while it is used.

What web does (everything else here is gate's):

    ticket = enter_ticket(
        Entry(person_id=person.pk, person_uid=person.uid, epoch=person.epoch,
              session=session_digest(request.session.session_key),
              workspace=workspace.uid, next_path=request.GET.get("next", "")),
        key=settings.GATE_KEY, now=time.time())
    redirect(enter_location(workspace_url, ticket))

`next` is opaque to web: it must come back unchanged, because gate hides in it which browser asked.
Standard library only; both sides share `PORTAL_GATE_KEY`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

ENTRY_LIFETIME_S = 60
GRANT_LIFETIME_S = 600
ENTRY_PURPOSE = "enter"
GRANT_PURPOSE = "grant"

_CONTEXT = b"gpucommons gate 1\n"
_MAX_LENGTH = 4096


class TicketError(Exception):
    """The text is not a ticket that we gave for this purpose, or it has expired."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Web's word that a person may enter a workspace. Single use, good for 60 s.

    `session` is `session_digest` of the portal session; `next_path` what was asked for.
    `nonce` is made by `enter_ticket` and is what gate remembers to refuse a second use.
    """

    person_id: int
    person_uid: str
    epoch: int
    session: str
    workspace: str
    next_path: str = ""
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """Gate's word that a browser may pass to one run of one workspace.

    `began_at` and `expires_at` are Unix seconds: of the first entry, which renewals keep, and of
    the end of this grant.
    """

    person_id: int
    epoch: int
    session: str
    workspace: str
    run: str
    upstream: str
    began_at: int
    expires_at: int


def session_digest(session_key: str | None) -> str:
    """What names a portal session outside web: SHA-256 hex of its key (as in `gate_signouts`)."""
    return hashlib.sha256((session_key or "").encode()).hexdigest()


def sign(payload: dict[str, Any], *, key: str, purpose: str, expires_at: float) -> str:
    """Return `payload` as a URL-safe text that `verify` accepts until `expires_at` (Unix time)."""
    whole = {**payload, "p": purpose, "x": int(expires_at)}
    body = _encode(json.dumps(whole, separators=(",", ":"), sort_keys=True).encode())
    return f"{body}.{_encode(_mac(body, key))}"


def verify(text: str, *, key: str, purpose: str, now: float) -> dict[str, Any]:
    """Return the payload that was signed. Compares in constant time. Raises TicketError."""
    body, dot, mac = text.partition(".")
    if not dot or len(text) > _MAX_LENGTH or not text.isascii():
        raise TicketError("malformed")
    if not hmac.compare_digest(_encode(_mac(body, key)), mac):
        raise TicketError("signature")
    payload = _decode(body)
    if payload.get("p") != purpose:
        raise TicketError("purpose")
    expires_at = payload.get("x")
    if not isinstance(expires_at, int) or expires_at <= now:
        raise TicketError("expired")
    return payload


def enter_ticket(entry: Entry, *, key: str, now: float) -> str:
    """Web's part: the ticket that lets `entry.person` in, once, within 60 s of `now`."""
    payload = {
        "i": entry.person_id,
        "o": entry.person_uid,
        "e": entry.epoch,
        "s": entry.session,
        "w": entry.workspace,
        "n": entry.next_path,
        "j": secrets.token_urlsafe(12),
    }
    return sign(payload, key=key, purpose=ENTRY_PURPOSE, expires_at=now + ENTRY_LIFETIME_S)


def enter_location(workspace_url: str, ticket: str) -> str:
    """Where web sends the browser with its ticket. `workspace_url` ends in "/"."""
    return f"{workspace_url}_gate/enter?{urlencode({'ticket': ticket})}"


def read_entry(text: str, *, key: str, now: float) -> Entry:
    """The entry that web signed. Raises TicketError."""
    raw = verify(text, key=key, purpose=ENTRY_PURPOSE, now=now)
    try:
        return Entry(
            person_id=int(raw["i"]),
            person_uid=str(raw["o"]),
            epoch=int(raw["e"]),
            session=str(raw["s"]),
            workspace=str(raw["w"]),
            next_path=str(raw["n"]),
            nonce=str(raw["j"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TicketError("malformed") from error


def grant_ticket(grant: Grant, *, key: str) -> str:
    """The cookie value of a grant."""
    payload = {
        "i": grant.person_id,
        "e": grant.epoch,
        "s": grant.session,
        "w": grant.workspace,
        "r": grant.run,
        "u": grant.upstream,
        "b": grant.began_at,
    }
    return sign(payload, key=key, purpose=GRANT_PURPOSE, expires_at=grant.expires_at)


def read_grant(text: str, *, key: str, now: float) -> Grant:
    """The grant that gate signed. Raises TicketError."""
    raw = verify(text, key=key, purpose=GRANT_PURPOSE, now=now)
    try:
        return Grant(
            person_id=int(raw["i"]),
            epoch=int(raw["e"]),
            session=str(raw["s"]),
            workspace=str(raw["w"]),
            run=str(raw["r"]),
            upstream=str(raw["u"]),
            began_at=int(raw["b"]),
            expires_at=int(raw["x"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TicketError("malformed") from error


def _mac(body: str, key: str) -> bytes:
    return hmac.digest(key.encode(), _CONTEXT + body.encode(), "sha256")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(body: str) -> dict[str, Any]:
    try:
        payload = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TicketError("malformed") from error
    if not isinstance(payload, dict):
        raise TicketError("malformed")
    return payload
