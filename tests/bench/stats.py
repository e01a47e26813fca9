"""Percentiles, and bootstrap intervals of ratios of paired differences. Times in seconds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

RESAMPLES = 5000
SEED = 20260101
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its bootstrap 95 % interval (percentile method)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def percentile(values: Sequence[float], share: float) -> float:
    """By linear interpolation between closest ranks, as NumPy's default does."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def bootstrap(rows: Sequence[T], figure: Callable[[Sequence[T]], float]) -> Interval:
    """`figure` of the rows, with the interval from resampling whole rows, so that pairs stay
    together."""
    chance = random.Random(SEED)
    resampled = sorted(figure(chance.choices(rows, k=len(rows))) for _ in range(RESAMPLES))
    return Interval(figure(rows), percentile(resampled, 0.025), percentile(resampled, 0.975))


@dataclass(frozen=True, slots=True)
class Round:
    """One interleaved round: what each way took from the click to the first kernel answer."""

    ours: float
    peer: float
    bare: float


def added_ratio(share: float) -> Callable[[Sequence[Round]], float]:
    """Percentile `share` of what we add to a bare server, over the same of what the peer adds."""

    def figure(rounds: Sequence[Round]) -> float:
        return added("ours", share)(rounds) / added("peer", share)(rounds)

    return figure


def added(way: str, share: float) -> Callable[[Sequence[Round]], float]:
    """Percentile `share` of what `way` ("ours" or "peer") adds to a bare server, in seconds."""

    def figure(rounds: Sequence[Round]) -> float:
        return percentile([getattr(r, way) - r.bare for r in rounds], share)

    return figure
