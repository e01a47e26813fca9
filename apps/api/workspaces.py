"""`/workspaces`: launch, look, change, delete."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from ninja import Query, Router
from pydantic import model_validator

from apps.accounts.models import Scope
from apps.api.authentication import ApiRequest
from apps.api.cursors import Page, PageQuery, cut, decode
from apps.api.fields import Body, Name, SlugField, Uid
from apps.api.idempotency import once
from apps.api.operations import Rules, operation
from apps.api.workspace_shapes import DeleteOut, WorkspaceOut, workspace_out
from apps.workspaces import services
from apps.workspaces.description import describe
from apps.workspaces.models import Workspace
from apps.workspaces.policies import Action
from apps.workspaces.selectors import get_workspace_for, workspaces_for
from apps.workspaces.types import LaunchRequest, WorkspaceChange

router = Router(tags=["workspaces"])
LIST = "workspaces"


class LaunchBody(Body):
    """What to launch. `ide` names an app of the image; without a name one is made."""

    name: Name | None = None
    image: SlugField
    ide: SlugField
    size: SlugField


class ChangeBody(Body):
    """What to change; what is absent stays. All but the name only while it is stopped."""

    name: Name | None = None
    image: SlugField | None = None
    size: SlugField | None = None
    ide: SlugField | None = None

    @model_validator(mode="after")
    def nothing_is_null(self) -> ChangeBody:
        """Absent means unchanged; null would mean nothing."""
        nulls = [name for name in self.model_fields_set if getattr(self, name) is None]
        if nulls:
            raise ValueError(f"null is no value of {', '.join(sorted(nulls))}")
        return self


def shown(workspace: Workspace) -> WorkspaceOut:
    """`workspace` as it is now, in REST's shape."""
    return workspace_out(describe([workspace])[0])


@router.post(
    "/workspaces",
    summary="Launch a workspace",
    **operation(Rules(Scope.WORKSPACES, WorkspaceOut, status=202, refusals=(409,), once=True)),
)
def launch_workspace(request: ApiRequest, payload: LaunchBody) -> HttpResponse:
    """Make a workspace and begin its first run. It is yours when this answers, whatever fails
    afterwards; follow it by `GET` or over the live socket until `phase` is `ready`."""
    wanted = LaunchRequest(
        image=payload.image, app=payload.ide, size=payload.size, name=payload.name or ""
    )
    return once(request, 202, lambda: shown(services.launch(request.auth.user, request=wanted)))


@router.get(
    "/workspaces", summary="Your workspaces", **operation(Rules(Scope.READ, Page[WorkspaceOut]))
)
def list_workspaces(request: ApiRequest, page: Query[PageQuery]) -> Page[WorkspaceOut]:
    """Your own workspaces, newest first."""
    before = decode(LIST, page.cursor)
    rows = workspaces_for(request.auth.user, before=before, limit=page.limit + 1)
    items, following = cut(LIST, page, rows, lambda row: row.pk)
    return Page(items=[workspace_out(view) for view in describe(items)], next=following)


@router.get(
    "/workspaces/{uid}", summary="A workspace", **operation(Rules(Scope.READ, WorkspaceOut))
)
def get_workspace(request: ApiRequest, uid: Uid) -> WorkspaceOut:
    """One workspace: yours, one of a group that you lead, or any for an admin."""
    return shown(get_workspace_for(request.auth.user, uid, Action.SEE))


@router.patch(
    "/workspaces/{uid}",
    summary="Change a workspace",
    **operation(Rules(Scope.WORKSPACES, WorkspaceOut, refusals=(409,))),
)
def change_workspace(request: ApiRequest, uid: Uid, payload: ChangeBody) -> WorkspaceOut:
    """Give it another name at any time; another image, size or IDE while it is stopped. The home
    stays the same."""
    change = WorkspaceChange(
        name=payload.name, image=payload.image, app=payload.ide, size=payload.size
    )
    return shown(services.change(request.auth.user, uid=uid, change=change))


@router.delete(
    "/workspaces/{uid}",
    summary="Delete a workspace",
    **operation(Rules(Scope.WORKSPACES, DeleteOut, status=202, refusals=(409,))),
)
def delete_workspace(request: ApiRequest, uid: Uid) -> DeleteOut:
    """Stop it and put it away. Its home is kept until the moment that the answer names."""
    workspace = services.delete(request.auth.user, uid=uid)
    assert workspace.purge_after is not None, "deleting sets it"
    return DeleteOut(
        uid=workspace.uid,
        home_kept_until=workspace.purge_after,
        grace_s=settings.DELETE_GRACE_S,
    )
