"""What gate may know of workspaces: one view, its whole contract with these tables."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

FORWARD = """
CREATE VIEW gate_routes AS
SELECT
    w.uid::text AS workspace_uid,
    w.owner_id AS owner_id,
    u.uid::text AS owner_uid,
    COALESCE(r.uid, '')::text AS run,
    CASE WHEN r.phase = 'ready' THEN r.observed_endpoint ELSE '' END::text AS upstream,
    COALESCE(r.app_token, '')::text AS jupyter_token,
    CASE WHEN r.phase = 'ready' THEN replace(a.auth_header, '{token}', r.app_token) ELSE '' END::text
        AS auth_header,
    a.strip_prefix AS strip_prefix,
    (r.phase IS NOT DISTINCT FROM 'ready' AND r.observed_endpoint <> '') AS ready,
    COALESCE(r.phase, 'stopped')::text AS phase,
    w.name::text AS name,
    w.version::bigint AS version
FROM workspaces_workspace w
JOIN accounts_user u ON u.id = w.owner_id
JOIN catalog_app a ON a.id = w.app_id
LEFT JOIN clusters_workload r ON r.id = w.current_id
WHERE w.deleted_at IS NULL;
"""
BACKWARD = "DROP VIEW gate_routes;"


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("workspaces", "0001_initial"),
        ("accounts", "0001_initial"),
        ("catalog", "0001_initial"),
        ("clusters", "0001_initial"),
    ]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
