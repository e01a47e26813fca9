"""Everything that a launch needs, on a cluster on which nothing happens by itself."""

from __future__ import annotations

import pytest

from apps.catalog.models import Image, Size
from apps.clusters.models import Cluster, ClusterKind


@pytest.fixture
def lab(transactional_db: None, image: Image, sizes: dict[str, Size]) -> Cluster:
    return Cluster.objects.create(name="fake", kind=ClusterKind.FAKE, config={"name": "fake"})
