"""Refusals and failures as pages: the one place where they get their look.

REST has its own (`apps.api.problems`), from the same `DomainError`.
"""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.live.errors import DomainError, RateLimited, Unavailable
from apps.live.outages import is_outage

TITLES: dict[int, Promise] = {
    400: _("That request could not be read"),
    403: _("This is not yours to do"),
    404: _("Nothing here"),
    409: _("Not now"),
    410: _("No longer here"),
    422: _("Something needs correcting"),
    429: _("Too fast"),
    500: _("Something broke on our side"),
    503: _("Back in a moment"),
}


def refusal_page(request: HttpRequest, error: DomainError) -> HttpResponse:
    """The page of a refusal: what is wrong, and what would help."""
    context = {
        "status": error.status,
        "title": TITLES.get(error.status, TITLES[422]),
        "message": error.message,
        "hint": error.hint,
        "fields": error.fields,
    }
    response = render(request, "errors/refused.html", context, status=error.status)
    if error.status in (RateLimited.status, Unavailable.status):
        response["Retry-After"] = str(error.retry_after_s or 5)
    return response


def database_is_away(request: HttpRequest, error: BaseException) -> HttpResponse:
    """503 instead of a crash when the database cannot be reached."""
    response = render(request, "errors/503.html", {"title": TITLES[503]}, status=503)
    response["Retry-After"] = "5"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open for too long, or came from elsewhere."""
    return refusal_page(
        request,
        _Refused(
            _("This form has expired or came from another site, so nothing was changed."),
            hint=_("Go back, reload the page and send it again."),
        ),
    )


class _Refused(DomainError):
    code = "csrf_failed"
    status = 403


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/400.html", {"title": TITLES[400]}, status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/403.html", {"title": TITLES[403]}, status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/404.html", {"title": TITLES[404]}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 where what failed (in a middleware, before any view) was the database."""
    error = sys.exc_info()[1]
    if error is not None and is_outage(error):
        return database_is_away(request, error)
    return render(request, "errors/500.html", {"title": TITLES[500]}, status=500)
