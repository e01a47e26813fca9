"""Addresses of workspace servers, as the table spells them: "unix:/path" or "host:port"."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Strict on purpose: the text becomes part of a URL in nginx.
_UNIX = re.compile(r"unix:(/[A-Za-z0-9._/+@=-]{1,106})")
_TCP = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A unix socket (`path`) or a TCP address (`host`, `port`)."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def for_nginx(self) -> str:
        """What goes between "http://" and the path in `proxy_pass`."""
        return f"unix:{self.path}:" if self.path else f"{self.host}:{self.port}"


def parse_upstream(text: str) -> Upstream | None:
    """The address, or None if the text is not one."""
    if match := _UNIX.fullmatch(text):
        return Upstream(path=match[1])
    if match := _TCP.fullmatch(text):
        port = int(match[2])
        return Upstream(host=match[1], port=port) if 0 < port < 65536 else None
    return None
