"""`/images`: what can be launched, and whether this installation has it at hand."""

from __future__ import annotations

from django.http import HttpResponse
from django.utils.translation import gettext
from ninja import Query, Router

from apps.accounts.models import Scope
from apps.api.authentication import ApiRequest
from apps.api.cursors import Page, PageQuery, slice_of
from apps.api.fields import Answer, Nothing, Slug
from apps.api.idempotency import once
from apps.api.operations import Rules, operation
from apps.catalog.models import BuildState, EnvironmentBuild, Image, ImageVersion
from apps.catalog.selectors import apps_of, build_of, builds_of, get_image_for, images_for
from apps.catalog.services import request_build

router = Router(tags=["images"])


class ImageOut(Answer):
    """An image. `ides` are the apps it can run, the first being the one offered. `pulled` is `no`,
    `pulling`, `yes` or `failed`; `pull_progress` goes from 0 to 1; `pull_message` says how far or
    why not."""

    slug: str
    name: str
    description: str
    framework: str
    framework_version: str
    python_version: str
    ides: list[str]
    supports_gpu: bool
    is_default: bool
    status: str
    pulled: str
    pull_progress: float
    pull_message: str


def image_out(image: Image, build: EnvironmentBuild | None) -> ImageOut:
    """`image` as REST shows it."""
    pulled = build.state if build else BuildState.NO.value
    return ImageOut(
        slug=image.slug,
        name=image.name,
        description=image.description,
        framework=image.framework,
        framework_version=image.framework_version,
        python_version=image.python_version,
        ides=[app.slug for app in apps_of(image)],
        supports_gpu=image.supports_gpu,
        is_default=image.is_default,
        status=image.status,
        pulled=pulled,
        pull_progress=1.0 if pulled == BuildState.YES else (build.progress if build else 0.0),
        pull_message=gettext(build.message) if build and build.message else "",
    )


@router.get("/images", summary="Images", **operation(Rules(Scope.READ, Page[ImageOut])))
def list_images(request: ApiRequest, page: Query[PageQuery]) -> Page[ImageOut]:
    """The images that you can launch, in the order of the launch form."""
    images = images_for(request.auth.user)
    items, following = slice_of("images", page, images, lambda image: (image.position, image.slug))
    builds = builds_of([_version(image).digest for image in items])
    return Page(
        items=[image_out(image, builds.get(_version(image).digest)) for image in items],
        next=following,
    )


@router.get("/images/{slug}", summary="An image", **operation(Rules(Scope.READ, ImageOut)))
def get_image(request: ApiRequest, slug: Slug) -> ImageOut:
    """One image."""
    image = get_image_for(request.auth.user, slug)
    return image_out(image, build_of(_version(image)))


@router.post(
    "/images/{slug}/pull",
    summary="Have an image at hand",
    **operation(Rules(Scope.WORKSPACES, ImageOut, status=202, refusals=(409,), once=True)),
)
def pull_image(request: ApiRequest, slug: Slug, payload: Nothing | None = None) -> HttpResponse:
    """Ask for the image's environment to be built here, so that the next launch is quick.
    Asking twice, or for one that is there, changes nothing."""
    image = get_image_for(request.auth.user, slug)

    def pull() -> ImageOut:
        return image_out(image, request_build(request.auth.user, version=_version(image)))

    return once(request, 202, pull)


def _version(image: Image) -> ImageVersion:
    assert image.current is not None, "selectors return images that have a version"
    return image.current
