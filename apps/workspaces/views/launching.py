"""The launch form."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.live.errors import DomainError, Unavailable
from apps.live.uids import new_uid
from apps.workspaces import limits
from apps.workspaces.forms import LaunchForm, take_refusal
from apps.workspaces.offers import Offers, offers_for
from apps.workspaces.services import launch_once
from apps.workspaces.views.asking import person_of


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """GET shows the form, filled from `?image=&ide=&size=`, and launches nothing; POST launches.

    What cannot be launched gives the form again, with everything typed and why (422).
    """
    person = person_of(request)
    if request.method != "POST":
        return _page(request, person, LaunchForm(initial={"once": new_uid()}))
    form = LaunchForm(request.POST)
    if form.is_valid():
        try:
            workspace = launch_once(person, request=form.request(), key=form.cleaned_data["once"])
        except Unavailable:
            raise
        except DomainError as error:
            take_refusal(form, error)
        else:
            return redirect("workspaces:detail", uid=workspace.uid)
    return _page(request, person, form)


def _page(request: HttpRequest, person: User, form: LaunchForm) -> HttpResponse:
    offers = offers_for(person)
    said = form.data if form.is_bound else request.GET
    context = {
        "nav": "launch",
        "form": form,
        "images": offers.images,
        "ides": offers.ides,
        "sizes": offers.sizes,
        "limits": limits.shown(offers.lines),
        "chosen": _chosen(offers, {name: str(said.get(name, "")) for name in CHOICES}),
    }
    return render(request, "workspaces/new.html", context, status=422 if form.is_bound else 200)


CHOICES = ("image", "ide", "size")


def _chosen(offers: Offers, said: dict[str, str]) -> dict[str, str]:
    """What is selected when the page opens: what was said, as far as it exists, else defaults."""
    images = {image.slug: image for image in offers.images}
    image = images.get(said["image"]) or offers.default_image
    ides = image.ides if image else ()
    sizes = {size.slug for size in offers.sizes}
    size = offers.default_size
    return {
        "image": image.slug if image else "",
        "ide": said["ide"] if said["ide"] in ides else next(iter(ides), ""),
        "size": said["size"] if said["size"] in sizes else size.slug if size else "",
    }
