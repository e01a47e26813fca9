"""What a refusal is, everywhere. Apps raise it; `portal.errors` and `apps.api` answer with it."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise

Text = str | Promise


class DomainError(Exception):
    """Something that was asked for cannot be done, and the asker can be told why.

    `code` is stable and for programs; `message` says what is wrong, `hint` what would help; both
    are for people and translated when shown. `status` is the HTTP status. `fields` maps
    field names to messages. `retry_after_s` goes into Retry-After.
    """

    code = "invalid"
    status = 422

    def __init__(
        self,
        message: Text,
        *,
        hint: Text = "",
        code: str | None = None,
        fields: Mapping[str, Text] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(str(message))
        self.message = message
        self.hint = hint
        self.code = code or self.code
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s


class NotFound(DomainError):
    """There is no such thing, or not for this person."""

    code = "not_found"
    status = 404


class Forbidden(DomainError):
    """It is there and visible, but this may not be done by this person."""

    code = "forbidden"
    status = 403


class WrongPhase(DomainError):
    """Not in the state it is in now."""

    code = "wrong_phase"
    status = 409


class QuotaExceeded(DomainError):
    """A limit would be passed."""

    code = "quota_exceeded"
    status = 409


class Conflict(DomainError):
    """Something else happened at the same time, or stands in the way."""

    code = "conflict"
    status = 409


class Gone(DomainError):
    """It was there and is no more."""

    code = "gone"
    status = 410


class RateLimited(DomainError):
    """Too often in a short time."""

    code = "rate_limited"
    status = 429


class Unavailable(DomainError):
    """A part that is needed does not answer now; the same request may succeed later."""

    code = "unavailable"
    status = 503
