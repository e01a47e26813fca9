"""What can be done with workspaces."""

from apps.workspaces.services.changing import change, rename
from apps.workspaces.services.deleting import delete, purge_due, restore_deleted
from apps.workspaces.services.following import activity_reported, workload_changed
from apps.workspaces.services.launching import launch, launch_once
from apps.workspaces.services.running import end_overdue, extend, start, stop

__all__ = [
    "activity_reported",
    "change",
    "delete",
    "end_overdue",
    "extend",
    "launch",
    "launch_once",
    "purge_due",
    "rename",
    "restore_deleted",
    "start",
    "stop",
    "workload_changed",
]
