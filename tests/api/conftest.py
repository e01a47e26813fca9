"""Speaking REST as each member of the cast."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import Scope, User
from apps.accounts.services.tokens import TokenRequest, create_token
from apps.catalog.models import Image, Size
from apps.clusters.models import Cluster, ClusterKind
from tests.api.rest import As, Rest


@pytest.fixture(autouse=True)
def no_hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What a worker would have been asked to do; no worker runs in these tests."""
    sent: list[tuple[str, ...]] = []

    def send(task: str, *args: str, expires_s: float = 0) -> bool:
        sent.append((task, *args))
        return True

    monkeypatch.setattr("apps.clusters.services.send", send, raising=False)
    monkeypatch.setattr("apps.clusters.hints.send", send)
    monkeypatch.setattr("apps.clusters.logs.send", send)
    return sent


@pytest.fixture
def cluster(db: None) -> Cluster:
    """A cluster on which nothing happens by itself."""
    return Cluster.objects.create(name="fake", kind=ClusterKind.FAKE)


@pytest.fixture
def rest() -> As:
    """`rest(person, scopes)`: that person with a token of these scopes; None is nobody."""

    def make(user: User | None, *scopes: str) -> Rest:
        if user is None:
            return Rest(Client())
        wanted = scopes or (Scope.READ.value, Scope.WORKSPACES.value)
        _token, text = create_token(None, user=user, request=TokenRequest(scopes=wanted))
        return Rest(Client(headers={"authorization": f"Bearer {text}"}))

    return make


@pytest.fixture
def ready(image: Image, sizes: dict[str, Size], cluster: Cluster) -> dict[str, str]:
    """All that a launch needs is there; the body of one."""
    return {"image": "python", "ide": "jupyterlab", "size": "small"}
