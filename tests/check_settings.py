"""Production settings with throw-away secrets, for what reads settings and connects to nothing.

mypy's Django plugin, `makemigrations --check` and `check --deploy` use it.
"""

import os

for name, value in {
    "PORTAL_SECRET_KEY": "Checked-never-used-4f1c9d0b7a63e258-and-long-enough-for-Django",
    "PORTAL_GATE_KEY": "checked-never-used-8d2e5b917c40f36a-and-long-enough-too",
    "PORTAL_DATABASE_URL": "postgresql://portal:none@/portal?host=/nonexistent",
    "PORTAL_BROKER_URL": "redis+socket:///nonexistent/valkey.sock?virtual_host=0",
    "PORTAL_CHANNEL_URL": "unix:///nonexistent/valkey.sock?db=1",
    "PORTAL_URL": "https://gpu.example.org",
}.items():
    os.environ.setdefault(name, value)

from portal.settings.production import *  # noqa: E402, F403
from portal.settings.production import DATABASES  # noqa: E402

DATABASES["default"]["OPTIONS"] = {}
