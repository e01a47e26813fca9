"""What an agent may say, and writing it down. The agent runs inside somebody's workspace: nothing
that it says is believed beyond its own row, and everything has a bound."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from django.db.models import F
from django.db.models.functions import Coalesce, Greatest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from apps.clusters.clock import database_now
from apps.clusters.hooks import activity_reported
from apps.clusters.models import Workload, WorkloadActivity

MAX_BODY = 64 * 1024
Count = Annotated[int, Field(ge=0, le=32_767)]
Figure = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Word = Annotated[str, Field(max_length=200)]


class Kernel(BaseModel):
    """One kernel of a Jupyter server."""

    model_config = ConfigDict(extra="forbid")

    name: Word = ""
    state: Word = ""
    last_activity: AwareDatetime | None = None
    connections: Count = 0


class Report(BaseModel):
    """What a run does now. Times by the clock of where it runs; `at` is that clock's now."""

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime
    kernels: Annotated[list[Kernel], Field(max_length=300)] = []
    terminals: Count = 0
    connections: Count = 0
    busy: bool = False
    last_activity: AwareDatetime | None = None
    cpu: Figure | None = None
    memory_mib: Figure | None = None
    disk_gib: Figure | None = None


def write_report(workload_uid: str, report: Report) -> bool:
    """Keep what the agent of a run said last; False if the run is over or unknown. Idempotent.

    Times are turned into the database's by their age, so that a clock that is off neither stops a
    run nor keeps it; the last activity never goes back and is never in the future. A figure that is
    not told stays as it was.
    """
    workload = Workload.objects.filter(uid=workload_uid, ended_at=None).first()
    if workload is None:
        return False
    now = database_now()
    told: dict[str, object] = {
        "at": now,
        "busy": report.busy,
        "kernels": len(report.kernels),
        "terminals": report.terminals,
        "connections": report.connections,
    }
    for name in ("cpu", "memory_mib", "disk_gib"):
        figure = getattr(report, name)
        if figure is not None:
            told[name] = figure
    active_at = _active_at(report, now)
    created = {**told, "last_activity_at": active_at}
    if active_at is not None:
        told["last_activity_at"] = Greatest(Coalesce(F("last_activity_at"), active_at), active_at)
    WorkloadActivity.objects.update_or_create(
        workload=workload, defaults=told, create_defaults=created
    )
    activity_reported(workload)
    return True


def _active_at(report: Report, now: dt.datetime) -> dt.datetime | None:
    if report.last_activity is None:
        return None
    try:
        return now - max(dt.timedelta(), report.at - report.last_activity)
    except OverflowError:
        return None
