"""Waking a worker for a workload. Only for speed: the sweep finds it within 5 s."""

from __future__ import annotations

from django.db import transaction

from apps.live.hints import breaker, send

__all__ = ["breaker", "hint", "send"]


def hint(uid: str) -> None:
    """After the running transaction commits, have a worker look at this workload. Never raises
    and delays by 0.2 s at most."""
    transaction.on_commit(lambda: send("clusters.reconcile", uid), robust=True)
