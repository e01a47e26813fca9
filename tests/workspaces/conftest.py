"""A cluster in memory on which nothing happens by itself, and everything that a launch needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.catalog.models import Image, Size
from apps.clusters.drivers.registry import forget_drivers
from apps.clusters.models import Cluster, ClusterKind
from apps.live import services as live


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a worker was asked to do, and a driver that knows nothing yet."""
    sent: list[str] = []

    def send(task: str, *args: str, expires_s: float = 0) -> bool:
        sent.append(task)
        return True

    monkeypatch.setattr("apps.clusters.hints.send", send)
    forget_drivers()
    yield sent
    forget_drivers()


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Topics that the live processes are told of."""
    said: list[str] = []
    monkeypatch.setattr(live.Announcement, "__call__", lambda self: said.append(self.topic))
    return said


@pytest.fixture
def cluster(db: None) -> Cluster:
    return Cluster.objects.create(name="fake", kind=ClusterKind.FAKE, config={"name": "fake"})


@pytest.fixture
def lab(image: Image, sizes: dict[str, Size], cluster: Cluster) -> Cluster:
    """All that a launch needs."""
    return cluster
