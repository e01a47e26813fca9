"""Delete with a grace period, bring back, and in the end remove the home."""

from __future__ import annotations

import datetime as dt

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import User
from apps.clusters.drivers.base import DriverError, SupportsHomes
from apps.clusters.models import FINAL, Desired
from apps.clusters.selectors import driver_of
from apps.clusters.services import request_stop
from apps.live.errors import Gone
from apps.quotas.services import release
from apps.workspaces import timeline
from apps.workspaces.models import Workspace
from apps.workspaces.policies import Action
from apps.workspaces.selectors import get_deleted_workspace, get_workspace_for
from apps.workspaces.services import runs
from apps.workspaces.spec import owner_spec

PURGE_LEASE = dt.timedelta(minutes=2)
SWEEP = 100
log = structlog.get_logger()


@transaction.atomic
def delete(actor: User, *, uid: str) -> Workspace:
    """Stop it and take it out of sight; its home stays until `purge_after` and goes on counting
    against the owner's disk. Deleting it again raises NotFound."""
    workspace = runs.get_locked_for(actor, uid, Action.DELETE)
    run = workspace.current
    now = timezone.now()
    workspace.deleted_at = now
    workspace.purge_after = now + dt.timedelta(seconds=settings.DELETE_GRACE_S)
    workspace.save(update_fields=["deleted_at", "purge_after"])
    timeline.write(workspace, timeline.Line("deleted", timeline.DELETED))
    if run is not None and not run.is_final and run.desired != Desired.STOPPED:
        request_stop(run, reason="deleted")
    record(actor, Act("workspace.delete", Target("workspace", uid, workspace.owner)))
    runs.publish(workspace)
    return workspace


@transaction.atomic
def restore_deleted(actor: User | None, *, uid: str) -> Workspace:
    """Bring a deleted workspace back, stopped, with its home; `actor` None: from the command line.
    Raises NotFound, and Gone once its home is being removed."""
    found = (
        get_workspace_for(actor, uid, Action.RESTORE, deleted=True)
        if actor
        else get_deleted_workspace(uid)
    )
    workspace = runs.lock(found)
    if workspace.purge_started_at is not None:
        raise Gone(_("Its home has been removed, so it cannot be brought back."))
    workspace.deleted_at = workspace.purge_after = None
    workspace.save(update_fields=["deleted_at", "purge_after"])
    timeline.write(workspace, timeline.Line("restored", timeline.RESTORED))
    record(actor, Act("workspace.restore_deleted", Target("workspace", uid, workspace.owner)))
    runs.publish(workspace)
    return workspace


def purge_due() -> int:
    """Remove the homes of deleted workspaces whose grace period is over; returns how many.

    Row by row: claimed, removed through the driver outside any transaction, then written off.
    A worker that dies in between is followed by another after two minutes; removing twice is no
    error. A home whose run has not ended is left for the next sweep.
    """
    due = _due().values_list("pk", flat=True)
    return sum(_purge(key) for key in list(due.order_by("purge_after")[:SWEEP]))


def _due() -> QuerySet[Workspace]:
    now = timezone.now()
    return Workspace.objects.filter(
        Q(purge_started_at=None) | Q(purge_started_at__lt=now - PURGE_LEASE),
        Q(current=None) | Q(current__phase__in=FINAL),
        deleted_at__isnull=False,
        purged_at=None,
        purge_after__lte=now,
    )


def _purge(key: int) -> bool:
    if not _claim(key):
        return False
    workspace = Workspace.objects.select_related("owner", "cluster").get(pk=key)
    try:
        driver = driver_of(workspace.cluster)
        if isinstance(driver, SupportsHomes):
            driver.delete_home(workspace.uid, owner_spec(workspace.owner))
    except DriverError as error:
        log.warning("purge_failed", workspace=workspace.uid, error=error.message)
        return False
    _write_off(workspace)
    return True


def _claim(key: int) -> bool:
    # The claim is what `restore_deleted` looks at under the row's lock: one of the two wins.
    with transaction.atomic():
        due = _due().filter(pk=key).select_for_update(of=("self",), skip_locked=True)
        if not list(due.only("pk")):
            return False
        return bool(Workspace.objects.filter(pk=key).update(purge_started_at=timezone.now()))


@transaction.atomic
def _write_off(workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(purged_at=timezone.now())
    release(workspace.uid)
    record(None, Act("workspace.purge", Target("workspace", workspace.uid, workspace.owner)))
    log.info("home_removed", workspace=workspace.uid)
