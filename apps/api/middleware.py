"""Around everything below `/api/`: answers are never cached, and no failure is a page."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from apps.api.problems import MEDIA_TYPE, of_status

PREFIX = "/api/"


class ApiMiddleware:
    """Turns what Django answered beside the API (405, an unknown host) into problems."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not request.path.startswith(PREFIX):
            return response
        if response.status_code >= 400 and response.get("Content-Type") != MEDIA_TYPE:
            problem = of_status(response.status_code)
            for name in ("Allow", "Retry-After"):
                if name in response:
                    problem[name] = response[name]
            response = problem
        response.headers.setdefault("Cache-Control", "no-store")
        return response
