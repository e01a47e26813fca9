"""`manage.py demo`: something to look at and to measure."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.management.refusals import EXIT_REFUSED, refused
from apps.catalog.services.seeding import publish_from_folder
from apps.live.errors import DomainError
from portal.demonstration import add_people, add_workspaces


class Command(BaseCommand):
    help = "Fill the database for trials and measurements. Refused in production."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--people", type=int, default=0, metavar="N", help="so many more")
        parser.add_argument("--workspaces", type=int, default=0, metavar="N", help="so many more")
        parser.add_argument("--echo", action="store_true", help="publish the image and app echo")
        for name in ("--pending", "--finished"):
            parser.add_argument(name, type=int, default=0, metavar="N", help="jobs: none yet, so 0")

    def handle(self, *args: Any, **options: Any) -> None:
        people, workspaces, echo = options["people"], options["workspaces"], options["echo"]
        if settings.DEPLOYMENT == "production":
            raise CommandError(
                "This is a production installation: it gets no demonstration data.",
                returncode=EXIT_REFUSED,
            )
        if options["pending"] or options["finished"]:
            raise CommandError(
                "This portal has no jobs yet: leave --pending and --finished at 0.", returncode=2
            )
        if min(people, workspaces) < 0 or not (people or workspaces or echo):
            raise CommandError("Say what to add: --people N, --workspaces N, --echo.", returncode=2)
        try:
            if echo:
                publish_from_folder(seed="echo")
            if people:
                add_people(people)
            if workspaces:
                add_workspaces(workspaces)
        except DomainError as error:
            raise refused(error) from error
