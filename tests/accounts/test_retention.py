"""What is forgotten, and what is not yet."""

from __future__ import annotations

import datetime as dt

from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.db.models.functions import Now

from apps.accounts.models import ApiToken, IdempotencyKey, SigninLink, Signout, User
from apps.accounts.services import signin, tokens
from apps.accounts.services.retention import forget_expired
from apps.accounts.services.tokens import TokenRequest, create_token
from apps.accounts.tasks import forget_expired as task


def ago(**span: float) -> object:
    return Now() - dt.timedelta(**span)


def fill(user: User) -> None:
    signin.create_link(user)
    Signout.objects.create(session="s")
    IdempotencyKey.objects.create(user=user, path="/", key="k", body_digest="d")
    Session.objects.create(session_key="k", expire_date=Now() + dt.timedelta(days=1))
    create_token(user, user=user, request=TokenRequest())
    tokens.issue_workload_token(user, "w" * 22)
    cache.set("a", 1, 60)


def test_what_still_counts_stays(owner: User) -> None:
    fill(owner)
    assert set(forget_expired().values()) == {0}
    assert cache.get("a") == 1


def test_what_has_expired_goes(owner: User) -> None:
    fill(owner)
    SigninLink.objects.update(expires_at=ago(hours=25))
    Signout.objects.update(at=ago(minutes=61))
    IdempotencyKey.objects.update(created_at=ago(hours=25))
    Session.objects.update(expire_date=ago(seconds=1))
    ApiToken.objects.filter(workload_uid="").update(expires_at=ago(days=91))
    ApiToken.objects.exclude(workload_uid="").update(revoked_at=ago(days=8))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE portal_cache SET expires = now() - interval '1 s'")
    assert forget_expired() == {
        "links": 1,
        "signouts": 1,
        "idempotency_keys": 1,
        "sessions": 1,
        "tokens": 2,
        "cached": 1,
    }
    task()


def test_an_ended_token_stays_on_the_page_for_a_while(owner: User) -> None:
    row, _text = create_token(owner, user=owner, request=TokenRequest())
    ApiToken.objects.filter(pk=row.pk).update(revoked_at=ago(days=80), expires_at=ago(days=60))
    assert forget_expired()["tokens"] == 0
