"""`manage.py invariants`: is everything as it must be?"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from portal.invariants import broken


class Command(BaseCommand):
    help = "Print what breaks an invariant, as a JSON list; exit 1 if anything does."

    def handle(self, *args: Any, **options: Any) -> None:
        found = [dataclasses.asdict(item) for item in broken()]
        self.stdout.write(json.dumps(found, indent=2))
        if found:
            sys.exit(1)
