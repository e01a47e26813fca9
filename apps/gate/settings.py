"""What gate is told by its environment, checked once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apps.gate.addresses import Addresses

_MIN_KEY_LENGTH = 32


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Key and database URL are secrets; `run_dir` holds the sockets, `locale_dir` catalogues."""

    key: str = field(repr=False)
    database_url: str = field(repr=False)
    addresses: Addresses
    run_dir: Path
    locale_dir: Path

    @property
    def http_socket(self) -> Path:
        """Where nginx asks."""
        return self.run_dir / "gate.sock"

    @property
    def tunnel_socket(self) -> Path:
        """Where nginx hands over upgrade requests."""
        return self.run_dir / "gate-ws.sock"


def read_settings(environ: Mapping[str, str] = os.environ) -> GateSettings:
    """Settings from `PORTAL_*`, secrets also from files named by `PORTAL_*_FILE`.

    `PORTAL_GATE_DATABASE_URL` may name a database role that can read only gate's four views.
    Raises ValueError with the name of what is missing or wrong.
    """
    key = _required(environ, "PORTAL_GATE_KEY")
    if len(key) < _MIN_KEY_LENGTH:
        raise ValueError(f"PORTAL_GATE_KEY must have at least {_MIN_KEY_LENGTH} characters")
    return GateSettings(
        key=key,
        database_url=_value(environ, "PORTAL_GATE_DATABASE_URL")
        or _required(environ, "PORTAL_DATABASE_URL"),
        addresses=Addresses(
            portal_url=_required(environ, "PORTAL_URL"),
            template=_required(environ, "PORTAL_WORKSPACE_URL_TEMPLATE"),
        ),
        run_dir=Path(_required(environ, "PORTAL_RUN_DIR")),
        locale_dir=Path(__file__).resolve().parents[2] / "locale",
    )


def _required(environ: Mapping[str, str], name: str) -> str:
    value = _value(environ, name)
    if not value:
        raise ValueError(f"{name} is not set")
    return value


def _value(environ: Mapping[str, str], name: str) -> str:
    if path := environ.get(f"{name}_FILE"):
        return Path(path).read_text().strip()
    return environ.get(name, "").strip()
