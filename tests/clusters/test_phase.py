"""The phase: one pure function, whatever the order in which facts arrive."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.clusters.models import FINAL, TRANSITIONS, Desired, ImageState, Observed, Phase
from apps.clusters.phase import Facts, Outcome, outcome_of
from apps.clusters.reasons import REASONS

NEW = Facts(current=Outcome(Phase.QUEUED))
REASONS_SEEN = ("", "out_of_memory", "command_failed", "killed", "lost", "exited", "never_ready")
facts = st.builds(
    Facts,
    current=st.builds(Outcome, st.sampled_from(Phase.values)),
    desired=st.sampled_from(Desired.values),
    stop_reason=st.sampled_from(["", "idle", "stopped_by_owner", "no such reason"]),
    image_state=st.sampled_from(ImageState.values),
    is_applied=st.booleans(),
    is_gone=st.booleans(),
    is_trying=st.booleans(),
    gave_up=st.booleans(),
    error_code=st.sampled_from(["", "not_isolated", "conflict", "unavailable", "worker_lost"]),
    observed=st.sampled_from(Observed.values),
    observed_reason=st.sampled_from(REASONS_SEEN),
    exit_code=st.sampled_from([None, 0, 1, 137, -9, -15]),
    was_ready=st.booleans(),
)


@given(facts)
def test_no_step_is_taken_that_the_table_does_not_know(now: Facts) -> None:
    after = outcome_of(now)
    before = now.current.phase
    assert after.phase == before or after.phase in TRANSITIONS[before]


@given(facts)
def test_final_is_final_with_its_words(now: Facts) -> None:
    if now.current.phase in FINAL:
        assert outcome_of(now) == now.current


@given(facts)
def test_it_says_why_in_words_that_exist_and_is_stable(now: Facts) -> None:
    after = outcome_of(now)
    assert outcome_of(replace(now, current=after)) == after
    if after != now.current:
        words = REASONS[after.reason]
        assert (after.message, after.hint) == (words.message, words.hint)


# What may happen to a run, as changes of its facts. Each is a fact that stays true once it is.
APPLIED: dict[str, object] = {"is_applied": True}
EVENTS: dict[str, dict[str, object]] = {
    "applied": APPLIED,
    "pulled": {"image_state": ImageState.READY},
    "starting": {**APPLIED, "observed": Observed.STARTING},
    "ready": {**APPLIED, "observed": Observed.READY},
    "retry": {"is_trying": True},
    "stop": {"desired": Desired.STOPPED, "stop_reason": "idle"},
}
ENDINGS: dict[str, dict[str, object]] = {
    "gave_up": {"gave_up": True, "error_code": "not_isolated"},
    "crashed": {**APPLIED, "observed": Observed.EXITED, "exit_code": 1},
    "ended": {**APPLIED, "observed": Observed.EXITED, "exit_code": 0},
    "memory": {**APPLIED, "observed": Observed.EXITED, "observed_reason": "out_of_memory"},
    "lost": {**APPLIED, "observed": Observed.ABSENT},
    "gone": {"desired": Desired.STOPPED, "stop_reason": "idle", "is_gone": True},
}


def walk(steps: list[dict[str, object]]) -> Facts:
    now = NEW
    for step in steps:
        now = replace(now, **step)  # type: ignore[arg-type]  # by name
        now = replace(now, current=outcome_of(now))
    return now


@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=8), st.sampled_from(sorted(ENDINGS)))
def test_every_story_converges_on_what_its_last_facts_say(story: list[str], end: str) -> None:
    assume(not (end == "gave_up" and "stop" in story))  # a stop is never given up
    steps = [EVENTS[name] for name in story]
    ended = walk([*steps, ENDINGS[end]])
    at_once = replace(NEW, **{k: getattr(ended, k) for k in _but_current()})
    assert ended.current.phase in FINAL
    assert ended.current == outcome_of(at_once)


@given(st.permutations(sorted(EVENTS)), st.sampled_from(sorted(ENDINGS)))
def test_doubled_and_late_events_after_the_end_change_nothing(story: list[str], end: str) -> None:
    ended = walk([EVENTS[name] for name in story] + [ENDINGS[end]])
    later = walk([EVENTS[name] for name in story] + [ENDINGS[end]] * 2)
    for name in story:
        later = replace(later, **EVENTS[name])  # type: ignore[arg-type]  # by name
        later = replace(later, current=outcome_of(later))
    assert later.current == ended.current


def _but_current() -> list[str]:
    return [name for name in Facts.__dataclass_fields__ if name != "current"]


STOP = {"desired": Desired.STOPPED, "is_applied": True}


@pytest.mark.parametrize(
    ("known", "phase", "reason"),
    [
        ({}, Phase.QUEUED, "queued"),
        ({"is_trying": True}, Phase.QUEUED, "retrying"),
        ({"image_state": ImageState.PULLING}, Phase.PULLING, "image_pulling"),
        ({"image_state": ImageState.FAILED}, Phase.FAILED, "image_failed"),
        (EVENTS["applied"], Phase.STARTING, "starting"),
        (EVENTS["starting"], Phase.STARTING, "starting"),
        ({**EVENTS["starting"], "was_ready": True}, Phase.STARTING, "not_answering"),
        (EVENTS["ready"], Phase.READY, ""),
        ({**EVENTS["ready"], "observed_reason": "memory_low"}, Phase.READY, "memory_low"),
        ({**EVENTS["ready"], "observed_reason": "?"}, Phase.READY, ""),
        (ENDINGS["crashed"], Phase.FAILED, "command_failed"),
        ({**ENDINGS["crashed"], "exit_code": -9}, Phase.FAILED, "killed"),
        ({**ENDINGS["crashed"], "exit_code": None}, Phase.FAILED, "killed"),
        ({**ENDINGS["crashed"], "observed_reason": "never_ready"}, Phase.FAILED, "never_ready"),
        (ENDINGS["memory"], Phase.FAILED, "out_of_memory"),
        (ENDINGS["lost"], Phase.FAILED, "lost"),
        ({"observed": Observed.ABSENT}, Phase.QUEUED, "queued"),
        (ENDINGS["ended"], Phase.STOPPED, "exited"),
        ({"gave_up": True, "error_code": "unavailable"}, Phase.FAILED, "cluster_error"),
        ({"gave_up": True, "error_code": "not_isolated"}, Phase.FAILED, "not_isolated"),
        ({"gave_up": True, "error_code": "worker_lost"}, Phase.FAILED, "worker_lost"),
        (STOP, Phase.STOPPING, "stopping"),
        ({**STOP, "observed": Observed.READY}, Phase.STOPPING, "stopping"),
        ({**STOP, "stop_reason": "stopped_by_owner", "is_gone": True}, Phase.STOPPED, None),
        ({**STOP, "stop_reason": "idle", "observed": Observed.EXITED}, Phase.STOPPED, "idle"),
        ({**STOP, "stop_reason": "?", "observed": Observed.ABSENT}, Phase.STOPPED, "stopped"),
    ],
)
def test_each_state_is_named(known: dict[str, object], phase: str, reason: str | None) -> None:
    outcome = outcome_of(replace(NEW, **known))  # type: ignore[arg-type]  # by name
    assert outcome.phase == phase
    assert outcome.reason == (known["stop_reason"] if reason is None else reason)


def test_every_failure_says_what_would_help() -> None:
    shown: list[dict[str, object]] = [*ENDINGS.values(), {"image_state": ImageState.FAILED}]
    for known, code in itertools.product(shown, ("", "conflict", "worker_lost")):
        outcome = outcome_of(replace(replace(NEW, error_code=code), **known))  # type: ignore[arg-type]
        if outcome.phase == Phase.FAILED:
            assert outcome.message, known
            assert outcome.hint, known
