"""gate's view without what gate does not use: a version rises with every report of an agent, and
each rise made gate read all routes again."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

VIEW = """
DROP VIEW gate_routes;
CREATE VIEW gate_routes AS
SELECT
    w.uid::text AS workspace_uid,
    w.owner_id AS owner_id,
    u.uid::text AS owner_uid,
    COALESCE(r.uid, '')::text AS run,
    CASE WHEN r.phase = 'ready' THEN r.observed_endpoint ELSE '' END::text AS upstream,%s
    CASE WHEN r.phase = 'ready' THEN replace(a.auth_header, '{token}', r.app_token) ELSE '' END::text
        AS auth_header,
    a.strip_prefix AS strip_prefix,
    (r.phase IS NOT DISTINCT FROM 'ready' AND r.observed_endpoint <> '') AS ready,
    COALESCE(r.phase, 'stopped')::text AS phase,
    w.name::text AS name%s
FROM workspaces_workspace w
JOIN accounts_user u ON u.id = w.owner_id
JOIN catalog_app a ON a.id = w.app_id
LEFT JOIN clusters_workload r ON r.id = w.current_id
WHERE w.deleted_at IS NULL;
"""
FORWARD = VIEW % ("", "")
BACKWARD = VIEW % (
    "\n    COALESCE(r.app_token, '')::text AS jupyter_token,",
    ",\n    w.version::bigint AS version",
)


class Migration(migrations.Migration):
    dependencies: ClassVar = [("workspaces", "0003_phase_since_and_purge")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
