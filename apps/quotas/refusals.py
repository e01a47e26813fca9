"""Saying in plain words which limit would be passed, and what would help."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from apps.live.errors import QuotaExceeded
from apps.quotas.models import Resource
from apps.quotas.types import QuotaLine

MILLIS = 1000


def refusal_of(exceeded: Sequence[QuotaLine]) -> QuotaExceeded:
    """The refusal for limits that would be passed, in the asker's language."""
    message = " ".join(sentence_of(line) for line in exceeded)
    return QuotaExceeded(message, hint=hint_of(exceeded[0]))


def sentence_of(line: QuotaLine) -> str:
    """What is held, what is allowed, what was asked for. One sentence."""
    values = {
        "used": _amount(line.resource, line.used),
        "limit": _amount(line.resource, line.limit or 0),
        "asked": _amount(line.resource, line.asked),
    }
    return _SENTENCES.get(line.resource, _any)() % {**values, "resource": line.resource}


def hint_of(line: QuotaLine) -> str:
    """What would help against one limit."""
    if line.limit is not None and line.asked > line.limit:
        return _("This is more than your whole limit. Choose less, or ask an admin to raise it.")
    if line.resource == Resource.WORKSPACES:
        return _("Stop a workspace that you do not need now, or ask an admin for more.")
    if line.resource == Resource.DISK_GIB:
        return _("Delete a workspace whose files you no longer need, or choose a smaller size.")
    return _("Choose a smaller size, stop another workspace, or ask an admin for more.")


def _amount(resource: str, amount: int) -> str:
    if resource != Resource.CPU_MILLIS:
        return str(amount)
    return f"{amount / MILLIS:.3f}".rstrip("0").rstrip(".")


def _workspaces() -> str:
    return _("You have %(used)s workspaces running and may have %(limit)s at once.")


def _cpu() -> str:
    return _("This needs %(asked)s CPU cores; you hold %(used)s of the %(limit)s that you may.")


def _memory() -> str:
    return _("This needs %(asked)s MiB of memory; you hold %(used)s of the %(limit)s that you may.")


def _disk() -> str:
    return _("This needs %(asked)s GiB of disk; you hold %(used)s of the %(limit)s that you may.")


def _any() -> str:
    return _("This needs %(asked)s of %(resource)s; you hold %(used)s of %(limit)s that you may.")


_SENTENCES = {
    Resource.WORKSPACES.value: _workspaces,
    Resource.CPU_MILLIS.value: _cpu,
    Resource.MEMORY_MIB.value: _memory,
    Resource.DISK_GIB.value: _disk,
}
