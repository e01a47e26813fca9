"""How allauth behaves here: people are made by an admin, never by signing up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.redirects import own_path
from apps.live.errors import Forbidden

QUIET = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Local accounts without open sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody makes an account by themselves."""
        return False

    def is_safe_url(self, url: str) -> bool:
        """`next` leads to our own paths only, whatever other hosts are allowed."""
        return own_path(url) is not None

    def pre_login(self, request: HttpRequest, user: User, **rest: Any) -> None:
        """Raises Forbidden for somebody who is disabled (and knew the password)."""
        if not user.is_active:
            raise Forbidden(
                _("This account is disabled."), hint=_("Ask an admin of this portal why.")
            )

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        *rest: Any,
        **named: Any,
    ) -> None:
        """allauth's messages, without those that say what the page shows anyway."""
        if message_template not in QUIET:
            super().add_message(request, level, message_template, *rest, **named)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Whose tries are counted: the address that nginx saw.

        Only nginx reaches web, over a unix socket, and it overwrites X-Real-IP.
        """
        address = request.headers.get("X-Real-IP") or request.META.get("REMOTE_ADDR")
        return str(address or "unknown")
