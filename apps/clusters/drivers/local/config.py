"""What the local driver is given, and what follows from it on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.clusters.drivers.base import DriverError, OwnerSpec

UID_BASE = 200_000
_MAX_NUMBER = 1_000_000


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """Folders (absolute, resolved), and how much the people here trust each other.

    `run` holds sockets and secrets of runs, `data` everything else; `environments` and `sdk` are
    only read. `trusted` lets several people run under one user id. `ready_deadline_s`: how long a
    server may take to answer. `log_bytes`: how much of one log is kept. `sim_gpus`: tier, count.
    """

    data: Path
    run: Path
    environments: Path
    sdk: Path
    trusted: bool = False
    sim_gpus: tuple[tuple[str, int], ...] = ()
    ready_deadline_s: float = 120.0
    log_bytes: int = 16 << 20
    use_cgroups: bool = True
    interpreter: str = ""

    @classmethod
    def parse(cls, config: Mapping[str, object]) -> LocalConfig:
        """From settings and the cluster's row. Raises `DriverError` "bad_config"."""
        try:
            data, run, environments, sdk = (
                Path(str(config[name])).resolve() for name in ("data", "run", "environments", "sdk")
            )
        except KeyError as error:
            raise DriverError(
                f"the local cluster has no {error.args[0]!r}", retryable=False, code="bad_config"
            ) from None
        slots = config.get("sim_gpus") or {}
        pairs = slots.items() if isinstance(slots, Mapping) else tuple(slots)  # type: ignore[arg-type] # pairs, else the next line says what is wrong
        return cls(
            data,
            run,
            environments,
            sdk,
            trusted=bool(config.get("trusted", False)),
            sim_gpus=tuple((str(tier), int(count)) for tier, count in pairs),
            ready_deadline_s=float(str(config.get("ready_deadline_s", 120))),
            log_bytes=int(str(config.get("log_bytes", 16 << 20))),
            use_cgroups=bool(config.get("use_cgroups", True)),
        )

    @property
    def is_isolating(self) -> bool:
        """True if each person gets a user id of their own: only root can give one."""
        return os.geteuid() == 0

    @property
    def python(self) -> str:
        """The interpreter that the driver's own small programs run under; in no environment."""
        return self.interpreter or os.path.realpath(getattr(sys, "_base_executable", ""))

    def user_id_of(self, owner: OwnerSpec) -> int:
        """The user id (and group id) of a person's processes and files."""
        if not 0 <= owner.number < _MAX_NUMBER:
            raise DriverError(
                f"person number {owner.number} is out of range", retryable=False, code="invalid"
            )
        return UID_BASE + owner.number if self.is_isolating else os.geteuid()
