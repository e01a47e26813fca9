"""`manage.py signin_link USER`: a link that signs in once, on standard output."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.accounts.management.refusals import refused
from apps.accounts.selectors import get_user_by_username
from apps.accounts.services.signin import create_link
from apps.live.errors import DomainError


class Command(BaseCommand):
    help = "Print a link that signs USER in once within 15 minutes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="who is to come in")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            link = create_link(get_user_by_username(options["user"]))
        except DomainError as error:
            raise refused(error) from error
        self.stdout.write(link)
