"""Work on environments: one task builds one, a sweep finds what was forgotten."""

from __future__ import annotations

from celery import shared_task

from apps.catalog import selectors
from apps.catalog.services import builds
from apps.catalog.services.building import build_claimed


@shared_task(name="catalog.build_environment")
def build_environment(digest: str) -> None:
    """Build one environment, unless somebody is at it or it is there. Any number of deliveries
    have the effect of one."""
    claim = builds.claim(digest)
    if claim is None:
        return
    build_claimed(claim)
    for waiting in selectors.due_builds(limit=1):
        builds.send_hint(waiting)


@shared_task(name="catalog.build_due")
def build_due() -> None:
    """Send a hint for every environment that is wanted and in nobody's hands; notice those that
    are gone from the disk."""
    builds.forget_missing()
    for digest in selectors.due_builds():
        builds.send_hint(digest)
