"""Who may hold how much, who holds how much, and what it has cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings
from django.db.models import DecimalField, F, Func, Max, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Greatest, Now

from apps.accounts.models import User
from apps.quotas.models import Limit, LimitScope, Reservation, Resource, UsageInterval, Window
from apps.quotas.types import Cost, QuotaLine

SECONDS_PER_HOUR = 3600
CENT = Decimal("0.0001")
PRECEDENCE = {LimitScope.PERSON: 0, LimitScope.GROUP: 1, LimitScope.EVERYONE: 2}


def limits_for(user: User) -> dict[str, int | None]:
    """The limit of each resource that counts for `user`: their own, else the largest of their
    groups', else everyone's, else the setting. None is no limit; a resource without a row and
    without a setting is absent. One query."""
    rows = limit_rows(user).values_list("resource", "scope", "max")
    return effective(rows)


def limit_rows(user: User) -> QuerySet[Limit]:
    """Every limit that may count for `user` now."""
    return Limit.objects.filter(
        Q(scope=LimitScope.EVERYONE)
        | Q(scope=LimitScope.PERSON, user=user)
        | Q(scope=LimitScope.GROUP, group__memberships__user=user),
        window=Window.NOW,
    )


def effective(rows: Iterable[tuple[str, str, int | None]]) -> dict[str, int | None]:
    """From (resource, scope, max) to the one that counts. Pure but for the setting's default."""
    best: dict[str, tuple[int, int | None]] = {}
    for resource, scope, most in rows:
        rank = PRECEDENCE[LimitScope(scope)]
        known = best.get(resource)
        if known is None or rank < known[0] or (rank == known[0] and _larger(most, known[1])):
            best[resource] = (rank, most)
    limits: dict[str, int | None] = {Resource.WORKSPACES.value: settings.MAX_RUNNING_PER_PERSON}
    limits.update({resource: most for resource, (_rank, most) in best.items()})
    return limits


def held_by(user: User, *, except_subject: str = "") -> dict[str, int]:
    """How much of each resource `user` holds now. One query."""
    rows = Reservation.objects.filter(owner=user, released_at=None)
    if except_subject:
        rows = rows.exclude(subject_uid=except_subject)
    totals = rows.values("resource").order_by("resource").annotate(total=Sum("amount"))
    return dict(totals.values_list("resource", "total"))


def quota_lines(user: User) -> list[QuotaLine]:
    """What `user` holds and may hold of every resource, in a fixed order. Two queries."""
    return lines_of(limits_for(user), held_by(user), {})


def would_exceed(
    user: User, amounts: Mapping[str, int], *, subject_uid: str = ""
) -> list[QuotaLine]:
    """The limits that taking `amounts` would pass; for a form, before it is sent. What
    `subject_uid` holds already counts as given back first. Two queries, no locks."""
    held = held_by(user, except_subject=subject_uid)
    lines = lines_of(limits_for(user), held, amounts)
    return [line for line in lines if line.is_exceeded]


def lines_of(
    limits: Mapping[str, int | None], held: Mapping[str, int], asked: Mapping[str, int]
) -> list[QuotaLine]:
    """One line per resource that is known, limited, held or asked for."""
    known = [resource.value for resource in Resource]
    more = sorted({*limits, *held, *asked} - set(known))
    return [
        QuotaLine(name, limits.get(name), held.get(name, 0), Window.NOW.value, asked.get(name, 0))
        for name in [*known, *more]
    ]


def cost_of(subject_uids: Iterable[str]) -> dict[str, Cost]:
    """What each subject has cost so far, over all of its runs; one that never ran costs 0.

    Cost = hours held (to the microsecond; an open interval up to now) x the price of its interval,
    summed exactly and rounded once, half up, to four decimals. Should the installation's currency
    have changed, only the newest currency's intervals count. One query.
    """
    wanted = list(dict.fromkeys(subject_uids))
    rows = (
        UsageInterval.objects.filter(subject_uid__in=wanted)
        .values("subject_uid", "currency")
        .annotate(total=Sum(_seconds() * F("price_per_hour")), newest=Max("started_at"))
        .order_by("newest")
        .values_list("subject_uid", "currency", "total")
    )
    costs = {uid: Cost(Decimal(0).quantize(CENT), settings.CURRENCY) for uid in wanted}
    for uid, currency, total in rows:
        costs[uid] = Cost(rounded(total / SECONDS_PER_HOUR), currency)
    return costs


def rounded(amount: Decimal) -> Decimal:
    """The rounding of every amount that is shown: half up, to four decimals."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def _seconds() -> Func:
    """Seconds of an interval as a PostgreSQL numeric, so that nothing is lost to floating point."""
    end = Greatest(Coalesce("ended_at", Now()), F("started_at"))
    return Func(
        end,
        F("started_at"),
        template="EXTRACT(EPOCH FROM (%(expressions)s))",
        arg_joiner=" - ",
        output_field=DecimalField(max_digits=20, decimal_places=6),
    )


def _larger(one: int | None, other: int | None) -> bool:
    return other is not None and (one is None or one > other)
