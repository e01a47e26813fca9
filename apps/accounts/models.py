"""People, groups, what they hold to come in with, and the record of what was done."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

from apps.live.uids import new_uid


class Role(models.TextChoices):
    """What a person may do on the whole installation; leading a group is a `Membership`."""

    STUDENT = "student", _("Student")
    LEAD = "lead", _("Lead")
    ADMIN = "admin", _("Admin")


class Theme(models.TextChoices):
    """The look that a person chose."""

    AUTO = "auto", _("As the system")
    LIGHT = "light", _("Light")
    DARK = "dark", _("Dark")


class User(AbstractUser):
    """A person.

    `session_epoch` rises when everything that the person holds open must end (disabled, password
    changed): sessions, grants to workspaces and sockets carry it. `live_version` rises with every
    change of what the person's own pages show (topic `me`).
    """

    first_name = None  # type: ignore[assignment]  # Django's way to leave a field out
    last_name = None  # type: ignore[assignment]  # the same
    uid = models.CharField(max_length=26, unique=True, default=new_uid, editable=False)
    display_name = models.CharField(_("name"), max_length=120, blank=True)
    role = models.CharField(max_length=16, choices=Role, default=Role.STUDENT)
    session_epoch = models.PositiveIntegerField(default=1)
    live_version = models.PositiveBigIntegerField(default=1)
    language = models.CharField(max_length=8, blank=True)
    theme = models.CharField(max_length=8, choices=Theme, default=Theme.AUTO)

    class Meta(AbstractUser.Meta):
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("username"), name="user_name_once"),
        ]

    @property
    def name(self) -> str:
        """What pages call the person."""
        return self.display_name or self.username

    @property
    def is_admin(self) -> bool:
        """Whether the person runs this installation."""
        return self.is_active and self.role == Role.ADMIN


class Group(models.Model):
    """A course or a lab: its members share limits, images and (later) a queue."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    members = models.ManyToManyField(User, through="Membership", related_name="member_of")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """One person in one group; `is_lead` may see and help the others."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    is_lead = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("user", "group", name="membership_once"),
        ]


class Identity(models.Model):
    """How an identity provider knows a person: matched by issuer and subject, never by e-mail."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("issuer", "subject", name="identity_once"),
        ]


class Scope(models.TextChoices):
    """What an API token may be used for. `agent` is only for the token of a running workload."""

    READ = "read", _("See what you can see")
    WORKSPACES = "workspaces", _("Launch, stop and open your workspaces")
    JOBS = "jobs", _("Submit and cancel your jobs")
    ADMIN = "admin", _("Administer, if you are an admin")
    AGENT = "agent", _("Report from inside a workload")


class ApiToken(models.Model):
    """A bearer token, kept as the SHA-256 of its whole text; the text is shown once.

    `workload_uid` binds a token to one run: it ends with it.
    """

    uid = models.CharField(max_length=26, unique=True, default=new_uid, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, blank=True)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope))
    workload_uid = models.CharField(max_length=26, blank=True, db_index=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)


class SigninLink(models.Model):
    """A link that signs one person in once; only its SHA-256 is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signin_links")
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class Signout(models.Model):
    """A portal session that ended: gate closes what it had opened. Kept for 15 minutes.

    `session` is the SHA-256 of the session key.
    """

    session = models.CharField(max_length=64, db_index=True)
    at = models.DateTimeField(db_default=Now(), db_index=True)


class AuditRow(models.Model):
    """Who did what to which, written in the transaction that did it. Never changed or removed.

    `actor` is None where the portal acted by itself; `actor_name` stays if the person goes.
    """

    at = models.DateTimeField(db_default=Now(), db_index=True)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    target_type = models.CharField(max_length=32)
    target_uid = models.CharField(max_length=64, db_index=True)
    owner = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    detail = models.JSONField(default=dict)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["target_type", "target_uid", "-at"], name="audit_by_target"),
        ]


class IdempotencyKey(models.Model):
    """One creating request that carried an `Idempotency-Key`: its answer is given again for 24 h.

    `status` 0 means that the first one is still at work (its transaction holds the row).
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    body_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint("user", "path", "key", name="idempotency_once"),
        ]


LIVE_TOKEN = Q(revoked_at__isnull=True)
