"""Kinds of fields that several resources share: how time, money and names look outside."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated

from ninja import Path
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema


def utc(at: dt.datetime) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    text = at.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def money(amount: Decimal) -> str:
    """A decimal string, never in scientific notation: money is no float."""
    return f"{amount:f}"


Timestamp = Annotated[
    dt.datetime,
    PlainSerializer(utc, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
Money = Annotated[
    Decimal,
    PlainSerializer(money, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization"),
]
Uid = Annotated[str, Path(pattern=r"^[a-z0-9]{20,26}$", description="The workspace's uid")]
Slug = Annotated[str, Path(pattern=r"^[-a-zA-Z0-9_]{1,63}$")]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$")]
SlugField = Annotated[str, Field(pattern=r"^[-a-zA-Z0-9_]{1,63}$")]


class Body(BaseModel):
    """What a call takes: unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(Body):
    """The body of a call that takes none: absent, or `{}`."""


class Answer(BaseModel):
    """What a call gives."""

    model_config = ConfigDict(extra="forbid")
