"""What others hear: gate at once by NOTIFY, open pages by their topic."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from apps.accounts.services import people, signin, tokens
from apps.accounts.services.tokens import TokenRequest
from tests.cast import make_person


def revoke_one(user: User) -> None:
    row, _text = tokens.create_token(user, user=user, request=TokenRequest())
    tokens.revoke_token(user, user=user, uid=row.uid)


def end_run(user: User) -> None:
    tokens.issue_workload_token(user, "w" * 22)
    tokens.revoke_workload_tokens("w" * 22)


ACTS: dict[str, Callable[[User], object]] = {
    "disabling": lambda user: people.disable(None, user=user),
    "signing out everywhere": lambda user: people.sign_out_everywhere(user, user=user),
    "signing out": lambda user: signin.end_session("key"),
    "making and revoking a token": revoke_one,
    "the end of a run": end_run,
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_gate_hears_of_it(act: Callable[[User], object]) -> None:
    user = make_person("kim")
    parameters = connection.get_connection_params()
    wanted = ("host", "port", "user", "password", "dbname")
    given = {name: parameters[name] for name in wanted if parameters.get(name)}
    with psycopg.connect(**given, autocommit=True) as gate:
        gate.execute("LISTEN gate")
        act(user)
        heard = list(gate.notifies(timeout=5, stop_after=1))
    assert {word.channel for word in heard} == {"gate"}


def test_gate_sees_the_session_that_ended(owner: User, signed_in: Callable[[User], Client]) -> None:
    client = signed_in(owner)
    key = client.session.session_key
    assert key is not None
    client.post("/account/logout/")
    with connection.cursor() as cursor:
        cursor.execute("SELECT session FROM gate_signouts")
        assert cursor.fetchall() == [(signin.session_digest(key),)]


def test_gate_sees_live_tokens_and_epochs(owner: User) -> None:
    _row, text = tokens.create_token(owner, user=owner, request=TokenRequest(scopes=["read"]))
    run = tokens.issue_workload_token(owner, "w" * 22)
    with connection.cursor() as cursor:
        cursor.execute("SELECT digest, scopes FROM gate_tokens ORDER BY scopes")
        assert cursor.fetchall() == [
            (tokens.digest_of(run), ["agent"]),
            (tokens.digest_of(text), ["read"]),
        ]
        people.disable(None, user=owner)
        cursor.execute("SELECT digest FROM gate_tokens")
        assert cursor.fetchall() == [(tokens.digest_of(run),)]
        cursor.execute("SELECT uid, epoch, active FROM gate_people")
        assert cursor.fetchall() == [(owner.uid, 2, False)]


def test_pages_hear_of_a_touch_with_the_commit(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(people, "announce", heard.append)
    people.touch(owner.pk)
    assert heard == [f"me:{owner.uid}"]
    before = owner.live_version
    owner.refresh_from_db()
    assert owner.live_version == before + 1
    people.touch(0)
    assert len(heard) == 1
