"""What happens when Django or allauth begins or ends a session: their signals, our services."""

from __future__ import annotations

from allauth.account.signals import password_changed
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest

from apps.accounts.models import User
from apps.accounts.services import people, signin


def began(request: HttpRequest, user: User, **_signal: object) -> None:
    """A session carries the epoch that its person had when it began."""
    signin.remember_epoch(request, user.session_epoch)


def ended(request: HttpRequest, **_signal: object) -> None:
    """What the session had opened through gate ends with it."""
    signin.end_session(request.session.session_key)


def password_was_changed(request: HttpRequest, user: User, **_signal: object) -> None:
    """All other sessions of the person end; the one in which it was changed stays."""
    signin.remember_epoch(request, people.sign_out_everywhere(user, user=user))


def connect() -> None:
    """Called once at boot."""
    user_logged_in.connect(began, dispatch_uid="accounts.began")
    user_logged_out.connect(ended, dispatch_uid="accounts.ended")
    password_changed.connect(password_was_changed, dispatch_uid="accounts.password_changed")
