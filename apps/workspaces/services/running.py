"""Start, stop and keep running."""

from __future__ import annotations

import datetime as dt

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import User
from apps.catalog.models import Activity
from apps.clusters.models import FINAL, Desired, Phase
from apps.clusters.services import request_stop
from apps.live.errors import Conflict, DomainError, WrongPhase
from apps.workspaces import timeline
from apps.workspaces.description import facts_of, rules
from apps.workspaces.models import Workspace
from apps.workspaces.policies import Action
from apps.workspaces.schedule import SILENT_AFTER, ends_at, idle_stop_at, stop_reason
from apps.workspaces.selectors import get_workspace_for
from apps.workspaces.services import runs

MAX_EXTEND_H = 72
SWEEP = 200
log = structlog.get_logger()


@transaction.atomic
def start(actor: User, *, uid: str) -> Workspace:
    """Begin a new run over the same home. One that runs already stays as it is.

    Raises WrongPhase while it is still stopping, QuotaExceeded, and what
    `get_workspace_for` raises.
    """
    found = get_workspace_for(actor, uid, Action.START)
    if _runs_already(found):
        return found
    image_state = runs.ensure_image(actor, found.image_version)
    try:
        workspace = runs.lock(found)
    except Conflict:
        found = get_workspace_for(actor, uid, Action.START)
        if _runs_already(found):
            return found
        raise
    timeline.write(workspace, timeline.Line("started", timeline.STARTED))
    run = runs.begin_run(workspace, image_state)
    target = Target("workspace", workspace.uid, workspace.owner)
    record(actor, Act("workspace.start", target, {"run": run.uid}))
    runs.publish(workspace)
    return workspace


def _runs_already(workspace: Workspace) -> bool:
    run = workspace.current
    if run is None or run.is_final:
        return False
    if run.phase == Phase.STOPPING or run.desired == Desired.STOPPED:
        raise WrongPhase(
            _("It is still stopping."), hint=_("Wait until it has stopped, then start it.")
        )
    return True


@transaction.atomic
def stop(actor: User, *, uid: str) -> Workspace:
    """Have the run end. Idempotent: one that is stopping, over or was never there is no error."""
    workspace = runs.get_locked_for(actor, uid, Action.STOP)
    run = workspace.current
    if run is None or run.is_final or run.desired == Desired.STOPPED:
        return workspace
    is_owner = actor.pk == workspace.owner_id
    line = timeline.Line(
        "stop",
        timeline.STOP_ASKED,
        reason="stopped_by_owner" if is_owner else "stopped_by_admin",
        detail={"who": actor.name},
    )
    timeline.write(workspace, line, run=run)
    request_stop(run, reason=line.reason)
    record(actor, Act("workspace.stop", Target("workspace", workspace.uid, workspace.owner)))
    runs.publish(workspace)
    return workspace


@transaction.atomic
def extend(actor: User, *, uid: str, hours: int) -> Workspace:
    """Keep the run from being stopped as idle for `hours` more, to the end of its lifetime at most.

    Counts from when it would be stopped now. Raises WrongPhase where nothing runs, DomainError
    with the field `hours`.
    """
    if not 1 <= hours <= MAX_EXTEND_H:
        told = _("Choose 1 to {n} hours.").format(n=MAX_EXTEND_H)
        raise DomainError(told, fields={"hours": told})
    workspace = runs.get_locked_for(actor, uid, Action.EXTEND)
    run = workspace.current
    if run is None or run.is_final or run.desired == Desired.STOPPED:
        raise WrongPhase(_("It does not run."), hint=_("Start it first."))
    workspace.extended_until = _extended_until(workspace, hours)
    workspace.save(update_fields=["extended_until"])
    line = timeline.Line("extended", timeline.EXTENDED, detail={"hours": hours})
    timeline.write(workspace, line, run=run)
    target = Target("workspace", workspace.uid, workspace.owner)
    record(actor, Act("workspace.extend", target, {"hours": hours}))
    runs.publish(workspace)
    return workspace


def _extended_until(workspace: Workspace, hours: int) -> dt.datetime:
    now = timezone.now()
    facts = facts_of(workspace)
    moment = idle_stop_at(facts, rules(), now) or workspace.extended_until or now
    moment += dt.timedelta(hours=hours)
    longest = ends_at(facts, rules()) or now + dt.timedelta(seconds=settings.MAX_LIFETIME_S)
    return min(moment, longest)


def end_overdue() -> int:
    """Have every run end whose lifetime is over, that is idle, or whose owner is disabled; returns
    how many. Each in a transaction of its own that looks again, so sweeps may overlap."""
    now = timezone.now()
    live = Workspace.objects.filter(
        current__isnull=False, current__desired=Desired.RUNNING
    ).exclude(current__phase__in=FINAL)
    disabled = live.filter(owner__is_active=False)
    old = live.filter(
        current__observed_started_at__lte=now - dt.timedelta(seconds=settings.MAX_LIFETIME_S)
    )
    idle_since = now - dt.timedelta(seconds=settings.IDLE_STOP_S)
    quiet = live.filter(
        Q(extended_until=None) | Q(extended_until__lte=now),
        current__phase=Phase.READY,
        current__activity__busy=False,
        current__activity__last_activity_at__lte=idle_since,
        current__activity__at__gte=now - SILENT_AFTER,
        current__ready_at__lte=idle_since,
    ).exclude(app__activity=Activity.NONE)
    due = [disabled, old, quiet] if settings.IDLE_STOP_S else [disabled, old]
    keys = {key for rows in due for key in rows.values_list("pk", flat=True)[:SWEEP]}
    return sum(_end_if_due(key) for key in sorted(keys))


@transaction.atomic
def _end_if_due(key: int) -> bool:
    try:
        workspace = runs.lock(Workspace.objects.get(pk=key))
    except Conflict:
        return False
    run = workspace.current
    reason = stop_reason(facts_of(workspace), rules(), timezone.now())
    if not workspace.owner.is_active:
        reason = "disabled"
    if not reason or run is None or run.is_final or run.desired == Desired.STOPPED:
        return False
    timeline.write(workspace, timeline.OVERDUE[reason], run=run)
    request_stop(run, reason=reason)
    record(None, Act("workspace.stop", _target(workspace), {"reason": reason}))
    runs.publish(workspace)
    log.info("run_ended", workload=run.uid, reason=reason)
    return True


def _target(workspace: Workspace) -> Target:
    return Target("workspace", workspace.uid, workspace.owner)
