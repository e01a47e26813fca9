"""API tokens: made, shown once, checked, revoked. Only their SHA-256 is ever stored.

REST and the agent's endpoints ask `principal_of`; gate reads the digests through a view.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts import policies
from apps.accounts.audit import Act, Target, record
from apps.accounts.models import ApiToken, Scope, User
from apps.live.errors import DomainError, Forbidden, NotFound
from apps.live.services import announce_to_gate

TEXT_PREFIX = "gpc_"
TEXT_LENGTH = len(TEXT_PREFIX) + 43
SHOWN_PREFIX = 8
DEFAULT_SCOPES = (Scope.READ.value, Scope.WORKSPACES.value, Scope.JOBS.value)
DEFAULT_DAYS = 30
MAX_DAYS = 365
MAX_LIVE = 100
MAX_NAME = 80
USED_EVERY = dt.timedelta(minutes=1)
WORKLOAD_SCOPES = (Scope.AGENT.value,)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a new token is to be; `days` is how long it lasts, 1 to 365."""

    name: str = ""
    scopes: Sequence[str] = DEFAULT_SCOPES
    days: int = DEFAULT_DAYS
    workload_uid: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is behind a bearer token, and what it may be used for."""

    user: User
    scopes: frozenset[str]
    token: ApiToken

    @property
    def workload_uid(self) -> str:
        """The run that the token is bound to, or ""."""
        return self.token.workload_uid


def digest_of(text: str) -> str:
    """The form in which a token is stored: SHA-256 of its whole text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def create_token(actor: User | None, *, user: User, request: TokenRequest) -> tuple[ApiToken, str]:
    """Make a token of `user`; returns its row and its text, which cannot be had again.

    `actor` None is the command line. Raises Forbidden where `actor` may not, DomainError with
    `fields` where the request makes no sense.
    """
    if actor is not None and not policies.can_hold_tokens_of(actor, user):
        raise Forbidden(_("You can only make tokens of your own."))
    owner = User.objects.select_for_update().get(pk=user.pk)
    _check(owner, request)
    text = TEXT_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=owner,
        name=request.name.strip(),
        prefix=text[:SHOWN_PREFIX],
        digest=digest_of(text),
        scopes=sorted(set(request.scopes)),
        workload_uid=request.workload_uid,
        expires_at=Now() + dt.timedelta(days=request.days),
    )
    token.refresh_from_db()
    detail = {"name": token.name, "scopes": token.scopes, "days": request.days}
    record(actor, Act("token.create", Target("token", token.uid, owner), detail))
    announce_to_gate()
    return token, text


def _check(owner: User, request: TokenRequest) -> None:
    fields: dict[str, str | Promise] = {}
    allowed = set(policies.allowed_scopes(owner))
    refused = sorted(set(request.scopes) - allowed)
    if not request.scopes:
        fields["scopes"] = _("Choose at least one thing that the token may be used for.")
    elif refused:
        fields["scopes"] = _("A token of {name} cannot have: {scopes}.").format(
            name=owner.username, scopes=", ".join(refused)
        )
    if not 1 <= request.days <= MAX_DAYS:
        fields["days"] = _("A token lasts between 1 and {days} days.").format(days=MAX_DAYS)
    if len(request.name.strip()) > MAX_NAME:
        fields["name"] = _("This name is too long.")
    if not owner.is_active:
        raise Forbidden(
            _("{name} is disabled.").format(name=owner.username),
            hint=_("An admin can enable the account again."),
        )
    live = ApiToken.objects.filter(user=owner, workload_uid="", revoked_at=None)
    if live.filter(expires_at__gt=Now()).count() >= MAX_LIVE:
        fields["name"] = _("There are {n} tokens already. Revoke some first.").format(n=MAX_LIVE)
    if fields:
        raise DomainError(_("The token was not made."), fields=fields)


@transaction.atomic
def revoke_token(actor: User | None, *, user: User, uid: str) -> ApiToken:
    """End a token of `user` at once; one that has ended already stays as it is."""
    if actor is not None and not policies.can_hold_tokens_of(actor, user):
        raise NotFound(_("There is no such token."))
    rows = ApiToken.objects.select_for_update()
    token = rows.filter(user=user, uid=uid, workload_uid="").first()
    if token is None:
        raise NotFound(_("There is no such token."))
    if token.revoked_at is None:
        token.revoked_at = Now()
        token.save(update_fields=["revoked_at"])
        token.refresh_from_db()
        record(actor, Act("token.revoke", Target("token", token.uid, user)))
        announce_to_gate()
    return token


def principal_of(text: str) -> Principal | None:
    """Who may act with this token; None if it is unknown, expired, revoked or its person disabled.

    The lookup is by digest, so how long it takes says nothing about tokens that exist. Writes
    `last_used_at` at most once a minute. One query, or two.
    """
    if len(text) != TEXT_LENGTH or not text.startswith(TEXT_PREFIX) or not text.isascii():
        return None
    token = (
        ApiToken.objects.select_related("user")
        .filter(
            digest=digest_of(text),
            revoked_at=None,
            expires_at__gt=Now(),
            user__is_active=True,
        )
        .first()
    )
    if token is None:
        return None
    ApiToken.objects.filter(
        Q(last_used_at=None) | Q(last_used_at__lt=Now() - USED_EVERY), pk=token.pk
    ).update(last_used_at=Now())
    scopes = frozenset(token.scopes)
    if not token.user.is_admin:
        scopes -= {Scope.ADMIN.value}
    return Principal(user=token.user, scopes=scopes, token=token)


def workload_token(workload_uid: str) -> str:
    """The text of a run's own token: the same each time, so that it need not be stored.

    HMAC-SHA-256 of the uid under the portal's secret key.
    """
    key = hashlib.sha256(b"workload-token:" + settings.SECRET_KEY.encode()).digest()
    mac = hmac.new(key, workload_uid.encode(), hashlib.sha256).digest()
    return TEXT_PREFIX + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def issue_workload_token(user: User, workload_uid: str) -> str:
    """Let the run's token act for `user` with the least scopes, until the run is over.

    Idempotent; a token that was revoked stays so.
    """
    text = workload_token(workload_uid)
    ApiToken.objects.bulk_create(
        [
            ApiToken(
                user=user,
                prefix=text[:SHOWN_PREFIX],
                digest=digest_of(text),
                scopes=list(WORKLOAD_SCOPES),
                workload_uid=workload_uid,
                expires_at=Now() + dt.timedelta(days=MAX_DAYS),
            )
        ],
        ignore_conflicts=True,
    )
    return text


@transaction.atomic
def revoke_workload_tokens(workload_uid: str) -> int:
    """End the tokens of a run that is over; returns how many that were."""
    ended = ApiToken.objects.filter(workload_uid=workload_uid, revoked_at=None).exclude(
        workload_uid=""
    )
    count = ended.update(revoked_at=Now())
    if count:
        announce_to_gate()
    return count
