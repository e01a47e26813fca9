"""People, their groups and roles; and ending what they hold open."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email, validate_slug
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.accounts import policies
from apps.accounts.audit import Act, Target, record
from apps.accounts.models import ApiToken, Group, Membership, Role, SigninLink, User
from apps.live.errors import Conflict, DomainError, Forbidden
from apps.live.services import announce, announce_to_gate


@dataclass(frozen=True, slots=True)
class PersonRequest:
    """A person to make or change; None leaves as it is (for a new person: the default).

    `group` is the slug of a group to be in; one that is not there yet is made. `leads_group`
    says whether the person leads it; None: yes for the role `lead`, else unchanged.
    """

    username: str
    display_name: str | None = None
    email: str | None = None
    role: str | None = None
    group: str | None = None
    leads_group: bool | None = None


def touch(user_id: int) -> None:
    """Say that something on the person's own pages changed: topic `me:<uid>`, one version up."""
    User.objects.filter(pk=user_id).update(live_version=F("live_version") + 1)
    uid = User.objects.filter(pk=user_id).values_list("uid", flat=True).first()
    if uid:
        announce(f"me:{uid}")


@transaction.atomic
def save_person(actor: User | None, *, person: PersonRequest) -> User:
    """Make the person, or change what the request names. `actor` None is the command line.

    A role that falls ends what the person holds open, because pages and sockets may show what
    the old role allowed. Idempotent. Raises Forbidden, DomainError with `fields`, Conflict.
    """
    if actor is not None and not policies.can_administer(actor):
        raise Forbidden(_("Only an admin can change people."))
    _check(person)
    user, is_new = _get_or_make(person.username)
    before = user.role
    changed = _apply(user, person)
    if person.group is not None:
        changed |= _join(user, person.group, person)
    if _falls(before, person.role):
        user.memberships.filter(is_lead=True).update(is_lead=False)
        close_everything(user)
    if is_new or changed:
        detail = {"role": user.role, "group": person.group or "", "fields": sorted(changed)}
        action = "person.create" if is_new else "person.change"
        record(actor, Act(action, Target("person", user.uid, user), detail))
        touch(user.pk)
        announce_to_gate()
    user.refresh_from_db()
    return user


def _check(person: PersonRequest) -> None:
    fields: dict[str, str | Promise] = {}
    try:
        UnicodeUsernameValidator()(person.username)
        if not 1 <= len(person.username) <= 150:
            fields["username"] = _("A name has 1 to 150 characters.")
    except ValidationError:
        fields["username"] = _("A name has letters, digits and @ . + - _ only.")
    if person.role is not None and person.role not in Role.values:
        fields["role"] = _("A role is one of {roles}.").format(roles=", ".join(Role.values))
    if person.group is not None:
        try:
            validate_slug(person.group)
            if len(person.group) > 63:
                fields["group"] = _("A group's name has at most 63 characters.")
        except ValidationError:
            fields["group"] = _("A group's name has letters, digits, - and _ only.")
    if person.email:
        try:
            validate_email(person.email)
        except ValidationError:
            fields["email"] = _("This is not a mail address.")
    if fields:
        raise DomainError(_("Nothing was changed."), fields=fields)


def _get_or_make(username: str) -> tuple[User, bool]:
    found = User.objects.select_for_update().filter(username__iexact=username).first()
    if found is not None:
        return found, False
    user = User(username=User.normalize_username(username))
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        return User.objects.select_for_update().get(username__iexact=username), False
    return user, True


def _apply(user: User, person: PersonRequest) -> set[str]:
    wanted = {
        "display_name": person.display_name,
        "email": person.email,
        "role": person.role,
    }
    changed = {
        name for name, value in wanted.items() if value is not None and getattr(user, name) != value
    }
    for name in changed:
        setattr(user, name, wanted[name])
    if changed:
        user.save(update_fields=sorted(changed))
    return changed


def _falls(before: str, after: str | None) -> bool:
    order = Role.values
    return after is not None and order.index(after) < order.index(before)


def _join(user: User, slug: str, person: PersonRequest) -> set[str]:
    leads = person.leads_group
    if leads is None and person.role is not None:
        leads = person.role == Role.LEAD
    group, _made = Group.objects.get_or_create(slug=slug, defaults={"name": slug})
    membership, is_new = Membership.objects.get_or_create(
        user=user, group=group, defaults={"is_lead": bool(leads)}
    )
    if not is_new and leads is not None and membership.is_lead != leads:
        membership.is_lead = leads
        membership.save(update_fields=["is_lead"])
        return {"leads_group"}
    return {"group"} if is_new else set()


@transaction.atomic
def leave_group(actor: User | None, *, user: User, group: str) -> None:
    """Take `user` out of a group; whoever led it loses what leading it opened."""
    if actor is not None and not policies.can_administer(actor):
        raise Forbidden(_("Only an admin can change people."))
    membership = Membership.objects.filter(user=user, group__slug=group).first()
    if membership is None:
        return
    if membership.is_lead:
        close_everything(user)
    membership.delete()
    record(actor, Act("person.leave_group", Target("person", user.uid, user), {"group": group}))
    touch(user.pk)


@transaction.atomic
def disable(actor: User | None, *, user: User) -> User:
    """Keep `user` out from now on: sessions, grants, sockets, links and tokens end.

    Tokens of running workloads are kept (they do nothing while their person is disabled).
    Idempotent. Raises Forbidden, and Conflict where admins would disable themselves.
    """
    if actor is not None and actor.pk == user.pk:
        raise Conflict(
            _("You cannot disable yourself."), hint=_("Another admin can, or the command line.")
        )
    if actor is not None and not policies.can_disable(actor, user):
        raise Forbidden(_("Only an admin can disable people."))
    person = User.objects.select_for_update().get(pk=user.pk)
    if person.is_active:
        person.is_active = False
        person.save(update_fields=["is_active"])
        ApiToken.objects.filter(user=person, workload_uid="", revoked_at=None).update(
            revoked_at=Now()
        )
        SigninLink.objects.filter(user=person, used_at=None).delete()
        close_everything(person)
        record(actor, Act("person.disable", Target("person", person.uid, person)))
    person.refresh_from_db()
    return person


@transaction.atomic
def enable(actor: User | None, *, user: User) -> User:
    """Let a disabled person in again; what was open stays closed. Idempotent."""
    if actor is not None and not policies.can_administer(actor):
        raise Forbidden(_("Only an admin can enable people."))
    person = User.objects.select_for_update().get(pk=user.pk)
    if not person.is_active:
        person.is_active = True
        person.save(update_fields=["is_active"])
        record(actor, Act("person.enable", Target("person", person.uid, person)))
        touch(person.pk)
        announce_to_gate()
    return person


@transaction.atomic
def sign_out_everywhere(actor: User | None, *, user: User) -> int:
    """End all sessions of `user` and what they opened; returns the new epoch, which the session
    that is to stay may take."""
    if actor is not None and not policies.can_change_person(actor, user):
        raise Forbidden(_("You can only sign yourself out."))
    epoch = close_everything(user)
    record(actor, Act("person.sign_out_everywhere", Target("person", user.uid, user)))
    return epoch


def close_everything(user: User) -> int:
    """One epoch up: sessions, grants to workspaces and sockets of `user` end within 5 s.
    Must run in a transaction; returns the new epoch."""
    User.objects.filter(pk=user.pk).update(session_epoch=F("session_epoch") + 1)
    touch(user.pk)
    announce_to_gate()
    return User.objects.values_list("session_epoch", flat=True).get(pk=user.pk)
