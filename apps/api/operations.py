"""How an operation is declared: who may call it, what it answers, and how it can refuse.

One declaration feeds the check before the call, the router and the OpenAPI document, so that these
cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.accounts.models import Scope
from apps.api.authentication import Needs

RULES = "x-rules"
"""Where `apps.api.openapi` finds the rules of an operation; not in the published document."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One operation.

    `answer` is the model of the answer (None: text of `media_type`), sent with `status`. `refusals`
    are the statuses beside those that follow from the rest (401, 403, 422, 503). `once` says that
    the call takes an Idempotency-Key.
    """

    scope: Scope
    answer: Any
    status: int = 200
    refusals: tuple[int, ...] = ()
    once: bool = False
    media_type: str = "application/json"


def operation(rules: Rules) -> dict[str, Any]:
    """Arguments for `router.get` and its like."""
    return {
        "auth": Needs(rules.scope),
        "response": {rules.status: rules.answer},
        "openapi_extra": {RULES: rules},
    }
