"""How fast a watch may go: lists are dear, and failures in a row are waited out."""

from __future__ import annotations

import time
from collections.abc import Callable

RELIST_EVERY_S = 60.0
TOKENS = 2
TOKEN_EVERY_S = 15.0
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 5.0


class Pace:
    """At most six lists in any minute: two at once, and one more every 15 s. Seconds by `clock`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = float(TOKENS)
        self._counted_at = clock()
        self._listed_at: float | None = None
        self._failures = 0

    def wait_before_list_s(self) -> float:
        """How long until another list may be read; 0 for now."""
        now = self._clock()
        self._tokens = min(TOKENS, self._tokens + (now - self._counted_at) / TOKEN_EVERY_S)
        self._counted_at = now
        return max(0.0, (1 - self._tokens) * TOKEN_EVERY_S)

    def listed(self) -> None:
        """A list was read."""
        self.wait_before_list_s()
        self._tokens -= 1
        self._listed_at = self._clock()

    def is_list_due(self) -> bool:
        """Whether the newest list is a minute old, or there was none."""
        return self._listed_at is None or self._clock() - self._listed_at >= RELIST_EVERY_S

    def failed(self) -> float:
        """One more failure in a row; how long to wait for it."""
        self._failures += 1
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * float(1 << min(self._failures - 1, 10)))

    def succeeded(self) -> None:
        """The row of failures has ended."""
        self._failures = 0
