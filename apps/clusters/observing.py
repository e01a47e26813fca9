"""What a cluster was seen to do, written down once, by the watcher that leads and by nobody else.

Events may come doubled, late, out of order, or from a watcher that has been replaced without
knowing it; the row ends as if each had come once, in order. Times of the cluster's clock are turned
into the database's here, so that nothing above has to mind clocks.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import structlog
from django.db import connection, transaction

from apps.clusters import metrics
from apps.clusters.clock import within
from apps.clusters.drivers.base import Observation, RunState
from apps.clusters.models import Cluster, Desired, Observed, Workload
from apps.clusters.settling import seen_of, settle

FIELDS = (
    "observed",
    "observed_at",
    "observed_epoch",
    "observed_reason",
    "observed_message",
    "observed_endpoint",
    "observed_node",
    "observed_started_at",
    "observed_ready_at",
    "observed_exited_at",
    "observed_exit_code",
)
OVER = (Observed.EXITED, Observed.ABSENT)

log = structlog.get_logger()


class Deposed(Exception):
    """Another watcher leads this cluster now: what the caller saw must not be written."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The leader's term, the time by the database, and when the cluster was last listed whole."""

    epoch: int
    now: dt.datetime
    listed_at: dt.datetime | None


@transaction.atomic
def record_observation(
    cluster: Cluster, epoch: int, observation: Observation, *, listed: bool = False
) -> bool:
    """Write what was seen of one run. True when something that anyone can see has changed.

    `epoch` is the caller's term as leader; raises Deposed when there is a newer one. `listed` says
    that this comes from a complete list, which began after the run had been applied: only then is
    ABSENT believed of a run that should be there, and a clock that went back overruled. Unknown
    runs and those of another specification are left alone. Locks the cluster's row (shared) and
    the run's.
    """
    moment = _fence(cluster, epoch)
    row = Workload.objects.select_for_update().filter(uid=observation.uid, cluster=cluster).first()
    if row is None or not _is_news(row, observation, epoch, listed=listed):
        return False
    before = seen_of(row)
    started = row.observed_started_at
    _take(row, observation, moment)
    changed = settle(row, before=before, fields=FIELDS, now=moment.now)
    if started is None and row.observed_started_at is not None:
        metrics.observe_started(row)
    return changed


def _fence(cluster: Cluster, epoch: int) -> Moment:
    with connection.cursor() as cursor:
        # FOR SHARE: a new leader's term begins after this commit, or this sees it and gives up.
        cursor.execute(
            "SELECT watch_epoch, clock_timestamp(), listed_at FROM clusters_cluster"
            " WHERE id = %s FOR SHARE",
            [cluster.pk],
        )
        found = cursor.fetchone()
    if found is None or found[0] != epoch:
        raise Deposed(f"{cluster.name}: term {epoch} is over")
    return Moment(*found)


def _is_news(row: Workload, seen: Observation, epoch: int, *, listed: bool) -> bool:
    if seen.spec_hash and seen.spec_hash != row.spec_hash:
        log.warning("observed_other_spec", workload=row.uid)
        return False
    if row.is_final and seen.state in (RunState.STARTING, RunState.READY):
        return False
    if row.observed in OVER and seen.state is not RunState.ABSENT:
        # A uid runs once. What is over can only be gone.
        return False
    if seen.state is RunState.ABSENT and _should_be_there(row):
        return listed and _was_there(row)
    if seen.state is RunState.EXITED:
        return True
    is_late = (
        row.observed_epoch == epoch and row.observed_at is not None and seen.at < row.observed_at
    )
    return listed or not is_late


def _was_there(row: Workload) -> bool:
    return row.applied_generation > 0 or row.observed_started_at is not None


def _should_be_there(row: Workload) -> bool:
    return row.desired == Desired.RUNNING and row.observed != Observed.EXITED


def _take(row: Workload, seen: Observation, moment: Moment) -> None:
    alive_until = _last_alive(row, moment)
    row.observed_epoch = moment.epoch
    row.observed_at = seen.at
    row.observed_endpoint = seen.endpoint if seen.state is RunState.READY else ""
    if seen.state is RunState.ABSENT and row.observed == Observed.EXITED:
        # Removed after its end: how it ended is worth more than that it is gone.
        return
    row.observed = Observed(seen.state.value)
    row.observed_reason = seen.reason[:32]
    row.observed_message = seen.message.replace("\0", "")[:500]
    row.observed_node = seen.node[:120] or row.observed_node
    if seen.exit_code is not None:
        row.observed_exit_code = seen.exit_code
    _take_times(row, seen, moment)
    if row.observed in OVER and row.observed_exited_at is None and row.observed_started_at:
        row.observed_exited_at = within(alive_until, row.observed_started_at, moment.now)


def _take_times(row: Workload, seen: Observation, moment: Moment) -> None:
    if seen.started_at is not None and row.observed_started_at is None:
        row.observed_started_at = within(seen.started_at, row.created_at, moment.now)
    start = row.observed_started_at or row.created_at
    if seen.ready_at is not None and row.observed_ready_at is None:
        row.observed_ready_at = _since(start, seen, seen.ready_at, moment)
    if seen.exited_at is not None and row.observed_exited_at is None:
        row.observed_exited_at = _since(start, seen, seen.exited_at, moment)


def _since(start: dt.datetime, seen: Observation, at: dt.datetime, moment: Moment) -> dt.datetime:
    """`at` in the database's time: as long after the start as by the cluster's own clock, so that
    a clock that is off by an hour all the time changes nothing."""
    if seen.started_at is None:
        return within(at, start, moment.now)
    return within(start + (at - seen.started_at), start, moment.now)


def _last_alive(row: Workload, moment: Moment) -> dt.datetime:
    """When the run was last known to hold resources: the newest of its own signs of life and the
    last complete list, which it was on."""
    signs = [row.observed_started_at, row.observed_at, moment.listed_at]
    return max(min(sign, moment.now) for sign in [row.created_at, *(s for s in signs if s)])
