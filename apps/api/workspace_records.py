"""`/workspaces/{uid}/events`, `/logs`, `/manifest`: what happened, and how to do without us."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from ninja import Query, Router
from pydantic import BaseModel, Field

from apps.accounts.models import Scope
from apps.api.authentication import ApiRequest
from apps.api.cursors import Page, PageQuery, cut, decode
from apps.api.fields import Uid
from apps.api.operations import Rules, operation
from apps.api.workspace_shapes import EventOut, LogOut, event_out
from apps.clusters.logs import log_tail
from apps.live.errors import Unavailable, WrongPhase
from apps.workspaces.manifest import manifest_of
from apps.workspaces.policies import Action
from apps.workspaces.selectors import event_page, get_workspace_for

router = Router(tags=["workspaces"])
EVENTS = "workspace-events"
LOG_WAIT_S = 2.0
SCRIPT = "text/x-shellscript"


class TailQuery(BaseModel):
    """How much of the log."""

    tail: Annotated[int, Field(ge=1, le=5000, description="Lines, from the end")] = 200


@router.get(
    "/workspaces/{uid}/events",
    summary="What happened",
    **operation(Rules(Scope.READ, Page[EventOut])),
)
def list_events(request: ApiRequest, uid: Uid, page: Query[PageQuery]) -> Page[EventOut]:
    """The timeline, newest first."""
    workspace = get_workspace_for(request.auth.user, uid, Action.SEE)
    name = f"{EVENTS}.{uid}"
    rows = event_page(workspace, before=decode(name, page.cursor), limit=page.limit + 1)
    items, following = cut(name, page, rows, lambda row: row[0])
    return Page(items=[event_out(event) for _key, event in items], next=following)


@router.get(
    "/workspaces/{uid}/logs",
    summary="The server's log",
    **operation(Rules(Scope.READ, LogOut, refusals=(409,))),
)
def get_log(request: ApiRequest, uid: Uid, query: Query[TailQuery]) -> LogOut:
    """The end of the newest run's log. It is read anew where that takes less than two seconds;
    `age_s` says how old the answer is."""
    workspace = get_workspace_for(request.auth.user, uid, Action.LOGS)
    if workspace.current is None:
        raise WrongPhase(_("It has not run yet, so there is no log."), hint=_("Start it first."))
    log = log_tail(workspace.current, wait_s=LOG_WAIT_S)
    if log is None:
        raise Unavailable(
            _("The log cannot be read now."), hint=_("Try again in a moment."), retry_after_s=2
        )
    lines = log.text.splitlines(keepends=True)
    return LogOut(
        text="".join(lines[-query.tail :]),
        at=log.at,
        age_s=round(log.age_s, 3),
        is_cut=log.is_cut or len(lines) > query.tail,
    )


@router.get(
    "/workspaces/{uid}/manifest",
    summary="How to run it without the portal",
    **operation(Rules(Scope.READ, None, refusals=(409,), media_type=SCRIPT)),
)
def get_manifest(request: ApiRequest, uid: Uid) -> HttpResponse:
    """A shell script with the locked requirements in it that makes the same environment and runs
    the same server over a folder of your choice."""
    workspace = get_workspace_for(request.auth.user, uid, Action.LOGS)
    manifest = manifest_of(workspace)
    response = HttpResponse(manifest.text, content_type=f"{manifest.media_type}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{manifest.file_name}"'
    return response
