"""Launching and moving workspaces along in tests, as worker and watcher would."""

from __future__ import annotations

from datetime import UTC, datetime

from apps.accounts.models import User
from apps.clusters.drivers.base import Observation, RunState
from apps.clusters.models import Cluster, Desired, Workload
from apps.clusters.observing import record_observation
from apps.clusters.reconcile import reconcile
from apps.workspaces import services
from apps.workspaces.models import Workspace, WorkspaceEvent
from apps.workspaces.types import LaunchRequest

REQUEST = LaunchRequest(image="python", app="jupyterlab", size="small")


def launch(owner: User, name: str = "", size: str = "small") -> Workspace:
    """A workspace of `owner` that waits for its cluster."""
    request = LaunchRequest(image="python", app="jupyterlab", size=size, name=name)
    return services.launch(owner, request=request)


def again(workspace: Workspace) -> Workspace:
    """The row as it is now."""
    return Workspace.objects.select_related("current", "owner", "size", "app").get(pk=workspace.pk)


def run_of(workspace: Workspace) -> Workload:
    """Its newest run as it is now."""
    run = again(workspace).current
    assert run is not None
    return run


def see(workspace: Workspace, state: RunState, **what: object) -> Workspace:
    """The watcher sees the run in that state; returns the workspace as it is then."""
    run = run_of(workspace)
    cluster = Cluster.objects.get(pk=run.cluster_id)
    at = datetime.now(UTC)
    defaults: dict[str, object] = {"started_at": run.observed_started_at or at}
    if state is RunState.READY:
        defaults |= {"ready_at": at, "endpoint": f"unix:/fake/{run.uid}"}
    if state is RunState.EXITED:
        defaults |= {"exited_at": at}
    seen = Observation(uid=run.uid, state=state, at=at, **{**defaults, **what})  # type: ignore[arg-type]  # by name
    record_observation(cluster, cluster.watch_epoch, seen)
    return again(workspace)


def make_ready(workspace: Workspace) -> Workspace:
    """Its server answers."""
    see(workspace, RunState.STARTING)
    return see(workspace, RunState.READY)


def make_over(workspace: Workspace) -> Workspace:
    """Its run has ended, as after a stop."""
    run = run_of(workspace)
    if run.desired != Desired.STOPPED:
        services.stop(workspace.owner, uid=workspace.uid)
    return see(workspace, RunState.EXITED, exit_code=-15, reason="killed")


def work_off(workspace: Workspace) -> Workspace:
    """What worker and watcher do with the fake driver until nothing is left to do; needs a test
    without a surrounding transaction."""
    from apps.clusters.drivers.base import WorkloadRef
    from apps.clusters.selectors import driver_of

    for _ in range(3):
        run = run_of(workspace)
        reconcile(run.uid)
        cluster = Cluster.objects.get(pk=run.cluster_id)
        seen = driver_of(cluster).observe(WorkloadRef(run.uid, workspace.owner.uid))
        record_observation(cluster, cluster.watch_epoch, seen)
    return again(workspace)


def lines_of(workspace: Workspace) -> list[str]:
    """Types of the lines of its timeline, oldest first."""
    rows = WorkspaceEvent.objects.filter(workspace=workspace).order_by("pk")
    return list(rows.values_list("type", flat=True))
