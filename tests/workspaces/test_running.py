"""Start, stop, extend, and the ends that come by themselves."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.accounts.models import ApiToken, AuditRow, User
from apps.catalog.models import App
from apps.clusters.agent.reports import Report, write_report
from apps.clusters.drivers.base import RunState
from apps.clusters.models import Cluster, Desired, Phase, Workload, WorkloadActivity
from apps.live.errors import DomainError, Forbidden, NotFound, QuotaExceeded, WrongPhase
from apps.quotas.models import Reservation, UsageInterval
from apps.workspaces import services
from apps.workspaces.models import Workspace
from apps.workspaces.selectors import describe_one
from tests.workspaces.lab import (
    again,
    launch,
    lines_of,
    make_over,
    make_ready,
    run_of,
    see,
    work_off,
)


def age(workspace: Workspace, **seconds: int) -> None:
    """Let what is known of the run be so many seconds older."""
    run = run_of(workspace)
    for field, ago in seconds.items():
        setattr(run, field, timezone.now() - dt.timedelta(seconds=ago))
    run.save(update_fields=list(seconds))


def hear(workspace: Workspace, *, busy: bool = False, idle_s: int = 0, ago_s: int = 0) -> None:
    """Its agent's last report."""
    now = timezone.now()
    WorkloadActivity.objects.update_or_create(
        workload=run_of(workspace),
        defaults={
            "at": now - dt.timedelta(seconds=ago_s),
            "busy": busy,
            "last_activity_at": now - dt.timedelta(seconds=idle_s),
        },
    )


def test_a_stopped_run_gives_back_all_but_the_disk(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))

    workspace = make_over(workspace)

    assert workspace.phase == Phase.STOPPED
    held = Reservation.objects.filter(released_at=None)
    assert list(held.values_list("subject_uid", "resource")) == [(workspace.uid, "disk_gib")]
    interval = UsageInterval.objects.get()
    assert interval.ended_at is not None
    assert ApiToken.objects.get().revoked_at is not None
    assert lines_of(workspace) == [
        "launched",
        "queued",
        "starting",
        "ready",
        "stop",
        "stopping",
        "stopped",
    ]


@pytest.mark.django_db(transaction=True)
def test_stop_and_start_with_the_driver(lab: Cluster, owner: User) -> None:
    workspace = work_off(launch(owner))
    services.stop(owner, uid=workspace.uid)
    workspace = work_off(workspace)
    assert workspace.phase == Phase.STOPPED

    services.start(owner, uid=workspace.uid)
    workspace = work_off(workspace)

    assert workspace.phase == Phase.READY
    assert Workload.objects.count() == 2
    homes = {run.spec["home"] for run in Workload.objects.all()}
    assert homes == {workspace.uid}


def test_stopping_again_and_starting_again_change_nothing(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    assert services.start(owner, uid=workspace.uid).current_id == workspace.current_id
    services.stop(owner, uid=workspace.uid)
    lines = lines_of(workspace)
    services.stop(owner, uid=workspace.uid)
    assert lines_of(workspace) == lines
    assert AuditRow.objects.filter(action="workspace.stop").count() == 1


def test_it_cannot_be_started_while_it_stops(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    services.stop(owner, uid=workspace.uid)
    with pytest.raises(WrongPhase):
        services.start(owner, uid=workspace.uid)


def test_a_start_is_held_to_the_limits(lab: Cluster, owner: User) -> None:
    stopped = make_over(make_ready(launch(owner)))
    for _ in range(3):
        launch(owner)
    with pytest.raises(QuotaExceeded):
        services.start(owner, uid=stopped.uid)
    assert again(stopped).phase == Phase.STOPPED


def test_a_crash_is_told_with_what_would_help(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))

    workspace = see(workspace, RunState.EXITED, exit_code=-9, reason="out_of_memory")

    view = describe_one(workspace)
    assert (view.phase, view.reason) == ("failed", "out_of_memory")
    assert "2048 MiB" in view.message
    assert view.hint
    assert (view.events[0].type, view.events[0].message) == ("failed", view.message)
    assert [stage.state for stage in view.stages] == ["done", "done", "done", "failed"]


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_others_cannot_even_see_it(lab: Cluster, request: pytest.FixtureRequest, who: str) -> None:
    workspace = make_ready(launch(request.getfixturevalue("owner")))
    other = request.getfixturevalue(who)
    for act in (services.start, services.stop, services.delete, services.restore_deleted):
        with pytest.raises(NotFound):
            act(other, uid=workspace.uid)


def test_a_lead_looks_and_touches_nothing(lab: Cluster, owner: User, lead: User) -> None:
    workspace = make_ready(launch(owner))
    for act in (services.start, services.stop, services.delete):
        with pytest.raises(Forbidden):
            act(lead, uid=workspace.uid)
    with pytest.raises(Forbidden):
        services.rename(lead, uid=workspace.uid, name="mine")


def test_an_admin_may_stop_and_nothing_else(lab: Cluster, owner: User, admin: User) -> None:
    workspace = make_ready(launch(owner))
    with pytest.raises(Forbidden):
        services.delete(admin, uid=workspace.uid)
    services.stop(admin, uid=workspace.uid)
    assert run_of(workspace).desired == Desired.STOPPED
    assert AuditRow.objects.get(action="workspace.stop").actor == admin


def test_extending_moves_the_idle_stop(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    before = describe_one(workspace)
    assert before.idle_stop_at is not None

    services.extend(owner, uid=workspace.uid, hours=3)

    after = describe_one(workspace)
    assert after.idle_stop_at == before.idle_stop_at + dt.timedelta(hours=3)
    assert after.version > before.version


def test_no_extension_goes_past_the_lifetime(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    services.extend(owner, uid=workspace.uid, hours=72)
    view = describe_one(workspace)
    assert view.idle_stop_at == view.ends_at


@pytest.mark.parametrize("hours", [0, 73, -1])
def test_extensions_have_bounds(lab: Cluster, owner: User, hours: int) -> None:
    workspace = make_ready(launch(owner))
    with pytest.raises(DomainError) as refusal:
        services.extend(owner, uid=workspace.uid, hours=hours)
    assert "hours" in refusal.value.fields


def test_what_does_not_run_cannot_be_extended(lab: Cluster, owner: User) -> None:
    workspace = make_over(make_ready(launch(owner)))
    with pytest.raises(WrongPhase):
        services.extend(owner, uid=workspace.uid, hours=1)


def test_a_run_past_its_lifetime_is_stopped(lab: Cluster, owner: User, settings: Settings) -> None:
    settings.MAX_LIFETIME_S = 3600
    old, young = make_ready(launch(owner)), make_ready(launch(owner))
    age(old, observed_started_at=3601)

    assert services.end_overdue() == 1
    assert services.end_overdue() == 0

    assert run_of(old).stop_reason == "max_lifetime"
    assert run_of(young).desired == Desired.RUNNING
    assert "stop" in lines_of(old)


def test_what_an_agent_says_is_shown(lab: Cluster, owner: User, words: list[str]) -> None:
    workspace = make_ready(launch(owner))
    report = Report(at=timezone.now(), busy=True, cpu=0.5, memory_mib=300)
    assert write_report(run_of(workspace).uid, report)
    view = describe_one(workspace)
    assert view.version == workspace.version + 1
    assert (view.used.cpu, view.used.memory_mib, view.is_busy) == (0.5, 300, True)


def test_runs_of_who_is_disabled_are_stopped(lab: Cluster, owner: User) -> None:
    workspace = launch(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert services.end_overdue() == 1
    assert run_of(workspace).stop_reason == "disabled"


def test_an_idle_run_is_stopped(lab: Cluster, owner: User, settings: Settings) -> None:
    settings.IDLE_STOP_S = 600
    workspace = make_ready(launch(owner))
    age(workspace, ready_at=700)
    hear(workspace, idle_s=650)
    assert services.end_overdue() == 1
    assert run_of(workspace).stop_reason == "idle"


@pytest.mark.parametrize(
    "report",
    [
        {"busy": True, "idle_s": 5000},
        {"idle_s": 500},
        {"idle_s": 5000, "ago_s": 400},
        None,
    ],
)
def test_busy_recent_or_unknown_is_not_idle(
    lab: Cluster, owner: User, settings: Settings, report: dict[str, int] | None
) -> None:
    settings.IDLE_STOP_S = 600
    workspace = make_ready(launch(owner))
    age(workspace, ready_at=5000, observed_started_at=5000)
    if report is not None:
        hear(workspace, **report)  # type: ignore[arg-type]  # by name
    assert services.end_overdue() == 0


@pytest.mark.parametrize("activity", ["jupyter", "heartbeat"])
def test_an_agent_that_knows_nothing_stops_nothing(
    lab: Cluster, owner: User, settings: Settings, activity: str
) -> None:
    settings.IDLE_STOP_S = 600
    workspace = make_ready(launch(owner))
    App.objects.update(activity=activity)
    age(workspace, ready_at=5000, observed_started_at=5000)
    assert write_report(run_of(workspace).uid, Report(at=timezone.now(), busy=False))
    assert services.end_overdue() == 0
    assert describe_one(again(workspace)).idle_stop_at is None


def test_an_extension_keeps_an_idle_run(lab: Cluster, owner: User, settings: Settings) -> None:
    settings.IDLE_STOP_S = 600
    workspace = make_ready(launch(owner))
    age(workspace, ready_at=700)
    hear(workspace, idle_s=650)
    services.extend(owner, uid=workspace.uid, hours=1)
    assert services.end_overdue() == 0
