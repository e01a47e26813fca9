"""The time, by the database: the one clock that all processes share."""

from __future__ import annotations

import datetime as dt

from django.db import connection


def database_now() -> dt.datetime:
    """The database's clock at this moment, also inside a transaction. One query."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    now: dt.datetime = row[0]
    return now


def within(at: dt.datetime, start: dt.datetime, end: dt.datetime) -> dt.datetime:
    """`at`, or the nearer end of the stretch it lies outside of; `start` wins if they cross."""
    return max(start, min(at, end))
