"""`/me`: who calls, and what they may hold."""

from __future__ import annotations

from decimal import Decimal

from ninja import Router

from apps.accounts.models import Scope, User
from apps.accounts.selectors import groups_of, roles_of
from apps.api.authentication import ApiRequest
from apps.api.fields import Answer, Money
from apps.api.operations import Rules, operation
from apps.quotas.models import Resource
from apps.quotas.selectors import quota_lines
from apps.quotas.types import QuotaLine

router = Router(tags=["me"])


class QuotaOut(Answer):
    """One limit: `limit` null means none; `window` is `now` or `month`. CPU in cores."""

    resource: str
    limit: float | int | None
    used: float | int
    window: str


class BudgetOut(Answer):
    """The same in money, in a calendar month."""

    limit: Money
    spent: Money
    currency: str


class MeOut(Answer):
    """Who calls. `budget` is null where none is set."""

    username: str
    display_name: str
    roles: list[str]
    groups: list[str]
    quotas: list[QuotaOut]
    budget: BudgetOut | None


def me_out(person: User) -> MeOut:
    """`person` as REST shows them to themselves."""
    return MeOut(
        username=person.username,
        display_name=person.name,
        roles=roles_of(person),
        groups=[group.slug for group in groups_of(person)],
        quotas=[_quota(line) for line in quota_lines(person)],
        budget=None,
    )


@router.get("/me", summary="Who am I, and what may I hold", **operation(Rules(Scope.READ, MeOut)))
def me(request: ApiRequest) -> MeOut:
    """The person behind the token, their roles and groups, and each limit with what is used."""
    return me_out(request.auth.user)


def _quota(line: QuotaLine) -> QuotaOut:
    return QuotaOut(
        resource=line.resource,
        limit=None if line.limit is None else _shown(line.resource, line.limit),
        used=_shown(line.resource, line.used),
        window=line.window,
    )


def _shown(resource: str, amount: int) -> float | int:
    return float(Decimal(amount) / 1000) if resource == Resource.CPU_MILLIS else amount
