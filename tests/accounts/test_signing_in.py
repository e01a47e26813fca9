"""Passwords, signing out, changing the password, too many tries; and that nothing of allauth can
be reached that is not ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from allauth.account import urls as allauth_urls
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import NoReverseMatch, reverse
from pytest_django.fixtures import Settings

from apps.accounts.models import Signout, User
from apps.accounts.services.signin import session_digest
from tests.cast import PASSWORD

LOGIN = "/account/login/"
CHANGE = "/account/password/change/"
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example/",
    "///evil.example",
    "http://localhost:8000.evil.example/",
    "http://w-abc.localhost:8000/",
    "account/",
]


@pytest.fixture
def with_password(owner: User) -> User:
    owner.set_password(PASSWORD)
    owner.email = "sam@lab.example"
    owner.save()
    return owner


def sign_in(client: Client, login: str = "student", password: str = PASSWORD, **more: str) -> int:
    data = {"login": login, "password": password, **more}
    return client.post(LOGIN, data).status_code


def is_signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


@pytest.mark.parametrize("login", ["student", "STUDENT", "sam@lab.example"])
def test_a_password_signs_in(with_password: User, client: Client, login: str) -> None:
    assert client.get(LOGIN).status_code == 200
    answer = client.post(LOGIN, {"login": login, "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_signed_in(client)


def test_sign_in_needs_neither_broker_nor_cache_server(
    with_password: User, client: Client, settings: Settings
) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["unix:///nonexistent.sock"]},
        }
    }
    assert sign_in(client) == 302
    assert is_signed_in(client)


def test_what_is_wrong_is_said_without_saying_who_is_there(
    with_password: User, client: Client
) -> None:
    pages = [
        client.post(LOGIN, {"login": login, "password": "wrong"}).content
        for login in ("student", "nobody")
    ]
    assert b"password" in pages[0]
    for page in pages:
        assert b"not correct" in page
    assert not is_signed_in(client)


def test_without_a_password_none_signs_in(owner: User, client: Client) -> None:
    for password in ("", "!", owner.password):
        assert sign_in(client, password=password) == 200
    assert not is_signed_in(client)


def test_who_is_disabled_is_told_so_only_with_the_password(
    with_password: User, client: Client
) -> None:
    User.objects.update(is_active=False)
    right = client.post(LOGIN, {"login": "student", "password": PASSWORD})
    assert right.status_code == 403
    assert b"disabled" in right.content
    wrong = client.post(LOGIN, {"login": "student", "password": "wrong"})
    assert b"disabled" not in wrong.content
    assert not is_signed_in(client)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_next_leads_nowhere_else(with_password: User, client: Client, target: str) -> None:
    data = {"login": "student", "password": PASSWORD, "next": target}
    answer = client.post(LOGIN, data)
    assert answer["Location"] == "/"
    assert client.get(LOGIN, {"next": target})["Location"] == "/"
    assert client.post("/account/preferences/", {"theme": "dark", "next": target})["Location"] == (
        "/"
    )
    assert client.post("/account/logout/", {"next": target})["Location"] == LOGIN


def test_next_leads_to_a_page_of_ours(with_password: User, client: Client) -> None:
    data = {"login": "student", "password": PASSWORD, "next": "/account/tokens/?a=b"}
    assert client.post(LOGIN, data)["Location"] == "/account/tokens/?a=b"


def test_pages_ask_to_sign_in_and_come_back(db: None, client: Client) -> None:
    for path in ("/account/", "/account/tokens/"):
        assert client.get(path)["Location"] == f"{LOGIN}?next={path}"


def test_signing_out_is_a_post_and_closes_what_was_opened(
    owner: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(owner)
    key = client.session.session_key
    assert key is not None
    asked = client.get("/account/logout/")
    assert asked.status_code == 200
    assert is_signed_in(client)
    answer = client.post("/account/logout/")
    assert answer["Location"] == LOGIN
    assert not is_signed_in(client)
    assert Signout.objects.get().session == session_digest(key)
    assert not Session.objects.filter(session_key=key).exists()


def test_a_changed_password_keeps_this_session_and_ends_the_others(
    with_password: User, signed_in: Callable[[User], Client]
) -> None:
    here, there = signed_in(with_password), signed_in(with_password)
    new = "another horse, another battery"
    data = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    answer = here.post(CHANGE, data)
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert is_signed_in(here)
    assert not is_signed_in(there)
    with_password.refresh_from_db()
    assert with_password.session_epoch == 2
    assert with_password.check_password(new)


def test_a_wrong_old_password_changes_nothing(
    with_password: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(with_password)
    assert client.get(CHANGE).status_code == 200
    data = {"oldpassword": "wrong", "password1": "n3w-and-long", "password2": "n3w-and-long"}
    assert client.post(CHANGE, data).status_code == 200
    with_password.refresh_from_db()
    assert with_password.session_epoch == 1
    assert with_password.check_password(PASSWORD)


def test_who_has_no_password_is_told_so(owner: User, signed_in: Callable[[User], Client]) -> None:
    client = signed_in(owner)
    for answer in (client.get(CHANGE), client.post(CHANGE, {"password1": "x"})):
        assert answer.status_code == 409
        assert b"no password" in answer.content


def test_a_session_of_an_older_epoch_ends(owner: User, signed_in: Callable[[User], Client]) -> None:
    client = signed_in(owner)
    User.objects.update(session_epoch=7)
    assert not is_signed_in(client)
    assert Signout.objects.count() == 1


def test_signing_out_everywhere_else(owner: User, signed_in: Callable[[User], Client]) -> None:
    here, there = signed_in(owner), signed_in(owner)
    assert here.get("/account/sign-out-everywhere/").status_code == 405
    assert here.post("/account/sign-out-everywhere/")["Location"] == "/account/"
    assert is_signed_in(here)
    assert not is_signed_in(there)


def test_guessing_is_stopped(with_password: User, client: Client) -> None:
    for _ in range(5):
        sign_in(client, password="wrong")
    page = client.post(LOGIN, {"login": "student", "password": PASSWORD})
    assert page.status_code == 200
    assert b"Too many" in page.content
    assert not is_signed_in(client)


def test_guessing_at_many_names_from_one_address_is_stopped_in_our_look(
    db: None, client: Client
) -> None:
    here = Client(headers={"X-Real-IP": "192.0.2.7"})
    for number in range(30):
        here.post(LOGIN, {"login": f"person{number}", "password": "x"})
    page = here.post(LOGIN, {"login": "student", "password": "x"})
    assert page.status_code == 429
    assert int(page["Retry-After"]) > 0
    assert b"too often" in page.content
    assert b"GPU" in page.content
    elsewhere = client.post(
        LOGIN, {"login": "student", "password": "x"}, HTTP_X_REAL_IP="192.0.2.8"
    )
    assert elsewhere.status_code == 200


def test_an_address_that_nobody_tells_is_no_error(with_password: User, client: Client) -> None:
    data = {"login": "student", "password": PASSWORD}
    assert client.post(LOGIN, data, REMOTE_ADDR="").status_code == 302


OURS = {"account_login", "account_logout", "account_change_password"}


@pytest.mark.parametrize(
    "name", sorted({str(pattern.name) for pattern in allauth_urls.urlpatterns} - OURS)
)
def test_no_other_page_of_allauth_is_there(name: str) -> None:
    for args in ([], ["x"], ["x", "y"]):
        with pytest.raises(NoReverseMatch):
            reverse(name, args=args)


@pytest.mark.parametrize("path", ["signup/", "email/", "password/reset/", "inactive/", "2fa/"])
def test_nothing_answers_at_the_places_of_allauth(db: None, client: Client, path: str) -> None:
    assert client.get(f"/account/{path}").status_code == 404
    assert client.post(f"/account/{path}", {"username": "new"}).status_code == 404
    assert not User.objects.exists()
