"""The gatehouses: one for each URL template that many tests share, and one to break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gate.place import Place


@pytest.fixture(scope="package")
def by_host() -> Iterator[Place]:
    """A place where each workspace has a host name."""
    place = Place(by_host=True)
    yield place
    place.stop()


@pytest.fixture(scope="package")
def by_path() -> Iterator[Place]:
    """A place where workspaces lie below a path."""
    place = Place(by_host=False)
    yield place
    place.stop()


@pytest.fixture(params=["by_host", "by_path"])
def place(request: pytest.FixtureRequest) -> Place:
    """Both, one after the other."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def breakable() -> Iterator[Place]:
    """A place of the test's own, whose parts it may kill."""
    place = Place()
    yield place
    place.stop()
