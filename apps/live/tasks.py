"""What beat sends to prove that it sends, and that somebody does what it says."""

from __future__ import annotations

from celery import shared_task
from django.db.models.functions import Now

from apps.live.models import Heartbeat

EVERY_S = 10


@shared_task(name="live.heartbeat", expires=EVERY_S)
def heartbeat() -> None:
    """Write down that beat and a worker are at work. Idempotent."""
    Heartbeat.objects.update_or_create(name="beat", defaults={"at": Now()})
