"""A refusal on the command line: what is wrong and what would help, on stderr, exit 2."""

from __future__ import annotations

from django.core.management.base import CommandError

from apps.live.errors import DomainError

EXIT_REFUSED = 2


def refused(error: DomainError) -> CommandError:
    """The command's own way to end with this refusal."""
    details = [f"{name}: {text}" for name, text in error.fields.items()]
    lines = [str(error.message), *details, str(error.hint)]
    return CommandError("\n".join(line for line in lines if line), returncode=EXIT_REFUSED)
