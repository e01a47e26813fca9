"""What Prometheus is told of the live processes."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

SOCKETS = Gauge("portal_live_sockets", "Open live sockets", multiprocess_mode="livesum")
RENDERS = Counter(
    "portal_live_renders_total", "Contents rendered for live topics", ["topic", "form"]
)
FRAMES = Counter("portal_live_frames_total", "Contents put into the mailboxes of live sockets")
LOOK_FAILURES = Counter(
    "portal_live_look_failures_total", "Rounds of looking for changed versions that failed"
)
