"""Launching: one transaction that holds everything or nothing."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import ApiToken, AuditRow, User
from apps.catalog.models import BuildState, EnvironmentBuild, Image
from apps.clusters.models import Cluster, Phase, Workload
from apps.live.errors import Conflict, DomainError, Forbidden, QuotaExceeded
from apps.live.uids import new_uid
from apps.quotas.models import Reservation, UsageInterval
from apps.workspaces import services
from apps.workspaces.models import Workspace
from apps.workspaces.offers import offers_for
from apps.workspaces.types import LaunchRequest
from tests.cast import DIGEST, mark_built
from tests.workspaces.lab import REQUEST, again, launch, lines_of, run_of, work_off


def held(owner: User) -> dict[str, int]:
    rows = Reservation.objects.filter(owner=owner, released_at=None)
    totals: dict[str, int] = {}
    for resource, amount in rows.values_list("resource", "amount"):
        totals[resource] = totals.get(resource, 0) + amount
    return totals


def test_a_launch_writes_everything_at_once(lab: Cluster, owner: User) -> None:
    workspace = launch(owner)

    run = run_of(workspace)
    assert (workspace.name, workspace.phase) == ("Python 1", Phase.QUEUED)
    assert run.spec["home"] == workspace.uid
    assert run.spec["base_url"] == "/"
    assert run.spec["resources"]["cpu_millis"] == 1000
    assert held(owner) == {"workspaces": 1, "cpu": 1000, "memory_mib": 2048, "disk_gib": 5}
    assert lines_of(workspace) == ["launched", "queued"]
    assert ApiToken.objects.filter(workload_uid=run.uid).count() == 1
    row = AuditRow.objects.get(action="workspace.launch")
    assert (row.actor, row.target_uid, row.detail["run"]) == (owner, workspace.uid, run.uid)


@pytest.mark.django_db(transaction=True)
def test_a_launch_becomes_ready_and_is_billed(lab: Cluster, owner: User, words: list[str]) -> None:
    workspace = launch(owner)
    assert words == [f"me:{owner.uid}", f"workspace:{workspace.uid}"]
    version = workspace.version

    workspace = work_off(workspace)

    assert workspace.phase == Phase.READY
    assert workspace.version > version
    interval = UsageInterval.objects.get(subject_uid=workspace.uid)
    assert (interval.ended_at, interval.size_slug) == (None, "small")
    assert str(interval.price_per_hour) == "0.0200"


@pytest.mark.django_db(transaction=True)
def test_an_image_that_is_not_there_is_asked_for_and_the_run_waits(
    lab: Cluster, owner: User
) -> None:
    EnvironmentBuild.objects.all().delete()

    workspace = launch(owner)

    assert workspace.phase == Phase.PULLING
    assert EnvironmentBuild.objects.get().requested_at is not None


def test_an_image_that_cannot_be_had_is_refused(lab: Cluster, owner: User) -> None:
    later = timezone.now() + dt.timedelta(minutes=5)
    EnvironmentBuild.objects.update(state=BuildState.FAILED, next_try_at=later)
    with pytest.raises(Conflict) as refusal:
        launch(owner)
    assert refusal.value.code == "image_failed"
    assert not Workspace.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_image_that_a_cluster_lacks_is_built_again(lab: Cluster, owner: User) -> None:
    from apps.clusters.hooks import image_missing

    with transaction.atomic():
        image_missing(DIGEST)
    build = EnvironmentBuild.objects.get()
    assert (build.state, build.requested_at is not None) == (BuildState.PULLING, True)


def test_a_run_goes_on_when_its_image_is_there(lab: Cluster, image: Image, owner: User) -> None:
    from apps.catalog.hooks import build_changed

    EnvironmentBuild.objects.all().delete()
    workspace = launch(owner)

    build_changed(mark_built(image))

    assert again(workspace).phase == Phase.QUEUED


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (LaunchRequest("nothing", "jupyterlab", "small"), "image"),
        (LaunchRequest("python", "nothing", "small"), "ide"),
        (LaunchRequest("python", "jupyterlab", "nothing"), "size"),
        (LaunchRequest("python", "jupyterlab", "small", name="a\nb"), "name"),
        (LaunchRequest("python", "jupyterlab", "small", name="x" * 81), "name"),
        (LaunchRequest("python", "jupyterlab", "small", name="\u202ecod.exe"), "name"),
        (LaunchRequest("py\x00thon", "jupyterlab", "small"), "image"),
    ],
)
def test_what_cannot_be_launched_names_its_field(
    lab: Cluster, owner: User, request_: LaunchRequest, field: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        services.launch(owner, request=request_)
    assert field in refusal.value.fields
    assert not Workspace.objects.exists()


@pytest.mark.parametrize("who", ["owner", "admin"])
def test_a_deprecated_image_is_not_launched(
    lab: Cluster, image: Image, request: pytest.FixtureRequest, who: str
) -> None:
    Image.objects.filter(pk=image.pk).update(status="deprecated")
    person = request.getfixturevalue(who)
    with pytest.raises(DomainError) as refusal:
        launch(person)
    assert (refusal.value.status, set(refusal.value.fields)) == (422, {"image"})
    assert refusal.value.hint
    assert offers_for(person).images == ()


def test_a_size_for_jobs_is_not_for_workspaces(lab: Cluster, sizes: object, owner: User) -> None:
    from apps.catalog.models import Size

    Size.objects.filter(slug="small").update(for_workspaces=False)
    with pytest.raises(DomainError) as refusal:
        launch(owner)
    assert "size" in refusal.value.fields


def test_a_name_may_be_in_any_script(lab: Cluster, owner: User) -> None:
    assert launch(owner, name="  데이터 과학 🧪  ").name == "데이터 과학 🧪"


def test_default_names_take_the_first_free_number(lab: Cluster, owner: User) -> None:
    launch(owner)
    second = launch(owner)
    launch(owner)
    services.delete(owner, uid=second.uid)
    assert set(Workspace.objects.filter(deleted_at=None).values_list("name", flat=True)) == {
        "Python 1",
        "Python 3",
    }


def test_too_many_are_refused_and_leave_nothing(lab: Cluster, owner: User) -> None:
    for _ in range(3):
        launch(owner)
    before = (Workspace.objects.count(), Workload.objects.count(), AuditRow.objects.count())

    with pytest.raises(QuotaExceeded) as refusal:
        launch(owner)

    assert refusal.value.hint
    after = (Workspace.objects.count(), Workload.objects.count(), AuditRow.objects.count())
    assert after == before
    assert held(owner)["workspaces"] == 3


def test_who_is_disabled_launches_nothing(lab: Cluster, owner: User) -> None:
    owner.is_active = False
    with pytest.raises(Forbidden):
        launch(owner)


def test_one_form_launches_once(lab: Cluster, owner: User, member: User) -> None:
    key = new_uid()
    first = services.launch_once(owner, request=REQUEST, key=key)
    assert services.launch_once(owner, request=REQUEST, key=key) == first
    assert services.launch_once(member, request=REQUEST, key=key) != first
    assert Workspace.objects.count() == 2


def test_a_refused_form_can_be_sent_again(lab: Cluster, owner: User) -> None:
    key = new_uid()
    with pytest.raises(DomainError):
        services.launch_once(owner, request=LaunchRequest("python", "x", "small"), key=key)
    services.launch_once(owner, request=REQUEST, key=key)
    assert Workspace.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_parallel_launches_pass_no_limit_and_end(lab: Cluster, owner: User) -> None:
    def try_once(key: str) -> bool:
        try:
            services.launch_once(owner, request=REQUEST, key=key)
        except QuotaExceeded:
            return False
        finally:
            connection.close()
        return True

    same = new_uid()
    keys = [same, same, *(new_uid() for _ in range(6))]
    with ThreadPoolExecutor(len(keys)) as threads:
        done = list(threads.map(try_once, keys))

    assert Workspace.objects.count() == 3
    assert sum(done) in (3, 4)
    assert held(owner)["workspaces"] == 3
