"""nginx's configuration from its templates. Pure: reads the templates beside it, nothing else.

`deploy/trial` writes the text to a file and starts `nginx -c FILE` (the text says `daemon off`);
before that `folders(settings)` must exist, 0700. The same templates serve an installation with
several machines, behind whatever ends TLS there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from apps.gate.addresses import UID_PATTERN, Addresses

_HERE = Path(__file__).resolve().parent

# Kept equal to `apps.gate.question.IDENTITY_HEADERS` by a test: nginx cannot drop by prefix.
IDENTITY_HEADERS = (
    "Forwarded",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Remote-User",
    "Remote-Email",
    "Remote-Groups",
    "Remote-Name",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Auth-Request-Groups",
    "X-Remote-User",
    "X-Upstream",
    "X-User",
)
GATE_HEADERS = (
    "X-Gate-Workspace",
    "X-Gate-Method",
    "X-Gate-Uri",
    "X-Gate-Upstream",
    "X-Gate-Strip",
    "X-Gate-Cookie",
    "X-Gate-Authorization",
    "X-Gate-Renewal",
)


MAX_SET_COOKIES = 8
"""Of one answer of a workspace; further ones are dropped."""

# One of the cookies that nginx joins by ", ": commas inside belong to dates ("Mon, 02 Nov ...").
_COOKIE = r"[^,]*+(?:, \d\d[ -][^,]*+)*+"
_PARTS = (
    ("PORTAL_HEADERS", "portal-headers"),
    ("QUESTION_HEADERS", "question-headers"),
    ("GATE_REQUEST", "gate-request"),
    ("RESPONSE_RULES", "response-rules"),
    ("GATE_LOCATIONS", "gate-locations"),
    ("DOWN_LOCATIONS", "down"),
    ("WORKSPACE", "workspace"),
)
_PLACEHOLDER = re.compile(r"(?P<indent>(?m:^) +)?%\{(?P<name>[A-Z_]+)\}")
_UNSAFE_WORD = re.compile(r"[^A-Za-z0-9._:/\[\]-]")
_UNSAFE_PATH = re.compile(r"[\x00-\x1f\"'\\$%{};]")


@dataclass(frozen=True)
class NginxSettings:
    """What an installation decides.

    `user` is the account of nginx's workers when it is started as root: it must reach the sockets
    of workspaces ("root" in the trial); "" leaves nginx's default, and is needed when not root.
    `trusted_proxies` are networks whose X-Forwarded-For is believed.
    """

    bind: str
    port: int
    portal_url: str
    workspace_url_template: str
    run_dir: Path
    data_dir: Path
    static_dir: Path
    log_dir: Path
    pid_file: Path
    user: str = ""
    trusted_proxies: tuple[str, ...] = ()


def folders(settings: NginxSettings) -> tuple[Path, ...]:
    """Folders that must exist (0700, owned by the user of nginx's workers) before it starts."""
    home = settings.data_dir / "nginx"
    return home, home / "body", home / "proxy", home / "gate"


def render(settings: NginxSettings) -> str:
    """The whole configuration. Raises ValueError for settings that nginx would misread."""
    addresses = Addresses(settings.portal_url, settings.workspace_url_template)
    fill = _Filler(_values(settings, addresses))
    for name, part in _PARTS:
        fill.add(name, part)
    workspaces = "host-workspaces" if addresses.by_host else "path-workspaces"
    fill.values.update(HOST_WORKSPACES="", PATH_WORKSPACES="")
    fill.add(workspaces.replace("-", "_").upper(), workspaces)
    return _fill(_HERE / "nginx.conf.template", fill.values)


class _Filler:
    """Fills in parts; each becomes a value for those after it."""

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def add(self, name: str, part: str) -> None:
        self.values[name] = _fill(_HERE / "parts" / f"{part}.conf.template", self.values)


def _fill(template: Path, values: dict[str, str]) -> str:
    """The template with each %{NAME} filled in ("$" is nginx's own), indented as it stands."""

    def value(match: re.Match[str]) -> str:
        text = values[match["name"]]
        return indent(text.rstrip(), match["indent"]) if match["indent"] else text

    return _PLACEHOLDER.sub(value, template.read_text(encoding="utf-8"))


def _values(settings: NginxSettings, addresses: Addresses) -> dict[str, str]:
    if not 0 < settings.port < 65536:
        raise ValueError(f"port {settings.port} is out of range")
    if not addresses.by_host and addresses.path_after_uid != "/":
        raise ValueError("the path template must end in the uid and /")
    bind = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
    before = addresses.path_before_uid
    return {
        "USER_LINE": f"user {_word(settings.user)};" if settings.user else "",
        "LISTEN": f"{_word(bind)}:{settings.port}",
        "PORTAL_HOST": _word(addresses.portal_host),
        "PORTAL_AUTHORITY": _word(addresses.portal_authority),
        "SCHEME": "https" if addresses.secure else "http",
        "WORKSPACE_PORT": addresses.port_suffix,
        "WORKSPACE_HOST_REGEX": addresses.host_pattern,
        "WORKSPACE_PATH_REGEX": f"^{re.escape(before)}(?<workspace>{UID_PATTERN})",
        "PATH_BEFORE": re.escape(before) if before else "(?!)",
        "PATH_FOR_NGINX": before,
        "GUARD": "" if addresses.by_host else 'if ($is_plain_path = "") {\n    return 400;\n}',
        # Where the portal is on the same origin, no script of a workspace may serve its paths.
        "SHARED_ORIGIN_RULES": ""
        if addresses.by_host
        else "proxy_hide_header Service-Worker-Allowed;",
        "COOKIE_MAPS": _cookie_maps(addresses),
        "SET_COOKIES": _lines(
            f"add_header Set-Cookie $set_cookie_{number} always;"
            for number in range(1, MAX_SET_COOKIES + 1)
        ),
        "TRUSTED_PROXIES": _lines(
            f"set_real_ip_from {_word(network)};" for network in settings.trusted_proxies
        ),
        "IDENTITY_HEADERS": _lines(f'proxy_set_header {name} "";' for name in IDENTITY_HEADERS),
        "GATE_HEADERS": _lines(f'proxy_set_header {name} "";' for name in GATE_HEADERS),
        "RUN_DIR": _path(settings.run_dir),
        "DATA_DIR": _path(settings.data_dir),
        "STATIC_DIR": _path(settings.static_dir),
        "LOG_DIR": _path(settings.log_dir),
        "PID_FILE": _path(settings.pid_file),
    }


def _cookie_maps(addresses: Addresses) -> str:
    """Maps that give $set_cookie_1 and on: what each cookie of a workspace's answer becomes."""
    path = "" if addresses.by_host else f"; Path={addresses.path_before_uid}$workspace/"
    maps = []
    for number in range(1, MAX_SET_COOKIES + 1):
        raw = f"$raw_cookie_{number}"
        maps.append(
            f'map $upstream_http_set_cookie {raw} {{\n    default "";\n'
            f'    "~^(?:{_COOKIE}, ){{{number - 1}}}(?<raw_{number}>{_COOKIE})" $raw_{number};\n'
            "}\n"
            f'map {raw} $set_cookie_{number} {{\n    default "{raw}{path}";\n    "" "";\n'
            '    "~[\\x00-\\x08\\x0a-\\x1f\\x7f]" "";\n'
            '    "~*^[\\s\\"]*(?:__[a-z-]+-)?gpc_" "";\n'
            f'    "~*domain" "{raw}; Domain=$host{path}";\n}}'
        )
    return "\n".join(maps)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _word(text: str) -> str:
    """`text` as one word of the configuration. Raises ValueError if it could be more."""
    if not text or _UNSAFE_WORD.search(text):
        raise ValueError(f"{text!r} cannot stand in the configuration of nginx")
    return text


def _path(path: Path) -> str:
    """`path` between quotation marks. Raises ValueError if it is relative or breaks out."""
    if not path.is_absolute() or _UNSAFE_PATH.search(str(path)):
        raise ValueError(f"{path} must be absolute and free of quotes, braces, $, %, ; and \\")
    return str(path)
