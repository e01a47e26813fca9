"""`manage.py doctor`: what is wrong here, and how to mend it?"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from portal.doctor import OK, WRONG, Finding, examine

MARKS = {OK: "ok   ", WRONG: "WRONG"}


class Command(BaseCommand):
    help = "Look at every part and say what is wrong and how to mend it; exit 1 if anything is."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine()
        if options["json"]:
            told = [dataclasses.asdict(finding) for finding in findings]
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self._print(findings)
        if any(finding.state == WRONG for finding in findings):
            sys.exit(1)

    def _print(self, findings: list[Finding]) -> None:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark = MARKS.get(finding.state, "note ")
            self.stdout.write(f"{mark}  {finding.name:<{width}}  {finding.found}")
            if finding.mend:
                self.stdout.write(f"{'':>{width + 9}}-> {finding.mend}")
        wrong = sum(finding.state == WRONG for finding in findings)
        self.stdout.write(f"{wrong} wrong" if wrong else "All is well.")
