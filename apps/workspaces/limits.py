"""Limits as the pages show them, and what a size would run into, before it does. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.quotas import refusals
from apps.quotas.models import Resource
from apps.quotas.types import QuotaLine


@dataclass(frozen=True, slots=True)
class ShownLimit:
    """A limit in the units that people read: CPU in cores, memory in MiB, disk in GiB."""

    resource: str
    limit: Decimal | None
    used: Decimal
    window: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot be launched now, and what would help; both "" where it can."""

    message: str = ""
    hint: str = ""


def shown(lines: Sequence[QuotaLine]) -> list[ShownLimit]:
    """The limits as pages show them, in the same order."""
    return [
        ShownLimit(
            resource=line.resource,
            limit=None if line.limit is None else in_units(line.resource, line.limit),
            used=in_units(line.resource, line.used),
            window=line.window,
        )
        for line in lines
    ]


def in_units(resource: str, amount: int) -> Decimal:
    """A counted amount in the unit that people read."""
    return Decimal(amount) / 1000 if resource == Resource.CPU_MILLIS else Decimal(amount)


def refusal_of(lines: Sequence[QuotaLine], amounts: Mapping[str, int]) -> Refusal:
    """What `amounts` more would run into. The services decide again, under locks."""
    asking = [dataclasses.replace(line, asked=amounts.get(line.resource, 0)) for line in lines]
    exceeded = [line for line in asking if line.is_exceeded]
    if not exceeded:
        return Refusal()
    error = refusals.refusal_of(exceeded)
    return Refusal(str(error.message), str(error.hint))
