"""What goes into the services of workspaces, and what their selectors hand out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.utils.translation import gettext


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What to launch: slugs of an image, of one of its apps and of a size. Name "": one is made."""

    image: str
    app: str
    size: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceChange:
    """What to change; None leaves it as it is. All but the name only while it is stopped."""

    name: str | None = None
    image: str | None = None
    app: str | None = None
    size: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """Words kept in English with their values, given in the reader's language."""

    source: str
    detail: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.source:
            return ""
        text = gettext(self.source)
        try:
            return text % self.detail if self.detail else text
        except (KeyError, TypeError, ValueError):
            # A translation or an older row whose placeholders do not fit is still worth reading.
            return text


@dataclass(frozen=True, slots=True)
class EventView:
    """A line of the timeline."""

    at: dt.datetime
    type: str
    reason: str
    told: Told
    told_hint: Told
    workspace_uid: str = ""
    workspace_name: str = ""

    @property
    def message(self) -> str:
        """What happened, in the reader's language."""
        return str(self.told)

    @property
    def hint(self) -> str:
        """What would help, in the reader's language; may be ""."""
        return str(self.told_hint)


@dataclass(frozen=True, slots=True)
class StageView:
    """A step of a launch. `state` is done, current, todo or failed; `seconds` how long it took."""

    key: str
    state: str
    since: dt.datetime | None = None
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """What a run uses now as its agent says: cores, MiB, GiB; None where it is not known."""

    cpu: float | None = None
    memory_mib: float | None = None
    disk_gib: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceView:
    """All that pages, fragments and REST show of a workspace. The same for all who may see it.

    CPU in cores, times aware; `told` and `told_hint` are translated when read. `stages` and
    `events` (newest first) are only filled by `selectors.describe_one`.
    """

    uid: str
    name: str
    version: int
    owner_uid: str
    owner_username: str
    owner_name: str
    phase: str
    phase_since: dt.datetime | None
    reason: str
    told: Told
    told_hint: Told
    activity: str | None
    url: str
    image: str
    image_name: str
    image_version: str
    python_version: str
    ide: str
    ide_name: str
    size: str
    size_name: str
    cpu: float
    memory_mib: int
    disk_gib: int
    gpus: int
    gpu_tier: str
    price_per_hour: Decimal
    currency: str
    created_at: dt.datetime
    ready_at: dt.datetime | None
    ready_s: float | None
    idle_stop_at: dt.datetime | None
    ends_at: dt.datetime | None
    used: Used
    cost_amount: Decimal
    cost_currency: str
    progress: int | None
    run_uid: str
    is_busy: bool | None
    is_isolated: bool
    is_simulated: bool
    log_tail: str = ""
    deleted_at: dt.datetime | None = None
    purge_after: dt.datetime | None = None
    stages: tuple[StageView, ...] = ()
    events: tuple[EventView, ...] = ()

    @property
    def message(self) -> str:
        """Why it is in this phase, in the reader's language; may be ""."""
        return str(self.told)

    @property
    def hint(self) -> str:
        """What would help, in the reader's language; may be ""."""
        return str(self.told_hint)

    @property
    def home_uid(self) -> str:
        """Which home it mounts: its own."""
        return self.uid

    @property
    def home_bytes(self) -> int | None:
        """How large the home is, as the agent said last."""
        return None if self.used.disk_gib is None else int(self.used.disk_gib * 2**30)

    @property
    def is_over(self) -> bool:
        """Whether nothing runs, so that it can be started, and image, size and app changed."""
        return self.phase in ("stopped", "failed")
