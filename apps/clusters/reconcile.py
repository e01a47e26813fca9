"""Making a cluster do what is wanted of one workload: claim, one call, settle.

The call is made outside any transaction; what follows from its answer is decided afresh under the
row's lock, because the row may have changed meanwhile. A call whose answer was lost is made again:
drivers adopt what is there already.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from enum import StrEnum

import structlog
from django.db import connection, transaction

from apps.clusters import metrics
from apps.clusters.claims import Claim, claim
from apps.clusters.clock import database_now
from apps.clusters.drivers.base import Driver, DriverError, Observation, RunState
from apps.clusters.hints import hint
from apps.clusters.hooks import image_missing
from apps.clusters.logs import MAX_BYTES, keep_log
from apps.clusters.models import Desired, ImageState, Observed, Workload
from apps.clusters.selectors import driver_of
from apps.clusters.settling import seen_of, settle
from apps.clusters.specs import ref_of, spec_of, spec_with_secrets

MAX_TRIES = 10
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
STOP_LOOK_S = 1.0
IMAGE_LOOK_S = 20.0
MISSING = "image_missing"
FIELDS = (
    "applied_generation",
    "tries",
    "next_try_at",
    "last_error",
    "error_code",
    "gave_up",
    "image_state",
    "image_progress",
    "lease",
    "lease_until",
)

log = structlog.get_logger()


class Step(StrEnum):
    """What a workload needs of its cluster now."""

    APPLY = "apply"
    DELETE = "delete"
    GIVE_UP = "give_up"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one step. `generation` is the one that was acted upon."""

    step: Step
    generation: int
    seen: Observation | None = None
    error: DriverError | None = None


def reconcile(uid: str) -> Step:
    """Bring one workload a step closer to what is wanted. Returns what was done; NOTHING also if
    it is not due or another worker is at it. Raises django.db errors; the row is then due again
    when the lease has run out."""
    assert not connection.in_atomic_block, "no transaction is held across a driver's call"
    held = claim(uid)
    if held is None:
        return Step.NOTHING
    workload = held.workload
    with structlog.contextvars.bound_contextvars(workload=uid, cluster=workload.cluster.name):
        _measure(held)
        step = step_for(workload)
        answer = _call(workload, step)
        _settle(held, answer)
    return step


def step_for(workload: Workload) -> Step:
    """What is to be done. Pure."""
    if workload.desired == Desired.STOPPED:
        is_done = workload.applied_generation >= workload.generation
        return Step.NOTHING if is_done else Step.DELETE
    if workload.gave_up or workload.applied_generation >= workload.generation:
        return Step.NOTHING
    if workload.image_state == ImageState.FAILED:
        return Step.NOTHING
    if workload.tries > MAX_TRIES and workload.image_state == ImageState.READY:
        return Step.GIVE_UP
    return Step.APPLY


def back_off_s(tries: int) -> float:
    """How long to wait after `tries` failures in a row, in seconds: doubling, with jitter."""
    doublings = min(max(tries - 1, 0), 16)
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * float(1 << doublings))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, keeps no secret


def _call(workload: Workload, step: Step) -> Answer:
    generation = workload.generation
    if step not in (Step.APPLY, Step.DELETE):
        return Answer(step, generation)
    label = (workload.cluster.name, step.value)
    try:
        driver = driver_of(workload.cluster)
        if step is Step.APPLY:
            with metrics.STEP.labels("applied").time():
                seen = driver.apply(spec_with_secrets(workload))
        else:
            _keep_log(driver, workload)
            seen = driver.delete(ref_of(workload), spec_of(workload).stop_grace_s)
    except DriverError as error:
        metrics.CALLS.labels(*label, error.code).inc()
        log.warning("driver_refused", call=step.value, code=error.code, error=error.message)
        return Answer(step, generation, error=error)
    metrics.CALLS.labels(*label, "ok").inc()
    return Answer(step, generation, seen=seen)


def _keep_log(driver: Driver, workload: Workload) -> None:
    """Read the end of the log before what holds it is removed. Not worth failing for."""
    try:
        keep_log(workload, driver.logs(ref_of(workload), -MAX_BYTES))
    except DriverError as error:
        log.info("log_not_read", code=error.code)


@transaction.atomic
def _settle(held: Claim, answer: Answer) -> None:
    row = Workload.objects.select_for_update().get(pk=held.workload.pk)
    now = database_now()
    before = seen_of(row)
    if row.lease != held.lease:
        _settle_late(row, answer, now)
        return
    row.lease = ""
    row.lease_until = None
    if answer.generation != row.generation:
        # It changed while the cluster was being asked: look again at once.
        row.tries = 0
        row.next_try_at = now
    elif answer.error is not None:
        _take_error(row, answer.error, now)
    else:
        _take_answer(row, answer, now)
    settle(row, before=before, fields=FIELDS, now=now)
    if row.next_try_at is not None and row.next_try_at <= now:
        hint(row.uid)


def _settle_late(row: Workload, answer: Answer, now: dt.datetime) -> None:
    """The lease ran out during the call and the work may be another's now. Only one thing cannot
    wait for the next list: what we started after it had been removed."""
    log.warning("lease_lost", call=answer.step.value)
    if answer.step is not Step.APPLY or row.desired != Desired.STOPPED:
        return
    row.generation += 1
    row.tries = 0
    row.next_try_at = now
    row.save(update_fields=["generation", "tries", "next_try_at"])
    hint(row.uid)


def _take_answer(row: Workload, answer: Answer, now: dt.datetime) -> None:
    last_code = row.error_code
    if not row.is_final:
        # The words of what has failed may quote the error.
        row.last_error = row.error_code = ""
    row.next_try_at = None
    if answer.step is Step.GIVE_UP:
        row.gave_up = True
        row.error_code = "worker_lost" if last_code != MISSING else MISSING
    elif answer.step is Step.APPLY:
        row.tries = 0
        row.applied_generation = row.generation
        row.image_state = ImageState.READY
    elif answer.step is Step.DELETE:
        row.tries = 0
        if answer.seen is not None and answer.seen.state is RunState.ABSENT:
            row.applied_generation = row.generation
        else:
            row.next_try_at = now + dt.timedelta(seconds=STOP_LOOK_S)


def _take_error(row: Workload, error: DriverError, now: dt.datetime) -> None:
    if not row.is_final:
        row.last_error = error.message[:500]
        row.error_code = error.code[:32]
    if row.desired == Desired.STOPPED:
        if error.code == "conflict":
            # What stands there is not ours, so nothing of ours is left.
            row.applied_generation = row.generation
            row.next_try_at = None
            return
        row.next_try_at = now + dt.timedelta(seconds=back_off_s(row.tries))
        return
    if error.code == MISSING:
        _wait_for_image(row, now)
    elif error.retryable and row.tries < MAX_TRIES:
        row.next_try_at = now + dt.timedelta(seconds=back_off_s(row.tries))
    elif row.observed in (Observed.STARTING, Observed.READY):
        # Taken after all: only the cluster's answers were lost.
        row.applied_generation = row.generation
        row.next_try_at = None
    else:
        row.gave_up = True
        row.next_try_at = None


def _wait_for_image(row: Workload, now: dt.datetime) -> None:
    """The image is not there (yet, or any more). Whoever prepares images is told; the driver is
    asked again now and then, so that a lost word does not leave the run waiting. Only being told
    that it is there when it is not counts as a try."""
    row.last_error = ""
    row.next_try_at = now + dt.timedelta(seconds=IMAGE_LOOK_S)
    if row.image_state != ImageState.READY:
        row.tries = max(0, row.tries - 1)
    else:
        row.image_state = ImageState.PULLING
        row.image_progress = 0
        image_missing(row.image_digest)


def _measure(held: Claim) -> None:
    workload = held.workload
    if workload.next_try_at is not None:
        metrics.LAG.observe(max(0.0, (held.at - workload.next_try_at).total_seconds()))
    if workload.generation == 1 and workload.tries == 1:
        waited = (held.at - workload.created_at).total_seconds()
        metrics.STEP.labels("accepted").observe(max(0.0, waited))
