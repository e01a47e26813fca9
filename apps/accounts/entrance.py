"""Coming in: sign-in links, the password pages of allauth in our look, and too many tries."""

from __future__ import annotations

from typing import Any

from allauth.account.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.accounts.services import signin
from apps.live.errors import Conflict, Gone, RateLimited


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def signin_link(request: HttpRequest, secret: str) -> HttpResponse:
    """A single-use link: looking at it changes nothing, its button signs in."""
    response: HttpResponse
    try:
        if request.method == "POST":
            signin.redeem_link(request, secret)
            response = redirect("/")
        else:
            link = signin.open_link(secret)
            context = {"person_name": link.user.name, "expires_at": link.expires_at}
            response = render(request, "account/signin_link.html", context)
    except Gone:
        response = render(request, "account/signin_link_gone.html", status=Gone.status)
    response["Referrer-Policy"] = "same-origin"
    return response


class PasswordChange(PasswordChangeView):  # type: ignore[misc]  # allauth ships no types
    """A new password for someone who has one; raises Conflict for someone who has none."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user = request.user
        if isinstance(user, User) and not user.has_usable_password():
            raise Conflict(
                _("You have no password here, so there is none to change."),
                hint=_("You come in by a sign-in link or your university account."),
            )
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return response

    def get_default_success_url(self) -> str:
        return reverse("accounts:account")


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """What allauth answers with when somebody tries too often: our own refusal."""
    raise RateLimited(
        _("That was too often in a short time, so nothing was tried."),
        hint=_("Wait a minute, then try again."),
        retry_after_s=60,
    )
