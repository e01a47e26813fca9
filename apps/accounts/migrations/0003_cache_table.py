"""The table of Django's cache (`createcachetable` makes the same one): rate limits of sign-in."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

FORWARD = """
CREATE TABLE portal_cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY,
    value text NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE INDEX portal_cache_expires ON portal_cache (expires);
"""
BACKWARD = "DROP TABLE portal_cache;"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0002_gate_views")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
