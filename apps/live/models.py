"""Signs of life of processes that serve nobody directly."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """When `name` last did its round, by the database's clock.

    `beat` is written by a task that beat sends and a worker runs, so its age speaks for both.
    """

    name = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
