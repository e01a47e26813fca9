"""Every test here starts with no driver made and a hint that may be sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.clusters.drivers.registry import forget_drivers
from apps.clusters.hints import breaker
from apps.clusters.models import Cluster
from tests.clusters.builders import fake_cluster


@pytest.fixture(autouse=True)
def _fresh_drivers() -> Iterator[None]:
    forget_drivers()
    breaker.reset()
    yield
    forget_drivers()


@pytest.fixture
def cluster(db: None) -> Cluster:
    return fake_cluster()
