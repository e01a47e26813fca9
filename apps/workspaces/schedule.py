"""When a run ends by itself. Pure: what is known of it and the rules in, moments out.

Busy is active. What an agent does not tell is unknown, and unknown alone never stops anything.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

SILENT_AFTER = dt.timedelta(minutes=3)
"""Agents report each minute; one that was not heard for so long is silent."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds; `idle_stop_s` 0 means that idle runs are not stopped."""

    idle_stop_s: int
    max_lifetime_s: int


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run. `heard_at`: its agent's last word; `reads_activity`: whether the
    app's activity is read at all."""

    started_at: dt.datetime | None
    ready_at: dt.datetime | None
    is_ready: bool
    reads_activity: bool
    heard_at: dt.datetime | None = None
    busy: bool = False
    last_activity_at: dt.datetime | None = None
    extended_until: dt.datetime | None = None


def ends_at(facts: RunFacts, rules: Rules) -> dt.datetime | None:
    """When its lifetime is over, whatever it does; None before it has started."""
    if facts.started_at is None:
        return None
    return facts.started_at + dt.timedelta(seconds=rules.max_lifetime_s)


def idle_stop_at(facts: RunFacts, rules: Rules, now: dt.datetime) -> dt.datetime | None:
    """The earliest moment at which it would be stopped as idle, if nothing happens until then.

    None where it will not be: not ready, activity not read or not known although its agent speaks,
    or its agent silent when the moment came. Never later than the end of its lifetime.
    """
    if not facts.is_ready or not facts.reads_activity or not rules.idle_stop_s:
        return None
    if facts.heard_at is not None and not facts.busy and facts.last_activity_at is None:
        return None
    moment = _idle_since(facts, now) + dt.timedelta(seconds=rules.idle_stop_s)
    if facts.extended_until is not None:
        moment = max(moment, facts.extended_until)
    end = ends_at(facts, rules)
    moment = min(moment, end) if end else moment
    return None if moment <= now and not _is_heard(facts, now) else moment


def stop_reason(facts: RunFacts, rules: Rules, now: dt.datetime) -> str:
    """`max_lifetime` or `idle` where the run is due to be stopped at `now`, else ""."""
    end = ends_at(facts, rules)
    if end is not None and end <= now:
        return "max_lifetime"
    idle = idle_stop_at(facts, rules, now)
    is_idle = idle is not None and idle <= now and _is_heard(facts, now) and not facts.busy
    return "idle" if is_idle else ""


def _idle_since(facts: RunFacts, now: dt.datetime) -> dt.datetime:
    if facts.busy and facts.heard_at is not None:
        return facts.heard_at
    known = (facts.ready_at, facts.last_activity_at)
    return max((moment for moment in known if moment is not None), default=now)


def _is_heard(facts: RunFacts, now: dt.datetime) -> bool:
    return facts.heard_at is not None and now - facts.heard_at <= SILENT_AFTER
