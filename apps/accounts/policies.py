"""Who may do what to people, groups and tokens. Pure functions over rows already fetched;
pages, REST and socket subscriptions all ask here."""

from __future__ import annotations

from collections.abc import Collection

from apps.accounts.models import Role, Scope, User


def can_administer(actor: User) -> bool:
    """Whether `actor` may make, change and disable people and groups."""
    return actor.is_admin


def can_see_person(actor: User, person: User, *, led_groups: Collection[int] = ()) -> bool:
    """Whether `actor` may see `person` and what `person` runs.

    People see themselves, admins see all, and whoever leads a group sees its members:
    `led_groups` are the groups of `person` that `actor` leads (`selectors.groups_led_in_common`).
    Seeing is not changing.
    """
    if not actor.is_active:
        return False
    return actor.pk == person.pk or actor.is_admin or bool(led_groups)


def can_change_person(actor: User, person: User) -> bool:
    """Whether `actor` may change the name, mail, language and look of `person`."""
    return actor.is_active and (actor.pk == person.pk or actor.is_admin)


def can_disable(actor: User, person: User) -> bool:
    """Whether `actor` may disable `person`: admins anyone but themselves."""
    return actor.is_admin and actor.pk != person.pk


def can_hold_tokens_of(actor: User, person: User) -> bool:
    """Whether `actor` may make or revoke API tokens of `person`."""
    return actor.is_active and (actor.pk == person.pk or actor.is_admin)


def allowed_scopes(person: User) -> tuple[Scope, ...]:
    """Scopes that a token of `person` may carry, in the order in which they are offered."""
    plain = (Scope.READ, Scope.WORKSPACES, Scope.JOBS)
    return (*plain, Scope.ADMIN) if person.is_admin else plain


def roles_of(person: User, *, leads_a_group: bool) -> list[str]:
    """The roles of `person`, least first: everybody is a student, too."""
    roles = [Role.STUDENT.value]
    if leads_a_group or person.role == Role.LEAD:
        roles.append(Role.LEAD.value)
    if person.role == Role.ADMIN:
        roles.append(Role.ADMIN.value)
    return roles
