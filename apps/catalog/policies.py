"""Who may launch what, and who may change the catalogue."""

from __future__ import annotations

from apps.accounts.models import User
from apps.catalog.models import Image, ImageStatus, Size


def can_see_image(actor: User, image: Image) -> bool:
    """Drafts are for admins; deprecated images stay visible, because workspaces still use them."""
    return actor.is_active and (image.status != ImageStatus.DRAFT or actor.is_admin)


def can_see_size(actor: User, size: Size) -> bool:
    """Sizes that are not published are for admins."""
    return actor.is_active and (size.is_published or actor.is_admin)


def can_change_catalog(actor: User) -> bool:
    """Whether `actor` may publish images, set prices and have failed builds tried again."""
    return actor.is_admin
