"""Clusters, and the workloads that run on them.

A `Workload` is one run from start to stop. Who writes what: services write `desired` and
`generation`; the reconcile task writes `applied_*`, `tries`, `next_try_at`, `last_error`,
`error_code`; the watcher alone writes `observed_*`; `phase` and the words beside it follow from
these in one place.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.live.uids import new_uid


class ClusterKind(models.TextChoices):
    """Which driver speaks to it."""

    LOCAL = "local", _("This machine")
    FAKE = "fake", _("Fake, in this process")
    FAKE_REMOTE = "fake-remote", _("Fake, in another process")


class Cluster(models.Model):
    """Where workloads run. Its watcher leads while it holds the lease; `watch_epoch` rises with
    every new leader, and what an older one still writes is refused."""

    name = models.SlugField(max_length=63, unique=True)
    kind = models.CharField(max_length=16, choices=ClusterKind)
    config = models.JSONField(default=dict)
    is_enabled = models.BooleanField(default=True)
    watch_epoch = models.PositiveBigIntegerField(default=0)
    watcher = models.CharField(max_length=120, blank=True)
    watcher_until = models.DateTimeField(null=True)
    watched_at = models.DateTimeField(null=True)
    listed_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.name


class Kind(models.TextChoices):
    """What a workload is for."""

    WORKSPACE = "workspace", _("Workspace")


class Desired(models.TextChoices):
    """What its owner wants of it."""

    RUNNING = "running", _("Running")
    STOPPED = "stopped", _("Stopped")


class ImageState(models.TextChoices):
    """Whether the cluster has the image, as far as the portal must care."""

    READY = "ready", _("There")
    PULLING = "pulling", _("On its way")
    FAILED = "failed", _("Cannot be had")


class Observed(models.TextChoices):
    """What the cluster said last (`drivers.base.RunState`); UNKNOWN before the first word."""

    UNKNOWN = "unknown", _("Not seen yet")
    ABSENT = "absent", _("Not there")
    STARTING = "starting", _("Starting")
    READY = "ready", _("Ready")
    STOPPING = "stopping", _("Stopping")
    EXITED = "exited", _("Ended")


class Phase(models.TextChoices):
    """What people see. STOPPED and FAILED are final."""

    QUEUED = "queued", _("Queued")
    PULLING = "pulling", _("Preparing the image")
    STARTING = "starting", _("Starting")
    READY = "ready", _("Ready")
    STOPPING = "stopping", _("Stopping")
    STOPPED = "stopped", _("Stopped")
    FAILED = "failed", _("Failed")


FINAL = (Phase.STOPPED, Phase.FAILED)

# The transition table: from -> where one step may lead.
TRANSITIONS: dict[str, frozenset[str]] = {
    Phase.QUEUED: frozenset(
        {
            Phase.PULLING,
            Phase.STARTING,
            Phase.READY,
            Phase.STOPPING,
            Phase.STOPPED,
            Phase.FAILED,
        }
    ),
    Phase.PULLING: frozenset(
        {
            Phase.QUEUED,
            Phase.STARTING,
            Phase.READY,
            Phase.STOPPING,
            Phase.STOPPED,
            Phase.FAILED,
        }
    ),
    Phase.STARTING: frozenset({Phase.READY, Phase.STOPPING, Phase.STOPPED, Phase.FAILED}),
    Phase.READY: frozenset({Phase.STARTING, Phase.STOPPING, Phase.STOPPED, Phase.FAILED}),
    Phase.STOPPING: frozenset({Phase.STOPPED, Phase.FAILED}),
    Phase.STOPPED: frozenset(),
    Phase.FAILED: frozenset(),
}


class Workload(models.Model):
    """One run. `subject_uid` is the uid of the workspace (or job) that it is a run of.

    `spec` is a `drivers.base.WorkloadSpec` as JSON without its secrets. `app_token` is the run's
    own token, which gate sends upstream. `reason` is a code, `message` and `hint` are in English
    (their values: `reasons.values_of`) and translated where shown. `version` rises with every
    change that anyone can see.
    """

    uid = models.CharField(max_length=26, unique=True, default=new_uid, editable=False)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.WORKSPACE)
    cluster = models.ForeignKey(Cluster, on_delete=models.PROTECT, related_name="workloads")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="workloads"
    )
    subject_uid = models.CharField(max_length=26, db_index=True)
    spec = models.JSONField()
    spec_hash = models.CharField(max_length=64)
    app_token = models.CharField(max_length=64)

    desired = models.CharField(max_length=8, choices=Desired, default=Desired.RUNNING)
    generation = models.PositiveIntegerField(default=1)
    stop_reason = models.CharField(max_length=32, blank=True)
    image_digest = models.CharField(max_length=80, db_index=True)
    image_state = models.CharField(max_length=8, choices=ImageState, default=ImageState.READY)
    image_progress = models.FloatField(default=0)

    applied_generation = models.PositiveIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True, db_default=Now())
    last_error = models.CharField(max_length=500, blank=True)
    error_code = models.CharField(max_length=32, blank=True)
    gave_up = models.BooleanField(default=False)
    lease = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)

    observed = models.CharField(max_length=8, choices=Observed, default=Observed.UNKNOWN)
    observed_at = models.DateTimeField(null=True)
    observed_epoch = models.PositiveBigIntegerField(default=0)
    observed_reason = models.CharField(max_length=32, blank=True)
    observed_message = models.CharField(max_length=500, blank=True)
    observed_endpoint = models.CharField(max_length=200, blank=True)
    observed_node = models.CharField(max_length=120, blank=True)
    observed_started_at = models.DateTimeField(null=True)
    observed_ready_at = models.DateTimeField(null=True)
    observed_exited_at = models.DateTimeField(null=True)
    observed_exit_code = models.IntegerField(null=True)

    phase = models.CharField(max_length=16, choices=Phase, default=Phase.QUEUED)
    reason = models.CharField(max_length=32, blank=True)
    message = models.CharField(max_length=500, blank=True)
    hint = models.CharField(max_length=500, blank=True)
    version = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())
    ready_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                "subject_uid",
                condition=~Q(phase__in=FINAL),
                name="workload_one_live_per_subject",
            ),
            models.CheckConstraint(
                condition=Q(phase__in=FINAL, ended_at__isnull=False)
                | (~Q(phase__in=FINAL) & Q(ended_at__isnull=True)),
                name="workload_ended_when_final",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["next_try_at"],
                condition=Q(next_try_at__isnull=False),
                name="workload_due",
            ),
            models.Index(
                fields=["cluster"],
                condition=~Q(phase__in=FINAL),
                name="workload_live_by_cluster",
            ),
        ]

    @property
    def is_final(self) -> bool:
        """Whether this run is over for good."""
        return self.phase in FINAL


class WorkloadActivity(models.Model):
    """What the agent of a run reported last. `busy` is active whatever the times say.
    CPU in cores, memory in MiB, disk in GiB."""

    workload = models.OneToOneField(Workload, on_delete=models.CASCADE, related_name="activity")
    at = models.DateTimeField()
    busy = models.BooleanField(default=False)
    last_activity_at = models.DateTimeField(null=True)
    kernels = models.PositiveSmallIntegerField(default=0)
    terminals = models.PositiveSmallIntegerField(default=0)
    connections = models.PositiveSmallIntegerField(default=0)
    cpu = models.FloatField(null=True)
    memory_mib = models.FloatField(null=True)
    disk_gib = models.FloatField(null=True)


class AgentCommand(models.Model):
    """Something that must happen inside a run; its agent fetches it by long-poll."""

    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, related_name="commands")
    type = models.CharField(max_length=32)
    detail = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())


class WorkloadLog(models.Model):
    """The end of a run's server log, as a worker last brought it (`apps.clusters.logs`).

    `requested_at` is when somebody last wanted it, `fetched_at` when it was read from the cluster.
    `is_cut` says that the log is longer than `text`. `trouble` is why the last try failed.
    """

    workload = models.OneToOneField(Workload, on_delete=models.CASCADE, related_name="log")
    text = models.TextField(blank=True)
    is_cut = models.BooleanField(default=False)
    requested_at = models.DateTimeField(null=True)
    fetched_at = models.DateTimeField(null=True)
    trouble = models.CharField(max_length=300, blank=True)
