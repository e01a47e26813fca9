"""Lists in pages: `{"items": [...], "next": cursor | null}`, keyed by where the last page ended.

A cursor is opaque and signed, and good for its own list only. Rows that come and go while somebody
walks a list neither repeat nor hide others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from django.core import signing
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel, Field

from apps.live.errors import DomainError

T = TypeVar("T")
DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR = 400


class PageQuery(BaseModel):
    """Which part of a list."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] = Field(
        default="", description="`next` of the page before; without it, the first page"
    )


class Page(BaseModel, Generic[T]):
    """A part of a list; `next` is the cursor of the part after it, null at the end."""

    items: list[T]
    next: str | None


class BadCursor(DomainError):
    """Not a cursor of this list."""


def encode(name: str, key: Any) -> str:
    """The cursor behind the item with `key` (anything JSON can hold) in the list called `name`."""
    return signing.Signer(salt=f"api.cursor.{name}").sign_object(key, compress=False)


def decode(name: str, cursor: str) -> Any:
    """The key in `cursor`, None for the first page; raises BadCursor."""
    if not cursor:
        return None
    try:
        return signing.Signer(salt=f"api.cursor.{name}").unsign_object(cursor)
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor(
            _("This is not a cursor of this list."),
            hint=_("Begin again without “cursor”, then use what “next” says."),
        ) from error


def cut(
    name: str, page: PageQuery, rows: Sequence[T], key: Callable[[T], Any]
) -> tuple[list[T], str | None]:
    """The first `limit` of `rows`, of which there is one more if the list goes on, and `next`."""
    items = list(rows[: page.limit])
    more = len(rows) > page.limit
    return items, encode(name, key(items[-1])) if more else None


def slice_of(
    name: str, page: PageQuery, rows: Sequence[T], key: Callable[[T], Sequence[Any]]
) -> tuple[list[T], str | None]:
    """As `cut`, for a short list that is all in memory, in the order of `key`."""
    after = decode(name, page.cursor)
    rest = rows if after is None else [row for row in rows if list(key(row)) > after]
    return cut(name, page, rest, lambda row: list(key(row)))
