"""Forgetting what nobody needs of runs; called by beat each hour."""

from __future__ import annotations

import datetime as dt

from django.db.models.functions import Now

from apps.clusters.models import AgentCommand, WorkloadLog

LOGS_KEPT = dt.timedelta(days=7)
COMMANDS_KEPT = dt.timedelta(days=1)


def forget_old() -> dict[str, int]:
    """Remove logs of runs that ended over 7 days ago and agents' commands older than a day;
    returns how many of each. Idempotent."""
    logs = WorkloadLog.objects.filter(workload__ended_at__lt=Now() - LOGS_KEPT)
    commands = AgentCommand.objects.filter(created_at__lt=Now() - COMMANDS_KEPT)
    return {"logs": logs.delete()[0], "commands": commands.delete()[0]}
