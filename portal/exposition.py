"""`/metrics`: every process's figures for Prometheus, and who may read them.

Every process counts for itself; with `PROMETHEUS_MULTIPROC_DIR` set they leave their counts in that
folder, and this adds them up. What the database and the broker know is asked when scraped.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path

import structlog
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apps.accounts.models import Scope
from apps.api.authentication import ScopeMissing, identify
from apps.api.problems import of_error
from apps.live.errors import DomainError
from portal.broker import queue_length

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
log = structlog.get_logger()

DUE = """
SELECT count(*), COALESCE(EXTRACT(EPOCH FROM now() - min(next_try_at)), 0)
FROM clusters_workload WHERE next_try_at <= now()
"""
LIVE = """
SELECT phase, count(*) FROM clusters_workload
WHERE phase NOT IN ('stopped', 'failed') GROUP BY phase
"""
WATCHED = """
SELECT name, COALESCE(EXTRACT(EPOCH FROM now() - watched_at), -1)
FROM clusters_cluster WHERE is_enabled
"""


class StateCollector(Collector):
    """What only the database and the broker know, asked at each scrape."""

    def collect(self) -> Iterable[Metric]:
        """Left out where the source does not answer, so that silence is not taken for zero."""
        try:
            yield from _from_database()
        except Error as error:
            log.warning("metrics_without_database", error=str(error))
        length = queue_length(timeout_s=0.5)
        if length is not None:
            gauge = GaugeMetricFamily("portal_broker_queue_length", "Messages that wait")
            gauge.add_metric([], length)
            yield gauge


def _from_database() -> Iterable[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(DUE)
        due, lag_s = cursor.fetchone() or (0, 0)
        cursor.execute(LIVE)
        phases = cursor.fetchall()
        cursor.execute(WATCHED)
        ages = cursor.fetchall()
    yield _gauge("portal_workloads_due", "Workloads that wait for a worker", [((), due)])
    yield _gauge("portal_workloads_due_seconds", "How long the oldest has waited", [((), lag_s)])
    yield _gauge(
        "portal_workloads", "Runs that are not over", [((p,), n) for p, n in phases], "phase"
    )
    yield _gauge(
        "portal_watch_age_seconds",
        "Since the watcher's last word of a cluster; -1 for never",
        [((name,), age) for name, age in ages],
        "cluster",
    )


def _gauge(
    name: str, told: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, told, labels=list(labels))
    for names, value in values:
        gauge.add_metric(names, float(value))
    return gauge


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics`: all processes' figures, for an allowed address or a bearer with scope `admin`."""
    try:
        check_reader(request)
    except DomainError as error:
        return of_error(error)
    response = HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)
    response["Cache-Control"] = "no-store"
    return response


def check_reader(request: HttpRequest) -> None:
    """Raise DomainError (401 or 403) unless whoever asks may read the figures."""
    if "Authorization" not in request.headers and is_allowed_address(request):
        return
    if not identify(request).has(Scope.ADMIN):
        raise ScopeMissing(_("Metrics need a token with the scope “admin”."))


def is_allowed_address(request: HttpRequest) -> bool:
    """Whether every address that is known of the asker is allowed, and at least one is known.

    Behind nginx the peer is a unix socket and X-Real-IP, which nginx always sets, the only address.
    Reached directly, the peer counts, and a header that claims another address cannot help: it
    must be allowed as well.
    """
    claimed = request.headers.get("X-Forwarded-For", "").split(",")
    known = [request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Real-IP", ""), *claimed]
    addresses = [address.strip() for address in known if address.strip()]
    return bool(addresses) and all(map(_is_listed, addresses))


def _is_listed(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    networks = (ipaddress.ip_network(entry, strict=False) for entry in settings.METRICS_ALLOW)
    return any(address in network for network in networks)


def exposition() -> bytes:
    """All figures in Prometheus' text format."""
    registry = CollectorRegistry()
    folder = os.environ.get(MULTIPROCESS)
    if folder:
        forget_dead(Path(folder))
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # theirs
    registry.register(StateCollector())
    own = b"" if folder else generate_latest(REGISTRY)
    return own + generate_latest(registry)


def forget_dead(folder: Path) -> None:
    """Drop the live gauges of processes that have ended; what they counted stays."""
    pids = {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}
    for pid in pids:
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            multiprocess.mark_process_dead(int(pid), str(folder))  # type: ignore[no-untyped-call]
