"""Who may do what with a workspace: one source for pages, REST and sockets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """Something that can be done with a workspace."""

    SEE = "see"
    LOGS = "logs"
    OPEN = "open"
    START = "start"
    STOP = "stop"
    CHANGE = "change"
    EXTEND = "extend"
    DELETE = "delete"
    RESTORE = "restore"


class Relation(StrEnum):
    """What a person is to a workspace; the strongest one counts."""

    OWNER = "owner"
    ADMIN = "admin"
    LEAD = "lead"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Viewer:
    """What policies need to know of who asks. `leads_owner`: leads a group of the owner."""

    person_id: int
    is_active: bool
    is_admin: bool
    leads_owner: bool


ALLOWED: dict[Relation, frozenset[Action]] = {
    Relation.OWNER: frozenset(Action),
    Relation.ADMIN: frozenset({Action.SEE, Action.LOGS, Action.STOP, Action.RESTORE}),
    Relation.LEAD: frozenset({Action.SEE}),
    Relation.STRANGER: frozenset(),
}


def relation_of(viewer: Viewer, owner_id: int) -> Relation:
    """What `viewer` is to a workspace of `owner_id`. Who is disabled is a stranger to all."""
    if not viewer.is_active:
        return Relation.STRANGER
    if viewer.person_id == owner_id:
        return Relation.OWNER
    if viewer.is_admin:
        return Relation.ADMIN
    return Relation.LEAD if viewer.leads_owner else Relation.STRANGER


def is_allowed(action: Action, relation: Relation) -> bool:
    """Whether someone in this relation may do `action`."""
    return action in ALLOWED[relation]
