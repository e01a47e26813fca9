"""What follows when something changes: the one place where apps are joined that do not know
each other."""

from __future__ import annotations


def connect() -> None:
    """Called once at boot."""
