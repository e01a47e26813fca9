"""Gate's own figures, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

DECISIONS = Counter("gate_decisions_total", "Decisions by outcome", ["outcome"])
TUNNELS = Gauge("gate_tunnels", "Websockets that are carried now")
TUNNELS_CLOSED = Counter("gate_tunnels_closed_total", "Websockets that ended", ["reason"])
TABLE_AGE = Gauge("gate_table_age_seconds", "Time since the database was last read")
ROUTES = Gauge("gate_routes", "Workspaces that gate knows")
