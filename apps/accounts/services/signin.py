"""Coming in and going out: single-use links, and what a session carries.

Sessions are Django's, in the database. Each carries its person's epoch at sign-in; gate knows a
session by the SHA-256 of its key, and closes what it opened when a `Signout` names it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import login, logout
from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import SigninLink, Signout, User
from apps.live.errors import Forbidden, Gone
from apps.live.services import announce_to_gate

LINK_LASTS = dt.timedelta(minutes=15)
SECRET_LENGTH = 43
EPOCH_KEY = "epoch"
BACKEND = "django.contrib.auth.backends.ModelBackend"


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A sign-in link that would work now."""

    user: User
    expires_at: dt.datetime


def session_digest(session_key: str) -> str:
    """How gate and `Signout` name a session, whose key itself is a secret."""
    return hashlib.sha256(session_key.encode()).hexdigest()


@transaction.atomic
def create_link(user: User) -> str:
    """Make a link that signs `user` in once within 15 minutes; returns its whole address.

    Raises Forbidden for somebody who is disabled.
    """
    if not user.is_active:
        raise Forbidden(
            _("{name} is disabled.").format(name=user.username),
            hint=_("An admin can enable the account again."),
        )
    secret = secrets.token_urlsafe(32)
    SigninLink.objects.create(user=user, digest=_digest(secret), expires_at=Now() + LINK_LASTS)
    record(None, Act("person.make_signin_link", Target("person", user.uid, user)))
    return settings.PORTAL_URL + reverse("accounts:signin_link", args=[secret])


def open_link(secret: str) -> OpenLink:
    """The link with this secret if it would work now; changes nothing. Raises Gone."""
    link = (
        SigninLink.objects.select_related("user")
        .filter(digest=_digest(secret), used_at=None, expires_at__gt=Now(), user__is_active=True)
        .first()
    )
    if link is None:
        raise Gone(_("This sign-in link was used or has run out."))
    return OpenLink(user=link.user, expires_at=link.expires_at)


@transaction.atomic
def redeem_link(request: HttpRequest, secret: str) -> User:
    """Sign in with a link; of several at once exactly one does. Raises Gone.

    Whoever was signed in in this browser is signed out first.
    """
    digest = _digest(secret)
    # Only columns of the row itself: a condition on the person would become a subquery, which
    # PostgreSQL does not look at again when it has waited for the winner.
    unused = SigninLink.objects.filter(digest=digest, used_at=None, expires_at__gt=Now())
    won = unused.update(used_at=Now())
    user = User.objects.filter(signin_links__digest=digest, is_active=True).first()
    if not won or user is None:
        raise Gone(_("This sign-in link was used or has run out."))
    if request.user.is_authenticated:
        logout(request)
    login(request, user, backend=BACKEND)
    record(user, Act("person.sign_in", Target("person", user.uid, user), {"by": "link"}))
    return user


def remember_epoch(request: HttpRequest, epoch: int) -> None:
    """Let this session live as long as `epoch` is its person's."""
    request.session[EPOCH_KEY] = epoch


@transaction.atomic
def end_session(session_key: str | None) -> None:
    """Have gate close what a portal session opened; the session itself ends with Django."""
    if session_key:
        Signout.objects.create(session=session_digest(session_key))
        announce_to_gate()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
