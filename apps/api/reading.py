"""How request bodies are read: strict JSON, and no text that the database cannot hold."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja.parser import Parser

from apps.live.errors import DomainError

MEDIA_TYPE = "application/json"


class UnsupportedMediaType(DomainError):
    """A body in another format than JSON."""

    code = "unsupported_media_type"
    status = 415


class Unreadable(DomainError):
    """Not the JSON that RFC 8259 describes."""


class StrictParser(Parser):
    """JSON without NaN, repeated names, NUL and halves of surrogate pairs."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body; raises UnsupportedMediaType or Unreadable."""
        if request.content_type != MEDIA_TYPE:
            raise UnsupportedMediaType(
                _("A body must be JSON."), hint=_("Send “Content-Type: application/json”.")
            )
        try:
            said = json.loads(
                request.body.decode(), parse_constant=_refuse, object_pairs_hook=_once
            )
            _check(said)
        except (ValueError, RecursionError) as error:
            raise Unreadable(
                _("The body is not JSON."), fields={"": _("This is not JSON.")}
            ) from error
        return said


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) != len(pairs):
        raise ValueError("a name is given twice")
    return said


def _check(said: Any) -> None:
    """Raise ValueError for text that PostgreSQL cannot hold."""
    if isinstance(said, str) and "\0" in said:
        raise ValueError("NUL in text")
    if isinstance(said, str):
        said.encode()
    elif isinstance(said, dict):
        for name, value in said.items():
            _check(name)
            _check(value)
    elif isinstance(said, list):
        for value in said:
            _check(value)
