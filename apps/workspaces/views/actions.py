"""What the buttons do: each posts, and goes back to where it was pressed."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from apps.accounts.redirects import next_path
from apps.live.errors import DomainError
from apps.workspaces import services
from apps.workspaces.forms import ExtendForm
from apps.workspaces.models import Workspace
from apps.workspaces.views.asking import person_of

Act = Callable[..., Workspace]


@login_required
@require_POST
def start(request: HttpRequest, uid: str) -> HttpResponse:
    """Begin a new run."""
    services.start(person_of(request), uid=uid)
    return _back(request, uid)


@login_required
@require_POST
def stop(request: HttpRequest, uid: str) -> HttpResponse:
    """Have the run end."""
    services.stop(person_of(request), uid=uid)
    return _back(request, uid)


@login_required
@require_POST
def extend(request: HttpRequest, uid: str) -> HttpResponse:
    """Keep it from being stopped as idle for some hours."""
    form = ExtendForm(request.POST)
    if not form.is_valid():
        told = " ".join(str(text) for text in form.errors["hours"])
        raise DomainError(told, fields={"hours": told})
    services.extend(person_of(request), uid=uid, hours=form.cleaned_data["hours"])
    return _back(request, uid)


def _back(request: HttpRequest, uid: str) -> HttpResponse:
    return redirect(next_path(request, reverse("workspaces:detail", args=[uid])))
