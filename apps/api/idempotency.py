"""`Idempotency-Key`: a call that makes something makes it once, however often it is sent.

The key's row is written in the transaction of the effect: a crash in between leaves neither. Two at
once meet at the row's unique index: the second waits there for the first to commit or fail.
Refusals are not remembered, because what stood in the way may have gone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel

from apps.accounts.models import IdempotencyKey
from apps.api.authentication import ApiRequest
from apps.live.errors import DomainError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT = dt.timedelta(hours=24)
SHAPE = re.compile(r"[\x21-\x7e]{1,255}")


class KeyMisused(DomainError):
    """The key is malformed, or was used for something else."""


def once(request: ApiRequest, status: int, act: Callable[[], BaseModel]) -> HttpResponse:
    """Answer with what `act` makes, or with what it made when this key came first.

    Everything that `act` writes is in one transaction with the key. Raises KeyMisused, and whatever
    `act` raises, in which case nothing has happened.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return _answer(status, _dump(act()))
    if not SHAPE.fullmatch(key):
        raise KeyMisused(_("The header Idempotency-Key must be 1 to 255 visible ASCII characters."))
    with transaction.atomic():
        row, is_first = _claim(request, key)
        if is_first:
            row.status, row.body = status, _dump(act())
            row.save(update_fields=["status", "body"])
    response = _answer(row.status, row.body)
    if not is_first:
        response[REPLAYED] = "true"
    return response


def _claim(request: ApiRequest, key: str) -> tuple[IdempotencyKey, bool]:
    """The key's row, and whether we are the first; waits while another is at work with it."""
    digest = _digest(request.body)
    identity = {"user": request.auth.user, "path": request.path, "key": key}
    IdempotencyKey.objects.filter(**identity, created_at__lt=Now() - KEPT).delete()
    row, is_first = IdempotencyKey.objects.get_or_create(
        **identity, defaults={"body_digest": digest}
    )
    if row.body_digest != digest:
        raise KeyMisused(
            _("This Idempotency-Key was used with another body."),
            hint=_("Use a new key for a new request, and the same body to repeat one."),
        )
    return row, is_first


def _digest(body: bytes) -> str:
    """Of what the body says, whatever the order of its names and its white space."""
    said = json.loads(body) if body.strip() else {}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _dump(made: BaseModel) -> Any:
    return made.model_dump(mode="json")


def _answer(status: int, body: Any) -> HttpResponse:
    return HttpResponse(
        json.dumps(body, ensure_ascii=False),
        status=status,
        content_type="application/json; charset=utf-8",
    )
