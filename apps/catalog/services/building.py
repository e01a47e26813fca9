"""Building an environment under a claim: by a worker, or by the command line in the foreground.

The building itself runs in a thread that knows no database; this one writes how far it is, at
most twice a second, and keeps the lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import OperationalError
from django.utils.translation import gettext_noop

from apps.catalog.environments import builder
from apps.catalog.environments.builder import BuildError, BuildRequest
from apps.catalog.models import BuildState, EnvironmentBuild, ImageVersion
from apps.catalog.services import builds

WRITE_EVERY_S = 0.5
RENEW_EVERY_S = 15.0
INSTALLING = gettext_noop("Installing packages")
log = structlog.get_logger()
Watcher = Callable[[float], None]


@dataclass(slots=True)
class Progress:
    """How far a build is, from 0 to 1; written by its thread, read by ours."""

    done: float = 0.0

    def __call__(self, done: float) -> None:
        self.done = done


def build_claimed(
    claim: builds.Claim, *, retryable: bool = True, watch: Watcher | None = None
) -> bool:
    """Build what was claimed and settle it; True if it is there now.

    `retryable` False: a failure is final. `watch` is told how far it is. No transaction is open
    while it builds. A database that goes away in the middle costs only the progress.
    """
    request = _request_of(claim.digest)
    progress = Progress()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="build") as pool:
        future = pool.submit(builder.build, request, progress)
        try:
            _follow(future, claim, progress, watch)
        except BuildError as error:
            builds.settle_failed(
                claim, message=error.message, log_tail=error.tail, retryable=retryable
            )
            return False
        except (OSError, ValueError) as error:
            tail = builder.build_log(request.root, request.digest)
            builds.settle_failed(claim, message=str(error), log_tail=tail, retryable=retryable)
            return False
    builds.settle_built(claim)
    return True


def build_now(version: ImageVersion, *, watch: Watcher | None = None) -> EnvironmentBuild:
    """Have the environment of `version` built, here and now, and return its settled row.

    One that failed before is tried again, once. If a worker is at it already, waits for that.
    """
    if version.digest in builds.forget_missing():
        log.info("environment_gone", digest=version.digest)
    build = builds.retry_build(None, version=version)
    while build.state in (BuildState.NO, BuildState.PULLING):
        claim = builds.claim(version.digest, at_once=True)
        if claim is not None:
            build_claimed(claim, retryable=False, watch=watch)
        else:
            time.sleep(WRITE_EVERY_S)
        build.refresh_from_db()
        if watch is not None:
            watch(build.progress)
    return build


def _request_of(digest: str) -> BuildRequest:
    build = EnvironmentBuild.objects.select_related("version__image").get(digest=digest)
    version = build.version
    return BuildRequest(
        root=settings.ENVIRONMENTS_DIR,
        digest=digest,
        lock=version.lock,
        python_version=version.image.python_version,
        pip_args=tuple(version.pip_args),
    )


def _follow(
    future: Future[None], claim: builds.Claim, progress: Progress, watch: Watcher | None
) -> None:
    written, renewed_at = 0.0, time.monotonic()
    while True:
        try:
            return future.result(timeout=WRITE_EVERY_S)
        except NotYet:
            if future.done():  # a TimeoutError of the build's own
                raise
        due = time.monotonic() - renewed_at > RENEW_EVERY_S
        if progress.done == written and not due:
            continue
        written, renewed_at = progress.done, time.monotonic()
        _report(claim, written)
        if watch is not None:
            watch(written)


def _report(claim: builds.Claim, done: float) -> None:
    try:
        if not builds.report(claim, progress=done, message=INSTALLING):
            log.warning("build_lease_lost", digest=claim.digest)
    except OperationalError as error:
        log.warning("build_progress_not_written", digest=claim.digest, error=str(error))
