"""/metrics: who may read it, and what it says."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.accounts.models import Scope, User
from apps.accounts.services.tokens import TokenRequest, create_token
from apps.clusters.hooks import WorkloadChange
from apps.clusters.models import Cluster, ClusterKind, Observed, Phase, Workload
from portal import exposition
from portal.exposition import is_allowed_address
from portal.metrics import observe_launch

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("peer", "headers", "allowed"),
    [
        ("127.0.0.1", {}, True),
        ("", {"X-Real-IP": "127.0.0.1"}, True),
        ("", {"X-Real-IP": "10.1.2.3"}, False),
        ("", {}, False),
        ("", {"X-Real-IP": "10.1.2.3", "X-Forwarded-For": "127.0.0.1"}, False),
        ("10.1.2.3", {"X-Real-IP": "127.0.0.1"}, False),
        ("127.0.0.1", {"X-Real-IP": "10.1.2.3"}, False),
        ("127.0.0.1", {"X-Forwarded-For": "10.1.2.3, 127.0.0.1"}, False),
        ("", {"X-Real-IP": "unix:"}, False),
        ("", {"X-Real-IP": "192.168.7.9"}, True),
    ],
)
@pytest.mark.attack
def test_addresses(settings: Settings, peer: str, headers: dict[str, str], allowed: bool) -> None:
    settings.METRICS_ALLOW = ["127.0.0.1", "192.168.7.0/24"]
    request = RequestFactory().get("/metrics", REMOTE_ADDR=peer, headers=headers)
    assert is_allowed_address(request) is allowed


def read(settings: Settings, user: User | None = None, *scopes: str) -> int:
    settings.METRICS_ALLOW = []
    headers = {}
    if user is not None:
        _row, text = create_token(None, user=user, request=TokenRequest(scopes=scopes))
        headers["authorization"] = f"Bearer {text}"
    return Client(headers=headers).get("/metrics").status_code


def test_tokens(settings: Settings, owner: User, admin: User) -> None:
    assert read(settings) == 401
    assert read(settings, owner, Scope.READ) == 403
    assert read(settings, admin, Scope.READ) == 403
    assert read(settings, admin, Scope.ADMIN) == 200


def test_a_bad_token_is_refused_even_from_an_allowed_address(settings: Settings) -> None:
    settings.METRICS_ALLOW = ["127.0.0.1"]
    assert Client().get("/metrics").status_code == 200
    answer = Client(headers={"authorization": "Bearer x"}).get("/metrics")
    assert answer.status_code == 401


def text_of() -> str:
    return exposition.exposition().decode()


def test_requests_are_counted_by_view_not_by_address() -> None:
    Client().get("/api/v1/me")
    Client().get("/api/v1/workspaces/" + "a" * 22)
    text = text_of()
    assert 'view="api:me"' in text
    assert "a" * 22 not in text
    assert "portal_http_request_seconds_bucket" in text


def make_run(owner: User, **fields: object) -> Workload:
    cluster, _made = Cluster.objects.get_or_create(name="fake", defaults={"kind": ClusterKind.FAKE})
    return Workload.objects.create(
        cluster=cluster,
        owner=owner,
        subject_uid="w" * 22,
        spec={},
        spec_hash="",
        app_token="",
        image_digest="sha256:0",
        **fields,
    )


def test_what_the_database_knows(owner: User) -> None:
    past = timezone.now() - dt.timedelta(seconds=100)
    make_run(owner, next_try_at=past)
    Cluster.objects.update(watched_at=past)
    lines = dict(line.rsplit(" ", 1) for line in text_of().splitlines() if not line.startswith("#"))
    assert float(lines["portal_workloads_due"]) == 1
    assert 99 < float(lines["portal_workloads_due_seconds"]) < 200
    assert float(lines['portal_workloads{phase="queued"}']) == 1
    assert 99 < float(lines['portal_watch_age_seconds{cluster="fake"}']) < 200
    assert "portal_broker_queue_length" in lines


def test_without_a_broker_its_figure_is_absent(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis+socket:///nonexistent.sock"
    assert "portal_broker_queue_length" not in text_of()


def launches(stage: str) -> float:
    line = f'portal_launch_seconds_sum{{stage="{stage}"}} '
    found = [row for row in text_of().splitlines() if row.startswith(line)]
    return float(found[0].removeprefix(line)) if found else 0.0


def test_a_launch_is_measured_once_by_stage(owner: User) -> None:
    began = timezone.now()
    run = make_run(
        owner,
        observed=Observed.READY,
        phase=Phase.READY,
        observed_started_at=began + dt.timedelta(seconds=2),
        ready_at=began + dt.timedelta(seconds=5),
    )
    run.created_at = began
    before = {stage: launches(stage) for stage in ("start", "ready", "total")}
    observe_launch(WorkloadChange(run, Phase.STARTING))
    observe_launch(WorkloadChange(run, Phase.READY))
    after = {stage: launches(stage) for stage in before}
    added = {stage: round(after[stage] - before[stage], 3) for stage in before}
    assert added == {"start": 2.0, "ready": 3.0, "total": 5.0}


def test_processes_of_one_machine_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that have ended leave their counts; their live gauges go."""
    count = (
        "from prometheus_client import Counter, Gauge\n"
        "Counter('tried', 'x').inc(3)\n"
        "Gauge('open', 'x', multiprocess_mode='livesum').set(7)\n"
    )
    environment = {**os.environ, exposition.MULTIPROCESS: str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], env=environment, check=True)
    monkeypatch.setenv(exposition.MULTIPROCESS, str(tmp_path))
    text = text_of()
    assert "tried_total 6.0" in text
    assert "\nopen 7" not in text
    assert "\nopen 14" not in text
