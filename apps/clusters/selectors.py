"""Finding clusters, workloads, and the driver that speaks to a cluster."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from apps.clusters.drivers.base import Driver
from apps.clusters.drivers.registry import driver_for
from apps.clusters.models import Cluster, Workload
from apps.live.errors import NotFound, Unavailable


def get_workload(uid: str) -> Workload:
    """The run with this uid. Raises NotFound. It checks nobody's rights: for our own processes."""
    workload = Workload.objects.select_related("cluster").filter(uid=uid).first()
    if workload is None:
        raise NotFound(_("There is no such run."))
    return workload


def get_cluster(name: str) -> Cluster:
    """The cluster of that name. Raises NotFound."""
    cluster = Cluster.objects.filter(name=name).first()
    if cluster is None:
        raise NotFound(_("There is no such cluster."))
    return cluster


def default_cluster() -> Cluster:
    """Where a new workspace goes: the first cluster that is enabled. Raises Unavailable."""
    cluster = Cluster.objects.filter(is_enabled=True).order_by("pk").first()
    if cluster is None:
        raise Unavailable(
            _("No cluster takes workspaces at present."),
            hint=_("An admin can enable one."),
        )
    return cluster


def driver_of(cluster: Cluster) -> Driver:
    """What speaks to `cluster`; for workers and watchers only. Raises DriverError."""
    defaults = settings.DRIVER_CONFIG.get(cluster.kind, {})
    return driver_for(cluster.kind, {**defaults, **cluster.config})
