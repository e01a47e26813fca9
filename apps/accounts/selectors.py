"""Queries about people, groups and tokens."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.accounts import policies
from apps.accounts.models import ApiToken, Membership, User
from apps.live.errors import NotFound


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as one of its members sees it."""

    slug: str
    name: str
    is_lead: bool


def get_user_by_username(username: str) -> User:
    """The person called `username`, whatever the case of its letters; raises NotFound."""
    user = User.objects.filter(username__iexact=username).first()
    if user is None:
        raise NotFound(
            _("There is nobody called {name}.").format(name=username),
            hint=_("Names are those that people sign in with."),
        )
    return user


def get_person_for(actor: User, uid: str) -> User:
    """The person with this uid if `actor` may see them, else NotFound."""
    person = User.objects.filter(uid=uid).first()
    if person is None or not can_see(actor, person):
        raise NotFound(_("There is no such person."))
    return person


def can_see(actor: User, person: User) -> bool:
    """`policies.can_see_person` with the groups looked up."""
    return policies.can_see_person(actor, person, led_groups=groups_led_in_common(actor, person))


def groups_led_in_common(actor: User, person: User) -> list[int]:
    """Keys of the groups of `person` that `actor` leads."""
    led = Membership.objects.filter(user=actor, is_lead=True).values("group")
    return list(
        Membership.objects.filter(user=person, group__in=led).values_list("group", flat=True)
    )


def visible_people(actor: User) -> list[int] | None:
    """Keys of everybody whom `actor` may see, themselves included; None means everybody."""
    if actor.is_admin:
        return None
    led = Membership.objects.filter(user=actor, is_lead=True).values("group")
    people = Membership.objects.filter(group__in=led).values_list("user", flat=True)
    return sorted({actor.pk, *people})


def groups_of(user: User) -> list[GroupRow]:
    """The groups that `user` is in, by slug."""
    memberships = Membership.objects.filter(user=user).select_related("group")
    return [
        GroupRow(slug=m.group.slug, name=m.group.name, is_lead=m.is_lead)
        for m in memberships.order_by("group__slug")
    ]


def roles_of(user: User) -> list[str]:
    """`student`, then `lead` for whoever leads anything, then `admin`."""
    leads = Membership.objects.filter(user=user, is_lead=True).exists()
    return policies.roles_of(user, leads_a_group=leads)


def tokens_of(user: User) -> list[ApiToken]:
    """The tokens that `user` made, newest first; those of running workloads are not shown."""
    return list(ApiToken.objects.filter(user=user, workload_uid="").order_by("-id")[:200])


def live_token_count(user: User) -> int:
    """How many of the tokens of `user` still work."""
    return ApiToken.objects.filter(
        user=user, workload_uid="", revoked_at=None, expires_at__gt=Now()
    ).count()
