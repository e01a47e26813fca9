"""Images and apps that are described in files (`deploy/images/`): made where they are missing.

What an admin changed later in the database stays. The one exception is meant: a lock that changed
in the files becomes a new version of its image.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.catalog.models import App, Image, ImageStatus, Size
from apps.catalog.services.images import ImageRequest, save_image, set_default_image
from apps.catalog.services.prices import set_price
from apps.live.errors import DomainError

APP_FIELDS = {
    "name",
    "command",
    "socket_args",
    "port_args",
    "readiness_path",
    "token_env",
    "auth_header",
    "strip_prefix",
    "activity",
    "env",
    "position",
}
IMAGE_FIELDS = {
    "slug",
    "name",
    "description",
    "framework",
    "framework_version",
    "python_version",
    "supports_gpu",
    "position",
}
IMAGE_EXTRAS = {"lock", "pip_args", "apps", "default", "seed"}


@transaction.atomic
def publish_from_folder(folder: Path | None = None, *, seed: str) -> list[Image]:
    """Make the images (and their apps) of `folder` that are marked with `seed`.

    `folder` holds `images.toml`, `apps.toml` and the locks; None is the one of this installation.
    Idempotent. Returns the images. Raises DomainError where the files make no sense.
    """
    root = folder or settings.BASE_DIR / "deploy" / "images"
    apps = {row["slug"]: row for row in _rows(root / "apps.toml", "app")}
    images = []
    for row in _rows(root / "images.toml", "image"):
        if row.get("seed") != seed:
            continue
        for slug in row["apps"]:
            if slug not in apps:
                raise DomainError(_("There is no app called {apps}.").format(apps=slug))
            _make_app(apps[slug])
        images.append(_make_image(root, row))
    return images


def make_size(slug: str, *, values: Mapping[str, Any], price_per_hour: Decimal) -> Size:
    """Make a size with its price unless there is one called `slug`."""
    size, is_new = Size.objects.get_or_create(slug=slug, defaults=dict(values))
    if is_new:
        set_price(None, size=size, per_hour=price_per_hour)
    return size


def _rows(path: Path, name: str) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        rows: list[dict[str, Any]] = tomllib.load(file).get(name, [])
    known = APP_FIELDS | {"slug"} if name == "app" else IMAGE_FIELDS | IMAGE_EXTRAS
    for row in rows:
        unknown = sorted(set(row) - known)
        if unknown:
            raise DomainError(f"{path.name}: {row.get('slug')}: unknown: {', '.join(unknown)}")
    return rows


def _make_app(row: Mapping[str, Any]) -> None:
    values = {name: row[name] for name in APP_FIELDS & set(row)}
    App.objects.get_or_create(slug=row["slug"], defaults=values)


def _make_image(root: Path, row: Mapping[str, Any]) -> Image:
    values = {name: row[name] for name in IMAGE_FIELDS & set(row)}
    image = save_image(
        None,
        request=ImageRequest(
            **values,
            lock=(root / row["lock"]).read_text(encoding="utf-8"),
            pip_args=row.get("pip_args", []),
            apps=row["apps"],
        ),
    )
    is_offered = image.status == ImageStatus.PUBLISHED
    if row.get("default") and is_offered and not Image.objects.filter(is_default=True).exists():
        set_default_image(None, image=image)
    return image
