"""Prices: a new one never changes what was charged by an older one."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import User
from apps.catalog import policies
from apps.catalog.models import Price, Size
from apps.live.errors import Conflict, DomainError, Forbidden

HIGHEST = Decimal("99999999.9999")


@transaction.atomic
def set_price(
    actor: User | None,
    *,
    size: Size,
    per_hour: Decimal,
    currency: str = "",
    valid_from: dt.datetime | None = None,
) -> Price:
    """From `valid_from` on (None: now) an hour of `size` costs `per_hour`.

    `currency` defaults to the installation's. Runs that are going on keep the price that they
    were launched at. Raises Forbidden, DomainError, Conflict for two prices from the same moment.
    """
    if actor is not None and not policies.can_change_catalog(actor):
        raise Forbidden(_("Only an admin can set prices."))
    if not per_hour.is_finite() or not 0 <= per_hour <= HIGHEST:
        problem = _("A price is a number from 0 on.")
        raise DomainError(problem, fields={"price_per_hour": problem})
    row = Price(size=size, per_hour=per_hour, currency=currency or settings.CURRENCY)
    if valid_from is not None:
        row.valid_from = valid_from
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise Conflict(_("There is a price from that moment already.")) from error
    detail = {"per_hour": str(per_hour), "currency": row.currency}
    record(actor, Act("size.set_price", Target("size", size.slug), detail))
    return row
