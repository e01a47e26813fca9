"""The dashboard, and all of a person's workspaces."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.live.errors import NotFound
from apps.quotas.selectors import quota_lines
from apps.workspaces import limits
from apps.workspaces.offers import offers_for
from apps.workspaces.selectors import PAGE, describe, recent_events_for, workspaces_for
from apps.workspaces.views.asking import person_of


@never_cache
@login_required
@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """What is yours and moves, what happened lately, and a launch in one click."""
    person = person_of(request)
    mine_version = person.live_version
    offers = offers_for(person)
    context = {
        "nav": "home",
        "workspaces": describe(workspaces_for(person)),
        "limits": limits.shown(offers.lines),
        "mine_version": mine_version,
        "events": recent_events_for(person),
        "default_launch": offers.default_launch,
    }
    return render(request, "workspaces/dashboard.html", context)


@never_cache
@login_required
@require_safe
def workspace_list(request: HttpRequest) -> HttpResponse:
    """All of a person's workspaces, newest first, a page at a time."""
    person = person_of(request)
    mine_version = person.live_version
    before = _key_of(request.GET.get("cursor"))
    rows = workspaces_for(person, before=before, limit=PAGE + 1)
    context = {
        "nav": "workspaces",
        "workspaces": describe(rows[:PAGE]),
        "limits": limits.shown(quota_lines(person)),
        "mine_version": mine_version,
        "next_cursor": str(rows[PAGE - 1].pk) if len(rows) > PAGE else None,
        "is_first_page": before is None,
    }
    return render(request, "workspaces/list.html", context)


def _key_of(cursor: str | None) -> int | None:
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18):
        raise NotFound("There is no such page.")
    return int(cursor)
