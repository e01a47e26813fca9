"""A new workspace: authorised, reserved and written in one transaction, then it runs."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import IdempotencyKey, User
from apps.clusters.selectors import default_cluster
from apps.live.errors import Forbidden
from apps.live.uids import new_uid
from apps.quotas.services import reserve
from apps.workspaces import timeline
from apps.workspaces.models import Workspace
from apps.workspaces.names import clean_name, default_name
from apps.workspaces.selectors import get_workspace_for
from apps.workspaces.services import runs
from apps.workspaces.types import LaunchRequest

FORM = "form:/workspaces/new/"
KEY_LENGTH = 64


@transaction.atomic
def launch(actor: User, *, request: LaunchRequest) -> Workspace:
    """Make a workspace of `actor` and begin its first run.

    Raises DomainError (422) with fields for what cannot be chosen, QuotaExceeded where a limit
    would be passed. When it returns and the transaction commits, the run happens, whatever fails.
    """
    if not actor.is_active:
        raise Forbidden(_("This account is disabled."), hint=_("Ask an admin."))
    name = clean_name(request.name)
    choice = runs.choose(actor, image=request.image, app=request.app, size=request.size)
    image_state = runs.ensure_image(actor, choice.version)
    uid = new_uid()
    reserve(actor, subject_uid=uid, amounts=runs.disk_amounts(choice.size))
    workspace = Workspace.objects.create(
        uid=uid,
        owner=actor,
        name=name or default_name(choice.image.name, _names_of(actor)),
        cluster=default_cluster(),
        image=choice.image,
        image_version=choice.version,
        app=choice.app,
        size=choice.size,
    )
    words = {"image": choice.image.name, "app": choice.app.name, "size": choice.size.name}
    line = timeline.Line("launched", timeline.LAUNCHED, detail=words)
    timeline.write(workspace, line)
    run = runs.begin_run(workspace, image_state)
    chosen = {"image": choice.image.slug, "app": choice.app.slug, "size": choice.size.slug}
    detail = {"run": run.uid, "name": workspace.name, **chosen}
    record(actor, Act("workspace.launch", Target("workspace", uid, actor), detail))
    runs.publish(workspace)
    return workspace


@transaction.atomic
def launch_once(actor: User, *, request: LaunchRequest, key: str) -> Workspace:
    """As `launch`, but a form that is sent twice (`key` is its one-time token) launches once: the
    second gets the workspace of the first, also where both come at the same time."""
    if not key or len(key) > KEY_LENGTH or not key.isalnum() or not key.isascii():
        return launch(actor, request=request)
    row, is_new = IdempotencyKey.objects.get_or_create(
        user=actor, path=FORM, key=key, defaults={"body_digest": ""}
    )
    if not is_new:
        return get_workspace_for(actor, str(row.body.get("workspace", "")))
    workspace = launch(actor, request=request)
    row.body = {"workspace": workspace.uid}
    row.status = 302
    row.save(update_fields=["body", "status"])
    return workspace


def _names_of(owner: User) -> set[str]:
    rows = Workspace.objects.filter(owner=owner, deleted_at=None)
    return set(rows.values_list("name", flat=True))
