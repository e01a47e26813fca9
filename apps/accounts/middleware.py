"""Ends a portal session whose person was disabled or whose epoch has moved on, and carries a
person's language and look to browsers that do not know them yet."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.utils import translation

from apps.accounts.models import User
from apps.accounts.preferences import LANGUAGE, THEME, set_cookie
from apps.accounts.services.signin import EPOCH_KEY


class PersonMiddleware:
    """A session carries the epoch that its person had when it began."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if not isinstance(user, User):
            return self.get_response(request)
        if request.session.get(EPOCH_KEY) != user.session_epoch:
            logout(request)
            return self.get_response(request)
        return self._with_preferences(request, user)

    def _with_preferences(self, request: HttpRequest, user: User) -> HttpResponse:
        wanted = {LANGUAGE: user.language, THEME: user.theme}
        missing = {
            kind: value for kind, value in wanted.items() if value and not kind.cookie_of(request)
        }
        if LANGUAGE in missing:
            translation.activate(user.language)
            request.LANGUAGE_CODE = translation.get_language() or user.language
        if THEME in missing:
            request.COOKIES[THEME.cookie] = user.theme
        response = self.get_response(request)
        for kind, value in missing.items():
            if kind.cookie not in response.cookies:
                set_cookie(response, kind, value)
        return response
