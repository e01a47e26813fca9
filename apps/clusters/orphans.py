"""What runs on a cluster as ours though no row wants it: after a crash at the wrong moment, a
partition, a database that was put back. Only a complete list may say so.

The watcher finds them and a worker removes them, because only workers change clusters.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.clusters.drivers.base import DriverError, Observation, WorkloadRef
from apps.clusters.hints import hint, send
from apps.clusters.models import FINAL, Cluster, Workload
from apps.clusters.selectors import driver_of, get_cluster

NO_ROW_FOR_S = 60.0
GRACE_S = 10

log = structlog.get_logger()


class Strangers:
    """Listed uids that have no row, and since when this watcher has seen them so.

    A row is committed before anything is made of it, so one without a row never becomes wanted;
    still it must be seen twice, a minute apart, before anything is removed.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def look(self, cluster: Cluster, listed: Iterable[Observation]) -> list[str]:
        """From a complete list: see to what should not be there. Returns the uids that are to go
        because they have no row; runs that are over are made due again."""
        uids = {seen.uid for seen in listed}
        known = dict(Workload.objects.filter(uid__in=uids).values_list("uid", "phase"))
        remove_again(cluster, [uid for uid, phase in known.items() if phase in FINAL])
        now = time.monotonic()
        self._since = {uid: self._since.get(uid, now) for uid in uids - set(known)}
        ripe = [uid for uid, since in self._since.items() if now - since >= NO_ROW_FOR_S]
        for uid in ripe:
            log.warning("orphan_found", cluster=cluster.name, workload=uid)
            send("clusters.remove_orphan", cluster.name, uid, "")
        return ripe


@transaction.atomic
def remove_again(cluster: Cluster, uids: Iterable[str]) -> int:
    """Make runs due again that are over, were removed, and are still or again on the cluster."""
    rows = Workload.objects.select_for_update().filter(
        cluster=cluster,
        uid__in=list(uids),
        phase__in=FINAL,
        applied_generation__gte=F("generation"),
        next_try_at=None,
    )
    found = list(rows.values_list("uid", flat=True))
    Workload.objects.filter(uid__in=found).update(
        generation=F("generation") + 1, tries=0, next_try_at=Now()
    )
    for uid in found:
        log.warning("removed_run_is_back", cluster=cluster.name, workload=uid)
        hint(uid)
    return len(found)


def remove(cluster_name: str, uid: str, owner_uid: str) -> bool:
    """Remove `uid` from the cluster unless it has a row by now. False if nothing was done; the
    next complete list finds it again."""
    if Workload.objects.filter(uid=uid).exists():
        return False
    try:
        driver_of(get_cluster(cluster_name)).delete(WorkloadRef(uid, owner_uid), GRACE_S)
    except DriverError as error:
        log.warning("orphan_not_removed", workload=uid, code=error.code, error=error.message)
        return False
    return True
