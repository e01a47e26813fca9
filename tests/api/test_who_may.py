"""Each call, as everybody: what the owner, others, and tokens of every kind get."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import ApiToken, Scope, User
from apps.workspaces.models import Workspace
from tests.api.rest import As, assert_problem
from tests.cast import Cast

pytestmark = pytest.mark.django_db

Call = tuple[str, str, object]
CHANGES: list[Call] = [
    ("PATCH", "/workspaces/{uid}", {"name": "Taken over"}),
    ("POST", "/workspaces/{uid}/start", {}),
    ("POST", "/workspaces/{uid}/stop", {}),
    ("POST", "/workspaces/{uid}/extend", {"hours": 1}),
    ("DELETE", "/workspaces/{uid}", None),
]
LOOKS: list[Call] = [
    ("GET", "/workspaces/{uid}", None),
    ("GET", "/workspaces/{uid}/events", None),
    ("GET", "/workspaces/{uid}/manifest", None),
]
LISTS: list[Call] = [
    ("GET", "/me", None),
    ("GET", "/images", None),
    ("GET", "/images/python", None),
    ("GET", "/sizes", None),
    ("GET", "/workspaces", None),
]
MAKES: list[Call] = [
    ("POST", "/workspaces", {"image": "python", "ide": "jupyterlab", "size": "small"}),
    ("POST", "/images/python/pull", {}),
]
EVERY = [*LISTS, *MAKES, *LOOKS, *CHANGES]
OK = {200, 202}


@pytest.fixture
def uid(rest: As, owner: User, ready: dict[str, str]) -> str:
    return str(rest(owner).post("/workspaces", ready).body["uid"])


def test_the_table_covers_the_document() -> None:
    from tests.api.rest import document

    told = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, methods in document()["paths"].items()
        for method in methods
    }
    named = {(m, p.replace("/images/python", "/images/{slug}")) for m, p, _body in EVERY}
    assert told == named | {("GET", "/workspaces/{uid}/logs")}


@pytest.mark.parametrize("call", [*LOOKS, *CHANGES])
@pytest.mark.parametrize("who", ["member", "stranger"])
def test_others_cannot_tell_that_it_exists(
    rest: As, cast: Cast, uid: str, who: str, call: Call
) -> None:
    method, path, body = call
    answer = rest(cast[who])(method, path.format(uid=uid), body)
    assert_problem(answer, 404, "not_found")
    absent = rest(cast[who])(method, path.format(uid="a" * 22), body)
    assert absent.body == answer.body


@pytest.mark.parametrize("call", CHANGES)
@pytest.mark.parametrize("who", ["lead", "admin"])
def test_who_may_look_may_not_change(rest: As, cast: Cast, uid: str, who: str, call: Call) -> None:
    method, path, body = call
    answer = rest(cast[who])(method, path.format(uid=uid), body)
    if who == "admin" and path.endswith("/stop"):
        assert answer.status == 202
        return
    assert_problem(answer, 403, "forbidden")
    assert rest(cast[who]).get(f"/workspaces/{uid}").status == 200
    assert Workspace.objects.get(uid=uid).deleted_at is None


def test_a_list_holds_only_ones_own(rest: As, cast: Cast, uid: str) -> None:
    for who in ("member", "stranger", "lead", "admin"):
        assert rest(cast[who]).get("/workspaces").body["items"] == []
    assert [item["uid"] for item in rest(cast.owner).get("/workspaces").body["items"]] == [uid]


@pytest.mark.parametrize("call", EVERY)
def test_nobody_is_asked_who_they_are(rest: As, uid: str, call: Call) -> None:
    method, path, body = call
    answer = rest(None)(method, path.format(uid=uid), body)
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("call", EVERY)
def test_a_token_of_another_scope_is_not_enough(
    rest: As, owner: User, uid: str, call: Call
) -> None:
    method, path, body = call
    needed = Scope.READ if method == "GET" else Scope.WORKSPACES
    others = [scope for scope in ("read", "workspaces", "jobs") if scope != needed]
    answer = rest(owner, *others)(method, path.format(uid=uid), body)
    assert_problem(answer, 403, "scope_missing")
    assert needed in answer.body["detail"]
    assert answer.body["hint"]


@pytest.mark.parametrize("call", [LISTS[0], MAKES[0]])
@pytest.mark.parametrize("how", ["expired", "revoked", "disabled"])
def test_tokens_that_have_ended(
    rest: As, owner: User, ready: dict[str, str], how: str, call: Call
) -> None:
    caller = rest(owner)
    past = timezone.now() - dt.timedelta(seconds=1)
    if how == "expired":
        ApiToken.objects.update(expires_at=past)
    elif how == "revoked":
        ApiToken.objects.update(revoked_at=past)
    else:
        User.objects.filter(pk=owner.pk).update(is_active=False)
    method, path, body = call
    assert_problem(caller(method, path, body), 401, "unauthenticated")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer garbage",
        "Bearer gpc_" + "a" * 43,
        "Bearer gpc_" + "ä" * 43,
        "Bearer",
        "bearer  ",
        "Basic YTpi",
        "gpc_" + "a" * 43,
        "Bearer \x7f",
    ],
)
def test_garbage_is_401_even_with_a_good_session(
    signed_in: Callable[[User], Client], owner: User, header: str
) -> None:
    from tests.api.rest import Rest

    client = signed_in(owner)
    assert_problem(Rest(client).get("/me", authorization=header), 401, "unauthenticated")
    assert Rest(client).get("/me").status == 200


def test_an_agents_token_reads_nothing(owner: User) -> None:
    from apps.accounts.services.tokens import issue_workload_token
    from tests.api.rest import Rest

    text = issue_workload_token(owner, "w" * 22)
    caller = Rest(Client(headers={"authorization": f"Bearer {text}"}))
    assert_problem(caller.get("/me"), 403, "scope_missing")
    assert_problem(caller.get("/workspaces"), 403, "scope_missing")
