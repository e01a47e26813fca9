"""Where a `next` may lead: to paths of our own, nowhere else."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def own_path(target: str | None) -> str | None:
    """`target` if it is a path on this portal, else None.

    Refuses everything that a browser might read as another host: schemes, `//`, backslashes,
    control characters.
    """
    if not target or not target.startswith("/") or "\\" in target:
        return None
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in target):
        return None
    return target if url_has_allowed_host_and_scheme(target, allowed_hosts=None) else None


def next_path(request: HttpRequest, default: str) -> str:
    """What a posted form says to show next, if that is ours, else `default`."""
    return own_path(request.POST.get("next")) or default
