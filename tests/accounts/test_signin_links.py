"""Single-use links: good once, for 15 minutes, for whoever may come in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Barrier
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.models.functions import Now
from django.test import Client

from apps.accounts.models import SigninLink, Signout, User
from apps.accounts.services import people, signin
from tests.cast import make_person


def link_of(user: User) -> str:
    return urlsplit(signin.create_link(user)).path


def who(client: Client) -> str | None:
    key = client.session.get("_auth_user_id")
    return User.objects.get(pk=key).username if key else None


def test_looking_shows_a_button_and_changes_nothing(owner: User, client: Client) -> None:
    path = link_of(owner)
    for _ in range(3):
        page = client.get(path)
        assert page.status_code == 200
        assert b"<form" in page.content
        assert "no-store" in page["Cache-Control"]
        assert page["Referrer-Policy"] == "same-origin"
    assert client.head(path).status_code == 200
    assert who(client) is None
    assert SigninLink.objects.get().used_at is None


def test_pressing_it_signs_in_once(owner: User, client: Client) -> None:
    path = link_of(owner)
    answer = client.post(path)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert answer["Referrer-Policy"] == "same-origin"
    assert who(client) == "student"
    assert client.get("/account/").status_code == 200
    other = Client()
    for again in (other.get(path), other.post(path), client.post(path)):
        assert again.status_code == 410
        assert b"<h1" in again.content
    assert who(other) is None


def test_pressing_needs_the_form_of_our_page(owner: User) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(link_of(owner)).status_code == 403
    assert SigninLink.objects.get().used_at is None


def test_after_15_minutes_it_is_gone(owner: User, client: Client) -> None:
    path = link_of(owner)
    link = SigninLink.objects.get()
    assert dt.timedelta(minutes=14) < link.expires_at - link.created_at <= dt.timedelta(minutes=15)
    SigninLink.objects.update(expires_at=Now())
    assert client.get(path).status_code == 410
    assert client.post(path).status_code == 410
    assert who(client) is None


def test_a_link_that_never_was_is_gone(db: None, client: Client) -> None:
    for secret in ("x", "x" * 43, "x" * 3000, "%00"):
        assert client.get(f"/account/link/{secret}/").status_code == 410


def test_who_is_disabled_does_not_come_in(owner: User, admin: User, client: Client) -> None:
    path = link_of(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert client.get(path).status_code == 410
    assert client.post(path).status_code == 410
    assert who(client) is None


def test_whoever_was_signed_in_here_is_signed_out_first(
    owner: User, member: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(member)
    key = client.session.session_key
    assert key is not None
    client.post(link_of(owner))
    assert who(client) == "student"
    assert client.session.session_key != key
    assert Signout.objects.get().session == signin.session_digest(key)
    assert not Session.objects.filter(session_key=key).exists()


def test_the_secret_is_nowhere_in_the_database(owner: User) -> None:
    secret = link_of(owner).split("/")[3]
    with connection.cursor() as cursor:
        for table in ("accounts_signinlink", "accounts_auditrow"):
            cursor.execute(f"SELECT t::text FROM {table} t")
            assert not any(secret in row for (row,) in cursor.fetchall())


@pytest.mark.django_db(transaction=True)
def test_of_many_presses_at_once_exactly_one_wins() -> None:
    path = link_of(make_person("kim"))
    racers = 6
    barrier = Barrier(racers)

    def race(_number: int) -> int:
        try:
            client = Client()
            barrier.wait(10)
            return client.post(path).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(racers) as pool:
        answers = sorted(pool.map(race, range(racers)))
    assert answers == [302] + [410] * (racers - 1)
    assert Session.objects.count() == 1


def test_the_command_prints_the_link_and_nothing_else(owner: User, client: Client) -> None:
    out = StringIO()
    call_command("signin_link", "student", stdout=out)
    link = out.getvalue()
    assert link.startswith(f"{settings.PORTAL_URL}/account/link/")
    assert link.endswith("/\n")
    assert link.count("\n") == 1
    assert client.post(urlsplit(link.strip()).path).status_code == 302


def test_the_command_refuses_with_exit_2(owner: User) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("signin_link", "nobody")
    assert refusal.value.returncode == 2
    people.disable(None, user=owner)
    with pytest.raises(CommandError) as refusal:
        call_command("signin_link", "student")
    assert refusal.value.returncode == 2
