"""Another name, image, app or size."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import User
from apps.live.errors import DomainError, WrongPhase
from apps.quotas.services import resize
from apps.workspaces import timeline
from apps.workspaces.models import Workspace
from apps.workspaces.names import clean_name
from apps.workspaces.policies import Action
from apps.workspaces.services import runs
from apps.workspaces.types import WorkspaceChange


def rename(actor: User, *, uid: str, name: str) -> Workspace:
    """Give it another name, whatever its phase. Raises DomainError with the field `name`."""
    return change(actor, uid=uid, change=WorkspaceChange(name=name))


@transaction.atomic
def change(actor: User, *, uid: str, change: WorkspaceChange) -> Workspace:
    """Change what is not None. Image, app and size change over the same home, so only while
    nothing runs: else WrongPhase. Raises QuotaExceeded where the new size's disk does not fit.

    The image that it has already keeps its version; another one comes in its newest.
    """
    workspace = runs.get_locked_for(actor, uid, Action.CHANGE)
    before = _snapshot(workspace)
    fields: list[str] = []
    if change.name is not None:
        fields += _rename(workspace, change.name)
    if (change.image, change.app, change.size) != (None, None, None):
        fields += _rebuild(actor, workspace, change)
    if not fields:
        return workspace
    workspace.save(update_fields=fields)
    detail = {"before": before, "after": _snapshot(workspace)}
    record(
        actor,
        Act("workspace.change", Target("workspace", workspace.uid, workspace.owner), detail),
    )
    runs.publish(workspace)
    return workspace


def _rename(workspace: Workspace, text: str) -> list[str]:
    name = clean_name(text)
    if not name:
        told = _("A workspace needs a name.")
        raise DomainError(told, fields={"name": told})
    if name == workspace.name:
        return []
    words = {"before": workspace.name, "name": name}
    timeline.write(workspace, timeline.Line("renamed", timeline.RENAMED, detail=words))
    workspace.name = name
    return ["name"]


def _rebuild(actor: User, workspace: Workspace, change: WorkspaceChange) -> list[str]:
    if workspace.current is not None and not workspace.current.is_final:
        raise WrongPhase(
            _("Image, size and IDE can only be changed while it is stopped."),
            hint=_("Stop it first: everything in its home is kept."),
        )
    choice = runs.choose(
        actor,
        image=change.image if change.image is not None else workspace.image.slug,
        app=change.app if change.app is not None else workspace.app.slug,
        size=change.size if change.size is not None else workspace.size.slug,
        present=workspace,
    )
    if choice.size.pk != workspace.size_id:
        amounts = runs.disk_amounts(choice.size)
        resize(workspace.owner, subject_uid=workspace.uid, amounts=amounts)
    if choice.image.pk != workspace.image_id:
        workspace.image, workspace.image_version = choice.image, choice.version
    workspace.app, workspace.size = choice.app, choice.size
    words = {"image": choice.image.name, "app": choice.app.name, "size": choice.size.name}
    timeline.write(workspace, timeline.Line("changed", timeline.CHANGED, detail=words))
    return ["image", "image_version", "app", "size"]


def _snapshot(workspace: Workspace) -> dict[str, str]:
    return {
        "name": workspace.name,
        "image": workspace.image.slug,
        "app": workspace.app.slug,
        "size": workspace.size.slug,
    }
