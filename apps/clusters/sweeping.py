"""The sweep: finds what is due whether or not anybody was told, and hands it to the workers."""

from __future__ import annotations

from django.db import transaction

from apps.clusters.claims import due
from apps.clusters.hints import send

EVERY_S = 5
BATCH = 200


def sweep(limit: int = BATCH) -> int:
    """Send a hint for each workload that is due, the longest waiting first, at most `limit`.
    Returns how many the broker took.

    Rows that another transaction holds are somebody's already and are skipped. A hint that nobody
    takes before the next sweeps expires, so that a dead worker does not leave a mountain.
    """
    with transaction.atomic():
        rows = due().order_by("next_try_at").select_for_update(skip_locked=True)
        uids = list(rows.values_list("uid", flat=True)[:limit])
    return sum(send("clusters.reconcile", uid, expires_s=2 * EVERY_S) for uid in uids)
