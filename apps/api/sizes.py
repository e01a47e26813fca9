"""`/sizes`: how much a workspace or job can get, and what an hour of it costs."""

from __future__ import annotations

from ninja import Query, Router
from pydantic import Field

from apps.accounts.models import Scope
from apps.api.authentication import ApiRequest
from apps.api.cursors import Page, PageQuery, slice_of
from apps.api.fields import Answer, Money
from apps.api.operations import Rules, operation
from apps.catalog.models import Price, Size
from apps.catalog.selectors import current_prices, sizes_for

router = Router(tags=["sizes"])


class SizeOut(Answer):
    """A size. CPU in cores; `for` says what it can be chosen for: `workspace`, `job`."""

    slug: str
    name: str
    cpu: float
    memory_mib: int
    disk_gib: int
    gpus: int
    gpu_tier: str | None
    price_per_hour: Money | None
    currency: str | None
    purposes: list[str] = Field(serialization_alias="for")


def size_out(size: Size, price: Price | None) -> SizeOut:
    """`size` as REST shows it."""
    purposes = (("workspace", size.for_workspaces), ("job", size.for_jobs))
    return SizeOut(
        slug=size.slug,
        name=size.name,
        cpu=size.cpu_millis / 1000,
        memory_mib=size.memory_mib,
        disk_gib=size.disk_gib,
        gpus=size.gpus,
        gpu_tier=size.gpu_tier or None,
        price_per_hour=price.per_hour if price else None,
        currency=price.currency if price else None,
        purposes=[name for name, is_for in purposes if is_for],
    )


@router.get(
    "/sizes",
    summary="Sizes",
    by_alias=True,
    **operation(Rules(Scope.READ, Page[SizeOut])),
)
def list_sizes(request: ApiRequest, page: Query[PageQuery]) -> Page[SizeOut]:
    """The sizes that you can choose, smallest first."""
    sizes = sizes_for(request.auth.user)
    items, following = slice_of("sizes", page, sizes, lambda size: (size.position, size.slug))
    prices = current_prices(items)
    return Page(
        items=[size_out(size, prices.get(size.pk)) for size in items],
        next=following,
    )
