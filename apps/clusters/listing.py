"""One complete look at a cluster: what is there, what has gone, what should not be there.

Part of the watch. Absence is believed here alone: of runs that the cluster had taken before the
list began, that are not on a list that is whole, and of which the cluster says so once more when
it is asked about that one run.
"""

from __future__ import annotations

import structlog

from apps.clusters import leadership, metrics
from apps.clusters.clock import database_now
from apps.clusters.drivers.base import Driver, Listing, Observation, RunState, WorkloadRef
from apps.clusters.leadership import Term
from apps.clusters.models import FINAL, Observed, Workload
from apps.clusters.observing import Deposed, record_observation
from apps.clusters.orphans import Strangers
from apps.clusters.specs import ref_of
from apps.live.outages import is_outage

log = structlog.get_logger()
PARTIAL = "The cluster listed only a part of what runs there."


def relist(driver: Driver, term: Term, strangers: Strangers) -> str:
    """List the cluster and write down all of it. Returns the cursor from which to watch.

    Raises DriverError, Deposed, and django.db errors; it is safe to do it again from the start.
    """
    taken = _taken(term)
    at = database_now()
    listing = driver.list_owned()
    metrics.EVENTS.labels(term.cluster.name, "list").inc()
    for seen in _worth_writing(term, listing):
        write(term, seen, listed=True)
    if not listing.complete:
        leadership.note(term, trouble=PARTIAL)
        return listing.cursor
    there = {seen.uid for seen in listing.observations}
    for ref in taken:
        if ref.uid not in there:
            write(term, driver.observe(ref), listed=True)
    strangers.look(term.cluster, listing.observations)
    term.cluster.listed_at = at
    leadership.note_listed(term, at)
    return listing.cursor


def write(term: Term, seen: Observation, *, listed: bool = False) -> None:
    """Write down one observation. One that cannot be written for a reason of its own is logged and
    left, so that it does not stop the others. Raises Deposed and django.db errors."""
    try:
        record_observation(term.cluster, term.epoch, seen, listed=listed)
    except Deposed:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        metrics.EVENTS.labels(term.cluster.name, "unwritten").inc()
        log.exception("observation_not_written", workload=seen.uid, state=seen.state.value)


def _taken(term: Term) -> list[WorkloadRef]:
    """Runs that the cluster had taken before this moment and that are not known to be over."""
    rows = Workload.objects.filter(cluster=term.cluster).exclude(phase__in=FINAL)
    rows = rows.exclude(applied_generation=0, observed_started_at=None).order_by("pk")
    return [ref_of(row) for row in rows.only("uid", "spec")]


def _worth_writing(term: Term, listing: Listing) -> list[Observation]:
    """Leaves out what is written down already, so that a list of a thousand runs of which none has
    changed takes one query."""
    uids = [seen.uid for seen in listing.observations]
    known = {
        uid: facts
        for uid, *facts in Workload.objects.filter(
            cluster=term.cluster, uid__in=uids, observed_epoch=term.epoch
        ).values_list("uid", "observed", "observed_endpoint", "observed_node")
    }
    return [seen for seen in listing.observations if known.get(seen.uid) != _facts(seen)]


def _facts(seen: Observation) -> list[str]:
    endpoint = seen.endpoint if seen.state is RunState.READY else ""
    return [Observed(seen.state.value), endpoint, seen.node]
