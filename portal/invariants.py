"""Every check of what must always be true, collected from the apps that know."""

from __future__ import annotations

from collections.abc import Iterator

from apps.clusters.invariants import CHECKS as CLUSTERS
from apps.live.invariants import Broken, Check
from apps.quotas.invariants import CHECKS as QUOTAS
from apps.workspaces.invariants import CHECKS as WORKSPACES

CHECKS: tuple[Check, ...] = (*CLUSTERS, *QUOTAS, *WORKSPACES)


def broken() -> Iterator[Broken]:
    """All that is not as it must be now. Reads only; each check sees the database at its own
    moment, so what is in motion has a minute (`SETTLE_S`) before it counts."""
    for check in CHECKS:
        yield from check()
