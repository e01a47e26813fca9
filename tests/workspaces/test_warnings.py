"""What goes wrong in a workspace that runs on: told once per occurrence, shown while it holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.clusters.drivers.base import RunState
from apps.clusters.models import Cluster
from apps.workspaces.models import WorkspaceEvent
from apps.workspaces.selectors import describe_one
from tests.workspaces.lab import again, launch, lines_of, make_ready, see

SignIn = Callable[[User], Client]

pytestmark = pytest.mark.django_db
KILLED = {"reason": "process_out_of_memory", "message": "1 of its processes ended"}
LOW = {"reason": "memory_low", "message": "memory is nearly full"}


def test_an_ended_process_is_told_and_the_workspace_runs_on(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    before = again(workspace).version
    workspace = see(workspace, RunState.READY, **KILLED)

    view = describe_one(workspace)
    assert (view.phase, view.reason) == ("ready", "process_out_of_memory")
    assert view.version > before
    assert "2048 MiB" in view.message
    assert "larger size" in view.hint
    assert (view.events[0].type, view.events[0].message) == ("warning", view.message)
    assert [stage.state for stage in view.stages] == ["done"] * 4


@pytest.mark.parametrize("what", [KILLED, LOW], ids=["killed", "low"])
def test_each_occurrence_is_told_once(lab: Cluster, owner: User, what: dict[str, str]) -> None:
    workspace = make_ready(launch(owner))
    for _ in range(3):
        see(workspace, RunState.READY, **what)
    assert lines_of(workspace).count("warning") == 1
    version = see(workspace, RunState.READY).version
    assert describe_one(again(workspace)).message == ""
    assert see(workspace, RunState.READY, **what).version > version
    assert lines_of(workspace).count("warning") == 2


def test_a_second_process_is_told_too(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    see(workspace, RunState.READY, **KILLED)
    see(workspace, RunState.READY, **{**KILLED, "message": "2 of its processes ended"})
    events = WorkspaceEvent.objects.filter(workspace=workspace, type="warning")
    assert [event.reason for event in events] == ["process_out_of_memory"] * 2


def test_the_page_shows_it_while_it_holds(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    workspace = make_ready(launch(owner))
    see(workspace, RunState.READY, **LOW)
    page = signed_in(owner)
    shown = page.get(f"/workspaces/{workspace.uid}/").content.decode()
    trouble = shown.split("notice--warning", 1)[1].split("</div>", 1)[0]
    assert "Memory is nearly full" in trouble
    assert "larger size" in trouble
    see(workspace, RunState.READY)
    assert "notice--warning" not in page.get(f"/workspaces/{workspace.uid}/").content.decode()
