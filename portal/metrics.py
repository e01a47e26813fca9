"""The portal's own figures: what web counts itself, and what follows from changes of workloads.

Other processes have theirs (`apps.clusters.metrics`, `apps.gate.metrics`); `portal.exposition`
shows them all at `/metrics`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

from apps.clusters.hooks import WorkloadChange
from apps.clusters.models import Phase, Workload

REQUESTS = Counter("portal_http_requests_total", "Requests", ["view", "method", "status"])
LATENCY = Histogram(
    "portal_http_request_seconds",
    "Time to answer",
    ["view"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LAUNCH = Histogram(
    "portal_launch_seconds",
    "From wanting a run to being ready: start, ready, and both in total",
    ["stage"],
    buckets=(0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300, 900),
)
RUNS_ENDED = Counter("portal_runs_ended_total", "Runs that are over", ["phase", "reason"])


class HttpMetricsMiddleware:
    """Counts every request by view and status, and how long it took."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        view = match.view_name if match else ""
        method = request.method if request.method in KNOWN_METHODS else "other"
        REQUESTS.labels(view or "other", method, str(response.status_code)).inc()
        LATENCY.labels(view or "other").observe(time.perf_counter() - began)
        return response


KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe_launch(change: WorkloadChange) -> None:
    """Follower of workloads: how long a launch took when it became ready, and how runs end."""
    run = change.workload
    if run.is_final and change.before not in {"", run.phase}:
        RUNS_ENDED.labels(run.phase, run.reason).inc()
    if run.phase != Phase.READY or change.before == Phase.READY or run.ready_at is None:
        return
    for stage, seconds in stages_of(run):
        LAUNCH.labels(stage).observe(max(0.0, seconds))


def stages_of(run: Workload) -> Iterator[tuple[str, float]]:
    """Seconds until it began to hold resources (`start`), then until it answered (`ready`), and
    both together (`total`)."""
    assert run.ready_at is not None
    yield "total", (run.ready_at - run.created_at).total_seconds()
    if run.observed_started_at is not None:
        yield "start", (run.observed_started_at - run.created_at).total_seconds()
        yield "ready", (run.ready_at - run.observed_started_at).total_seconds()
