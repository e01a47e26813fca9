"""The watcher process: `manage.py watch_cluster NAME`."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.clusters.models import Cluster
from apps.clusters.watch import Watcher


class Command(BaseCommand):
    """Watches one cluster until SIGTERM or SIGINT, then gives its lease back at once."""

    help = "Watch a cluster and write down what happens on it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the cluster's name, for instance local")

    def handle(self, *args: object, **options: object) -> None:
        watcher = Watcher(str(options["name"]))

        def end(_number: int, _frame: FrameType | None) -> None:
            # A thread of its own: the events that it sets have locks that this one may hold.
            threading.Thread(target=watcher.stop).start()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        try:
            watcher.run()
        except Cluster.DoesNotExist:
            raise CommandError(f"there is no cluster called {options['name']!r}") from None
