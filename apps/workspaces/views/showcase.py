"""Every component in every state, to be looked at."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@login_required
@require_safe
def components(request: HttpRequest) -> HttpResponse:
    """The page of components; nothing on it is real."""
    return render(request, "pages/components.html")
