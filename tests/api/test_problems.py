"""Whatever goes wrong under /api/ is problem+json."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import InternalError, OperationalError
from django.test import Client
from pytest_django.fixtures import Settings

from apps.accounts.models import User
from tests.api.rest import As, Rest, assert_problem

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "path",
    [
        "/api/",
        "/api/v1",
        "/api/v1/",
        "/api/v1/jobs",
        "/api/v1/snapshots",
        "/api/v1/queues",
        "/api/v1/usage",
        "/api/v2/me",
        "/api/v1/me/",
        "/api/v1/workspaces/x",
        "/api/v1/workspaces/" + "a" * 22 + "/save",
        "/api/v1/workspaces/" + "a" * 22 + "/files/",
        "/api/v1/workspaces/%00" + "a" * 22,
        "/api/v1/images/..%2f..%2fetc",
        "/api/v1/images/nothing",
    ],
)
def test_unknown_addresses(rest: As, owner: User, path: str) -> None:
    assert_problem(rest(owner).get(path), 404, "not_found")


def test_other_methods(rest: As, owner: User) -> None:
    answer = rest(owner)("PUT", "/workspaces", {})
    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}
    assert_problem(rest(owner)("POST", "/api/v1/nothing", {}), 404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "{'a': 1}",
        '{"image": NaN}',
        '{"image": "a", "image": "b"}',
        '{"image": "a\\u0000b"}',
        '{"image": "\\ud800"}',
        "[" * 100_000,
        '{"hours": ' + "9" * 5000 + "}",
        "\ufeff{}",
    ],
)
def test_what_is_no_json(rest: As, owner: User, body: object) -> None:
    answer = rest(owner).post("/workspaces", body)
    assert_problem(answer, 422, "invalid")
    assert answer.body["errors"]


@pytest.mark.parametrize("body", ["[]", '"text"', "5", "null", "true"])
def test_json_that_is_no_object(rest: As, owner: User, body: object) -> None:
    assert_problem(rest(owner).post("/workspaces", body), 422, "invalid")


def test_other_formats_than_json(rest: As, owner: User) -> None:
    client = rest(owner).client
    response = client.post("/api/v1/workspaces", {"image": "python"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_bodies_that_are_too_large(rest: As, owner: User, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = rest(owner).post("/workspaces", {"name": "x" * 2000})
    assert_problem(answer, 413, "too_large")


def test_a_host_that_is_not_ours() -> None:
    response = Client(headers={"host": "evil.example"}).get("/api/v1/me")
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


class Broken:
    """Raises when called."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *args: object, **kwargs: object) -> None:
        raise self.error


def read_only() -> InternalError:
    cause = Exception("read-only")
    cause.sqlstate = "25006"  # type: ignore[attr-defined]  # as psycopg's errors have it
    error = InternalError("cannot execute UPDATE in a read-only transaction")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error", [OperationalError("gone"), read_only()], ids=["gone", "standby"])
def test_a_database_that_is_away(
    rest: As, owner: User, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    caller = rest(owner)
    monkeypatch.setattr("apps.api.workspaces.workspaces_for", Broken(error))
    assert_problem(caller.get("/workspaces"), 503, "unavailable")


def test_also_while_finding_out_who_asks(
    rest: As, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = rest(owner)
    monkeypatch.setattr("apps.api.authentication.principal_of", Broken(OperationalError("gone")))
    assert_problem(caller.get("/me"), 503, "unavailable")


def test_also_before_any_view(
    owner: User, signed_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(owner)
    client.raise_request_exception = False
    broken = Broken(OperationalError("gone"))
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", broken)
    assert_problem(Rest(client).get("/me"), 503, "unavailable")
    page = client.get("/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")


def test_our_own_mistakes_tell_nothing_of_the_inside(
    rest: As, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = rest(owner)
    monkeypatch.setattr("apps.api.me.roles_of", Broken(RuntimeError("secret detail")))
    answer = caller.get("/me")
    assert_problem(answer, 500, "internal")
    assert "secret" not in str(answer.body)
    assert "Traceback" not in str(answer.body)


def test_words_follow_the_language(rest: As, owner: User) -> None:
    english = rest(owner).get("/workspaces/" + "a" * 22)
    assert english.headers["content-language"] == "en"
    assert english.body["title"]


def test_answers_are_not_kept_by_caches(rest: As, owner: User) -> None:
    assert rest(owner).get("/me").headers["cache-control"] == "no-store"
    assert rest(None).get("/me").headers["cache-control"] == "no-store"
