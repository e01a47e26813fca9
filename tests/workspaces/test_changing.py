"""Names, images, sizes; delete, bring back, purge."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.accounts.models import User
from apps.catalog.models import Image, Size
from apps.clusters.drivers.fake import Behaviour, FakeDriver
from apps.clusters.models import Cluster, Desired
from apps.clusters.selectors import driver_of
from apps.live.errors import DomainError, Gone, NotFound, QuotaExceeded, WrongPhase
from apps.quotas.models import Limit, Reservation
from apps.workspaces import services
from apps.workspaces.models import Workspace
from apps.workspaces.selectors import get_workspace_for
from apps.workspaces.types import WorkspaceChange
from tests.cast import make_image, mark_built
from tests.workspaces.lab import again, launch, make_over, make_ready, run_of, work_off


def disk_of(workspace: Workspace) -> int:
    rows = Reservation.objects.filter(subject_uid=workspace.uid, released_at=None)
    return sum(rows.values_list("amount", flat=True))


def test_renaming_works_while_it_runs(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    renamed = services.rename(owner, uid=workspace.uid, name=" 논문 ")
    assert (renamed.name, renamed.version) == ("논문", workspace.version + 1)


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "\ud800"])
def test_names_that_are_none(lab: Cluster, owner: User, name: str) -> None:
    workspace = launch(owner)
    with pytest.raises(DomainError) as refusal:
        services.rename(owner, uid=workspace.uid, name=name)
    assert "name" in refusal.value.fields


def test_image_and_size_change_only_when_stopped(lab: Cluster, owner: User) -> None:
    mark_built(make_image("other", digest="sha256:" + "cd" * 32))
    workspace = make_ready(launch(owner))
    change = WorkspaceChange(image="other", size="medium")
    with pytest.raises(WrongPhase):
        services.change(owner, uid=workspace.uid, change=change)
    make_over(workspace)

    services.change(owner, uid=workspace.uid, change=change)
    services.start(owner, uid=workspace.uid)

    run = run_of(workspace)
    assert run.spec["image"]["slug"] == "other"
    assert run.spec["resources"]["cpu_millis"] == 2000
    assert run.spec["home"] == workspace.uid
    assert disk_of(workspace) == 10


def test_a_new_version_of_an_image_changes_nothing_that_is_there(
    lab: Cluster, owner: User, image: Image
) -> None:
    workspace = make_over(make_ready(launch(owner)))
    digest = run_of(workspace).image_digest
    image.current = image.versions.create(number=2, lock="x", digest="sha256:" + "ef" * 32)
    image.save()
    mark_built(image)

    services.change(owner, uid=workspace.uid, change=WorkspaceChange(size="medium"))
    services.start(owner, uid=workspace.uid)

    assert run_of(workspace).image_digest == digest


def test_what_stays_is_not_chosen_again(
    lab: Cluster, owner: User, image: Image, sizes: dict[str, Size]
) -> None:
    workspace = make_over(make_ready(launch(owner)))
    mark_built(make_image("other", digest="sha256:" + "cd" * 32))
    Image.objects.filter(pk=image.pk).update(status="deprecated")
    Size.objects.filter(slug="small").update(is_published=False)

    for change in (
        WorkspaceChange(image="python", size="small"),
        WorkspaceChange(size="medium"),
        WorkspaceChange(image="other"),
    ):
        services.change(owner, uid=workspace.uid, change=change)
    with pytest.raises(DomainError) as refusal:
        services.change(owner, uid=workspace.uid, change=WorkspaceChange(image="python"))

    assert set(refusal.value.fields) == {"image"}


def test_a_larger_disk_is_held_to_the_limit(lab: Cluster, owner: User) -> None:
    Limit.objects.create(resource="disk_gib", max=8)
    workspace = make_over(make_ready(launch(owner)))
    with pytest.raises(QuotaExceeded):
        services.change(owner, uid=workspace.uid, change=WorkspaceChange(size="medium"))
    assert disk_of(workspace) == 5


def test_deleting_stops_it_and_keeps_the_home(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))

    gone = services.delete(owner, uid=workspace.uid)

    assert gone.purge_after is not None
    assert run_of(workspace).desired == Desired.STOPPED
    assert disk_of(workspace) == 5
    with pytest.raises(NotFound):
        get_workspace_for(owner, workspace.uid)
    with pytest.raises(NotFound):
        services.delete(owner, uid=workspace.uid)


def test_within_the_grace_period_it_comes_back(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    services.delete(owner, uid=workspace.uid)
    services.restore_deleted(owner, uid=workspace.uid)
    make_over(workspace)
    assert services.start(owner, uid=workspace.uid).name == workspace.name


def test_an_admin_brings_it_back_from_the_command_line(
    lab: Cluster, owner: User, admin: User, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = make_ready(launch(owner))
    services.delete(owner, uid=workspace.uid)
    call_command("restore_workspace", workspace.uid)
    assert capsys.readouterr().out.strip() == workspace.name
    with pytest.raises(CommandError) as refusal:
        call_command("restore_workspace", workspace.uid)
    assert refusal.value.returncode == 2


def past_grace(workspace: Workspace) -> None:
    Workspace.objects.filter(pk=workspace.pk).update(
        purge_after=timezone.now() - dt.timedelta(seconds=1)
    )


@pytest.mark.django_db(transaction=True)
def test_after_the_grace_period_the_home_goes(
    lab: Cluster, owner: User, settings: Settings
) -> None:
    driver = driver_of(lab)
    assert isinstance(driver, FakeDriver)
    workspace = work_off(launch(owner))
    kept = work_off(launch(owner))
    services.delete(owner, uid=workspace.uid)
    past_grace(workspace)
    assert services.purge_due() == 0, "its run has not ended"
    work_off(workspace)

    assert services.purge_due() == 1
    assert services.purge_due() == 0

    assert set(driver.homes) == {kept.uid}
    assert again(workspace).purged_at is not None
    assert disk_of(workspace) == 0
    with pytest.raises(Gone):
        services.restore_deleted(owner, uid=workspace.uid)


@pytest.mark.django_db(transaction=True)
def test_a_purge_that_fails_is_tried_again(lab: Cluster, owner: User) -> None:
    driver = driver_of(lab)
    assert isinstance(driver, FakeDriver)
    workspace = work_off(launch(owner))
    services.delete(owner, uid=workspace.uid)
    work_off(workspace)
    past_grace(workspace)
    driver.conditions.behaviour = Behaviour.FAILING
    assert services.purge_due() == 0
    driver.conditions.behaviour = Behaviour.OK
    assert services.purge_due() == 0, "another worker may still be at it"
    Workspace.objects.update(purge_started_at=timezone.now() - dt.timedelta(minutes=3))
    assert services.purge_due() == 1
