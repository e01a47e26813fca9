"""Who may open a live socket: the same sessions and tokens as for pages and REST."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import translation

from apps.accounts.models import ApiToken, Scope, User
from apps.accounts.preferences import LANGUAGE
from apps.accounts.services.signin import EPOCH_KEY
from apps.accounts.services.tokens import principal_of
from apps.live.doors import Knock, Visitor

BEARER = "Bearer "


class PortalDoorkeeper:
    """Implements `apps.live.doors.Doorkeeper`."""

    def admit(self, knock: Knock) -> Visitor | None:
        """By token if there is one (a wrong one is not made good by a cookie), else by session."""
        if knock.authorization:
            return self._by_token(knock)
        return self._by_session(knock)

    def review(self, visitors: Sequence[Visitor]) -> list[object | None]:
        """Three queries: people, sessions, tokens."""
        people = User.objects.filter(is_active=True).in_bulk(
            [visitor.person_id for visitor in visitors]
        )
        keys = [visitor.session_key for visitor in visitors if visitor.session_key]
        sessions = set(
            Session.objects.filter(session_key__in=keys, expire_date__gt=Now()).values_list(
                "session_key", flat=True
            )
        )
        ids = [visitor.token_id for visitor in visitors if visitor.token_id is not None]
        tokens = set(
            ApiToken.objects.filter(pk__in=ids, revoked_at=None, expires_at__gt=Now()).values_list(
                "pk", flat=True
            )
        )
        answers: list[object | None] = []
        for visitor in visitors:
            person = people.get(visitor.person_id)
            if visitor.token_id is not None:
                holds = visitor.token_id in tokens
            else:
                epoch = person.session_epoch if person else None
                holds = visitor.session_key in sessions and epoch == visitor.epoch
            answers.append(person if holds else None)
        return answers

    def _by_token(self, knock: Knock) -> Visitor | None:
        if not knock.authorization.startswith(BEARER):
            return None
        principal = principal_of(knock.authorization.removeprefix(BEARER).strip())
        if principal is None or Scope.READ not in principal.scopes:
            return None
        user = principal.user
        return Visitor(
            person=user,
            person_id=user.pk,
            epoch=user.session_epoch,
            language=_language(knock, user),
            token_id=principal.token.pk,
        )

    def _by_session(self, knock: Knock) -> Visitor | None:
        key = knock.cookies.get(settings.SESSION_COOKIE_NAME, "")
        if not (key.isascii() and key.isalnum()):
            return None
        request = HttpRequest()
        request.session = SessionStore(key)
        user = get_user(request)
        if not isinstance(user, User) or not user.is_active:
            return None
        if request.session.get(EPOCH_KEY) != user.session_epoch:
            return None
        return Visitor(
            person=user,
            person_id=user.pk,
            epoch=user.session_epoch,
            language=_language(knock, user),
            session_key=key,
        )


def _language(knock: Knock, user: User) -> str:
    """As on pages: the browser's cookie, the person's choice, what the browser asks for."""
    request = HttpRequest()
    request.COOKIES = dict(knock.cookies)
    chosen = LANGUAGE.cookie_of(request) or user.language
    if chosen in LANGUAGE.choices:
        return chosen
    request.META["HTTP_ACCEPT_LANGUAGE"] = knock.accept_language
    return translation.get_language_from_request(request)
