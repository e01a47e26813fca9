"""The page `/api/docs`: what the API offers, to read and to try, and what each refusal means."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from apps.api.problems import CODES, TITLES, of_status


@require_safe
def documentation(request: HttpRequest) -> HttpResponse:
    """Swagger UI from ninja's own files over our document, and the codes of refusals below it."""
    statuses = {code: status for status, code in CODES.items()}
    statuses |= {"wrong_phase": 409, "quota_exceeded": 409, "scope_missing": 403}
    context = {
        "document_url": reverse("api:openapi-json"),
        "codes": [(code, statuses[code], title) for code, title in TITLES.items()],
        "nav": "api",
    }
    return render(request, "api/documentation.html", context)


@csrf_exempt
def nothing_here(request: HttpRequest) -> HttpResponse:
    """404 for every address below `/api/` that is not one."""
    return of_status(404)
