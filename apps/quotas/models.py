"""What people may hold, what they hold, and what they held: limits, reservations, intervals."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Resource(models.TextChoices):
    """What is counted. `workspaces` counts running ones; CPU is in thousandths of a core."""

    WORKSPACES = "workspaces", _("Running workspaces")
    CPU_MILLIS = "cpu", _("CPU")
    MEMORY_MIB = "memory_mib", _("Memory")
    DISK_GIB = "disk_gib", _("Disk")


class LimitScope(models.TextChoices):
    """Whom a limit is for. The most specific one counts; of several groups, the largest."""

    EVERYONE = "everyone", _("Everyone")
    GROUP = "group", _("Members of a group, each")
    PERSON = "person", _("One person")


class Window(models.TextChoices):
    """Over what time a limit counts."""

    NOW = "now", _("At once")
    MONTH = "month", _("In a calendar month (UTC)")


class Limit(models.Model):
    """How much of a resource someone may hold; `max` None means no limit."""

    scope = models.CharField(max_length=8, choices=LimitScope, default=LimitScope.EVERYONE)
    group = models.ForeignKey(
        "accounts.Group", null=True, on_delete=models.CASCADE, related_name="+"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    resource = models.CharField(max_length=32)
    window = models.CharField(max_length=8, choices=Window, default=Window.NOW)
    max = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "scope",
                "group",
                "user",
                "resource",
                "window",
                nulls_distinct=False,
                name="limit_once",
            ),
            models.CheckConstraint(
                condition=Q(scope="everyone", group=None, user=None)
                | (Q(scope="group", user=None) & ~Q(group=None))
                | (Q(scope="person", group=None) & ~Q(user=None)),
                name="limit_names_its_scope",
            ),
        ]


class Reservation(models.Model):
    """So much of a resource, held by one run (or by a home, for disk) until `released_at`."""

    subject_uid = models.CharField(max_length=26, db_index=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reservations"
    )
    resource = models.CharField(max_length=32)
    amount = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "subject_uid", "resource", condition=Q(released_at=None), name="reservation_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["owner", "resource"],
                condition=Q(released_at=None),
                name="reservation_held",
            ),
        ]


class UsageInterval(models.Model):
    """A stretch of time in which one workload held resources: what is billed.

    Cost = hours between `started_at` and `ended_at` (open: up to now) x `price_per_hour`, the price
    that held when the run was launched. CPU in thousandths of a core. Intervals of one workload
    never overlap (the database sees to it).
    """

    workload = models.ForeignKey(
        "clusters.Workload", on_delete=models.PROTECT, related_name="intervals"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="usage_intervals"
    )
    subject_uid = models.CharField(max_length=26, db_index=True)
    size_slug = models.CharField(max_length=32)
    image_slug = models.CharField(max_length=63)
    cpu_millis = models.PositiveIntegerField()
    memory_mib = models.PositiveIntegerField()
    gpus = models.PositiveSmallIntegerField(default=0)
    gpu_tier = models.CharField(max_length=16, blank=True)
    price_per_hour = models.DecimalField(max_digits=12, decimal_places=4)
    currency = models.CharField(max_length=3)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints: ClassVar = [
            ExclusionConstraint(
                name="usage_intervals_apart",
                expressions=[
                    (
                        OpClass(
                            Func(
                                F("workload_id"),
                                F("workload_id"),
                                Value("[]"),
                                function="int8range",
                            ),
                            name="range_ops",
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                    (
                        Func(F("started_at"), F("ended_at"), function="tstzrange"),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")),
                name="usage_never_negative",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["owner", "started_at"], name="usage_by_owner"),
        ]
