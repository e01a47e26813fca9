"""One workspace: its page, its name, the question before it is deleted."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import User
from apps.clusters.logs import last_words
from apps.clusters.models import Phase
from apps.live.errors import DomainError
from apps.workspaces import services
from apps.workspaces.forms import RenameForm, take_refusal
from apps.workspaces.models import Workspace
from apps.workspaces.policies import Action
from apps.workspaces.selectors import can, describe_one, get_workspace_for
from apps.workspaces.views.asking import person_of


@never_cache
@login_required
@require_safe
def detail(request: HttpRequest, uid: str) -> HttpResponse:
    """Everything about one workspace, for whoever may see it."""
    person = person_of(request)
    workspace = get_workspace_for(person, uid)
    return _page(request, person, workspace, RenameForm(initial={"name": workspace.name}))


@login_required
@require_POST
def rename(request: HttpRequest, uid: str) -> HttpResponse:
    """Give it another name; what is wrong with it is shown on its page (422)."""
    person = person_of(request)
    workspace = get_workspace_for(person, uid, Action.CHANGE)
    form = RenameForm(request.POST)
    if form.is_valid():
        try:
            services.rename(person, uid=uid, name=form.cleaned_data["name"])
        except DomainError as error:
            take_refusal(form, error)
        else:
            return redirect("workspaces:detail", uid=uid)
    return _page(request, person, workspace, form)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, uid: str) -> HttpResponse:
    """GET asks, POST deletes and goes to the list."""
    person = person_of(request)
    if request.method == "POST":
        gone = services.delete(person, uid=uid)
        messages.success(request, _("%(name)s is deleted.") % {"name": gone.name})
        return redirect("workspaces:list")
    workspace = get_workspace_for(person, uid, Action.DELETE)
    context = {
        "nav": "workspaces",
        "workspace": describe_one(workspace),
        "grace_s": settings.DELETE_GRACE_S,
    }
    return render(request, "workspaces/delete.html", context)


def _page(
    request: HttpRequest, person: User, workspace: Workspace, form: RenameForm
) -> HttpResponse:
    context = {
        "nav": "workspaces",
        "workspace": describe_one(workspace),
        "rename_form": form,
        "can_change": can(person, workspace, Action.CHANGE),
        "last_words": _last_words(person, workspace),
    }
    status = 422 if form.errors else 200
    return render(request, "workspaces/detail.html", context, status=status)


def _last_words(person: User, workspace: Workspace) -> str:
    """The end of a failed run's log, for those who may read it: not for all who see the page."""
    run = workspace.current
    if run is None or run.phase != Phase.FAILED or not can(person, workspace, Action.LOGS):
        return ""
    return last_words(run)
