"""Cookie headers, as far as gate needs them: find ours, and take ours out.

`policy` looks for grants here and hands the rest of the header on to the workspace.
"""

from __future__ import annotations

from apps.gate.addresses import COOKIE_PREFIX

_MAX_CANDIDATES = 4
_BROWSER_PREFIXES = ("__host-", "__secure-", "__http-", "__host-http-")


def values(header: str, name: str) -> list[str]:
    """All values that a Cookie header gives for `name`, at most four.

    There can be several: another host of the same site may have planted one of this name.
    """
    found = []
    for pair in header.split(";"):
        key, equals, value = pair.strip().partition("=")
        if equals and key.strip() == name:
            found.append(value.strip())
    return found[:_MAX_CANDIDATES]


def without_ours(header: str) -> str:
    """The Cookie header without any cookie of the portal or of gate. May be empty.

    A pair without "=" is a value without name to a browser but a name to some servers: it is
    judged as a name.
    """
    kept = []
    for pair in header.split(";"):
        text = pair.strip()
        if text and not is_ours(text):
            kept.append(text)
    return "; ".join(kept)


def is_ours(pair: str) -> bool:
    """True if a cookie pair (or a whole Set-Cookie value) names a cookie of the portal or gate."""
    lowered = pair.partition(";")[0].partition("=")[0].strip().strip('"').lower()
    for prefix in _BROWSER_PREFIXES:
        lowered = lowered.removeprefix(prefix)
    return lowered.startswith(COOKIE_PREFIX)
