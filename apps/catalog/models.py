"""What can be launched: apps, images and their versions, sizes and their prices."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Activity(models.TextChoices):
    """How the agent reads whether someone works in an app."""

    JUPYTER = "jupyter", _("Jupyter kernels, terminals and connections")
    HEARTBEAT = "heartbeat", _("The editor's heartbeat")
    NONE = "none", _("Not read")


class App(models.Model):
    """A server that a workspace can run: JupyterLab, VS Code, a lab's own web application.

    `command`, `socket_args`, `port_args` and `readiness_path` are templates as described at
    `apps.clusters.drivers.base.AppSpec`. `auth_header` is what gate sends upstream as
    Authorization, with `{token}` for the run's token ("" sends none). `strip_prefix` says that the
    app wants to be at "/" even where the workspace has a path of the portal's host.
    """

    slug = models.SlugField(max_length=32, unique=True)
    name = models.CharField(max_length=80)
    command = models.JSONField(default=list)
    socket_args = models.JSONField(default=list)
    port_args = models.JSONField(default=list)
    readiness_path = models.CharField(max_length=200, default="")
    token_env = models.CharField(max_length=64, blank=True)
    auth_header = models.CharField(max_length=120, blank=True)
    strip_prefix = models.BooleanField(default=False)
    activity = models.CharField(max_length=16, choices=Activity, default=Activity.NONE)
    env = models.JSONField(default=dict)
    position = models.PositiveSmallIntegerField(default=100)

    def __str__(self) -> str:
        return self.slug


class ImageStatus(models.TextChoices):
    """Whether an image is offered."""

    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    DEPRECATED = "deprecated", _("Deprecated")


class Image(models.Model):
    """A framework with its tools, offered under one name; what it contains is its `current`
    version, and a new version never changes what runs."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    description = models.CharField(max_length=300, blank=True)
    framework = models.CharField(max_length=40)
    framework_version = models.CharField(max_length=40)
    python_version = models.CharField(max_length=16)
    supports_gpu = models.BooleanField(default=False)
    is_default = models.BooleanField(default=False)
    status = models.CharField(max_length=16, choices=ImageStatus, default=ImageStatus.DRAFT)
    apps = models.ManyToManyField(App, related_name="images")
    current = models.ForeignKey(
        "ImageVersion", null=True, on_delete=models.PROTECT, related_name="+"
    )
    position = models.PositiveSmallIntegerField(default=100)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "is_default", condition=Q(is_default=True), name="image_one_default"
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class ImageVersion(models.Model):
    """The content of an image at one time. `digest` is "sha256:" + hash of lock and pip_args."""

    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    lock = models.TextField(blank=True)
    pip_args = models.JSONField(default=list)
    digest = models.CharField(max_length=80, db_index=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("image", "number", name="image_version_once"),
        ]


class BuildState(models.TextChoices):
    """Where an environment is on this installation's own machine (`pulled` of the API)."""

    NO = "no", _("Not built")
    PULLING = "pulling", _("Building")
    YES = "yes", _("Ready")
    FAILED = "failed", _("Failed")


class EnvironmentBuild(models.Model):
    """The environment of one digest: wanted, being built, there, or failed. The row is the work:
    a lost message or a dead worker is found by the sweep when `lease_until` has passed.

    `requested_at` None: nobody wants it now. `tries` counts the tries since it was wanted;
    before `next_try_at` there is no other. `progress` goes from 0 to 1."""

    digest = models.CharField(max_length=80, unique=True)
    version = models.ForeignKey(ImageVersion, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=BuildState, default=BuildState.NO)
    progress = models.FloatField(default=0)
    message = models.CharField(max_length=300, blank=True)
    log_tail = models.TextField(blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    lease = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    requested_at = models.DateTimeField(null=True)
    next_try_at = models.DateTimeField(null=True)
    built_at = models.DateTimeField(null=True)


class Size(models.Model):
    """How much a workload gets. CPU in thousandths of a core."""

    slug = models.SlugField(max_length=32, unique=True)
    name = models.CharField(max_length=80)
    cpu_millis = models.PositiveIntegerField()
    memory_mib = models.PositiveIntegerField()
    disk_gib = models.PositiveIntegerField()
    gpus = models.PositiveSmallIntegerField(default=0)
    gpu_tier = models.CharField(max_length=16, blank=True)
    for_workspaces = models.BooleanField(default=True)
    for_jobs = models.BooleanField(default=False)
    is_published = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=100)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(cpu_millis__gt=0, memory_mib__gt=0), name="size_is_something"
            ),
        ]

    def __str__(self) -> str:
        return self.slug


class Price(models.Model):
    """What an hour of a size costs from `valid_from` on, until a newer row. Never changed."""

    size = models.ForeignKey(Size, on_delete=models.PROTECT, related_name="prices")
    per_hour = models.DecimalField(max_digits=12, decimal_places=4)
    currency = models.CharField(max_length=3)
    valid_from = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("size", "valid_from", name="price_once"),
            models.CheckConstraint(condition=Q(per_hour__gte=0), name="price_not_negative"),
        ]
