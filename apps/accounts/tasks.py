"""Work that beat wakes."""

from __future__ import annotations

import structlog
from celery import shared_task

from apps.accounts.services.retention import forget_expired as forget

log = structlog.get_logger()


@shared_task(name="accounts.forget_expired")
def forget_expired() -> None:
    """Remove expired links, sessions, sign-outs, idempotency keys and tokens."""
    log.info("forgotten", **forget())
