"""The account page, preferences, and the page of API tokens."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from apps.accounts.models import ApiToken, AuditRow, User
from apps.accounts.services.tokens import TokenRequest, create_token, principal_of
from tests.cast import Cast

TOKENS = "/account/tokens/"
TEXT = re.compile(r"gpc_[A-Za-z0-9_-]{43}")
FORM: dict[str, object] = {"name": "laptop", "scopes": ["read"], "days": "7"}


@pytest.mark.parametrize("name", ["owner", "stranger", "lead", "admin"])
def test_everybody_has_an_account_page(
    cast: Cast, signed_in: Callable[[User], Client], name: str
) -> None:
    page = signed_in(cast[name]).get("/account/")
    assert page.status_code == 200
    assert cast[name].username in page.content.decode()
    assert "no-store" in page["Cache-Control"]


def test_the_profile_is_saved(owner: User, signed_in: Callable[[User], Client]) -> None:
    client = signed_in(owner)
    data = {"display_name": "Sam <b>", "email": "sam@lab.example", "role": "admin", "username": "x"}
    assert client.post("/account/", data)["Location"] == "/account/"
    before = owner.live_version
    owner.refresh_from_db()
    assert (owner.display_name, owner.email) == ("Sam <b>", "sam@lab.example")
    assert (owner.role, owner.username) == ("student", "student")
    assert owner.live_version > before
    assert "Sam &lt;b&gt;" in client.get("/account/").content.decode()


def test_a_profile_that_cannot_be_is_told(owner: User, signed_in: Callable[[User], Client]) -> None:
    page = signed_in(owner).post("/account/", {"email": "nothing"})
    assert page.status_code == 422
    owner.refresh_from_db()
    assert owner.email == ""


def test_language_and_look_stay_with_browser_and_person(
    owner: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(owner)
    data = {"language": "ko", "next": "/account/"}
    answer = client.post("/account/preferences/", data)
    assert answer["Location"] == "/account/"
    assert answer.cookies["gpc_language"].value == "ko"
    assert answer.cookies["gpc_language"]["httponly"]
    assert client.post("/account/preferences/", {"theme": "dark"}).cookies["gpc_theme"].value == (
        "dark"
    )
    owner.refresh_from_db()
    assert (owner.language, owner.theme) == ("ko", "dark")
    page = client.get("/account/")
    assert page["Content-Language"] == "ko"
    assert 'lang="ko"' in page.content.decode()
    elsewhere = signed_in(owner).get("/account/")
    assert elsewhere["Content-Language"] == "ko"
    assert elsewhere.cookies["gpc_theme"].value == "dark"
    assert 'data-theme="dark"' in elsewhere.content.decode()


def test_preferences_need_nobody_signed_in(db: None, client: Client) -> None:
    answer = client.post("/account/preferences/", {"theme": "light", "next": "/account/login/"})
    assert answer["Location"] == "/account/login/"
    assert 'data-theme="light"' in client.get("/account/login/").content.decode()


@pytest.mark.parametrize(
    "data", [{"theme": "neon"}, {"language": "xx"}, {"language": "ko\r\nX: y"}]
)
def test_a_choice_that_is_none_changes_nothing(
    owner: User, signed_in: Callable[[User], Client], data: dict[str, str]
) -> None:
    answer = signed_in(owner).post("/account/preferences/", data)
    assert answer.status_code == 302
    owner.refresh_from_db()
    assert (owner.language, owner.theme) == ("", "auto")


def test_a_token_is_shown_once(owner: User, signed_in: Callable[[User], Client]) -> None:
    client = signed_in(owner)
    page = client.post(TOKENS, FORM)
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    (text,) = set(TEXT.findall(page.content.decode()))
    principal = principal_of(text)
    assert principal is not None
    assert principal.scopes == {"read"}
    again = client.get(TOKENS).content.decode()
    assert not TEXT.findall(again)
    assert "laptop" in again
    assert text not in str([row.get_decoded() for row in Session.objects.all()])
    assert text not in str(list(AuditRow.objects.values()))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"scopes": ["admin"]}, "admin"),
        ({"scopes": ["agent"]}, "agent"),
        ({"scopes": []}, "at least one"),
        ({"days": "366"}, "365"),
        ({"days": "-1"}, "1"),
        ({"days": "NaN"}, "number"),
        ({"name": ""}, "required"),
        ({"name": "x" * 81}, "80"),
    ],
)
def test_a_token_that_cannot_be_is_told(
    owner: User, signed_in: Callable[[User], Client], change: dict[str, object], word: str
) -> None:
    page = signed_in(owner).post(TOKENS, FORM | change)
    assert page.status_code == 422
    assert word in page.content.decode()
    assert not ApiToken.objects.exists()


def test_an_admin_may_make_an_admins_token(
    admin: User, signed_in: Callable[[User], Client]
) -> None:
    assert signed_in(admin).post(TOKENS, FORM | {"scopes": ["admin"]}).status_code == 200


def test_too_many_tokens_are_refused_on_the_page(
    owner: User, signed_in: Callable[[User], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.accounts.services.tokens.MAX_LIVE", 1)
    client = signed_in(owner)
    assert client.post(TOKENS, FORM).status_code == 200
    assert client.post(TOKENS, FORM).status_code == 422
    assert ApiToken.objects.count() == 1


def test_revoking(owner: User, signed_in: Callable[[User], Client]) -> None:
    row, text = create_token(owner, user=owner, request=TokenRequest(name="laptop"))
    client = signed_in(owner)
    path = f"{TOKENS}{row.uid}/revoke/"
    assert client.get(path).status_code == 405
    assert principal_of(text) is not None
    assert client.post(path)["Location"] == TOKENS
    assert principal_of(text) is None
    assert "Revoked" in client.get(TOKENS).content.decode()


@pytest.mark.parametrize("name", ["member", "stranger", "lead", "admin"])
def test_tokens_of_others_are_not_there(
    cast: Cast, signed_in: Callable[[User], Client], name: str
) -> None:
    row, text = create_token(cast.owner, user=cast.owner, request=TokenRequest(name="of the owner"))
    client = signed_in(cast[name])
    assert client.post(f"{TOKENS}{row.uid}/revoke/").status_code == 404
    assert "of the owner" not in client.get(TOKENS).content.decode()
    assert principal_of(text) is not None


def test_tokens_of_workloads_are_not_shown(
    owner: User, signed_in: Callable[[User], Client]
) -> None:
    from apps.accounts.services.tokens import issue_workload_token

    text = issue_workload_token(owner, "w" * 22)
    row = ApiToken.objects.get()
    client = signed_in(owner)
    assert text[:8] not in client.get(TOKENS).content.decode()
    assert client.post(f"{TOKENS}{row.uid}/revoke/").status_code == 404


def test_forms_of_other_sites_change_nothing(owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    for path in ("/account/", TOKENS, "/account/preferences/", "/account/logout/"):
        assert client.post(path, FORM).status_code == 403
    assert not ApiToken.objects.exists()
    assert client.get("/account/").status_code == 200
