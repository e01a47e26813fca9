"""`manage.py seed_trial`: the people, images, sizes and limits that a trial starts with."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.accounts.management.refusals import refused
from apps.live.errors import DomainError
from portal.seeding import seed_trial


class Command(BaseCommand):
    help = "Make what a trial starts with, where it is missing. Nothing that is there is changed."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            seed_trial()
        except DomainError as error:
            raise refused(error) from error
