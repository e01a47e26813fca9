"""What must happen inside a run, for its agent to fetch."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from apps.clusters.models import AgentCommand

MAX_COMMANDS = 100


class Poll(BaseModel):
    """What an agent asks: commands after the id `after`, waiting for one up to `wait` seconds."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[int, Field(ge=0, lt=2**63)] = 0
    wait: Annotated[float, Field(ge=0, le=55, allow_inf_nan=False)] = 0


def commands_after(workload_uid: str, after: int) -> list[dict[str, object]]:
    """The run's commands with ids above `after`, oldest first. One query."""
    rows = AgentCommand.objects.filter(workload__uid=workload_uid, pk__gt=after).order_by("pk")
    return [
        {
            "id": row.pk,
            "type": row.type,
            "at": row.created_at.isoformat(),
            "detail": row.detail,
        }
        for row in rows[:MAX_COMMANDS]
    ]
