"""What workers do for workloads. Each task calls one function and may come twice, late or never."""

from __future__ import annotations

import structlog
from celery import shared_task
from django.db import InterfaceError, OperationalError

from apps.clusters import logs, orphans, retention, sweeping
from apps.clusters.reconcile import reconcile as reconcile_workload

__all__ = ["fetch_logs", "forget_old", "reconcile", "reconcile_due", "remove_orphan"]

log = structlog.get_logger()
fetch_logs = logs.fetch_logs


@shared_task(name="clusters.reconcile")
def reconcile(uid: str) -> None:
    """Bring one workload a step closer to what is wanted of it."""
    try:
        reconcile_workload(uid)
    except (OperationalError, InterfaceError) as error:
        # The row is still due; the sweep comes back to it when the database does.
        log.warning("database_away", workload=uid, error=str(error))


@shared_task(name="clusters.reconcile_due", expires=sweeping.EVERY_S)
def reconcile_due() -> None:
    """Hand out whatever is due."""
    sweeping.sweep()


@shared_task(name="clusters.remove_orphan")
def remove_orphan(cluster: str, uid: str, owner_uid: str) -> None:
    """Remove from a cluster what is ours and has no row."""
    orphans.remove(cluster, uid, owner_uid)


@shared_task(name="clusters.forget_old")
def forget_old() -> None:
    """Forget logs and commands of runs that are long over."""
    log.info("forgotten", **retention.forget_old())
