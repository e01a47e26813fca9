"""The Celery application: `celery -A portal.celery:app worker|beat`."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from celery import Celery
from celery.beat import Service
from celery.signals import beat_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    ["apps.live", "apps.accounts", "apps.catalog", "apps.clusters", "apps.workspaces"]
)


@beat_init.connect
def sweep_at_once(sender: Service, **_: object) -> None:
    """Make everything due when beat starts: what was left undone need not wait for an interval."""
    for entry in sender.scheduler.schedule.values():
        entry.last_run_at = datetime.fromtimestamp(0, UTC)
