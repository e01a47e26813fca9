"""Forgetting what nobody needs any more; called by beat each hour."""

from __future__ import annotations

import datetime as dt

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from apps.accounts.models import ApiToken, IdempotencyKey, SigninLink, Signout

LINKS_KEPT = dt.timedelta(days=1)
SIGNOUTS_KEPT = dt.timedelta(hours=1)
IDEMPOTENCY_KEPT = dt.timedelta(hours=24)
TOKENS_KEPT = dt.timedelta(days=90)
WORKLOAD_TOKENS_KEPT = dt.timedelta(days=7)


def forget_expired() -> dict[str, int]:
    """Remove what has expired; returns how much of each. Idempotent.

    Tokens that ended stay on their owner's page for 90 days; idempotency keys count for 24 h;
    gate reads sign-outs for 15 minutes.
    """
    ended = Q(revoked_at__lt=Now() - TOKENS_KEPT) | Q(expires_at__lt=Now() - TOKENS_KEPT)
    run_over = Q(revoked_at__lt=Now() - WORKLOAD_TOKENS_KEPT) & ~Q(workload_uid="")
    doomed = {
        "links": SigninLink.objects.filter(expires_at__lt=Now() - LINKS_KEPT),
        "signouts": Signout.objects.filter(at__lt=Now() - SIGNOUTS_KEPT),
        "idempotency_keys": IdempotencyKey.objects.filter(created_at__lt=Now() - IDEMPOTENCY_KEPT),
        "sessions": Session.objects.filter(expire_date__lt=Now()),
        "tokens": ApiToken.objects.filter(ended | run_over),
    }
    counts = {}
    for name, rows in doomed.items():
        with transaction.atomic():
            counts[name] = rows.delete()[0]
    counts["cached"] = _forget_cached()
    return counts


def _forget_cached() -> int:
    """Rate limits of sign-in live in a table, which forgets by itself only when it is full."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM portal_cache WHERE expires < now()")
        return int(cursor.rowcount)
