#!/usr/bin/env python
"""Django's command line, with the settings of the installation in `DATA` (default ./var)."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def load_environment(data: Path) -> None:
    """Take what `DATA/etc/portal.env` says for every variable that is not set already."""
    try:
        text = (data / "etc" / "portal.env").read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except PermissionError as error:
        sys.exit(f"{error.filename} belongs to another user: run this as whoever ran `make up`")
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator and not name.startswith("#"):
            os.environ.setdefault(name, value)


def main() -> None:
    load_environment(Path(os.environ.get("DATA") or Path(__file__).parent / "var").expanduser())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        sys.exit(f"The database cannot be reached: {error}\nIs the portal running (make up)?")


if __name__ == "__main__":
    main()
