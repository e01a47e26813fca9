"""Who wants to know how an environment gets on. `portal.wiring` fills the list, nothing else."""

from __future__ import annotations

from collections.abc import Callable

from apps.catalog.models import EnvironmentBuild

Follower = Callable[[EnvironmentBuild], None]
followers: list[Follower] = []


def build_changed(build: EnvironmentBuild) -> None:
    """Tell every follower; called in the transaction that changed state, progress or message."""
    for follower in followers:
        follower(build)
