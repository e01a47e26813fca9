"""Where a workspace is: the URL that people open, and the path under which its server runs.

Pure: both come from the installation's template and the workspace's uid alone.
"""

from __future__ import annotations

from urllib.parse import urlsplit

MARK = "{uid}"


def workspace_url(uid: str, template: str) -> str:
    """The address of the workspace; ends in "/". `template` holds `{uid}` once, in the host name
    or in the path."""
    return template.replace(MARK, uid)


def base_path(uid: str, template: str, *, strip_prefix: bool = False) -> str:
    """The path below which the workspace's server answers; begins and ends in "/".

    "/" where each workspace has a host name of its own, and for apps whose prefix gate strips.
    """
    if strip_prefix:
        return "/"
    return urlsplit(workspace_url(uid, template)).path or "/"
