"""The local driver in folders of its own, with groups where the machine has them and without."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.clusters.drivers.local.driver import LocalDriver
from tests.contracts.clusters import Cluster, local_cluster


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name (sockets), closed to others, as `mktemp -d` makes it."""
    with tempfile.TemporaryDirectory(prefix="gpc-") as name:
        yield Path(name)


@pytest.fixture
def local(folder: Path) -> Iterator[Cluster]:
    with local_cluster(folder) as made:
        yield made


@pytest.fixture(params=[True, False], ids=["groups", "no-groups"])
def either(request: pytest.FixtureRequest, folder: Path) -> Iterator[Cluster]:
    """With control groups (where they can be had), and without."""
    with local_cluster(folder, use_cgroups=request.param) as made:
        yield made


@pytest.fixture
def driver(local: Cluster) -> LocalDriver:
    assert isinstance(local.driver, LocalDriver)
    return local.driver
