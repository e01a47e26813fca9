"""Workspaces, and what happened to each."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.catalog.models import App, Image, ImageVersion, Size
from apps.clusters.models import Cluster, Phase, Workload
from apps.live.uids import new_uid


class Workspace(models.Model):
    """One person's interactive session: image + app + size + a home of its own.

    `current` is the newest run, live or over; None before the first. The home lives on `cluster`
    until `purged_at`. `version` rises with every change that anyone can see. After `deleted_at` it
    is gone for its owner; the home is kept until `purge_after`.
    `extended_until` is how far the owner has pushed idle stop of the current run; `phase_since` is
    when its phase began. `purge_started_at`: a worker removes the home, it cannot be had back.
    """

    uid = models.CharField(max_length=26, unique=True, default=new_uid, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="workspaces"
    )
    name = models.CharField(max_length=80)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="+")
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="+")
    image_version = models.ForeignKey(ImageVersion, on_delete=models.PROTECT, related_name="+")
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="+")
    size = models.ForeignKey(Size, on_delete=models.PROTECT, related_name="+")
    current = models.OneToOneField(
        Workload, null=True, on_delete=models.PROTECT, related_name="workspace"
    )
    version = models.PositiveBigIntegerField(default=1)
    extended_until = models.DateTimeField(null=True)
    phase_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    deleted_at = models.DateTimeField(null=True)
    purge_after = models.DateTimeField(null=True)
    purge_started_at = models.DateTimeField(null=True)
    purged_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["owner", "-id"],
                condition=Q(deleted_at=None),
                name="workspace_by_owner",
            ),
            models.Index(
                fields=["purge_after"],
                condition=Q(purged_at=None, deleted_at__isnull=False),
                name="workspace_to_purge",
            ),
        ]

    @property
    def phase(self) -> str:
        """Of the newest run; a workspace that has not run yet is stopped."""
        return self.current.phase if self.current else Phase.STOPPED


class WorkspaceEvent(models.Model):
    """A line of the timeline. `reason` is a code; `message` and `hint` are English source strings
    with `detail` as their values, translated where shown."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="events")
    workload = models.ForeignKey(Workload, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(db_default=Now())
    type = models.CharField(max_length=32)
    reason = models.CharField(max_length=32, blank=True)
    message = models.CharField(max_length=500)
    hint = models.CharField(max_length=500, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["workspace", "-id"], name="event_by_workspace"),
        ]
