"""Queries about images, sizes, prices and environments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Literal

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.catalog import policies
from apps.catalog.models import (
    App,
    BuildState,
    EnvironmentBuild,
    Image,
    ImageStatus,
    ImageVersion,
    Price,
    Size,
)
from apps.live.errors import NotFound

Purpose = Literal["workspace", "job"]


def images_for(actor: User) -> list[Image]:
    """Images that `actor` can launch, in the order of the form; two queries, with their apps
    (`image.apps.all()`) and current version. Admins get drafts and deprecated ones as well."""
    images = _complete_images()
    if not policies.can_change_catalog(actor):
        images = images.filter(status=ImageStatus.PUBLISHED)
    return list(images.order_by("position", "slug"))


def get_image_for(actor: User, slug: str) -> Image:
    """The image called `slug` if `actor` may see it, else NotFound."""
    image = _complete_images().filter(slug=slug).first()
    if image is None or not policies.can_see_image(actor, image):
        raise NotFound(
            _("There is no image called {slug}.").format(slug=slug),
            hint=_("The launch form lists the images that there are."),
        )
    return image


def get_image(slug: str) -> Image:
    """The image called `slug`, for the portal itself; raises NotFound."""
    image = _complete_images().filter(slug=slug).first()
    if image is None:
        raise NotFound(_("There is no image called {slug}.").format(slug=slug))
    return image


def default_image() -> Image:
    """The image that a launch offers first; raises NotFound where none is set."""
    image = _complete_images().filter(is_default=True).first()
    if image is None:
        raise NotFound(
            _("There is no default image."), hint=_("An admin can make one the default.")
        )
    return image


def _complete_images() -> QuerySet[Image]:
    images = Image.objects.filter(current__isnull=False).select_related("current")
    return images.prefetch_related("apps")


def apps_of(image: Image) -> list[App]:
    """The apps that `image` can run, the first being the one offered; no query where the image
    came from a selector."""
    return sorted(image.apps.all(), key=lambda app: (app.position, app.slug))


def sizes_for(actor: User, purpose: Purpose | None = None) -> list[Size]:
    """Sizes that `actor` can choose for a workspace, a job, or (None) either; smallest first."""
    sizes = Size.objects.all()
    if not policies.can_change_catalog(actor):
        sizes = sizes.filter(is_published=True)
    if purpose is not None:
        sizes = sizes.filter(Q(for_workspaces=True) if purpose == "workspace" else Q(for_jobs=True))
    return list(sizes.order_by("position", "slug"))


def get_size_for(actor: User, slug: str) -> Size:
    """The size called `slug` if `actor` may see it, else NotFound."""
    size = Size.objects.filter(slug=slug).first()
    if size is None or not policies.can_see_size(actor, size):
        raise NotFound(
            _("There is no size called {slug}.").format(slug=slug),
            hint=_("The launch form lists the sizes that there are."),
        )
    return size


def price_of(size: Size, at: dt.datetime | None = None) -> Price:
    """What an hour of `size` costs at `at` (None: now, by the database's clock).

    Raises NotFound for a time before its first price.
    """
    price = (
        Price.objects.filter(size=size, valid_from__lte=at or Now()).order_by("-valid_from").first()
    )
    if price is None:
        raise NotFound(_("The size {slug} has no price.").format(slug=size.slug))
    return price


def current_prices(sizes: Iterable[Size]) -> dict[int, Price]:
    """The present price of each size by the size's key, in one query; sizes without one are left
    out."""
    prices = (
        Price.objects.filter(size__in=[size.pk for size in sizes], valid_from__lte=Now())
        .order_by("size", "-valid_from")
        .distinct("size")
    )
    return {price.size_id: price for price in prices}


def price_history(size: Size) -> list[Price]:
    """All prices of `size`, newest first, those to come included."""
    return list(Price.objects.filter(size=size).order_by("-valid_from"))


def build_of(version: ImageVersion) -> EnvironmentBuild | None:
    """The environment of `version`, if it was ever wanted."""
    return EnvironmentBuild.objects.filter(digest=version.digest).first()


def builds_of(digests: Sequence[str]) -> dict[str, EnvironmentBuild]:
    """The environments of these digests that were ever wanted, by digest, in one query."""
    return {build.digest: build for build in EnvironmentBuild.objects.filter(digest__in=digests)}


def due_builds(limit: int = 20) -> list[str]:
    """Digests of environments that are wanted, not there, due to be tried and in nobody's hands."""
    due = EnvironmentBuild.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=Now()),
        state__in=[BuildState.NO, BuildState.PULLING],
        requested_at__lte=Now(),
    )
    return list(due.order_by(F("requested_at").asc()).values_list("digest", flat=True)[:limit])
