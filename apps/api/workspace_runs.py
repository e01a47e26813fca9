"""`/workspaces/{uid}/start`, `/stop`, `/extend`: the run of a workspace."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpResponse
from ninja import Router
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from apps.accounts.models import Scope
from apps.api.authentication import ApiRequest
from apps.api.fields import Body, Nothing, Uid
from apps.api.idempotency import once
from apps.api.operations import Rules, operation
from apps.api.workspace_shapes import StopOut, WorkspaceOut
from apps.api.workspaces import shown
from apps.workspaces import services

router = Router(tags=["workspaces"])


class ExtendBody(Body):
    """For how much longer."""

    hours: Annotated[int, Field(ge=1, le=72)]


class StopBody(Body):
    """Whether to save first. Only without is possible; absent means without."""

    save: Annotated[bool, Field(description="Only false: this portal cannot save yet")] = False

    @field_validator("save")
    @classmethod
    def cannot_save(cls, save: bool) -> bool:
        """Never stop without what was asked for: a save that does not exist is refused."""
        if save:
            raise PydanticCustomError("no_saving", "saving is not available yet")
        return save


@router.post(
    "/workspaces/{uid}/start",
    summary="Start a workspace",
    **operation(Rules(Scope.WORKSPACES, WorkspaceOut, status=202, refusals=(409,), once=True)),
)
def start_workspace(request: ApiRequest, uid: Uid, payload: Nothing | None = None) -> HttpResponse:
    """Begin a new run over the same home. One that runs already is no error."""
    return once(request, 202, lambda: shown(services.start(request.auth.user, uid=uid)))


@router.post(
    "/workspaces/{uid}/stop",
    summary="Stop a workspace",
    **operation(Rules(Scope.WORKSPACES, StopOut, status=202, refusals=(409,), once=True)),
)
def stop_workspace(request: ApiRequest, uid: Uid, payload: StopBody | None = None) -> HttpResponse:
    """End the run; files stay. `save` can only be false: nothing is saved on stopping yet. One that
    is stopping or stopped already is no error."""

    def stop() -> StopOut:
        workspace = services.stop(request.auth.user, uid=uid)
        return StopOut(workspace=shown(workspace), snapshot=None)

    return once(request, 202, stop)


@router.post(
    "/workspaces/{uid}/extend",
    summary="Let a workspace run longer",
    **operation(Rules(Scope.WORKSPACES, WorkspaceOut, status=202, refusals=(409,), once=True)),
)
def extend_workspace(request: ApiRequest, uid: Uid, payload: ExtendBody) -> HttpResponse:
    """Move `idle_stop_at` by so many hours, to `ends_at` at most. `ends_at` is when the longest
    lifetime of a run is over; it does not move."""
    return once(
        request,
        202,
        lambda: shown(services.extend(request.auth.user, uid=uid, hours=payload.hours)),
    )
