"""What a change of a workload means for its workspace. Called by `portal.wiring`."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.services.people import touch
from apps.clusters.hooks import WorkloadChange
from apps.clusters.models import FINAL, Phase, Workload
from apps.clusters.reasons import is_warning, values_of
from apps.live.services import announce
from apps.workspaces import timeline
from apps.workspaces.models import Workspace, WorkspaceEvent
from apps.workspaces.services import runs


def workload_changed(change: WorkloadChange) -> Workspace | None:
    """Write the timeline, raise the version and tell whoever looks; the workspace, or None where
    the workload is not a run of one.

    In the transaction and under the workload's lock, which comes before the workspace's.
    """
    run = change.workload
    workspace = Workspace.objects.filter(uid=run.subject_uid).first()
    if workspace is None:
        return None
    _write_line(workspace, change)
    fields: dict[str, object] = {"version": F("version") + 1}
    if run.phase != change.before:
        fields["phase_since"] = timezone.now()
    Workspace.objects.filter(pk=workspace.pk).update(**fields)
    runs.publish(workspace, raises_version=False)
    return workspace


@transaction.atomic
def activity_reported(run: Workload) -> None:
    """The agent of a run said what it does: what is used, and when it would be idle, is shown."""
    rows = Workspace.objects.filter(uid=run.subject_uid)
    if rows.update(version=F("version") + 1):
        touch(run.owner_id)
        announce(f"workspace:{run.subject_uid}")


def _write_line(workspace: Workspace, change: WorkloadChange) -> None:
    run = change.workload
    if run.phase == change.before and not _is_news(workspace, change):
        return
    is_failure = run.phase == Phase.FAILED
    is_trouble = bool(run.reason) and run.phase not in FINAL and run.phase == change.before
    line = timeline.Line(
        "warning" if is_trouble else run.phase,
        run.message or timeline.PHASE_WORDS[run.phase],
        reason=run.reason or ("failed" if is_failure else ""),
        hint=run.hint,
        detail=values_of(run),
    )
    timeline.write(workspace, line, run=run)


def _is_news(workspace: Workspace, change: WorkloadChange) -> bool:
    """Whether a run that stays in its phase has a new reason, or a warning occurs anew."""
    run = change.workload
    if not run.reason:
        return False
    last = WorkspaceEvent.objects.filter(workspace=workspace, workload=run).order_by("-pk")
    if is_warning(run):
        told = last.filter(reason=run.reason).values_list("detail__said", flat=True).first()
        return run.reason != change.reason_before or told != run.observed_message
    return last.values_list("reason", flat=True).first() != run.reason
