"""Every kind of cluster that the contract is asked of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.clusters.drivers.fake_remote.client import RemoteDriver
from tests.contracts.clusters import (
    Cluster,
    fake_cluster,
    local_cluster,
    remote_cluster,
    remote_process,
)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name (sockets), closed to others, as `mktemp -d` makes it."""
    with tempfile.TemporaryDirectory(prefix="gpc-") as name:
        yield Path(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


@pytest.fixture(scope="session")
def remote_driver() -> Iterator[RemoteDriver]:
    """The fake cluster that runs in another process."""
    with short_folder() as made, remote_process(made) as driver:
        yield driver


@pytest.fixture(params=["fake", "fake-remote", "local"])
def cluster(request: pytest.FixtureRequest, folder: Path) -> Iterator[Cluster]:
    """One cluster of each kind."""
    if request.param == "local":
        with local_cluster(folder) as made:
            yield made
    else:
        yield _fake(request)


@pytest.fixture(params=["fake", "fake-remote"])
def faulty(request: pytest.FixtureRequest) -> Cluster:
    """Clusters that can be made to fail."""
    return _fake(request)


def _fake(request: pytest.FixtureRequest) -> Cluster:
    if request.param == "fake":
        return fake_cluster()
    driver: RemoteDriver = request.getfixturevalue("remote_driver")
    return remote_cluster(driver)
