"""What must always be true, and how an app tells where it is not.

`apps/<app>/invariants.py` holds functions that look and never change anything, and lists them in
`CHECKS`. `manage.py invariants` runs them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Broken:
    """One thing that is not as it must be.

    `rule` is a short stable name ("workload_ended_but_held"), `subject` says where
    ("workload:<uid>"), `message` in plain English what was found and what was expected.
    """

    rule: str
    subject: str
    message: str


Check = Callable[[], Iterable[Broken]]
"""Returns what is broken now; nothing when all is well. Reads only, in few queries."""
