"""What every request passes through that is not about one app."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.live.errors import DomainError
from apps.live.outages import is_outage
from portal.errors import database_is_away, refusal_page

Handler = Callable[[HttpRequest], HttpResponse]


class RequestContextMiddleware:
    """Gives each request an id, bound into every log line that it causes and sent back."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


class ContentSecurityPolicyMiddleware:
    """Only our own files and this answer's nonce may run; nobody may frame us."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response
        socket = settings.PORTAL_URL.replace("http", "ws", 1)
        self.policy = "; ".join(
            (
                "default-src 'none'",
                "script-src 'self' 'nonce-{nonce}'",
                "style-src 'self' 'nonce-{nonce}'",
                "img-src 'self' data:",
                "font-src 'self'",
                f"connect-src 'self' {socket}",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
                "manifest-src 'self'",
            )
        )

    def __call__(self, request: HttpRequest) -> HttpResponse:
        nonce = secrets.token_urlsafe(16)
        request.csp_nonce = nonce  # type: ignore[attr-defined]  # ours, read by templates
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy.format(nonce=nonce))
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
        )
        return response


class DomainErrorMiddleware:
    """Turns refusals into pages, and a database that is away into 503."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, DomainError):
            return refusal_page(request, error)
        if is_outage(error):
            structlog.get_logger().error("database_away", error=str(error))
            return database_is_away(request, error)
        return None
