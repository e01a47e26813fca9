"""The end of a run's server log. Web never calls a cluster: it asks for the log here and reads the
row `WorkloadLog`; a worker fetches it. When a run fails, its last words are fetched unasked,
because what it ran on may soon be gone.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

import structlog
from celery import shared_task
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_noop

from apps.clusters.drivers.base import DriverError, LogChunk
from apps.clusters.hints import send
from apps.clusters.hooks import WorkloadChange
from apps.clusters.models import Phase, Workload, WorkloadLog
from apps.clusters.selectors import driver_of, get_workload
from apps.clusters.specs import ref_of

MAX_BYTES = 256 * 1024
LOOK_EVERY_S = 0.05
FRESH = dt.timedelta(seconds=1)
TASK = "clusters.fetch_logs"
GONE = gettext_noop("The log could not be read.")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LogTail:
    """The end of a log as it was at `at`; `is_cut` says that there is more before it."""

    text: str
    at: dt.datetime
    age_s: float
    is_cut: bool


def log_tail(workload: Workload, *, wait_s: float) -> LogTail | None:
    """The end of the run's log, newly read where a worker manages within `wait_s` seconds, else as
    it was read last; None if it never was.

    Do not call it in a transaction: it waits for a row that another process writes.
    """
    row = WorkloadLog.objects.filter(workload=workload).first()
    asked_at = None if row is not None and _is_final(workload, row) else _ask(workload)
    deadline = time.monotonic() + wait_s
    while asked_at is not None and time.monotonic() < deadline:
        row = WorkloadLog.objects.filter(workload=workload).first()
        if row is not None and row.fetched_at is not None and row.fetched_at >= asked_at - FRESH:
            break
        time.sleep(LOOK_EVERY_S)
    if row is None or row.fetched_at is None:
        return None
    now = WorkloadLog.objects.filter(pk=row.pk).values_list(Now(), flat=True).get()
    return LogTail(row.text, row.fetched_at, (now - row.fetched_at).total_seconds(), row.is_cut)


def _is_final(workload: Workload, row: WorkloadLog) -> bool:
    """Whether nothing can have been added since the log was read."""
    ended, fetched = workload.ended_at, row.fetched_at
    return ended is not None and fetched is not None and fetched >= ended


def _ask(workload: Workload) -> dt.datetime | None:
    """Have a worker read the log, unless one was asked in the last second. When that was."""
    with transaction.atomic():
        row, _made = WorkloadLog.objects.select_for_update().get_or_create(workload=workload)
        stale = WorkloadLog.objects.filter(pk=row.pk).exclude(requested_at__gt=Now() - FRESH)
        is_asked = stale.update(requested_at=Now()) == 0
        row.refresh_from_db(fields=["requested_at"])
    if not is_asked:
        send(TASK, workload.uid)
    return row.requested_at


@shared_task(name=TASK)
def fetch_logs(uid: str) -> None:
    """Read the end of the run's log from its cluster and keep it. Idempotent; what was read before
    stays if the cluster cannot say."""
    workload = get_workload(uid)
    try:
        chunk = driver_of(workload.cluster).logs(ref_of(workload), -MAX_BYTES)
    except DriverError as error:
        log.warning("log_not_read", workload=uid, error=error.message)
        WorkloadLog.objects.update_or_create(workload=workload, defaults={"trouble": GONE})
        return
    keep_log(workload, chunk)


def keep_log(workload: Workload, chunk: LogChunk) -> None:
    """Store the end of a log. A cluster that has forgotten the run says "": that erases nothing."""
    read: dict[str, object] = {"fetched_at": Now(), "trouble": ""}
    if chunk.end > 0:
        read["text"] = chunk.text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        read["is_cut"] = chunk.start > 0
    WorkloadLog.objects.update_or_create(workload=workload, defaults=read)


def keep_last_words(change: WorkloadChange) -> None:
    """Follower of workloads: when a run has failed, its log is fetched."""
    if change.workload.phase == Phase.FAILED and change.before != Phase.FAILED:
        uid = change.workload.uid
        transaction.on_commit(lambda: send(TASK, uid), robust=True)


def last_words(workload: Workload, *, lines: int = 20) -> str:
    """The last lines that are kept of the run's log; "" where there are none. One query."""
    text = WorkloadLog.objects.filter(workload=workload).values_list("text", flat=True).first()
    return "\n".join((text or "").splitlines()[-lines:])
