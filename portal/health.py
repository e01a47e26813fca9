"""`/livez` and `/readyz`: is this process alive, can it serve, and is every part at work.

`HealthMiddleware` answers before host names, sessions and people are looked at, so that a probe
that knows nothing but an address is answered, and the database is asked by `/readyz` alone.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from portal.checks import Report, everything, this_web


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process runs. Touches nothing."""
    return _no_store(JsonResponse({"status": "ok"}))


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 while this web can serve, else 503. `?all=1`: 503 if any part of the portal fails."""
    report = everything() if request.GET.get("all") == "1" else this_web()
    return _no_store(JsonResponse(_body(report), status=200 if report.status == "ok" else 503))


def _body(report: Report) -> dict[str, object]:
    checks = {
        name: {"ok": check.ok, "age_s": check.age_s, "detail": check.detail}
        for name, check in report.checks.items()
    }
    return {"status": report.status, "checks": checks}


def _no_store(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


class HealthMiddleware:
    """Answers probes at once."""

    views = {"/livez": livez, "/readyz": readyz}

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = self.views.get(request.path)
        return view(request) if view else self.get_response(request)
