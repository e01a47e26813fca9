"""People as an identity provider knows them: by issuer and subject, never by mail or name.

For single sign-on: whoever has verified a provider's answer calls `person_for`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.accounts import policies
from apps.accounts.audit import Act, Target, record
from apps.accounts.models import Identity, User
from apps.live.errors import Conflict, DomainError, Forbidden
from apps.live.uids import new_uid

MAX_LENGTH = 255
TRIES = 5
NOT_IN_NAMES = re.compile(r"[^\w.+-]")


def person_for(issuer: str, subject: str, claims: Mapping[str, object]) -> User:
    """The person whom `issuer` calls `subject`, made on the first time.

    `claims` give a new person's name and mail (only where `email_verified` is true) and change
    nothing later; a name that is taken gets a number. Two at once give one person. Raises
    DomainError for an empty issuer or subject, Forbidden for somebody who is disabled.
    """
    _check(issuer, subject)
    user = _find_or_make(issuer, subject, claims)
    if not user.is_active:
        raise Forbidden(_("This account is disabled."), hint=_("Ask an admin."))
    return user


@transaction.atomic
def link_identity(actor: User, *, user: User, issuer: str, subject: str) -> Identity:
    """Let `user` come in as `subject` of `issuer`, too. Idempotent; Conflict if it is another's."""
    _check(issuer, subject)
    if not policies.can_change_person(actor, user):
        raise Forbidden(_("You can only link accounts of your own."))
    identity, is_new = Identity.objects.get_or_create(
        issuer=issuer, subject=subject, defaults={"user": user}
    )
    if identity.user_id != user.pk:
        raise Conflict(_("This account belongs to somebody else here."))
    if is_new:
        record(actor, Act("person.link_identity", Target("person", user.uid, user), {"by": issuer}))
    return identity


def _check(issuer: str, subject: str) -> None:
    for value in (issuer, subject):
        if not value or len(value) > MAX_LENGTH or "\x00" in value:
            raise DomainError(_("The sign-in service gave an answer that cannot be used."))


def _find_or_make(issuer: str, subject: str, claims: Mapping[str, object]) -> User:
    """Whoever made the same person or took the same name in between is seen on the next try."""
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                return _find(issuer, subject) or _make(issuer, subject, claims)
        except IntegrityError:
            if not tries_left:
                raise
    raise AssertionError


def _find(issuer: str, subject: str) -> User | None:
    identity = (
        Identity.objects.select_related("user").filter(issuer=issuer, subject=subject).first()
    )
    if identity is None:
        return None
    Identity.objects.filter(pk=identity.pk).update(last_used_at=Now())
    return identity.user


def _make(issuer: str, subject: str, claims: Mapping[str, object]) -> User:
    user = User(
        username=_free_name(claims),
        display_name=_text(claims, "name")[:120],
        email=_verified_email(claims),
    )
    user.set_unusable_password()
    user.save()
    Identity.objects.create(user=user, issuer=issuer, subject=subject, last_used_at=Now())
    record(None, Act("person.create", Target("person", user.uid, user), {"by": issuer}))
    return user


def _free_name(claims: Mapping[str, object]) -> str:
    """A name that nobody has; someone who has it already is somebody else."""
    wish = _text(claims, "preferred_username") or _text(claims, "email").partition("@")[0]
    base = NOT_IN_NAMES.sub("", wish.partition("@")[0])[:100] or "person"
    if not User.objects.filter(username__iexact=base).exists():
        return base
    for number in range(2, 100):
        name = f"{base}{number}"
        if not User.objects.filter(username__iexact=name).exists():
            return name
    return f"{base}-{new_uid()}"


def _verified_email(claims: Mapping[str, object]) -> str:
    email = _text(claims, "email")
    if claims.get("email_verified") is not True:
        return ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    return value.replace("\x00", "").strip() if isinstance(value, str) else ""
