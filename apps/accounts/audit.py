"""The record of what was done: every service calls `record` in the transaction of what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from apps.accounts.models import AuditRow, User

SYSTEM = "portal"


@dataclass(frozen=True, slots=True)
class Target:
    """What something was done to. `owner` is whose it is, where it is someone's."""

    type: str
    uid: str
    owner: User | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """One thing done. `action` is `<type>.<verb>`; `detail` holds no secrets."""

    action: str
    target: Target
    detail: Mapping[str, object] = field(default_factory=dict)


def record(actor: User | None, act: Act) -> None:
    """Write one audit row; `actor` None means that the portal acted by itself."""
    AuditRow.objects.create(
        actor=actor,
        actor_name=actor.username if actor else SYSTEM,
        action=act.action,
        target_type=act.target.type,
        target_uid=act.target.uid,
        owner=act.target.owner,
        detail=dict(act.detail),
    )
