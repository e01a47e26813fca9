"""The portal's own pages call REST with their session: same origin and CSRF token, or not."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from tests.api.rest import As, Rest, assert_problem

pytestmark = pytest.mark.django_db
ORIGIN = "http://localhost:8000"


@pytest.fixture
def browser(owner: User) -> Client:
    client = Client(enforce_csrf_checks=True, headers={"host": "localhost:8000"})
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return client


def csrf(client: Client) -> str:
    client.get("/api/docs")
    return client.cookies["gpc_csrf"].value


def test_reading_needs_no_csrf_token(browser: Client) -> None:
    assert Rest(browser).get("/me").body["username"] == "student"


def test_changing_needs_it(browser: Client, ready: dict[str, str]) -> None:
    answer = Rest(browser).post("/workspaces", ready)
    assert_problem(answer, 403, "forbidden")
    token = csrf(browser)
    good = Rest(browser).post("/workspaces", ready, X_CSRFToken=token, Origin=ORIGIN)
    assert good.status == 202, good.body


@pytest.mark.attack
@pytest.mark.parametrize("origin", ["http://w-abc.localhost:8000", "https://evil.example", "null"])
def test_other_origins_are_refused_with_the_right_token(
    browser: Client, ready: dict[str, str], origin: str
) -> None:
    token = csrf(browser)
    answer = Rest(browser).post("/workspaces", ready, X_CSRFToken=token, Origin=origin)
    assert_problem(answer, 403, "forbidden")


def test_a_bearer_needs_no_csrf_token(rest: As, owner: User, ready: dict[str, str]) -> None:
    caller = rest(owner)
    caller.client.handler.enforce_csrf_checks = True
    assert caller.post("/workspaces", ready).status == 202


def test_a_session_of_somebody_disabled_is_nobodys(browser: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert_problem(Rest(browser).get("/me"), 401, "unauthenticated")


def test_a_session_of_an_older_epoch_is_nobodys(browser: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(session_epoch=owner.session_epoch + 1)
    assert_problem(Rest(browser).get("/me"), 401, "unauthenticated")
