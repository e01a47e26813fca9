"""Taking and giving back what is limited, and opening and closing what is billed.

Called inside the transaction of a launch or of a change of a workload. Every call is idempotent.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Greatest, Least, Now

from apps.accounts.models import User
from apps.quotas.models import Reservation, UsageInterval
from apps.quotas.refusals import refusal_of
from apps.quotas.selectors import effective, held_by, limit_rows, lines_of
from apps.quotas.types import Billing, Run


@transaction.atomic
def reserve(owner: User, *, subject_uid: str, amounts: Mapping[str, int]) -> None:
    """Take `amounts` (resource -> how much; 0: none) for `subject_uid`, or raise QuotaExceeded.

    What the subject holds of these resources already is replaced, so calling twice takes once.
    Locks the owner's row, so that one person's launches follow one another, and the limits that
    count, so that none changes meanwhile; keeps both until the transaction ends.
    """
    _lock(owner)
    held = held_by(owner, except_subject=subject_uid)
    exceeded = [
        line
        for line in lines_of(effective(_locked_limits(owner)), held, amounts)
        if line.is_exceeded
    ]
    if exceeded:
        raise refusal_of(exceeded)
    _hold(owner, subject_uid, amounts)


@transaction.atomic
def resize(owner: User, *, subject_uid: str, amounts: Mapping[str, int]) -> None:
    """Change how much `subject_uid` holds of the resources named; the others stay. The same as
    `reserve`: growing may raise QuotaExceeded, shrinking never does."""
    _lock(owner)
    mine = dict(
        Reservation.objects.filter(
            owner=owner, subject_uid=subject_uid, released_at=None
        ).values_list("resource", "amount")
    )
    if any(amount > mine.get(resource, 0) for resource, amount in amounts.items()):
        reserve(owner, subject_uid=subject_uid, amounts=amounts)
    else:
        _hold(owner, subject_uid, amounts)


@transaction.atomic
def release(subject_uid: str, *, resources: Iterable[str] | None = None) -> int:
    """Give back what `subject_uid` holds (of `resources`, or all). Returns how many were held."""
    rows = Reservation.objects.filter(subject_uid=subject_uid, released_at=None)
    if resources is not None:
        rows = rows.filter(resource__in=list(resources))
    return rows.update(released_at=Now())


@transaction.atomic
def open_interval(run: Run, *, billing: Billing, at: dt.datetime) -> bool:
    """From `at` on (database time) the run holds resources. False if that was known already: an
    interval is open, or one covers `at` or begins after it. Never in the future."""
    start = min(at, _now())
    known = UsageInterval.objects.filter(workload_id=run.pk).filter(
        Q(ended_at=None) | Q(ended_at__gt=start) | Q(started_at__gte=start)
    )
    if known.exists():
        return False
    resources = run.spec.get("resources")
    held: Mapping[str, object] = resources if isinstance(resources, Mapping) else {}
    try:
        with transaction.atomic():
            UsageInterval.objects.create(
                workload_id=run.pk,
                owner_id=run.owner_id,
                subject_uid=run.subject_uid,
                size_slug=billing.size_slug,
                image_slug=billing.image_slug,
                cpu_millis=int(str(held.get("cpu_millis", 0))),
                memory_mib=int(str(held.get("memory_mib", 0))),
                gpus=int(str(held.get("gpus", 0))),
                gpu_tier=str(held.get("gpu_tier", "")),
                price_per_hour=billing.price_per_hour,
                currency=billing.currency,
                started_at=start,
            )
    except IntegrityError:
        # The exclusion constraint: another process opened it between our look and our write.
        return False
    return True


@transaction.atomic
def close_intervals(run: Run, *, at: dt.datetime, reason: str) -> bool:
    """The run let go at `at` (database time). False if nothing was open. Never before the
    interval's start, never in the future; what is closed stays as it is."""
    open_ones = UsageInterval.objects.filter(workload_id=run.pk, ended_at=None)
    closed = open_ones.update(
        ended_at=Greatest(F("started_at"), Least(Value(at), Now())), end_reason=reason[:32]
    )
    return closed > 0


def _lock(owner: User) -> None:
    # NO KEY: rows that point to this person (a reservation of another transaction) may still come.
    User.objects.select_for_update(no_key=True).values_list("pk").get(pk=owner.pk)


def _locked_limits(owner: User) -> list[tuple[str, str, int | None]]:
    ids = list(limit_rows(owner).order_by("pk").values_list("pk", flat=True))
    if not ids:
        return []
    with connection.cursor() as cursor:
        # FOR SHARE: launches of different people read one limit at once, its change waits for them.
        cursor.execute(
            "SELECT resource, scope, max FROM quotas_limit WHERE id = ANY(%s) FOR SHARE", [ids]
        )
        return list(cursor.fetchall())


def _hold(owner: User, subject_uid: str, amounts: Mapping[str, int]) -> None:
    mine = {
        row.resource: row
        for row in Reservation.objects.select_for_update().filter(
            subject_uid=subject_uid, released_at=None, resource__in=list(amounts)
        )
    }
    for resource, amount in amounts.items():
        row = mine.get(resource)
        if row is not None and row.amount == amount:
            continue
        if row is not None:
            row.released_at = _now()
            row.save(update_fields=["released_at"])
        if amount:
            Reservation.objects.create(
                subject_uid=subject_uid, owner=owner, resource=resource, amount=amount
            )


def _now() -> dt.datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        row = cursor.fetchone()
    now: dt.datetime = row[0]
    return now
