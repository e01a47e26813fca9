"""Images from files, and what a trial starts with: made where missing, never overwritten."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.accounts import selectors as people
from apps.accounts.models import AuditRow, Group, Membership, User
from apps.catalog import selectors
from apps.catalog.environments import builder
from apps.catalog.models import App, BuildState, EnvironmentBuild, Image, ImageVersion, Price, Size
from apps.catalog.services import builds, publish_from_folder, publish_image_version
from apps.clusters.models import Cluster
from apps.live.errors import DomainError
from apps.quotas.models import Limit

APPS = """
[[app]]
slug = "jupyterlab"
name = "JupyterLab"
command = ["{python}", "-m", "jupyterlab"]
auth_header = "token {token}"
activity = "jupyter"
"""
IMAGES = """
[[image]]
slug = "python"
name = "Scientific Python"
framework = "Python"
framework_version = "3.11"
python_version = "3.11"
lock = "python.lock"
apps = ["jupyterlab"]
default = true
seed = "trial"

[[image]]
slug = "echo"
name = "Echo"
framework = "Python"
framework_version = "3.11"
python_version = "3.11"
lock = "echo.lock"
apps = ["jupyterlab"]
seed = "echo"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "apps.toml").write_text(APPS)
    (tmp_path / "images.toml").write_text(IMAGES)
    (tmp_path / "python.lock").write_text("numpy==2.0.0\n")
    (tmp_path / "echo.lock").write_text("wsproto==1.3\n")
    return tmp_path


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "send_hint", lambda _digest: None)


def test_images_of_one_mark_are_published(db: None, folder: Path) -> None:
    (image,) = publish_from_folder(folder, seed="trial")
    assert (image.slug, image.is_default, image.status) == ("python", True, "published")
    assert not Image.objects.filter(slug="echo").exists()
    (echo,) = publish_from_folder(folder, seed="echo")
    assert echo.slug == "echo"
    assert not echo.is_default
    assert selectors.default_image() == image


def test_a_changed_lock_is_a_new_version_once(db: None, folder: Path) -> None:
    publish_from_folder(folder, seed="trial")
    publish_from_folder(folder, seed="trial")
    assert ImageVersion.objects.count() == 1
    (folder / "python.lock").write_text("numpy==2.1.0\n")
    publish_from_folder(folder, seed="trial")
    (image,) = publish_from_folder(folder, seed="trial")
    assert ImageVersion.objects.count() == 2
    assert image.current is not None
    assert image.current.number == 2


def test_what_an_admin_changed_stays(db: None, folder: Path) -> None:
    (image,) = publish_from_folder(folder, seed="trial")
    own = publish_image_version(None, image=image, lock="numpy==1.26.0\n")
    Image.objects.update(name="Ours", is_default=False, status="deprecated")
    App.objects.update(command=["ours"])
    publish_from_folder(folder, seed="trial")
    image.refresh_from_db()
    assert image.current == own
    assert (image.name, image.status) == ("Ours", "deprecated")
    assert App.objects.get().command == ["ours"]


def test_files_that_make_no_sense_are_refused_whole(db: None, folder: Path) -> None:
    (folder / "images.toml").write_text(IMAGES.replace("jupyterlab", "nothing"))
    with pytest.raises(DomainError):
        publish_from_folder(folder, seed="trial")
    (folder / "images.toml").write_text(IMAGES.replace("framework =", "framwork ="))
    with pytest.raises(DomainError, match="framwork"):
        publish_from_folder(folder, seed="trial")
    assert not Image.objects.exists()


def test_the_files_of_this_tree_can_be_published(db: None) -> None:
    for seed in ("trial", "echo"):
        for image in publish_from_folder(seed=seed):
            assert image.current is not None
            assert image.current.lock
            assert selectors.apps_of(image)


def test_the_trial_starts_with_its_people(db: None) -> None:
    call_command("seed_trial")
    roles = {user.username: people.roles_of(user) for user in User.objects.all()}
    assert roles == {
        "admin": ["student", "admin"],
        "lead": ["student", "lead"],
        "student": ["student"],
        "student2": ["student"],
        "stranger": ["student"],
    }
    course = Group.objects.get(slug="course101")
    members = Membership.objects.filter(group=course).values_list("user__username", "is_lead")
    assert set(members) == {("lead", True), ("student", False), ("student2", False)}
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_the_trial_starts_with_sizes_images_a_cluster_and_limits(db: None) -> None:
    call_command("seed_trial")
    admin = User.objects.get(username="admin")
    sizes = selectors.sizes_for(admin, "workspace")
    assert [(s.slug, s.cpu_millis, s.memory_mib, s.disk_gib) for s in sizes] == [
        ("small", 1000, 2048, 5),
        ("medium", 2000, 4096, 10),
        ("large", 4000, 8192, 20),
    ]
    assert set(selectors.current_prices(sizes)) == {size.pk for size in sizes}
    assert selectors.default_image().slug == "python"
    assert Cluster.objects.get().name == "local"
    assert Limit.objects.filter(scope="everyone").count() == 3


def test_seeding_again_changes_nothing_that_an_admin_changed(db: None) -> None:
    call_command("seed_trial")
    User.objects.filter(username="student").update(role="admin", display_name="Me")
    Membership.objects.filter(user__username="student2").delete()
    Size.objects.filter(slug="small").update(cpu_millis=500)
    Limit.objects.filter(resource="disk_gib").update(max=7)
    Cluster.objects.update(is_enabled=False)
    before = (AuditRow.objects.count(), Price.objects.count(), ImageVersion.objects.count())
    call_command("seed_trial")
    student = User.objects.get(username="student")
    assert (student.role, student.display_name) == ("admin", "Me")
    assert not Membership.objects.filter(user__username="student2").exists()
    assert Size.objects.get(slug="small").cpu_millis == 500
    assert Limit.objects.get(resource="disk_gib").max == 7
    assert not Cluster.objects.get().is_enabled
    after = (AuditRow.objects.count(), Price.objects.count(), ImageVersion.objects.count())
    assert after == before


def test_build_image_builds_the_default_one(
    db: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(request: builder.BuildRequest, progress: builder.Progress) -> None:
        built.append(request.lock)
        progress(1.0)

    monkeypatch.setattr(builder, "build", build)
    publish_from_folder(folder, seed="trial")
    err = StringIO()
    call_command("build_image", "--default", stderr=err)
    assert built == ["numpy==2.0.0\n"]
    assert "python 100 %" in err.getvalue()
    assert EnvironmentBuild.objects.get().state == BuildState.YES


def test_build_image_tells_why_it_failed(
    db: None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def build(request: builder.BuildRequest, progress: builder.Progress) -> None:
        tries.append(request.digest)
        raise builder.BuildError("no such package: numpy", "the log's end")

    monkeypatch.setattr(builder, "build", build)
    publish_from_folder(folder, seed="trial")
    for count in (1, 2):
        with pytest.raises(CommandError, match=r"the log's end\nno such package") as failure:
            call_command("build_image", "python", stderr=StringIO())
        assert failure.value.returncode == 1
        assert len(tries) == count


def test_build_image_of_nothing_is_refused(db: None) -> None:
    for args in (["--default"], ["nothing"]):
        with pytest.raises(CommandError) as refusal:
            call_command("build_image", *args)
        assert refusal.value.returncode == 2
