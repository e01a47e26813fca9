"""Lines of a workspace's timeline: the words for what people did, kept as English sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.utils.translation import gettext_noop

from apps.clusters.models import Workload
from apps.workspaces.models import Workspace, WorkspaceEvent

LAUNCHED = gettext_noop("Launched with %(image)s, %(app)s and size %(size)s.")
STARTED = gettext_noop("Started again with the same home.")
STOP_ASKED = gettext_noop("%(who)s asked it to stop.")
STOPPED_AT_END = gettext_noop("Stopping: its longest running time is over.")
STOPPED_AT_END_HINT = gettext_noop("Everything in its home is kept. Start it again to go on.")
STOPPED_IDLE = gettext_noop("Stopping: nobody has used it for a while.")
STOPPED_DISABLED = gettext_noop("Stopping: its owner's account is disabled.")
RENAMED = gettext_noop("Renamed from %(before)s to %(name)s.")
CHANGED = gettext_noop("Changed to %(image)s, %(app)s and size %(size)s.")
EXTENDED = gettext_noop("Kept running for %(hours)s more hours even if idle.")
DELETED = gettext_noop("Deleted. Its home is kept for a while.")
RESTORED = gettext_noop("Brought back with its home.")

PHASE_WORDS = {
    "queued": gettext_noop("Waiting for a place to run."),
    "pulling": gettext_noop("Preparing the image."),
    "starting": gettext_noop("Starting."),
    "ready": gettext_noop("Ready."),
    "stopping": gettext_noop("Stopping."),
    "stopped": gettext_noop("Stopped."),
    "failed": gettext_noop("It could not go on."),
}


@dataclass(frozen=True, slots=True)
class Line:
    """What to write. `message` and `hint` are sources, `detail` their values."""

    type: str
    message: str
    reason: str = ""
    hint: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


OVERDUE = {
    "max_lifetime": Line("stop", STOPPED_AT_END, reason="max_lifetime", hint=STOPPED_AT_END_HINT),
    "disabled": Line("stop", STOPPED_DISABLED, reason="disabled"),
    "idle": Line("stop", STOPPED_IDLE, reason="idle", hint=STOPPED_AT_END_HINT),
}


def write(workspace: Workspace, line: Line, *, run: Workload | None = None) -> WorkspaceEvent:
    """Add a line to the timeline, in the transaction of what it tells."""
    return WorkspaceEvent.objects.create(
        workspace=workspace,
        workload=run,
        type=line.type,
        reason=line.reason,
        message=line.message,
        hint=line.hint,
        detail=dict(line.detail),
    )
