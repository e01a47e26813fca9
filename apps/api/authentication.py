"""Who calls: a bearer token with scopes, or the portal's own session from our own pages.

Each operation names the scope it needs (`Needs`). An Authorization header decides alone: a wrong
token is 401 even beside a good session.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import Scope, User
from apps.accounts.services.tokens import principal_of
from apps.live.errors import DomainError, Forbidden

BEARER = "bearer"


class Unauthenticated(DomainError):
    """Nobody we know, or no longer."""

    code = "unauthenticated"
    status = 401


class ScopeMissing(DomainError):
    """The token is good, but was not made for this."""

    code = "scope_missing"
    status = 403


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `scopes` None is a session: all that the person may do."""

    user: User
    scopes: frozenset[str] | None = None

    def has(self, scope: str) -> bool:
        """Whether the call may do what `scope` stands for."""
        if self.scopes is not None:
            return scope in self.scopes
        return scope != Scope.ADMIN or self.user.is_admin


class ApiRequest(HttpRequest):
    """A request that has passed `Needs`."""

    auth: Caller


class Needs:
    """The check before an operation: who calls, and does the token reach so far."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Caller:
        """The caller; raises Unauthenticated, ScopeMissing, or Forbidden (cross-site form)."""
        caller = identify(request)
        if not caller.has(self.scope):
            raise ScopeMissing(
                _("This needs the scope “{scope}”, which the token does not have.").format(
                    scope=self.scope
                ),
                hint=_("Make a token with this scope on your account's page."),
            )
        return caller


def identify(request: HttpRequest) -> Caller:
    """Who sent `request`, by its Authorization header or else its session.

    A session counts on unsafe methods only with our CSRF token and origin.
    """
    header = request.headers.get("Authorization")
    if header is not None:
        return _bearer(header)
    if not request.user.is_authenticated:
        raise Unauthenticated(
            _("This needs a token or a session."),
            hint=_("Send “Authorization: Bearer gpc_...”; tokens are made on your account's page."),
        )
    if _is_cross_site(request):
        raise Forbidden(
            _("With a session this needs the portal's own origin and CSRF token."),
            hint=_("Programs use a bearer token instead."),
        )
    return Caller(request.user)


def _bearer(header: str) -> Caller:
    scheme, _separator, text = header.partition(" ")
    principal = principal_of(text.strip()) if scheme.lower() == BEARER else None
    if principal is None:
        raise Unauthenticated(
            _("This token is unknown, has expired or was revoked."),
            hint=_("Make a new one on your account's page."),
        )
    return Caller(principal.user, principal.scopes)


class _CsrfCheck(CsrfViewMiddleware):
    """Django's check, whose refusal is told by us."""

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return HttpResponseForbidden(reason)


def _is_cross_site(request: HttpRequest) -> bool:
    check = _CsrfCheck(lambda _request: HttpResponse())
    request.csrf_processing_done = False  # type: ignore[attr-defined]  # the view is exempt, we are not
    check.process_request(request)
    return check.process_view(request, lambda _request: HttpResponse(), (), {}) is not None
