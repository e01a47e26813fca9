"""Figures of launching and reconciling, for Prometheus. `/metrics` joins the processes' parts
(`PROMETHEUS_MULTIPROC_DIR`)."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from apps.clusters.models import Workload

FINE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

STEP = Histogram(
    "portal_launch_step_seconds",
    "Steps of a launch: accepted (commit to a worker), applied (the call to the cluster), "
    "started (commit to holding resources).",
    ["step"],
    buckets=FINE,
)
LAG = Histogram(
    "portal_reconcile_lag_seconds",
    "From the time at which a workload was due to the time at which a worker took it.",
    buckets=FINE,
)
CALLS = Counter(
    "portal_driver_calls_total",
    "Calls to clusters by cluster, call and result (ok or the code of the error).",
    ["cluster", "call", "result"],
)
EVENTS = Counter(
    "portal_watch_events_total",
    "What the watcher heard, by cluster and kind (event, sign, list, dropped, expired, error).",
    ["cluster", "kind"],
)
LEADING = Gauge(
    "portal_watch_leading",
    "1 in the process whose watcher leads this cluster.",
    ["cluster"],
    multiprocess_mode="livemax",
)


def observe_started(workload: Workload) -> None:
    """A run was seen to hold resources for the first time (call it once per run)."""
    if workload.observed_started_at is not None:
        waited = workload.observed_started_at - workload.created_at
        STEP.labels("started").observe(waited.total_seconds())
