"""Where workspaces and the portal are: the URL templates, read in one place.

Gate uses it for origins, cookie paths and redirects; `deploy/nginx/render.py` for server names.
Standard library only, because the trial's set-up runs before anything is installed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

UID_PATTERN = r"[a-z0-9]{20,26}"
COOKIE_PREFIX = "gpc_"
"""All cookies of the portal and of gate begin with this; none of them reaches a workspace."""

_UID = re.compile(UID_PATTERN)
_MARK = "{uid}"
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_uid(text: str) -> bool:
    """True if `text` can be the uid of a workspace."""
    return _UID.fullmatch(text) is not None


@dataclass(frozen=True)
class Addresses:
    """The portal's URL and the template of workspace URLs.

    `template` holds `{uid}` (or `<uid>`) once: as part of the host name
    (`https://w-{uid}.lab.example/`) or as a folder on the portal's own host
    (`https://lab.example/w/{uid}/`). Raises ValueError for anything else.
    """

    portal_url: str
    template: str

    def __post_init__(self) -> None:
        parts = self._parts
        if self._text.count(_MARK) != 1 or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ValueError("the workspace URL template needs http(s), a host and one {uid}")
        if parts.query or parts.fragment or not parts.path.endswith("/"):
            raise ValueError("the workspace URL template must end in /")
        if self.by_host and parts.path != "/":
            raise ValueError("with {uid} in the host name the path of the template must be /")
        if self.by_host and urlsplit(self._filled).hostname == urlsplit(self.portal_url).hostname:
            raise ValueError("a workspace's host must differ from the portal's")
        if not self.by_host and self._origin(parts) != self.portal_origin:
            raise ValueError("with {uid} in the path, workspaces are on the portal's own host")

    @property
    def _text(self) -> str:
        return self.template.replace("<uid>", _MARK)

    @property
    def _filled(self) -> str:
        return self._text.replace(_MARK, "a" * 22)

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self._text)

    @staticmethod
    def _origin(parts: SplitResult) -> str:
        return f"{parts.scheme}://{parts.netloc.lower()}"

    @cached_property
    def by_host(self) -> bool:
        """True if each workspace has a host name (an origin) of its own."""
        return _MARK in self._parts.netloc

    @cached_property
    def secure(self) -> bool:
        """True if workspaces are served over https."""
        return self._parts.scheme == "https"

    @cached_property
    def portal_origin(self) -> str:
        """Scheme, host and port of the portal, as browsers write an Origin."""
        return self._origin(urlsplit(self.portal_url))

    @property
    def portal_host(self) -> str:
        """Host name of the portal, without port."""
        return urlsplit(self.portal_url).hostname or ""

    @property
    def portal_authority(self) -> str:
        """Host and port of the portal, as in a Host header."""
        return urlsplit(self.portal_url).netloc.lower()

    @property
    def port_suffix(self) -> str:
        """What follows a workspace's host name in a Host header: ":8000", or nothing."""
        port = self._parts.netloc.rpartition(":")[2]
        return f":{port}" if port.isdigit() and port != _DEFAULT_PORTS[self._parts.scheme] else ""

    @property
    def host_pattern(self) -> str:
        """Regular expression of workspace host names; the group `workspace` is the uid."""
        if not self.by_host:
            return "^(?!)(?<workspace>x)"
        before, _, after = (self._parts.hostname or "").partition(_MARK)
        return f"^{re.escape(before)}(?<workspace>{UID_PATTERN}){re.escape(after)}$"

    @property
    def path_before_uid(self) -> str:
        """With a path template what comes before the uid ("/w/"); else ""."""
        return "" if self.by_host else self._parts.path.partition(_MARK)[0]

    @property
    def path_after_uid(self) -> str:
        """With a path template what comes after the uid ("/"); else ""."""
        return "" if self.by_host else self._parts.path.partition(_MARK)[2]

    def url(self, uid: str) -> str:
        """Base URL of a workspace; ends in "/"."""
        return self._text.replace(_MARK, uid)

    def origin(self, uid: str) -> str:
        """The Origin that a browser sends from this workspace's pages."""
        return self._origin(self._parts).replace(_MARK, uid)

    def base_path(self, uid: str) -> str:
        """Path of a workspace on its host: "/" or "/w/<uid>/"."""
        return "/" if self.by_host else self._parts.path.replace(_MARK, uid)

    def enter_url(self, uid: str) -> str:
        """The portal's page that lets someone in (it adds a ticket and comes back)."""
        return f"{self.portal_url.rstrip('/')}/workspaces/{uid}/enter/"

    def page_url(self, uid: str) -> str:
        """The portal's page about a workspace."""
        return f"{self.portal_url.rstrip('/')}/workspaces/{uid}/"

    def cookie_name(self, kind: str, uid: str) -> str:
        """Name of gate's cookie of one kind ("gate", "enter") for one workspace.

        Over https the name carries the prefix with which browsers themselves refuse a cookie
        that another host or a script on plain http has planted.
        """
        prefix = ("__Host-" if self.by_host else "__Secure-") if self.secure else ""
        return f"{prefix}{COOKIE_PREFIX}{kind}_{uid[:8]}"

    def cookie_attributes(self, uid: str, max_age_s: int) -> str:
        """Attributes of gate's cookies: host-only, of this workspace's path, closed to scripts."""
        secure = "; Secure" if self.secure else ""
        path = self.base_path(uid)
        return f"; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"
