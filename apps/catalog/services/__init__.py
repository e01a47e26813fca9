"""What can be done to the catalogue."""

from apps.catalog.services.builds import forget_missing, request_build, retry_build
from apps.catalog.services.images import (
    ImageRequest,
    publish_image_version,
    save_image,
    set_default_image,
    set_image_status,
)
from apps.catalog.services.prices import set_price
from apps.catalog.services.seeding import publish_from_folder

__all__ = [
    "ImageRequest",
    "forget_missing",
    "publish_from_folder",
    "publish_image_version",
    "request_build",
    "retry_build",
    "save_image",
    "set_default_image",
    "set_image_status",
    "set_price",
]
