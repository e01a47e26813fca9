"""What gate may know of people: three views, its whole contract with these tables."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations

FORWARD = """
CREATE VIEW gate_people AS
SELECT id AS person_id, uid::text AS uid, session_epoch::bigint AS epoch, is_active AS active
FROM accounts_user;

CREATE VIEW gate_tokens AS
SELECT t.digest::text AS digest, t.user_id AS person_id, t.scopes::text[] AS scopes, t.expires_at
FROM accounts_apitoken t
WHERE t.revoked_at IS NULL AND t.expires_at > now();

CREATE VIEW gate_signouts AS
SELECT session::text AS session, at FROM accounts_signout
WHERE at > now() - interval '15 minutes';
"""
BACKWARD = "DROP VIEW gate_signouts; DROP VIEW gate_tokens; DROP VIEW gate_people;"


class Migration(migrations.Migration):
    dependencies: ClassVar = [("accounts", "0001_initial")]
    operations: ClassVar = [migrations.RunSQL(FORWARD, BACKWARD)]
