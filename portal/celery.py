"""The Celery application: `celery -A portal.celery:app worker|beat`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")

app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    ["apps.live", "apps.accounts", "apps.catalog", "apps.clusters", "apps.workspaces"]
)
