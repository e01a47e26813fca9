"""From rows to what is shown: a fixed number of queries, however many workspaces."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypedDict

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone

from apps.catalog.models import Activity, Price
from apps.catalog.selectors import current_prices
from apps.clusters.models import Cluster, ClusterKind, Phase, Workload, WorkloadActivity
from apps.clusters.reasons import values_of
from apps.quotas.selectors import cost_of
from apps.quotas.types import Cost
from apps.workspaces.addresses import workspace_url
from apps.workspaces.models import Workspace
from apps.workspaces.schedule import Rules, RunFacts, ends_at, idle_stop_at
from apps.workspaces.types import Told, Used, WorkspaceView


@dataclass(frozen=True, slots=True)
class Context:
    """What all descriptions of one call share."""

    prices: Mapping[int, Price]
    costs: Mapping[str, Cost]
    now: dt.datetime


class Chosen(TypedDict):
    """The part of a view that follows from what was chosen."""

    image: str
    image_name: str
    image_version: str
    python_version: str
    ide: str
    ide_name: str
    size: str
    size_name: str
    cpu: float
    memory_mib: int
    disk_gib: int
    gpus: int
    gpu_tier: str
    price_per_hour: Decimal
    currency: str


class Running(TypedDict):
    """The part of a view that follows from the newest run."""

    phase: str
    reason: str
    told: Told
    told_hint: Told
    ready_at: dt.datetime | None
    ready_s: float | None
    used: Used
    progress: int | None
    run_uid: str
    is_busy: bool | None
    log_tail: str


def describe(workspaces: Sequence[Workspace]) -> list[WorkspaceView]:
    """What is to be shown of these, in their order; those that are gone meanwhile are left out.

    Three queries: the rows (read again, so that a version and what it stands for are of one
    moment), prices and costs. Without stages and events.
    """
    keys = [workspace.pk for workspace in workspaces]
    if not keys:
        return []
    rows = Workspace.objects.select_related(
        "owner", "cluster", "image", "app", "size", "current", "current__activity"
    ).in_bulk(keys)
    found = [rows[key] for key in keys if key in rows]
    context = Context(
        prices=current_prices({row.size_id: row.size for row in found}.values()),
        costs=cost_of([row.uid for row in found]),
        now=timezone.now(),
    )
    return [_view(row, context) for row in found]


def facts_of(workspace: Workspace) -> RunFacts:
    """What `schedule` wants to know of the newest run; no query where `current__activity` came
    with the row."""
    run = workspace.current
    reads = workspace.app.activity != Activity.NONE
    if run is None:
        return RunFacts(None, None, is_ready=False, reads_activity=reads)
    heard = activity_of(run)
    return RunFacts(
        started_at=None if run.is_final else run.observed_started_at,
        ready_at=run.ready_at,
        is_ready=run.phase == Phase.READY,
        reads_activity=reads,
        heard_at=heard.at if heard else None,
        busy=bool(heard and heard.busy),
        last_activity_at=heard.last_activity_at if heard else None,
        extended_until=workspace.extended_until,
    )


def activity_of(run: Workload) -> WorkloadActivity | None:
    """What the run's agent reported last, if it ever did."""
    try:
        return run.activity
    except ObjectDoesNotExist:
        return None


def rules() -> Rules:
    """The installation's rules for when runs end."""
    return Rules(idle_stop_s=settings.IDLE_STOP_S, max_lifetime_s=settings.MAX_LIFETIME_S)


def is_isolated(cluster: Cluster) -> bool:
    """Whether people on this cluster are kept apart: on the local one only with user ids of their
    own, which needs root."""
    return cluster.kind != ClusterKind.LOCAL or os.geteuid() == 0


def _view(row: Workspace, context: Context) -> WorkspaceView:
    facts = facts_of(row)
    cost = context.costs.get(row.uid)
    return WorkspaceView(
        uid=row.uid,
        name=row.name,
        version=row.version,
        owner_uid=row.owner.uid,
        owner_username=row.owner.username,
        owner_name=row.owner.name,
        phase_since=row.phase_since or row.created_at,
        activity=None,
        url=workspace_url(row.uid, settings.WORKSPACE_URL_TEMPLATE),
        created_at=row.created_at,
        idle_stop_at=idle_stop_at(facts, rules(), context.now),
        ends_at=ends_at(facts, rules()),
        cost_amount=cost.amount if cost else Decimal(0),
        cost_currency=cost.currency if cost else settings.CURRENCY,
        is_isolated=is_isolated(row.cluster),
        is_simulated=_is_simulated(row),
        deleted_at=row.deleted_at,
        purge_after=row.purge_after,
        **_chosen(row, context.prices.get(row.size_id)),
        **_running(row),
    )


def _chosen(row: Workspace, price: Price | None) -> Chosen:
    return Chosen(
        image=row.image.slug,
        image_name=row.image.name,
        image_version=f"{row.image.framework} {row.image.framework_version}".strip(),
        python_version=row.image.python_version,
        ide=row.app.slug,
        ide_name=row.app.name,
        size=row.size.slug,
        size_name=row.size.name,
        cpu=row.size.cpu_millis / 1000,
        memory_mib=row.size.memory_mib,
        disk_gib=row.size.disk_gib,
        gpus=row.size.gpus,
        gpu_tier=row.size.gpu_tier,
        price_per_hour=price.per_hour if price else Decimal(0),
        currency=price.currency if price else settings.CURRENCY,
    )


def _running(row: Workspace) -> Running:
    run = row.current
    heard = activity_of(run) if run and not run.is_final else None
    is_pulling = row.phase == Phase.PULLING
    return Running(
        phase=row.phase,
        reason=run.reason if run else "",
        told=Told(run.message, values_of(run)) if run else Told(""),
        told_hint=Told(run.hint, values_of(run)) if run else Told(""),
        ready_at=run.ready_at if run else None,
        ready_s=_ready_s(run),
        used=Used(heard.cpu, heard.memory_mib, heard.disk_gib) if heard else Used(),
        progress=round(run.image_progress * 100) if run and is_pulling else None,
        run_uid=run.uid if run else "",
        is_busy=heard.busy if heard else None,
        log_tail=run.observed_message if run and run.phase == Phase.FAILED else "",
    )


def _ready_s(run: Workload | None) -> float | None:
    if run is None or run.ready_at is None:
        return None
    return max(0.0, (run.ready_at - run.created_at).total_seconds())


def _is_simulated(row: Workspace) -> bool:
    local = settings.DRIVER_CONFIG.get("local", {})
    return (
        row.size.gpus > 0 and row.cluster.kind == ClusterKind.LOCAL and bool(local.get("sim_gpus"))
    )
