"""The steps of a launch and how long each took, from the timeline of one run. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from apps.workspaces.types import EventView, StageView

KEYS = ("queued", "pulling", "starting", "ready")
OVER = ("stopping", "stopped")


def stages_of(phase: str, events: Sequence[EventView]) -> tuple[StageView, ...]:
    """The four steps for a run that is in `phase`, given its own events (any order).

    A step that was skipped on the way (the image was there) is done and took no time.
    """
    began: dict[str, dt.datetime] = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.type in (*KEYS, *OVER, "failed"):
            began.setdefault(event.type, event.at)
    reached = max((at for at, key in enumerate(KEYS) if key in began), default=0)
    return tuple(_stage(at, reached, phase, began) for at in range(len(KEYS)))


def _stage(at: int, reached: int, phase: str, began: dict[str, dt.datetime]) -> StageView:
    key = KEYS[at]
    since = began.get(key)
    if at > reached:
        return StageView(key, "todo")
    if at == reached and phase == "failed":
        return StageView(key, "failed", since, _seconds(since, began.get("failed")))
    if at == reached and phase == key and key != "ready":
        return StageView(key, "current", since)
    following = [began[later] for later in (*KEYS[at + 1 :], *OVER) if later in began]
    seconds = None if key == "ready" else _seconds(since, min(following, default=None))
    return StageView(key, "done", since, seconds)


def _seconds(since: dt.datetime | None, until: dt.datetime | None) -> float | None:
    if since is None:
        return 0.0
    return max(0.0, (until - since).total_seconds()) if until else None
