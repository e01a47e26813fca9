"""Commands on workloads: make one, stop one, tell that an image came or failed.

They write what is wanted; `reconcile` makes it so. Locks are taken in one order everywhere:
cluster, workload, then what belongs to it (workspace, person, limits).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from apps.accounts.models import User
from apps.accounts.services.tokens import issue_workload_token
from apps.clusters.agent.wake import wake
from apps.clusters.clock import database_now
from apps.clusters.drivers.base import WorkloadSpec
from apps.clusters.hints import hint
from apps.clusters.hooks import WorkloadChange, workload_changed
from apps.clusters.models import (
    FINAL,
    AgentCommand,
    Cluster,
    Desired,
    ImageState,
    Observed,
    Workload,
)
from apps.clusters.phase import facts_of, outcome_of
from apps.clusters.settling import seen_of, settle
from apps.clusters.specs import to_json

ABOUT_TO_STOP = "about_to_stop"
IMAGE_PROBE_S = 20

__all__ = [
    "ABOUT_TO_STOP",
    "WorkloadPlan",
    "create_workload",
    "hint",
    "image_changed",
    "request_stop",
]


@dataclass(frozen=True, slots=True)
class WorkloadPlan:
    """A run to be made. `spec` carries its uid and no secrets; `subject_uid` is what it is a run
    of. `image_state` is an `ImageState`; read it under a lock on the build, so that no word of it
    is missed."""

    owner: User
    cluster: Cluster
    subject_uid: str
    spec: WorkloadSpec
    image_state: str = ImageState.READY


@transaction.atomic
def create_workload(plan: WorkloadPlan) -> Workload:
    """Want this run. Nothing has happened on the cluster yet when it returns.

    Raises django.db.IntegrityError if the subject has a live run already; callers that may race
    lock the subject first. The run's own portal token is issued with it.
    """
    workload = Workload(
        uid=plan.spec.uid,
        kind=plan.spec.kind,
        cluster=plan.cluster,
        owner=plan.owner,
        subject_uid=plan.subject_uid,
        spec=to_json(plan.spec),
        spec_hash=plan.spec.spec_hash,
        app_token=secrets.token_urlsafe(32),
        image_digest=plan.spec.image.digest,
        image_state=plan.image_state,
    )
    outcome = outcome_of(facts_of(workload))
    workload.phase, workload.reason = outcome.phase, outcome.reason
    workload.message, workload.hint = outcome.message, outcome.hint
    workload.created_at = workload.next_try_at = database_now()
    workload.save(force_insert=True)
    issue_workload_token(plan.owner, workload.uid)
    workload_changed(WorkloadChange(workload, ""))
    hint(workload.uid)
    return workload


@transaction.atomic
def request_stop(workload: Workload, *, reason: str) -> Workload:
    """Want the run to end; returns its row as it is now. Idempotent, and nothing for one that is
    over. `reason` is a code of `reasons.REASONS`. Its agent is told first.
    """
    row = Workload.objects.select_for_update().get(pk=workload.pk)
    if row.is_final or row.desired == Desired.STOPPED:
        return row
    now = database_now()
    before = seen_of(row)
    row.desired = Desired.STOPPED
    row.stop_reason = reason
    row.generation += 1
    row.tries = 0
    row.last_error = row.error_code = ""
    row.next_try_at = now
    fields = (
        "desired",
        "stop_reason",
        "generation",
        "tries",
        "last_error",
        "error_code",
        "next_try_at",
    )
    AgentCommand.objects.create(workload=row, type=ABOUT_TO_STOP, detail={"reason": reason})
    settle(row, before=before, fields=fields, now=now)
    wake(row.uid)
    hint(row.uid)
    return row


@transaction.atomic
def image_changed(digest: str, *, state: str, progress: float = 0, message: str = "") -> int:
    """An image got on: `state` is an `ImageState`, `progress` goes from 0 to 1. Runs that wait
    for it start, fail, or show how far it is. Returns how many changed."""
    waiting = (
        Workload.objects.select_for_update()
        .filter(image_digest=digest, desired=Desired.RUNNING, applied_generation=0)
        .filter(observed=Observed.UNKNOWN)
        .filter(~Q(phase__in=FINAL))
        .order_by("pk")
    )
    return sum(_take_image(row, state, progress, message) for row in waiting)


def _take_image(row: Workload, state: str, progress: float, message: str) -> bool:
    if (row.image_state, row.image_progress) == (state, progress):
        return False
    before = seen_of(row)
    row.image_state = ImageState(state)
    row.image_progress = progress
    fields = ["image_state", "image_progress"]
    now = database_now()
    if state == ImageState.READY:
        row.next_try_at = now
        fields += ["next_try_at"]
        hint(row.uid)
    elif state == ImageState.FAILED:
        row.last_error = message[:500]
        fields.append("last_error")
    return settle(row, before=before, fields=fields, now=now)
