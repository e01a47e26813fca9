"""What someone can launch: the launch form's and the dashboard's view of the catalogue."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from apps.accounts.models import User
from apps.catalog.models import App, BuildState, EnvironmentBuild, Image, ImageStatus, Price, Size
from apps.catalog.selectors import apps_of, builds_of, current_prices, images_for, sizes_for
from apps.live.uids import new_uid
from apps.quotas.selectors import quota_lines
from apps.quotas.types import QuotaLine
from apps.workspaces.limits import refusal_of
from apps.workspaces.services.runs import disk_amounts, running_amounts


@dataclass(frozen=True, slots=True)
class ImageOffer:
    """An image as the launch form shows it; `ides` are slugs, the first is the usual one."""

    slug: str
    name: str
    description: str
    framework: str
    framework_version: str
    python_version: str
    ides: tuple[str, ...]
    is_default: bool
    is_ready: bool
    is_building: bool
    build_minutes: int | None
    failed: str


@dataclass(frozen=True, slots=True)
class SizeOffer:
    """A size as the launch form shows it. CPU in cores; `refusal` says why not now."""

    slug: str
    name: str
    cpu: Decimal
    memory_mib: int
    disk_gib: int
    gpus: int
    gpu_tier: str
    price_per_hour: Decimal
    currency: str
    refusal: str
    refusal_hint: str


@dataclass(frozen=True, slots=True)
class DefaultLaunch:
    """What one click launches. `once` makes two clicks one launch."""

    image: str
    image_name: str
    ide: str
    ide_name: str
    size: str
    size_name: str
    is_ready: bool
    build_minutes: int | None
    once: str


@dataclass(frozen=True, slots=True)
class Offers:
    """All that someone can choose among, and the limits it is measured against."""

    images: tuple[ImageOffer, ...]
    ides: tuple[App, ...]
    sizes: tuple[SizeOffer, ...]
    lines: tuple[QuotaLine, ...]

    @property
    def default_launch(self) -> DefaultLaunch | None:
        """The default image (or the first that runs anything) in the first size that fits."""
        image = self.default_image
        size = self.default_size
        if image is None or size is None:
            return None
        names = {app.slug: app.name for app in self.ides}
        return DefaultLaunch(
            image=image.slug,
            image_name=image.name,
            ide=image.ides[0],
            ide_name=names[image.ides[0]],
            size=size.slug,
            size_name=size.name,
            is_ready=image.is_ready,
            build_minutes=image.build_minutes,
            once=new_uid(),
        )

    @property
    def default_image(self) -> ImageOffer | None:
        """The image that is chosen when nobody has chosen."""
        usable = [image for image in self.images if image.ides]
        return next((image for image in usable if image.is_default), next(iter(usable), None))

    @property
    def default_size(self) -> SizeOffer | None:
        """The size that is chosen when nobody has chosen: the first that fits, else the first."""
        fitting = (size for size in self.sizes if not size.refusal)
        return next(fitting, next(iter(self.sizes), None))


def offers_for(actor: User) -> Offers:
    """What `actor` can launch now. A fixed number of queries."""
    images = [image for image in images_for(actor) if image.status != ImageStatus.DEPRECATED]
    builds = builds_of([image.current.digest for image in images if image.current])
    sizes = sizes_for(actor, "workspace")
    prices = current_prices(sizes)
    lines = quota_lines(actor)
    apps = {app.slug: app for app in itertools.chain(*(apps_of(image) for image in images))}
    return Offers(
        images=tuple(
            _image(image, builds.get(image.current.digest)) for image in images if image.current
        ),
        ides=tuple(sorted(apps.values(), key=lambda app: (app.position, app.slug))),
        sizes=tuple(_size(size, prices.get(size.pk), lines) for size in sizes),
        lines=tuple(lines),
    )


def _image(image: Image, build: EnvironmentBuild | None) -> ImageOffer:
    state = build.state if build else BuildState.NO
    is_failed = state == BuildState.FAILED
    return ImageOffer(
        slug=image.slug,
        name=image.name,
        description=image.description,
        framework=image.framework,
        framework_version=image.framework_version,
        python_version=image.python_version,
        ides=tuple(app.slug for app in apps_of(image)),
        is_default=image.is_default,
        is_ready=state == BuildState.YES,
        is_building=state == BuildState.PULLING,
        build_minutes=None,
        failed=build.message if build and is_failed else "",
    )


def _size(size: Size, price: Price | None, lines: Sequence[QuotaLine]) -> SizeOffer:
    refusal = refusal_of(lines, {**running_amounts(size), **disk_amounts(size)})
    return SizeOffer(
        slug=size.slug,
        name=size.name,
        cpu=Decimal(size.cpu_millis) / 1000,
        memory_mib=size.memory_mib,
        disk_gib=size.disk_gib,
        gpus=size.gpus,
        gpu_tier=size.gpu_tier,
        price_per_hour=price.per_hour if price else Decimal(0),
        currency=price.currency if price else settings.CURRENCY,
        refusal=refusal.message,
        refusal_hint=refusal.hint,
    )
