"""Ends a portal session whose person was disabled or whose epoch has moved on."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

EPOCH_KEY = "epoch"


class PersonMiddleware:
    """A session carries the epoch that its person had when it began."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user
        if user.is_authenticated and request.session.get(EPOCH_KEY) != user.session_epoch:
            logout(request)
        return self.get_response(request)
