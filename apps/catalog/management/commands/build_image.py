"""`manage.py build_image SLUG`: builds an image's environment here and now, and waits for it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.management.refusals import refused
from apps.catalog import selectors
from apps.catalog.models import BuildState
from apps.catalog.services.building import build_now
from apps.live.errors import DomainError


class Command(BaseCommand):
    help = "Build the environment of an image on this machine; progress on standard error."

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("slug", nargs="?", help="which image")
        which.add_argument("--default", action="store_true", help="the default image")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            by_default = options["default"]
            image = (
                selectors.default_image() if by_default else selectors.get_image(options["slug"])
            )
        except DomainError as error:
            raise refused(error) from error
        assert image.current is not None  # selectors give only images that have a version
        self.shown = -1

        def watch(done: float) -> None:
            percent = round(done * 100)
            if percent > self.shown:
                self.shown = percent
                self.stderr.write(f"{image.slug} {percent} %", self.style.NOTICE)

        build = build_now(image.current, watch=watch)
        if build.state != BuildState.YES:
            raise CommandError("\n".join(part for part in (build.log_tail, build.message) if part))
