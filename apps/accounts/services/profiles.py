"""What people say about themselves, and how they like the pages to look."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts import policies
from apps.accounts.audit import Act, Target, record
from apps.accounts.models import Theme, User
from apps.accounts.preferences import LANGUAGE
from apps.accounts.services.people import touch
from apps.live.errors import DomainError, Forbidden


@transaction.atomic
def change_profile(actor: User, *, user: User, display_name: str, email: str) -> None:
    """Change how `user` is called and written to. Checked by the caller's form."""
    if not policies.can_change_person(actor, user):
        raise Forbidden(_("You can only change your own profile."))
    User.objects.filter(pk=user.pk).update(display_name=display_name, email=email)
    record(actor, Act("person.change_profile", Target("person", user.uid, user)))
    touch(user.pk)


@transaction.atomic
def set_preferences(actor: User, *, language: str = "", theme: str = "") -> None:
    """Keep the language and the look that `actor` chose; "" leaves one as it is."""
    wanted = {name: value for name, value in (("language", language), ("theme", theme)) if value}
    if language not in ("", *LANGUAGE.choices) or theme not in ("", *Theme.values):
        raise DomainError(_("There is no such choice."))
    if wanted:
        User.objects.filter(pk=actor.pk).update(**wanted)
