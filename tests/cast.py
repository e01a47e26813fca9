"""The cast of all tests: the same people, images and sizes everywhere.

`owner` and `member` are students of `course101`, `lead` leads it, `stranger` is in no group,
`admin` runs the installation. Loaded as a plugin by `tests/conftest.py`. Fixtures are built from
the `make_*` functions, which tests may call for more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest
from django.test import Client

from apps.accounts.models import Group, Membership, Role, User
from apps.catalog.models import (
    Activity,
    App,
    BuildState,
    EnvironmentBuild,
    Image,
    ImageStatus,
    ImageVersion,
    Price,
    Size,
)

COURSE = "course101"
DIGEST = "sha256:" + "ab" * 32
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody at once."""

    owner: User
    member: User
    stranger: User
    lead: User
    admin: User

    def __getitem__(self, name: str) -> User:
        user = getattr(self, name)
        assert isinstance(user, User)
        return user


def make_person(
    username: str, *, role: str = Role.STUDENT, group: str = "", is_lead: bool = False
) -> User:
    """A person without a password, in `group` if one is named."""
    user = User(username=username, role=role)
    user.set_unusable_password()
    user.save()
    if group:
        row, _new = Group.objects.get_or_create(slug=group, defaults={"name": group.title()})
        Membership.objects.create(user=user, group=row, is_lead=is_lead)
    return user


def make_app(slug: str = "jupyterlab") -> App:
    """A server to run, like the real one of that name but for its command."""
    app, _new = App.objects.get_or_create(
        slug=slug,
        defaults={
            "name": slug.title(),
            "command": ["{python}", "-m", "jupyter", "lab"],
            "socket_args": ["--ServerApp.sock={socket}"],
            "port_args": ["--ServerApp.port={port}"],
            "readiness_path": "api",
            "token_env": "JUPYTER_TOKEN",
            "auth_header": "token {token}",
            "activity": Activity.JUPYTER,
        },
    )
    return app


def make_image(slug: str = "python", *, digest: str = DIGEST, is_default: bool = False) -> Image:
    """A published image with one version, whose environment is not built."""
    image = Image.objects.create(
        slug=slug,
        name=slug.title(),
        framework="Python",
        framework_version="3.11",
        python_version="3.11",
        status=ImageStatus.PUBLISHED,
        is_default=is_default,
    )
    image.apps.add(make_app())
    image.current = ImageVersion.objects.create(
        image=image, number=1, lock="numpy==2.0.0\n", digest=digest
    )
    image.save(update_fields=["current"])
    return image


def mark_built(image: Image) -> EnvironmentBuild:
    """Say that the environment of the image's current version is there."""
    assert image.current is not None
    build, _new = EnvironmentBuild.objects.update_or_create(
        digest=image.current.digest,
        defaults={"version": image.current, "state": BuildState.YES, "progress": 1},
    )
    return build


def make_size(slug: str, cpu: int, memory_gib: int, disk_gib: int, price: str) -> Size:
    """A published size for workspaces with one price."""
    size = Size.objects.create(
        slug=slug,
        name=slug.title(),
        cpu_millis=cpu * 1000,
        memory_mib=memory_gib * 1024,
        disk_gib=disk_gib,
        position=cpu,
    )
    Price.objects.create(size=size, per_hour=Decimal(price), currency="EUR")
    return size


@pytest.fixture
def owner(db: None) -> User:
    return make_person("student", group=COURSE)


@pytest.fixture
def student(owner: User) -> User:
    """The owner, where a test is about nobody else."""
    return owner


@pytest.fixture
def member(db: None) -> User:
    return make_person("student2", group=COURSE)


@pytest.fixture
def stranger(db: None) -> User:
    return make_person("stranger")


@pytest.fixture
def lead(db: None) -> User:
    return make_person("lead", role=Role.LEAD, group=COURSE, is_lead=True)


@pytest.fixture
def admin(db: None) -> User:
    return make_person("admin", role=Role.ADMIN)


@pytest.fixture
def cast(owner: User, member: User, stranger: User, lead: User, admin: User) -> Cast:
    return Cast(owner=owner, member=member, stranger=stranger, lead=lead, admin=admin)


@pytest.fixture
def app(db: None) -> App:
    return make_app()


@pytest.fixture
def image(db: None) -> Image:
    """The default image, its environment built."""
    image = make_image(is_default=True)
    mark_built(image)
    return image


@pytest.fixture
def sizes(db: None) -> dict[str, Size]:
    """small, medium, large by slug."""
    return {
        "small": make_size("small", 1, 2, 5, "0.02"),
        "medium": make_size("medium", 2, 4, 10, "0.04"),
        "large": make_size("large", 4, 8, 20, "0.08"),
    }


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """A browser in which that person is signed in."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in
