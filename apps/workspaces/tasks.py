"""What the worker does for workspaces when beat says so."""

from __future__ import annotations

from celery import shared_task

from apps.workspaces import services


@shared_task(name="workspaces.purge_due")
def purge_due() -> None:
    """Remove homes whose grace period is over."""
    services.purge_due()


@shared_task(name="workspaces.end_overdue")
def end_overdue() -> None:
    """Stop runs whose lifetime is over, and idle ones."""
    services.end_overdue()
