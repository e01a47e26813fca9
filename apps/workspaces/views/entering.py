"""The portal's part of the way in: gate sends browsers here, and they leave with a ticket."""

from __future__ import annotations

import time

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.gate.tickets import Entry, enter_location, enter_ticket, session_digest
from apps.live.errors import Forbidden, NotFound
from apps.workspaces.addresses import workspace_url
from apps.workspaces.policies import Action
from apps.workspaces.selectors import get_workspace_for
from apps.workspaces.views.asking import person_of

NEXT_LENGTH = 2000


@never_cache
@login_required
@require_safe
def enter(request: HttpRequest, uid: str) -> HttpResponse:
    """302 into the workspace with a ticket that is good once and for a minute, for its owner alone:
    to everybody else there is no such workspace. `next` is gate's and goes back to it unread."""
    person = person_of(request)
    try:
        workspace = get_workspace_for(person, uid, Action.OPEN)
    except Forbidden as error:
        raise NotFound(error.message, hint=error.hint) from error
    wanted = request.GET.get("next", "")
    entry = Entry(
        person_id=person.pk,
        person_uid=person.uid,
        epoch=person.session_epoch,
        session=session_digest(request.session.session_key),
        workspace=workspace.uid,
        next_path=wanted if len(wanted) <= NEXT_LENGTH else "",
    )
    ticket = enter_ticket(entry, key=settings.GATE_KEY, now=time.time())
    url = workspace_url(workspace.uid, settings.WORKSPACE_URL_TEMPLATE)
    response = redirect(enter_location(url, ticket))
    # The ticket is in the address: no other site may learn it from a Referer.
    response["Referrer-Policy"] = "no-referrer"
    return response
