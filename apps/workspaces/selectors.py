"""Queries about workspaces. `get_workspace_for` is the only way from what someone sent to a row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.selectors import groups_led_in_common
from apps.live.errors import Forbidden, NotFound
from apps.workspaces import policies
from apps.workspaces.description import describe
from apps.workspaces.models import Workspace, WorkspaceEvent
from apps.workspaces.policies import Action, Relation, Viewer
from apps.workspaces.stages import stages_of
from apps.workspaces.types import EventView, Told, WorkspaceView

__all__ = ["describe", "describe_one"]

UID = re.compile(r"[a-z0-9]{20,26}")
PAGE = 50
EVENTS = 100


def get_workspace_for(
    actor: User, uid: str, action: str = Action.SEE, *, deleted: bool = False
) -> Workspace:
    """The workspace with this uid, with owner, image, version, app, size, cluster and run.

    Raises NotFound where `actor` may not see it (or there is none; or it is deleted, unless
    `deleted`), Forbidden where they may see it but not do `action`. At most two queries.
    """
    workspace = _complete().filter(uid=uid).first() if UID.fullmatch(uid) else None
    if workspace is None or (workspace.deleted_at is not None) is not deleted:
        raise _not_found()
    relation = relation_of(actor, workspace)
    if not policies.is_allowed(Action.SEE, relation):
        raise _not_found()
    if not policies.is_allowed(Action(action), relation):
        raise Forbidden(
            _("You may look at this workspace but not do that with it."),
            hint=_("Only its owner can."),
        )
    return workspace


def get_deleted_workspace(uid: str) -> Workspace:
    """The deleted workspace with this uid, for the portal itself; raises NotFound."""
    workspace = _complete().filter(uid=uid, deleted_at__isnull=False).first()
    if workspace is None:
        raise _not_found()
    return workspace


def relation_of(actor: User, workspace: Workspace) -> Relation:
    """What `actor` is to the workspace; a query only where groups decide."""
    is_other = actor.pk != workspace.owner_id and not actor.is_admin
    viewer = Viewer(
        person_id=actor.pk,
        is_active=actor.is_active,
        is_admin=actor.is_admin,
        leads_owner=is_other and bool(groups_led_in_common(actor, workspace.owner)),
    )
    return policies.relation_of(viewer, workspace.owner_id)


def can(actor: User, workspace: Workspace, action: Action) -> bool:
    """Whether `actor` may do `action` with a workspace that they were given."""
    return policies.is_allowed(action, relation_of(actor, workspace))


def workspaces_for(actor: User, *, before: int | None = None, limit: int = PAGE) -> list[Workspace]:
    """The actor's own workspaces, newest first, at most `limit`, older than the key `before`.
    One query."""
    rows = _complete().filter(owner=actor, deleted_at=None)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[:limit])


def deleted_workspaces_for(actor: User) -> list[Workspace]:
    """The actor's deleted workspaces whose homes can still be had back, newest first."""
    rows = _complete().filter(owner=actor, deleted_at__isnull=False, purge_started_at=None)
    return list(rows.order_by("-deleted_at")[:PAGE])


def describe_one(workspace: Workspace) -> WorkspaceView:
    """As `describe`, with stages and events: one query more. Raises NotFound if it is gone."""
    views = describe([workspace])
    if not views:
        raise _not_found()
    rows = list(WorkspaceEvent.objects.filter(workspace=workspace).order_by("-pk")[:EVENTS])
    run = [view_of(row) for row in rows if row.workload_id == workspace.current_id]
    return dataclasses.replace(
        views[0],
        stages=stages_of(views[0].phase, run),
        events=tuple(view_of(row) for row in rows),
    )


def events_of(workspace: Workspace, *, limit: int = EVENTS) -> list[EventView]:
    """The newest lines of the timeline, newest first. One query."""
    rows = WorkspaceEvent.objects.filter(workspace=workspace).order_by("-pk")[:limit]
    return [view_of(row) for row in rows]


def event_page(
    workspace: Workspace, *, before: int | None, limit: int
) -> list[tuple[int, EventView]]:
    """A part of the timeline, newest first, older than the key `before`: keys and lines."""
    rows = WorkspaceEvent.objects.filter(workspace=workspace)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [(row.pk, view_of(row)) for row in rows.order_by("-pk")[:limit]]


def recent_events_for(actor: User, *, limit: int = 12) -> list[EventView]:
    """The newest lines over all of the actor's workspaces, newest first. One query."""
    rows = WorkspaceEvent.objects.filter(
        workspace__owner=actor, workspace__deleted_at=None
    ).select_related("workspace")
    return [
        view_of(row, row.workspace.uid, row.workspace.name) for row in rows.order_by("-pk")[:limit]
    ]


def view_of(row: WorkspaceEvent, uid: str = "", name: str = "") -> EventView:
    """A line of the timeline as it is shown."""
    return EventView(
        at=row.at,
        type=row.type,
        reason=row.reason,
        told=Told(row.message, row.detail),
        told_hint=Told(row.hint, row.detail),
        workspace_uid=uid,
        workspace_name=name,
    )


def versions_of(uids: Sequence[str]) -> dict[str, int]:
    """The present version of each of these workspaces that is not deleted, in one query."""
    rows = Workspace.objects.filter(uid__in=uids, deleted_at=None)
    return dict(rows.values_list("uid", "version"))


def _complete() -> QuerySet[Workspace]:
    return Workspace.objects.select_related(
        "owner", "cluster", "image", "image_version", "app", "size", "current"
    )


def _not_found() -> NotFound:
    return NotFound(
        _("There is no such workspace, or it is not shared with you."),
        hint=_("Your workspaces are listed on the page Workspaces."),
    )
