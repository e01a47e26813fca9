"""What a workspace and what belongs to it look like in REST, and in the live topic's data."""

from __future__ import annotations

from pydantic import Field

from apps.api.fields import Answer, Money, Timestamp
from apps.workspaces.types import EventView, WorkspaceView


class UsageOut(Answer):
    """What it uses now, as its agent says: cores, MiB, GiB; null where that is not known."""

    cpu: float | None
    memory_mib: float | None
    disk_gib: float | None


class CostOut(Answer):
    """What all its runs have cost so far."""

    amount: Money
    currency: str


class WorkspaceOut(Answer):
    """A workspace. `phase`: `queued pulling starting ready stopping stopped failed`. `reason` is a
    code for why, `message` and `hint` say it for people. `activity`: null, `saving`, `restoring`.
    `url` is always there and ends in `/`. `version` only rises."""

    uid: str
    name: str
    owner: str
    image: str
    ide: str
    size: str
    phase: str
    reason: str
    message: str
    hint: str
    activity: str | None
    progress: float | None = Field(description="Of preparing the image, from 0 to 1")
    url: str
    created_at: Timestamp
    ready_at: Timestamp | None
    idle_stop_at: Timestamp | None
    ends_at: Timestamp | None
    usage: UsageOut
    cost: CostOut
    version: int


class StopOut(Answer):
    """The workspace that is being stopped, and the snapshot that was begun before, if any."""

    workspace: WorkspaceOut
    snapshot: None


class DeleteOut(Answer):
    """A workspace on its way out; until `home_kept_until` an admin can bring its home back."""

    uid: str
    home_kept_until: Timestamp
    grace_s: int


class EventOut(Answer):
    """A line of the timeline. `type` and `reason` are codes, `message` and `hint` for people."""

    at: Timestamp
    type: str
    reason: str
    message: str
    hint: str


class LogOut(Answer):
    """The end of the server's log as it was at `at`; `is_cut` where there is more before it."""

    text: str
    at: Timestamp
    age_s: float
    is_cut: bool


def workspace_out(view: WorkspaceView) -> WorkspaceOut:
    """`view` as REST shows it, in the language that is active."""
    return WorkspaceOut(
        uid=view.uid,
        name=view.name,
        owner=view.owner_username,
        image=view.image,
        ide=view.ide,
        size=view.size,
        phase=view.phase,
        reason=view.reason,
        message=view.message,
        hint=view.hint,
        activity=view.activity,
        progress=None if view.progress is None else view.progress / 100,
        url=view.url,
        created_at=view.created_at,
        ready_at=view.ready_at,
        idle_stop_at=view.idle_stop_at,
        ends_at=view.ends_at,
        usage=UsageOut(
            cpu=view.used.cpu, memory_mib=view.used.memory_mib, disk_gib=view.used.disk_gib
        ),
        cost=CostOut(amount=view.cost_amount, currency=view.cost_currency),
        version=view.version,
    )


def event_out(event: EventView) -> EventOut:
    """`event` as REST shows it."""
    return EventOut(
        at=event.at,
        type=event.type,
        reason=event.reason,
        message=event.message,
        hint=event.hint,
    )
