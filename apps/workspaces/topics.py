"""The topics `workspace:<uid>` and `me`, as the live processes want them.

`portal.wiring` registers them and says how their data looks in REST, which this app does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from apps.accounts.models import User
from apps.live.errors import NotFound
from apps.live.topics import State, TopicType
from apps.quotas.selectors import quota_lines
from apps.workspaces import limits
from apps.workspaces.models import Workspace
from apps.workspaces.selectors import (
    describe,
    describe_one,
    get_workspace_for,
    versions_of,
    workspaces_for,
)
from apps.workspaces.types import WorkspaceView

Data = Mapping[str, object]


def workspace_topic(data_of: Callable[[WorkspaceView], Data]) -> TopicType:
    """`workspace:<uid>`: one workspace with stages and timeline."""

    def resolve(person: object, key: str) -> str:
        assert isinstance(person, User)
        return get_workspace_for(person, key).uid

    def state(key: str) -> State | None:
        row = Workspace.objects.filter(uid=key, deleted_at=None).first()
        if row is None:
            return None
        view = describe_one(row)
        return State(view.version, lambda: data_of(view), {"workspace": view})

    return TopicType("workspace", "workspaces/_status.html", resolve, versions_of, state)


def me_topic(data_of: Callable[[User], Data]) -> TopicType:
    """`me`: a person's workspaces and limits; subscribed to by that name alone."""

    def resolve(person: object, key: str) -> str:
        assert isinstance(person, User)
        if key:
            raise NotFound("There is no such topic.")
        return person.uid

    def versions(keys: Sequence[str]) -> Mapping[str, int]:
        rows = User.objects.filter(uid__in=keys, is_active=True)
        return dict(rows.values_list("uid", "live_version"))

    def state(key: str) -> State | None:
        person = User.objects.filter(uid=key, is_active=True).first()
        if person is None:
            return None
        context = {
            "workspaces": describe(workspaces_for(person)),
            "limits": limits.shown(quota_lines(person)),
        }
        return State(person.live_version, lambda: data_of(person), context)

    return TopicType("me", "workspaces/_mine.html", resolve, versions, state, is_personal=True)
