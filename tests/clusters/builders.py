"""People, clusters, specifications and runs for tests, and waiting for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from apps.accounts.models import User
from apps.clusters.claims import LEASE
from apps.clusters.clock import database_now
from apps.clusters.drivers.base import (
    AppSpec,
    ImageSpec,
    OwnerSpec,
    Resources,
    WorkloadSpec,
)
from apps.clusters.drivers.fake import FakeDriver
from apps.clusters.models import Cluster, ImageState, Workload
from apps.clusters.selectors import driver_of
from apps.clusters.services import WorkloadPlan, create_workload
from apps.live.uids import new_uid

DIGEST = "sha256:" + "0" * 64


def person(name: str = "") -> User:
    return User.objects.create_user(username=name or new_uid(), password=None)


def fake_cluster(name: str = "test", **config: object) -> Cluster:
    return Cluster.objects.create(name=name, kind="fake", config={"name": name, **config})


def fake_of(cluster: Cluster) -> FakeDriver:
    driver = driver_of(cluster)
    assert isinstance(driver, FakeDriver)
    return driver


def spec_for(owner: User, home: str = "", **changes: object) -> WorkloadSpec:
    uid = new_uid()
    whole = WorkloadSpec(
        uid=uid,
        kind="workspace",
        owner=OwnerSpec(owner.uid, owner.username, owner.pk),
        home=home or new_uid(),
        image=ImageSpec("python", DIGEST, "3.11"),
        app=AppSpec("jupyterlab", ("{python}",), (), (), "api", "JUPYTER_TOKEN", "jupyter"),
        resources=Resources(1000, 2048, 5),
        base_url="/",
        portal_url="http://localhost:8000",
        stop_grace_s=2,
        spec_hash=f"hash-{uid}",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # by name


def run_of(
    cluster: Cluster,
    owner: User | None = None,
    *,
    image_state: str = ImageState.READY,
    subject_uid: str = "",
) -> Workload:
    """A run that is wanted and not applied yet."""
    owner = owner or person()
    spec = spec_for(owner, subject_uid)
    return create_workload(WorkloadPlan(owner, cluster, spec.home, spec, image_state))


def again(workload: Workload) -> Workload:
    """The row as it is now."""
    return Workload.objects.select_related("cluster").get(pk=workload.pk)


def make_due(run: Workload) -> None:
    """As if the time that it waits for had passed."""
    past = database_now() - LEASE
    Workload.objects.filter(pk=run.pk, next_try_at__isnull=False).update(next_try_at=past)
    Workload.objects.filter(pk=run.pk, lease_until__isnull=False).update(lease_until=past)


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = 15) -> None:
    """Until `condition()`, looking every 5 ms; fails after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"waited {deadline_s} s in vain: {what}"
        time.sleep(0.005)
