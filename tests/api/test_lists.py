"""Lists: pages, cursors, and a number of queries that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.catalog.models import Image, Size
from apps.clusters.models import Cluster
from apps.workspaces.models import Workspace, WorkspaceEvent
from tests.api.rest import As, Rest, assert_problem
from tests.cast import make_image, make_size

pytestmark = pytest.mark.django_db

QUERIES = {"/workspaces": 6, "/images": 5, "/sizes": 4, "/me": 6}
"""Of each list, two of them for the token. Whoever adds one explains why here."""


def make_workspaces(owner: User, image: Image, size: Size, cluster: Cluster, count: int) -> None:
    assert image.current is not None
    for number in range(count):
        workspace = Workspace.objects.create(
            owner=owner,
            name=f"w{number}",
            cluster=cluster,
            image=image,
            image_version=image.current,
            app=image.apps.get(),
            size=size,
        )
        WorkspaceEvent.objects.create(workspace=workspace, type="launched", message="Launched.")


@pytest.fixture
def many(
    owner: User, image: Image, sizes: dict[str, Size], cluster: Cluster
) -> Callable[[int], None]:
    def make(count: int) -> None:
        make_workspaces(owner, image, sizes["small"], cluster, count)

    return make


def walk(
    caller: Rest, path: str, limit: int, between: Callable[[], None] = lambda: None
) -> list[str]:
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = caller.get(f"{path}?limit={limit}&cursor={cursor}").body
        assert len(page["items"]) <= limit
        names += [item.get("name") or item["message"] for item in page["items"]]
        cursor = page["next"]
        between()
    return names


def test_a_walk_sees_everything_once(rest: As, owner: User, many: Callable[[int], None]) -> None:
    many(7)
    assert walk(rest(owner), "/workspaces", 3) == [f"w{n}" for n in reversed(range(7))]
    assert walk(rest(owner), "/workspaces", 7) == [f"w{n}" for n in reversed(range(7))]


def test_rows_that_come_and_go_meanwhile_disturb_nothing(
    rest: As, owner: User, many: Callable[[int], None]
) -> None:
    many(7)

    def between() -> None:
        many(2)
        Workspace.objects.filter(name="w6").delete()

    assert walk(rest(owner), "/workspaces", 2, between)[:7] == [
        f"w{n}" for n in (6, 5, 4, 3, 2, 1, 0)
    ]


def test_short_lists_have_pages_too(
    rest: As, owner: User, image: Image, sizes: dict[str, Size]
) -> None:
    make_image("pytorch", digest="sha256:" + "cd" * 32)
    caller = rest(owner)
    assert walk(caller, "/images", 1) == ["Python", "Pytorch"]
    assert walk(caller, "/sizes", 2) == ["Small", "Medium", "Large"]


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.5", "NaN"])
def test_limits_out_of_range(rest: As, owner: User, limit: str) -> None:
    answer = rest(owner).get(f"/workspaces?limit={limit}")
    assert_problem(answer, 422, "invalid")
    assert answer.body["errors"][0]["loc"] == ["query", "limit"]


@pytest.mark.attack
@pytest.mark.parametrize("cursor", ["x", "eyJhIjoxfQ:abc", "%00", "1", ":", "a" * 500, "%ff"])
def test_made_up_cursors(rest: As, owner: User, cursor: str) -> None:
    assert_problem(rest(owner).get(f"/workspaces?cursor={cursor}"), 422, "invalid")


def test_a_cursor_is_good_for_its_own_list(
    rest: As, owner: User, many: Callable[[int], None]
) -> None:
    many(3)
    caller = rest(owner)
    uid = caller.get("/workspaces").body["items"][0]["uid"]
    cursor = caller.get("/workspaces?limit=1").body["next"]
    for other in ("/images", "/sizes", f"/workspaces/{uid}/events"):
        assert_problem(caller.get(f"{other}?cursor={cursor}"), 422, "invalid")


def count_queries(caller: Rest, path: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert caller.get(path).status == 200
    return len([q for q in seen if "SAVEPOINT" not in q["sql"]])


@pytest.mark.parametrize("path", QUERIES)
def test_the_number_of_queries_does_not_grow(
    rest: As, owner: User, many: Callable[[int], None], path: str
) -> None:
    caller = rest(owner)
    caller.get(path)
    many(1)
    one = count_queries(caller, f"{path}?limit=200")
    many(49)
    for number in range(20):
        make_image(f"image{number}", digest=f"sha256:{number:064}")
        make_size(f"size{number}", 1, 1, 1, "0.01")
    assert count_queries(caller, f"{path}?limit=200") == one == QUERIES[path]
