"""Every refusal and failure of the REST API as problem+json (RFC 9457), in one place.

`apps.api.router` hands over whatever an operation raises; `apps.api.middleware` asks `of_status`
for what Django answered before or beside the API.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpResponse, UnreadablePostError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from ninja.errors import HttpError, ValidationError
from pydantic import BaseModel, Field

from apps.api.wording import message_of
from apps.live.errors import DomainError
from apps.live.outages import is_outage

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
log = structlog.get_logger()

Text = str | Promise

TITLES: dict[str, Promise] = {
    "conflict": _("Something else stands in the way"),
    "forbidden": _("Not yours to do"),
    "gone": _("No longer here"),
    "internal": _("Something broke on our side"),
    "invalid": _("Something needs correcting"),
    "method_not_allowed": _("Not with this method"),
    "not_found": _("Nothing here"),
    "quota_exceeded": _("A limit would be passed"),
    "rate_limited": _("Too many requests"),
    "scope_missing": _("The token may not do this"),
    "too_large": _("Too much at once"),
    "unauthenticated": _("Who are you?"),
    "unavailable": _("Back in a moment"),
    "unsupported_media_type": _("Not in this format"),
    "wrong_phase": _("Not in the state it is in"),
}
CODES = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    410: "gone",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
    500: "internal",
    503: "unavailable",
}
DETAILS: dict[int, Promise] = {
    400: _("The request could not be read."),
    401: _("This needs a token or a session."),
    403: _("This may not be done."),
    404: _("There is nothing at this address."),
    405: _("This address knows other methods, see the header Allow."),
    413: _("The request is larger than the portal takes."),
    500: _("The portal could not finish this. Nothing that you sent is wrong."),
    503: _("A part that this needs does not answer. Try again in a moment."),
}


class FieldProblem(BaseModel):
    """What is wrong with one field: `loc` leads to it (`["body", "name"]`)."""

    loc: list[str | int]
    message: str


class ProblemDetails(BaseModel):
    """The body of every answer of 400 or more. `code` is for programs, the rest for people."""

    type: str = Field(description="A page that explains the code")
    title: str
    status: int
    detail: str = Field(description="What is wrong this time")
    code: str = Field(description="Stable, for programs")
    hint: str = Field(description="What would help; may be empty")
    errors: list[FieldProblem] | None = Field(
        default=None, description="Field by field, where fields are wrong"
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer to be. Headers are added to those that its status asks for."""

    status: int
    code: str
    detail: Text
    hint: Text = ""
    errors: Sequence[FieldProblem] = ()
    headers: dict[str, str] = field(default_factory=dict)


def answer(problem: Problem) -> HttpResponse:
    """The problem as an HTTP answer, worded in the language of the request."""
    phrase = HTTPStatus(problem.status).phrase
    body: dict[str, object] = {
        "type": f"/api/docs#{problem.code}",
        "title": str(TITLES.get(problem.code, phrase)),
        "status": problem.status,
        "detail": str(problem.detail),
        "code": problem.code,
        "hint": str(problem.hint),
    }
    if problem.errors:
        body["errors"] = [error.model_dump() for error in problem.errors]
    response = HttpResponse(
        json.dumps(body, ensure_ascii=False), status=problem.status, content_type=MEDIA_TYPE
    )
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="GPU Commons"'
    for name, value in problem.headers.items():
        response[name] = value
    return response


def of_error(error: DomainError) -> HttpResponse:
    """The answer to a refusal."""
    headers = {}
    if error.status in {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}:
        headers["Retry-After"] = str(error.retry_after_s or RETRY_AFTER_S)
    errors = [
        FieldProblem(loc=["body", *name.split(".")], message=str(message))
        for name, message in error.fields.items()
    ]
    return answer(
        Problem(error.status, error.code, error.message, error.hint, errors, headers=headers)
    )


def of_status(status: int) -> HttpResponse:
    """The answer for a bare HTTP status, without particulars."""
    code = CODES.get(status) or CODES[500 if status >= 500 else 400]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in {429, 503} else {}
    detail = DETAILS.get(status) or HTTPStatus(status).phrase
    return answer(Problem(status, code, detail, headers=headers))


def of_failure(error: BaseException) -> HttpResponse:
    """The answer to anything that is not a refusal: 503 where the database is away, else 500.
    It says nothing of the inside; the log has it."""
    if is_outage(error):
        log.error("database_away", error=str(error))
        return of_status(503)
    log.error("api_failed", exc_info=error)
    return of_status(500)


def of_fields(errors: Iterable[FieldProblem]) -> HttpResponse:
    """422, naming each field that needs correcting."""
    return answer(
        Problem(422, "invalid", _("The request names something that cannot be."), errors=[*errors])
    )


def of_exception(error: BaseException) -> HttpResponse:
    """The answer to whatever was raised in an operation."""
    match error:
        case DomainError():
            return of_error(error)
        case ValidationError():
            return _of_validation(error)
        case HttpError(__cause__=DomainError() as cause):  # from our parser, wrapped by ninja
            return of_error(cause)
        case HttpError():
            return of_status(error.status_code)
        case Http404():
            return of_status(404)
        case RequestDataTooBig():
            return of_status(413)
        case SuspiciousOperation() | UnreadablePostError():
            return of_status(400)
        case _:
            return of_failure(error)


def _of_validation(error: ValidationError) -> HttpResponse:
    if any(item["loc"][0] == "path" for item in error.errors):
        return of_status(404)
    return of_fields(
        FieldProblem(loc=_plain_location(item["loc"]), message=message_of(item))
        for item in error.errors
    )


def _plain_location(loc: Sequence[str | int]) -> list[str | int]:
    """Ninja puts our function's parameter behind "body" or "query"; nobody outside knows it."""
    if len(loc) > 1 and loc[1] in {"payload", "page"}:
        return [loc[0], *loc[2:]]
    return list(loc)
