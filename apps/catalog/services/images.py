"""Images and their versions: a new version changes what the next launch gets, never what runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import User
from apps.catalog import policies
from apps.catalog.environments.builder import lock_digest
from apps.catalog.models import App, Image, ImageStatus, ImageVersion
from apps.live.errors import Conflict, DomainError, Forbidden


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image to offer: how it is called and what is in it.

    `lock` is the text of a locked requirements file, `pip_args` where its packages come from
    (an admin's setting), `apps` the slugs of what it can run.
    """

    slug: str
    name: str
    framework: str
    framework_version: str
    python_version: str
    lock: str
    apps: Sequence[str]
    description: str = ""
    pip_args: Sequence[str] = ()
    supports_gpu: bool = False
    position: int = 100


@transaction.atomic
def save_image(actor: User | None, *, request: ImageRequest) -> Image:
    """Offer an image that is not there yet, published, with its first version.

    An image that is there keeps what admins made of it; only content that it never had becomes
    its new version. Idempotent.
    """
    _authorise(actor)
    image, is_new = Image.objects.get_or_create(
        slug=request.slug,
        defaults={
            "name": request.name,
            "description": request.description,
            "framework": request.framework,
            "framework_version": request.framework_version,
            "python_version": request.python_version,
            "supports_gpu": request.supports_gpu,
            "position": request.position,
            "status": ImageStatus.PUBLISHED,
        },
    )
    if is_new:
        found = list(App.objects.filter(slug__in=request.apps))
        missing = sorted(set(request.apps) - {app.slug for app in found})
        if missing:
            raise DomainError(
                _("There is no app called {apps}.").format(apps=", ".join(missing)),
                fields={"apps": _("Add the app first.")},
            )
        image.apps.set(found)
        record(actor, Act("image.create", Target("image", image.slug)))
    digest = lock_digest(request.lock, tuple(request.pip_args), image.python_version)
    if not image.versions.filter(digest=digest).exists():
        publish_image_version(actor, image=image, lock=request.lock, pip_args=request.pip_args)
    image.refresh_from_db()
    return image


@transaction.atomic
def publish_image_version(
    actor: User | None, *, image: Image, lock: str, pip_args: Sequence[str] = ()
) -> ImageVersion:
    """Make this content what the next launch of `image` gets; the same content changes nothing.

    Running workspaces keep their version. Locks the image's row.
    """
    _authorise(actor)
    row = Image.objects.select_for_update().get(pk=image.pk)
    digest = lock_digest(lock, tuple(pip_args), row.python_version)
    if row.current is not None and row.current.digest == digest:
        return row.current
    newest = row.versions.order_by("-number").first()
    version = ImageVersion.objects.create(
        image=row,
        number=newest.number + 1 if newest else 1,
        lock=lock,
        pip_args=list(pip_args),
        digest=digest,
    )
    row.current = version
    row.save(update_fields=["current"])
    image.current = version
    detail = {"number": version.number, "digest": digest}
    record(actor, Act("image.publish_version", Target("image", row.slug), detail))
    return version


@transaction.atomic
def set_default_image(actor: User | None, *, image: Image) -> None:
    """Make `image` the one that a launch offers first. It must be published and have a version."""
    _authorise(actor)
    rows = {row.pk: row for row in Image.objects.select_for_update().order_by("pk")}
    row = rows[image.pk]
    if row.status != ImageStatus.PUBLISHED or row.current_id is None:
        raise Conflict(
            _("{name} cannot be launched yet.").format(name=row.name),
            hint=_("Publish it first, then make it the default."),
        )
    if row.is_default:
        return
    Image.objects.filter(is_default=True).update(is_default=False)
    Image.objects.filter(pk=row.pk).update(is_default=True)
    image.is_default = True
    record(actor, Act("image.set_default", Target("image", row.slug)))


@transaction.atomic
def set_image_status(actor: User | None, *, image: Image, status: str) -> None:
    """Publish, deprecate or hide an image. The default image must stay published."""
    _authorise(actor)
    if status not in ImageStatus.values:
        raise DomainError(_("There is no such status."), fields={"status": _("Unknown.")})
    row = Image.objects.select_for_update().get(pk=image.pk)
    if row.is_default and status != ImageStatus.PUBLISHED:
        raise Conflict(
            _("{name} is the default image.").format(name=row.name),
            hint=_("Make another image the default first."),
        )
    if row.status == status:
        return
    row.status = status
    row.save(update_fields=["status"])
    image.status = status
    record(actor, Act("image.set_status", Target("image", row.slug), {"status": status}))


def _authorise(actor: User | None) -> None:
    if actor is not None and not policies.can_change_catalog(actor):
        raise Forbidden(_("Only an admin can change the catalogue."))
