"""What goes into the services of quotas, and what its selectors hand out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol


class Run(Protocol):
    """What must be known of a workload to bill it. `spec` is a specification as JSON."""

    @property
    def pk(self) -> int: ...
    @property
    def owner_id(self) -> int: ...
    @property
    def subject_uid(self) -> str: ...
    @property
    def spec(self) -> Mapping[str, object]: ...


@dataclass(frozen=True, slots=True)
class Billing:
    """What a run is billed as: the price is the one that held when it was launched."""

    size_slug: str
    image_slug: str
    price_per_hour: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class QuotaLine:
    """How much of a resource someone holds and may hold; `limit` None means no limit.
    CPU in thousandths of a core. `asked` is what a request would add."""

    resource: str
    limit: int | None
    used: int
    window: str = "now"
    asked: int = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether what is asked for would pass the limit."""
        return self.limit is not None and self.asked > 0 and self.used + self.asked > self.limit

    @property
    def left(self) -> int | None:
        """How much may still be taken; None where there is no limit."""
        return None if self.limit is None else max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money, rounded half up to four decimals once, at the end of the sum."""

    amount: Decimal
    currency: str
