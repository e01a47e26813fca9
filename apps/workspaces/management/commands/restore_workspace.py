"""`manage.py restore_workspace UID`: bring a deleted workspace back while its home is kept."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.accounts.management.refusals import refused
from apps.live.errors import DomainError
from apps.workspaces.services import restore_deleted


class Command(BaseCommand):
    """Prints the workspace's name. Unknown, not deleted, or its home gone: exit code 2."""

    help = "Bring back a workspace that was deleted, with its home."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("uid")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            workspace = restore_deleted(None, uid=options["uid"])
        except DomainError as error:
            raise refused(error) from error
        self.stdout.write(workspace.name)
