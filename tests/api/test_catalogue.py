"""/me, /images and /sizes: every field of the contract, in its own form."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from apps.accounts.models import User
from apps.catalog.models import BuildState, EnvironmentBuild, Image, ImageStatus, Size
from apps.quotas.models import Limit
from tests.api.rest import As, assert_problem
from tests.cast import Cast, make_image

pytestmark = pytest.mark.django_db


def test_me(rest: As, cast: Cast) -> None:
    found = rest(cast.owner).get("/me").body
    assert found["username"] == "student"
    assert found["roles"] == ["student"]
    assert found["groups"] == ["course101"]
    assert found["budget"] is None
    assert rest(cast.lead).get("/me").body["roles"] == ["student", "lead"]
    assert rest(cast.admin).get("/me").body["roles"] == ["student", "admin"]


def test_quotas_count_in_the_contracts_units(
    rest: As, owner: User, ready: dict[str, str], settings: Settings
) -> None:
    settings.MAX_RUNNING_PER_PERSON = 3
    Limit.objects.create(resource="cpu", max=2500)
    caller = rest(owner)
    caller.post("/workspaces", ready)
    lines = {line["resource"]: line for line in caller.get("/me").body["quotas"]}
    assert lines["workspaces"] == {
        "resource": "workspaces", "limit": 3, "used": 1, "window": "now",
    }  # fmt: skip
    assert (lines["cpu"]["limit"], lines["cpu"]["used"]) == (2.5, 1.0)


def test_images(rest: As, owner: User, image: Image) -> None:
    found = rest(owner).get("/images").body
    assert found["next"] is None
    assert found["items"] == [rest(owner).get("/images/python").body]
    only = found["items"][0]
    assert only["ides"] == ["jupyterlab"]
    assert (only["pulled"], only["pull_progress"]) == ("yes", 1.0)
    assert (only["status"], only["supports_gpu"]) == ("published", False)


def test_drafts_are_for_admins(rest: As, cast: Cast, image: Image) -> None:
    draft = make_image("draft", digest="sha256:" + "ee" * 32)
    draft.status = ImageStatus.DRAFT
    draft.save(update_fields=["status"])
    assert_problem(rest(cast.owner).get("/images/draft"), 404, "not_found")
    assert rest(cast.admin).get("/images/draft").body["status"] == "draft"
    assert "draft" not in [item["slug"] for item in rest(cast.owner).get("/images").body["items"]]


def test_pulling_asks_a_worker_once(rest: As, owner: User, db: None) -> None:
    make_image("new", digest="sha256:" + "cd" * 32)
    caller = rest(owner)
    answer = caller.post("/images/new/pull")
    assert answer.status == 202
    assert answer.body["pulled"] == "pulling"
    assert caller.post("/images/new/pull", {}).body["pulled"] == "pulling"
    assert EnvironmentBuild.objects.get().state == BuildState.PULLING
    assert_problem(caller.post("/images/new/pull", {"force": True}), 422, "invalid")
    assert_problem(caller.post("/images/nothing/pull"), 404, "not_found")


def test_a_failed_build_says_why(rest: As, owner: User, image: Image) -> None:
    EnvironmentBuild.objects.update(state=BuildState.FAILED, message="No matching wheel")
    found = rest(owner).get("/images/python").body
    assert (found["pulled"], found["pull_message"]) == ("failed", "No matching wheel")


def test_sizes(rest: As, owner: User, sizes: dict[str, Size]) -> None:
    Size.objects.filter(slug="small").update(for_jobs=True, cpu_millis=500)
    Size.objects.filter(slug="large").update(is_published=False)
    found = rest(owner).get("/sizes").body["items"]
    assert [item["slug"] for item in found] == ["small", "medium"]
    small = found[0]
    assert small["cpu"] == 0.5
    assert small["for"] == ["workspace", "job"]
    assert isinstance(small["price_per_hour"], str)
    assert (float(small["price_per_hour"]), small["currency"]) == (0.02, "EUR")
    assert (small["gpus"], small["gpu_tier"]) == (0, None)
