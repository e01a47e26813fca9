"""Writing a change of a workload: the phase is computed, the version rises, followers are told.

The one place through which every change goes: services, reconcile and the watcher lock the row,
change their own fields, and end here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from apps.clusters.hints import hint
from apps.clusters.hooks import WorkloadChange, workload_changed
from apps.clusters.models import Desired, Phase, Workload
from apps.clusters.phase import facts_of, outcome_of
from apps.clusters.reasons import is_warning

VISIBLE = (
    "phase",
    "reason",
    "message",
    "hint",
    "image_progress",
    "observed_endpoint",
    "observed_exit_code",
    "observed_node",
    "observed_started_at",
    "observed_exited_at",
    "ready_at",
    "ended_at",
)
Seen = tuple[object, ...]


def seen_of(workload: Workload) -> Seen:
    """What anyone can see of it; take it before changing fields, for `settle`."""
    shown_error = workload.last_error if "%(error)s" in workload.message + workload.hint else ""
    said = workload.observed_message if is_warning(workload) else ""
    return (*(getattr(workload, name) for name in VISIBLE), shown_error, said)


def settle(workload: Workload, *, before: Seen, fields: Iterable[str], now: dt.datetime) -> bool:
    """Write `fields` of a locked row with the phase that follows from them. True when something
    that anyone can see is different from `before`; then the version rises and followers are called.

    What ends here is at once to be removed from its cluster, whatever was wanted before. `now` is
    the database's time.
    """
    phase_before, reason_before = workload.phase, workload.reason
    outcome = outcome_of(facts_of(workload))
    workload.phase = outcome.phase
    workload.reason = outcome.reason
    workload.message = outcome.message
    workload.hint = outcome.hint
    written = {*fields, "phase", "reason", "message", "hint"}
    if workload.phase == Phase.READY and workload.ready_at is None:
        workload.ready_at = workload.observed_ready_at or now
        written.add("ready_at")
    if workload.is_final and workload.ended_at is None:
        written |= _end(workload, now)
    changed = seen_of(workload) != before
    if changed:
        workload.version += 1
        written.add("version")
    workload.save(update_fields=sorted(written))
    if changed:
        workload_changed(WorkloadChange(workload, phase_before, reason_before))
    return changed


def _end(workload: Workload, now: dt.datetime) -> set[str]:
    workload.ended_at = now
    if workload.desired == Desired.STOPPED and workload.applied_generation >= workload.generation:
        workload.next_try_at = None
        return {"ended_at", "next_try_at"}
    workload.desired = Desired.STOPPED
    workload.generation += 1
    workload.tries = 0
    workload.next_try_at = now
    hint(workload.uid)
    return {"ended_at", "desired", "generation", "tries", "next_try_at"}
