"""The phase of a run: one pure function of what is wanted and what was seen.

Reconcile, watcher and services write facts; `settling` calls `outcome_of` under the row's lock and
writes what comes out. The order in which facts arrived does not matter, with one exception that
is the point of it: what is final stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.clusters.models import (
    FINAL,
    TRANSITIONS,
    Desired,
    ImageState,
    Observed,
    Phase,
    Workload,
)
from apps.clusters.reasons import REASONS, WARNINGS

FATAL = frozenset({"out_of_memory", "command_failed", "killed", "lost", "never_ready"})
REFUSALS = {
    "not_isolated": "not_isolated",
    "conflict": "conflict",
    "worker_lost": "worker_lost",
    "image_missing": "image_failed",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A phase and why. `message` and `hint` are English sources, see `reasons`."""

    phase: str
    reason: str = ""
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a phase depends on.

    `is_applied`: the cluster has taken the run at least once. `is_gone`: it was asked to remove it
    and answered that nothing is left. `is_trying`: the last call failed and another will follow.
    """

    current: Outcome
    desired: str = Desired.RUNNING
    stop_reason: str = ""
    image_state: str = ImageState.READY
    is_applied: bool = False
    is_gone: bool = False
    is_trying: bool = False
    gave_up: bool = False
    error_code: str = ""
    observed: str = Observed.UNKNOWN
    observed_reason: str = ""
    exit_code: int | None = None
    was_ready: bool = False


def outcome_of(facts: Facts) -> Outcome:
    """The phase that follows from `facts`, and why.

    A final phase is kept with its words; a step that the transition table does not know is not
    taken (an image that is prepared anew under a run that has started, for instance).
    """
    current = facts.current
    if current.phase in FINAL:
        return current
    outcome = _target(facts)
    if outcome.phase != current.phase and outcome.phase not in TRANSITIONS[current.phase]:
        return current
    return outcome


def facts_of(workload: Workload) -> Facts:
    """The facts as the row holds them."""
    return Facts(
        current=Outcome(workload.phase, workload.reason, workload.message, workload.hint),
        desired=workload.desired,
        stop_reason=workload.stop_reason,
        image_state=workload.image_state,
        is_applied=workload.applied_generation > 0 or workload.observed_started_at is not None,
        is_gone=workload.desired == Desired.STOPPED
        and workload.applied_generation >= workload.generation,
        is_trying=bool(workload.last_error),
        gave_up=workload.gave_up,
        error_code=workload.error_code,
        observed=workload.observed,
        observed_reason=workload.observed_reason,
        exit_code=workload.observed_exit_code,
        was_ready=workload.ready_at is not None,
    )


def _target(facts: Facts) -> Outcome:
    if facts.desired == Desired.STOPPED:
        return _of_stop(facts)
    if facts.observed == Observed.EXITED:
        return _of_exit(facts)
    if facts.observed == Observed.ABSENT and facts.is_applied:
        return _say(Phase.FAILED, "lost")
    if facts.gave_up:
        return _say(Phase.FAILED, REFUSALS.get(facts.error_code, "cluster_error"))
    return _of_run(facts)


def _of_stop(facts: Facts) -> Outcome:
    over = facts.is_gone or facts.observed in (Observed.EXITED, Observed.ABSENT)
    if not over:
        return _say(Phase.STOPPING, "stopping")
    return _say(Phase.STOPPED, facts.stop_reason if facts.stop_reason in REASONS else "stopped")


def _of_exit(facts: Facts) -> Outcome:
    if facts.observed_reason in FATAL:
        return _say(Phase.FAILED, facts.observed_reason)
    if facts.exit_code == 0:
        return _say(Phase.STOPPED, "exited")
    return _say(Phase.FAILED, "killed" if _is_signal(facts.exit_code) else "command_failed")


def _of_run(facts: Facts) -> Outcome:
    if facts.observed == Observed.READY:
        warning = facts.observed_reason
        return _say(Phase.READY, warning if warning in WARNINGS else "")
    if facts.observed == Observed.STARTING:
        return _say(Phase.STARTING, "not_answering" if facts.was_ready else "starting")
    if facts.observed == Observed.STOPPING:
        return _say(Phase.STOPPING, "ending")
    if facts.image_state == ImageState.FAILED:
        return _say(Phase.FAILED, "image_failed")
    if facts.is_applied:
        return _say(Phase.STARTING, "starting")
    if facts.image_state == ImageState.PULLING:
        return _say(Phase.PULLING, "image_pulling")
    return _say(Phase.QUEUED, "retrying" if facts.is_trying else "queued")


def _is_signal(exit_code: int | None) -> bool:
    return exit_code is None or exit_code < 0


def _say(phase: Phase, reason: str) -> Outcome:
    words = REASONS[reason]
    return Outcome(phase.value, reason, words.message, words.hint)
