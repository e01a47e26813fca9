"""`manage.py token USER`: a new API token on standard output, and nothing else."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.accounts.management.refusals import refused
from apps.accounts.selectors import get_user_by_username
from apps.accounts.services.tokens import (
    DEFAULT_DAYS,
    DEFAULT_SCOPES,
    MAX_DAYS,
    TokenRequest,
    create_token,
)
from apps.live.errors import DomainError


class Command(BaseCommand):
    help = "Make an API token and print it. It cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="whose token it is")
        parser.add_argument(
            "--scopes",
            default=",".join(DEFAULT_SCOPES),
            help="comma list of read, workspaces, jobs, admin (default: %(default)s)",
        )
        parser.add_argument(
            "--days",
            type=int,
            default=DEFAULT_DAYS,
            help=f"how long it lasts, 1 to {MAX_DAYS} (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = [scope for part in options["scopes"].split(",") if (scope := part.strip())]
        request = TokenRequest(name="command line", scopes=scopes, days=options["days"])
        try:
            user = get_user_by_username(options["user"])
            _token, text = create_token(None, user=user, request=request)
        except DomainError as error:
            raise refused(error) from error
        self.stdout.write(text)
