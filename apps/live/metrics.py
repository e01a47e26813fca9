"""What Prometheus is told of the live processes."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

SOCKETS = Gauge("gpucommons_live_sockets", "Open live sockets.")
RENDERS = Counter(
    "gpucommons_live_renders", "Contents rendered for live topics.", ["topic", "form"]
)
FRAMES = Counter("gpucommons_live_frames", "Contents put into the mailboxes of live sockets.")
LOOK_FAILURES = Counter(
    "gpucommons_live_look_failures", "Rounds of looking for changed versions that failed."
)
