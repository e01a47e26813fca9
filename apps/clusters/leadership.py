"""Who watches a cluster: one leader at a time, by a lease in the cluster's row.

Each new leader begins a new term (`watch_epoch`); `observing` refuses what comes from an older one,
so that a leader that was paused past its lease does no harm when it wakes.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from apps.clusters.models import Cluster

LEASE = dt.timedelta(seconds=10)
RENEW_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A watcher's name: machine, pid namespace, pid, and something that no other one has."""

    machine: str
    pid: int
    nonce: str

    def __str__(self) -> str:
        return f"{self.machine}/{self.pid}/{self.nonce}"

    def is_dead_neighbour(self, other: str) -> bool:
        """Whether `other` ran on this machine and has certainly ended."""
        machine, _slash, rest = other.rpartition("/")[0].rpartition("/")
        if machine != self.machine or not rest.isdigit():
            return False
        return not Path("/proc", rest).exists()


@dataclass(frozen=True, slots=True)
class Term:
    """The right to write what was observed of a cluster, until somebody else begins a newer one."""

    cluster: Cluster
    epoch: int
    watcher: str


def my_identity() -> Identity:
    """This process's name, new with each call."""
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return Identity(f"{socket.gethostname()[:60]}-{namespace}", os.getpid(), secrets.token_hex(4))


def take_term(name: str, identity: Identity) -> Term | None:
    """Become the leader of the cluster `name`; None while somebody else is. One that died on this
    machine is not waited for. Raises Cluster.DoesNotExist."""
    cluster = Cluster.objects.get(name=name)
    free = Q(watcher_until=None) | Q(watcher_until__lt=Now())
    if identity.is_dead_neighbour(cluster.watcher):
        free |= Q(watcher=cluster.watcher)
    taken = Cluster.objects.filter(free, pk=cluster.pk).update(
        watcher=str(identity), watcher_until=Now() + LEASE, watch_epoch=F("watch_epoch") + 1
    )
    if not taken:
        return None
    cluster.refresh_from_db()
    return Term(cluster, cluster.watch_epoch, str(identity))


def renew(term: Term, *, is_alive: bool) -> bool:
    """Hold the lease for another 10 s; False if the term is over. `is_alive` says that the watch
    hears its cluster: then `watched_at` moves too, by which others judge it."""
    fields: dict[str, object] = {"watcher_until": Now() + LEASE}
    if is_alive:
        fields["watched_at"] = Now()
    return _mine(term).update(**fields) > 0


def note(term: Term, *, trouble: str) -> None:
    """Say on the cluster's page what is wrong ("" for nothing), if the term is still ours."""
    _mine(term).exclude(trouble=trouble[:300]).update(trouble=trouble[:300])


def note_listed(term: Term, at: dt.datetime) -> None:
    """A complete list was read, begun at `at` (database time), and all of it is written down."""
    _mine(term).update(listed_at=at, trouble="")


def release(term: Term) -> None:
    """Let the next one begin at once."""
    _mine(term).update(watcher="", watcher_until=None)


def _mine(term: Term) -> QuerySet[Cluster]:
    return Cluster.objects.filter(pk=term.cluster.pk, watch_epoch=term.epoch, watcher=term.watcher)
