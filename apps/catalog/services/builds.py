"""Environments: wanted, built under a lease, there or failed.

The row is the work. `request_build` wants one and sends a hint; `catalog.tasks` (or the command
`build_image`) claims the row by a conditional UPDATE, builds outside any transaction, and settles
it. A worker that dies is followed by another once its lease has run out; every claim counts as
a try, so one that kills its worker each time ends as failed.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from apps.accounts.audit import Act, Target, record
from apps.accounts.models import User
from apps.catalog import hooks, policies
from apps.catalog.environments.builder import is_built
from apps.catalog.models import BuildState, EnvironmentBuild, ImageVersion
from apps.live import hints
from apps.live.errors import Forbidden

MAX_TRIES = 4
BACK_OFF = (dt.timedelta(seconds=5), dt.timedelta(seconds=30), dt.timedelta(minutes=2))
LEASE = dt.timedelta(seconds=60)
AGAIN_AFTER = dt.timedelta(minutes=10)
MAX_AT_ONCE = 2
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to build one environment, until the lease runs out or is given back."""

    digest: str
    lease: str


@transaction.atomic
def request_build(actor: User | None, *, version: ImageVersion) -> EnvironmentBuild:
    """Want the environment of `version`. Idempotent: one that is there or on its way stays so.

    One that failed is tried again if that was more than ten minutes ago; before, only
    `retry_build` does it.
    """
    build, _made = EnvironmentBuild.objects.get_or_create(
        digest=version.digest, defaults={"version": version}
    )
    build = EnvironmentBuild.objects.select_for_update().get(pk=build.pk)
    is_stale = build.state == BuildState.FAILED and _is_past(build)
    if is_stale or (build.state == BuildState.NO and build.requested_at is None):
        _want(actor, build)
    if build.state in (BuildState.NO, BuildState.PULLING):
        _hint(build.digest)
    return build


@transaction.atomic
def retry_build(actor: User | None, *, version: ImageVersion) -> EnvironmentBuild:
    """Try a failed environment again at once; for admins. Others' states stay as they are."""
    if actor is not None and not policies.can_change_catalog(actor):
        raise Forbidden(
            _("Only an admin can have a failed image tried again now."),
            hint=_("A launch tries it again ten minutes after the last failure."),
        )
    build = request_build(actor, version=version)
    if build.state == BuildState.FAILED:
        _want(actor, build)
        _hint(build.digest)
    return build


def forget_missing() -> list[str]:
    """Find environments that are said to be there but are gone from the disk (a cache that was
    cleaned); they are built again when next wanted. Returns their digests."""
    root = settings.ENVIRONMENTS_DIR
    rows = EnvironmentBuild.objects.filter(state=BuildState.YES).values_list("digest", flat=True)
    gone = [digest for digest in rows if not is_built(root, digest)]
    for digest in gone:
        mark_missing(digest)
    return gone


@transaction.atomic
def mark_missing(digest: str) -> None:
    """The environment of `digest` is not where it should be."""
    build = EnvironmentBuild.objects.select_for_update().filter(digest=digest).first()
    if build is None or build.state != BuildState.YES:
        return
    build.state = BuildState.NO
    build.progress = 0
    build.requested_at = None
    build.message = ""
    build.save(update_fields=["state", "progress", "requested_at", "message"])
    hooks.build_changed(build)
    log.warning("environment_missing", digest=digest)


def _is_past(build: EnvironmentBuild) -> bool:
    rows = EnvironmentBuild.objects.filter(pk=build.pk)
    return rows.filter(Q(next_try_at=None) | Q(next_try_at__lte=Now())).exists()


def _want(actor: User | None, build: EnvironmentBuild) -> None:
    EnvironmentBuild.objects.filter(pk=build.pk).update(
        state=BuildState.PULLING,
        progress=0,
        message=gettext_noop("Waiting for a worker"),
        tries=0,
        lease="",
        lease_until=None,
        requested_at=Now(),
        next_try_at=Now(),
    )
    build.refresh_from_db()
    record(actor, Act("image.request_build", Target("environment", build.digest[:64])))
    hooks.build_changed(build)


def _hint(digest: str) -> None:
    transaction.on_commit(lambda: send_hint(digest), robust=True)


def send_hint(digest: str) -> None:
    """Tell a worker; only for speed, and never raises."""
    hints.send("catalog.build_environment", digest)


@transaction.atomic
def claim(digest: str, *, at_once: bool = False) -> Claim | None:
    """Take the environment to build it; None if there is nothing to do or somebody is at it.

    `at_once` does not wait for the back-off or for other builds (the command line). A build whose
    worker died too often is settled as failed here.
    """
    free = EnvironmentBuild.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=Now()),
        digest=digest,
        state__in=[BuildState.NO, BuildState.PULLING],
        requested_at__isnull=False,
    )
    if not at_once:
        free = free.filter(Q(next_try_at=None) | Q(next_try_at__lte=Now()))
        if EnvironmentBuild.objects.filter(lease_until__gt=Now()).count() >= MAX_AT_ONCE:
            return None
    lease = secrets.token_hex(16)
    taken = free.filter(tries__lt=MAX_TRIES).update(
        lease=lease,
        lease_until=Now() + LEASE,
        state=BuildState.PULLING,
        tries=F("tries") + 1,
        message=gettext_noop("Preparing"),
    )
    if taken:
        hooks.build_changed(EnvironmentBuild.objects.get(digest=digest))
        return Claim(digest, lease)
    worn_out = free.filter(tries__gte=MAX_TRIES).select_for_update().first()
    if worn_out is not None:
        _fail(worn_out, gettext_noop("The worker died each time. Is there enough memory and disk?"))
    return None


@transaction.atomic
def report(claim: Claim, *, progress: float, message: str) -> bool:
    """Write how far it is and hold the lease for another minute; False if it was lost."""
    build = _held(claim)
    if build is None:
        return False
    changed = (build.progress, build.message) != (progress, message[:300])
    EnvironmentBuild.objects.filter(pk=build.pk).update(
        progress=max(0.0, min(progress, 1.0)), message=message[:300], lease_until=Now() + LEASE
    )
    if changed:
        build.refresh_from_db()
        hooks.build_changed(build)
    return True


@transaction.atomic
def settle_built(claim: Claim) -> bool:
    """The environment is there; False if the lease was lost."""
    build = _held(claim)
    if build is None:
        return False
    EnvironmentBuild.objects.filter(pk=build.pk).update(
        state=BuildState.YES,
        progress=1,
        message="",
        log_tail="",
        tries=0,
        lease="",
        lease_until=None,
        next_try_at=None,
        built_at=Now(),
    )
    build.refresh_from_db()
    hooks.build_changed(build)
    return True


@transaction.atomic
def settle_failed(claim: Claim, *, message: str, log_tail: str, retryable: bool) -> bool:
    """This try failed: another one after a while, or none; False if the lease was lost."""
    build = _held(claim)
    if build is None:
        return False
    build.log_tail = log_tail
    if not retryable or build.tries >= MAX_TRIES:
        _fail(build, message)
        return True
    wait = BACK_OFF[min(build.tries, len(BACK_OFF)) - 1]
    EnvironmentBuild.objects.filter(pk=build.pk).update(
        message=message[:300],
        log_tail=log_tail,
        lease="",
        lease_until=None,
        next_try_at=Now() + wait,
    )
    build.refresh_from_db()
    hooks.build_changed(build)
    return True


def _held(claim: Claim) -> EnvironmentBuild | None:
    rows = EnvironmentBuild.objects.select_for_update()
    return rows.filter(digest=claim.digest, lease=claim.lease, state=BuildState.PULLING).first()


def _fail(build: EnvironmentBuild, message: str) -> None:
    EnvironmentBuild.objects.filter(pk=build.pk).update(
        state=BuildState.FAILED,
        message=message[:300],
        log_tail=build.log_tail,
        lease="",
        lease_until=None,
        next_try_at=Now() + AGAIN_AFTER,
    )
    build.refresh_from_db()
    hooks.build_changed(build)
    log.error("environment_failed", digest=build.digest, message=message)
