"""The right to act on one workload for a while: taken and given back by conditional updates, so
that of many messages for one workload one has an effect."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Least, Now

from apps.clusters.models import Workload

LEASE = dt.timedelta(seconds=20)
#: Where counting ends: what is deleted is tried for ever, and the column has 15 bits.
MOST_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """A workload as it was when it was claimed, the lease that says so, and when that was by the
    database."""

    workload: Workload
    lease: str
    at: dt.datetime


def due() -> QuerySet[Workload]:
    """Workloads for which something is to be done now and nobody is at it."""
    return Workload.objects.filter(next_try_at__lte=Now()).filter(
        Q(lease_until=None) | Q(lease_until__lt=Now())
    )


def claim(uid: str) -> Claim | None:
    """Take the workload if it is due; None if it is not, or somebody else is at it.

    Every claim counts as a try, before anything is done: one that kills its worker is not tried
    for ever. The lease runs for 20 s by the database's clock.
    """
    lease = secrets.token_hex(16)
    tries = Least(F("tries") + 1, MOST_TRIES)
    taken = due().filter(uid=uid).update(lease=lease, lease_until=Now() + LEASE, tries=tries)
    if not taken:
        return None
    row = Workload.objects.select_related("cluster").annotate(claimed_at=Now()).get(uid=uid)
    return Claim(row, lease, row.claimed_at)
