"""POST /workspaces and what follows it."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from apps.accounts.models import User
from apps.catalog.models import Image, Size
from apps.clusters.models import Phase, Workload
from apps.workspaces.models import Workspace
from tests.api.rest import As, assert_problem
from tests.workspaces.lab import make_ready

pytestmark = pytest.mark.django_db


def test_a_launch_answers_with_the_workspace(rest: As, owner: User, ready: dict[str, str]) -> None:
    answer = rest(owner).post("/workspaces", {**ready, "name": "My work"})
    assert answer.status == 202, answer.body
    found = answer.body
    assert found["name"] == "My work"
    assert (found["image"], found["ide"], found["size"]) == ("python", "jupyterlab", "small")
    assert found["phase"] in {"queued", "starting"}
    assert found["activity"] is None
    assert found["url"].endswith("/")
    assert found["uid"] in found["url"]
    assert found["created_at"].endswith("Z")
    assert found["cost"]["currency"] == "EUR"
    assert found["usage"] == {"cpu": None, "memory_mib": None, "disk_gib": None}
    assert Workspace.objects.get().uid == found["uid"]
    assert Workload.objects.get().subject_uid == found["uid"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": "nothing"}, "image"),
        ({"ide": "vscode"}, "ide"),
        ({"size": "huge"}, "size"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 5}, "name"),
        ({"owner": "admin"}, "owner"),
        ({"price_per_hour": "0"}, "price_per_hour"),
        ({"from_snapshot": "abc"}, "from_snapshot"),
        ({"image": None}, "image"),
        ({"image": "../../etc"}, "image"),
    ],
)
def test_what_is_wrong_is_named_by_field(
    rest: As, owner: User, ready: dict[str, str], change: dict[str, object], field: str
) -> None:
    answer = rest(owner).post("/workspaces", {**ready, **change})
    assert_problem(answer, 422, "invalid")
    assert field in [error["loc"][-1] for error in answer.body["errors"]]
    assert not Workspace.objects.exists()


def test_missing_fields_are_named(rest: As, owner: User, ready: dict[str, str]) -> None:
    answer = rest(owner).post("/workspaces", {})
    assert_problem(answer, 422, "invalid")
    assert {error["loc"][-1] for error in answer.body["errors"]} == {"image", "ide", "size"}


def test_a_limit_is_told_with_what_would_help(
    rest: As, owner: User, ready: dict[str, str], settings: Settings
) -> None:
    settings.MAX_RUNNING_PER_PERSON = 1
    caller = rest(owner)
    assert caller.post("/workspaces", ready).status == 202
    answer = caller.post("/workspaces", ready)
    assert_problem(answer, 409, "quota_exceeded")
    assert answer.body["hint"]
    assert Workspace.objects.count() == 1


def test_without_a_cluster_it_is_unavailable(
    rest: As, owner: User, image: Image, sizes: dict[str, Size]
) -> None:
    body = {"image": "python", "ide": "jupyterlab", "size": "small"}
    assert_problem(rest(owner).post("/workspaces", body), 503, "unavailable")


def test_start_stop_and_change(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    uid = caller.post("/workspaces", ready).body["uid"]
    assert_problem(caller.patch(f"/workspaces/{uid}", {"size": "medium"}), 409, "wrong_phase")
    renamed = caller.patch(f"/workspaces/{uid}", {"name": "Second name"})
    assert (renamed.status, renamed.body["name"]) == (200, "Second name")
    again = caller.post(f"/workspaces/{uid}/start", {})
    assert again.status == 202
    stopped = caller.post(f"/workspaces/{uid}/stop")
    assert stopped.status == 202
    assert stopped.body["snapshot"] is None
    assert stopped.body["workspace"]["version"] > renamed.body["version"]
    end(uid)
    changed = caller.patch(f"/workspaces/{uid}", {"size": "medium"})
    assert (changed.status, changed.body["size"]) == (200, "medium")
    started = caller.post(f"/workspaces/{uid}/start")
    assert started.status == 202
    assert Workload.objects.filter(subject_uid=uid).count() == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("start", {"save": True}),
        ("stop", {"save": True}),
        ("stop", {"save": None}),
        ("stop", {"save": "false"}),
        ("stop", {"keep": True}),
        ("extend", {"hours": 0}),
        ("extend", {"hours": 73}),
        ("extend", {"hours": "3"}),
        ("extend", {"hours": 1.5}),
        ("extend", {"hours": True}),
        ("extend", {}),
        ("extend", None),
        ("start", []),
    ],
)
def test_bodies_of_the_run_are_strict(
    rest: As, owner: User, ready: dict[str, str], path: str, body: object
) -> None:
    caller = rest(owner)
    uid = caller.post("/workspaces", ready).body["uid"]
    assert_problem(caller.post(f"/workspaces/{uid}/{path}", body), 422, "invalid")


def test_stopping_can_be_asked_not_to_save(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    uid = caller.post("/workspaces", ready).body["uid"]
    refused = caller.post(f"/workspaces/{uid}/stop", {"save": True})
    assert_problem(refused, 422, "invalid")
    (error,) = refused.body["errors"]
    assert error["loc"] == ["body", "save"]
    assert "not available yet" in error["message"]
    assert caller.post(f"/workspaces/{uid}/stop", {"save": False}).status == 202
    assert Workload.objects.get(subject_uid=uid).desired == "stopped"


def test_extending_moves_the_idle_stop_alone(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    uid = caller.post("/workspaces", ready).body["uid"]
    make_ready(Workspace.objects.get(uid=uid))
    before = caller.get(f"/workspaces/{uid}").body
    caller.post(f"/workspaces/{uid}/extend", {"hours": 1})
    after = caller.get(f"/workspaces/{uid}").body
    assert after["idle_stop_at"] > before["idle_stop_at"]
    assert after["ends_at"] == before["ends_at"]
    caller.post(f"/workspaces/{uid}/extend", {"hours": 72})
    last = caller.get(f"/workspaces/{uid}").body
    assert last["idle_stop_at"] == last["ends_at"] == before["ends_at"]


def test_extending_needs_a_run(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    uid = caller.post("/workspaces", ready).body["uid"]
    assert caller.post(f"/workspaces/{uid}/extend", {"hours": 2}).status == 202
    end(uid)
    assert_problem(caller.post(f"/workspaces/{uid}/extend", {"hours": 2}), 409, "wrong_phase")


def test_null_changes_nothing_and_says_so(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    uid = caller.post("/workspaces", ready).body["uid"]
    assert_problem(caller.patch(f"/workspaces/{uid}", {"name": None}), 422, "invalid")


def test_delete_names_how_long_the_home_is_kept(
    rest: As, owner: User, ready: dict[str, str], settings: Settings
) -> None:
    settings.DELETE_GRACE_S = 3600
    caller = rest(owner)
    uid = caller.post("/workspaces", ready).body["uid"]
    gone = caller.delete(f"/workspaces/{uid}")
    assert gone.status == 202
    assert gone.body["uid"] == uid
    assert gone.body["grace_s"] == 3600
    assert_problem(caller.get(f"/workspaces/{uid}"), 404, "not_found")
    assert caller.get("/workspaces").body["items"] == []


def end(uid: str) -> None:
    """The run is over, as the watcher would have written it."""
    from django.utils import timezone

    Workload.objects.filter(subject_uid=uid).update(phase=Phase.STOPPED, ended_at=timezone.now())
