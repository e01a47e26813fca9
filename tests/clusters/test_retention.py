"""What is kept of runs, and for how long."""

from __future__ import annotations

import datetime as dt

import pytest
from celery.schedules import schedule
from django.conf import settings

from apps.clusters.clock import database_now
from apps.clusters.models import AgentCommand, Phase, Workload, WorkloadLog
from apps.clusters.retention import forget_old
from apps.clusters.tasks import forget_old as task
from tests.clusters.builders import fake_cluster, run_of

pytestmark = pytest.mark.django_db(transaction=True)


def run_with_log(ended_days_ago: float | None) -> Workload:
    run = run_of(fake_cluster(f"days-{ended_days_ago}"))
    WorkloadLog.objects.create(workload=run, text="last words")
    if ended_days_ago is not None:
        ended = database_now() - dt.timedelta(days=ended_days_ago)
        Workload.objects.filter(pk=run.pk).update(phase=Phase.STOPPED, ended_at=ended)
    return run


def test_logs_of_runs_are_kept_for_a_week_after_their_end() -> None:
    kept = [run_with_log(None), run_with_log(6.9)]
    run_with_log(7.1)
    assert forget_old()["logs"] == 1
    assert {log.workload for log in WorkloadLog.objects.all()} == set(kept)
    assert forget_old()["logs"] == 0


def test_commands_to_agents_are_kept_for_a_day() -> None:
    run = run_of(fake_cluster())
    fresh = AgentCommand.objects.create(workload=run, type="fresh")
    old = AgentCommand.objects.create(workload=run, type="old")
    AgentCommand.objects.filter(pk=old.pk).update(
        created_at=database_now() - dt.timedelta(hours=25)
    )
    assert forget_old()["commands"] == 1
    assert AgentCommand.objects.get() == fresh


def test_beat_asks_for_it_each_hour() -> None:
    entry = settings.CELERY_BEAT_SCHEDULE["runs-retention"]
    assert entry["task"] == task.name
    assert entry["schedule"] == schedule(3600)
    task()
