"""Telling a database that cannot be used now from a mistake of ours."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError

READ_ONLY = "25006"
"""SQLSTATE read_only_sql_transaction: a standby, or a server that was told to refuse writes."""


def is_outage(error: BaseException) -> bool:
    """Whether the same request may succeed later: the database is stopped, out of connections,
    read-only, or gave up on us (deadlock, time limit)."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    if isinstance(error, InternalError | DatabaseError):
        return getattr(error.__cause__, "sqlstate", None) == READ_ONLY
    return False
