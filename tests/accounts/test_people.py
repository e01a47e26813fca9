"""Making, changing and disabling people; roles, groups, and who sees whom."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Barrier

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

from apps.accounts import policies, selectors
from apps.accounts.models import AuditRow, Group, Membership, SigninLink, User
from apps.accounts.services import people, signin
from apps.accounts.services.people import PersonRequest, save_person
from apps.live.errors import Conflict, DomainError, Forbidden, NotFound
from tests.cast import COURSE, Cast, make_person

SEES = {
    "owner": {"owner"},
    "member": {"member"},
    "stranger": {"stranger"},
    "lead": {"owner", "member", "lead"},
    "admin": {"owner", "member", "stranger", "lead", "admin"},
}


@pytest.mark.parametrize("actor", SEES)
def test_who_sees_whom(cast: Cast, actor: str) -> None:
    everybody = set(SEES)
    seen = {name for name in everybody if selectors.can_see(cast[actor], cast[name])}
    assert seen == SEES[actor]
    keys = selectors.visible_people(cast[actor])
    if keys is None:
        assert actor == "admin"
    else:
        assert set(keys) == {cast[name].pk for name in SEES[actor]}
    for name in everybody - seen:
        with pytest.raises(NotFound):
            selectors.get_person_for(cast[actor], cast[name].uid)


def test_a_lead_sees_nobody_of_other_groups(cast: Cast) -> None:
    other = make_person("other", group="course202")
    Membership.objects.create(user=cast.lead, group=Group.objects.get(slug="course202"))
    assert not selectors.can_see(cast.lead, other)


def test_who_is_disabled_sees_nobody(cast: Cast) -> None:
    cast.admin.is_active = False
    assert not policies.can_see_person(cast.admin, cast.owner)
    assert not policies.can_see_person(cast.admin, cast.admin)
    assert not policies.can_administer(cast.admin)


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("owner", ["student"]),
        ("stranger", ["student"]),
        ("lead", ["student", "lead"]),
        ("admin", ["student", "admin"]),
    ],
)
def test_roles(cast: Cast, name: str, roles: list[str]) -> None:
    assert selectors.roles_of(cast[name]) == roles


def test_leading_a_group_makes_a_lead(owner: User) -> None:
    Membership.objects.filter(user=owner).update(is_lead=True)
    assert selectors.roles_of(owner) == ["student", "lead"]


@pytest.mark.parametrize("name", ["owner", "member", "stranger", "lead"])
def test_only_admins_make_change_and_disable_people(cast: Cast, name: str) -> None:
    actor, other = cast[name], cast.admin
    for request in (PersonRequest("new"), PersonRequest(actor.username, role="admin")):
        with pytest.raises(Forbidden):
            save_person(actor, person=request)
    with pytest.raises(Forbidden):
        people.disable(actor, user=other)
    with pytest.raises(Forbidden):
        people.enable(actor, user=other)
    with pytest.raises(Forbidden):
        people.sign_out_everywhere(actor, user=other)
    with pytest.raises(Forbidden):
        people.leave_group(actor, user=cast.owner, group=COURSE)
    assert not User.objects.filter(username="new").exists()
    assert not AuditRow.objects.exists()


def test_an_admin_cannot_disable_themselves(admin: User) -> None:
    with pytest.raises(Conflict):
        people.disable(admin, user=admin)


def test_disabling_closes_everything(
    owner: User, admin: User, signed_in: Callable[[User], Client]
) -> None:
    client = signed_in(owner)
    signin.create_link(owner)
    assert client.get("/account/").status_code == 200
    version = User.objects.get(pk=owner.pk).live_version
    people.disable(admin, user=owner)
    row = User.objects.get(pk=owner.pk)
    assert not row.is_active
    assert row.session_epoch == owner.session_epoch + 1
    assert row.live_version > version
    assert not SigninLink.objects.exists()
    assert client.get("/account/").status_code == 302
    people.disable(admin, user=owner)
    assert User.objects.get(pk=owner.pk).session_epoch == owner.session_epoch + 1
    people.enable(admin, user=owner)
    assert client.get("/account/").status_code == 302, "what was open stays closed"


def test_a_role_that_falls_closes_everything(admin: User, cast: Cast) -> None:
    before = cast.lead.session_epoch
    save_person(admin, person=PersonRequest("lead", role="student"))
    cast.lead.refresh_from_db()
    assert cast.lead.session_epoch == before + 1
    assert selectors.roles_of(cast.lead) == ["student"]
    before = cast.owner.session_epoch
    save_person(admin, person=PersonRequest("student", role="admin"))
    cast.owner.refresh_from_db()
    assert cast.owner.session_epoch == before


def test_leaving_a_group_that_one_leads_closes_everything(cast: Cast) -> None:
    before = cast.lead.session_epoch
    people.leave_group(cast.admin, user=cast.lead, group=COURSE)
    cast.lead.refresh_from_db()
    assert cast.lead.session_epoch == before + 1
    assert not selectors.can_see(cast.lead, cast.owner)
    people.leave_group(cast.admin, user=cast.lead, group=COURSE)


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (PersonRequest(""), "username"),
        (PersonRequest("a b"), "username"),
        (PersonRequest("x" * 151), "username"),
        (PersonRequest("new", role="root"), "role"),
        (PersonRequest("new", group="a/b"), "group"),
        (PersonRequest("new", group="g" * 64), "group"),
        (PersonRequest("new", email="nothing"), "email"),
    ],
)
def test_people_that_cannot_be(db: None, request_: PersonRequest, field: str) -> None:
    with pytest.raises(DomainError) as refusal:
        save_person(None, person=request_)
    assert list(refusal.value.fields) == [field]
    assert not User.objects.exists()


def test_saving_twice_changes_nothing(db: None) -> None:
    request = PersonRequest("kim", "Kim", role="lead", group="lab")
    first = save_person(None, person=request)
    rows = AuditRow.objects.count()
    again = save_person(None, person=PersonRequest("KIM", "Kim", role="lead", group="lab"))
    assert (again.pk, again.live_version) == (first.pk, first.live_version)
    assert AuditRow.objects.count() == rows == 1
    assert not again.has_usable_password()


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_person_comes() -> None:
    racers = 6
    barrier = Barrier(racers)

    def race(number: int) -> int:
        try:
            barrier.wait(10)
            name = "Kim" if number % 2 else "kim"
            return save_person(None, person=PersonRequest(name, group="lab")).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(racers) as pool:
        assert len(set(pool.map(race, range(racers)))) == 1
    assert Membership.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_touches_at_once_are_all_counted() -> None:
    user = make_person("kim")
    racers = 8
    barrier = Barrier(racers)

    def race(_number: int) -> None:
        try:
            barrier.wait(10)
            people.touch(user.pk)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(racers) as pool:
        list(pool.map(race, range(racers)))
    user.refresh_from_db()
    assert user.live_version == 1 + racers


def command(*args: str) -> str:
    out = StringIO()
    call_command("person", *args, stdout=out)
    return out.getvalue().strip()


def test_the_command_makes_and_changes_a_person(db: None) -> None:
    assert command("kim") == "kim  roles=student  groups=-  active"
    assert command("kim", "--role", "lead", "--group", "lab").endswith(
        "roles=student,lead  groups=lab  active"
    )
    assert command("kim", "--disable").endswith("disabled")
    assert command("kim", "--enable").endswith("active")
    assert command("kim", "--role", "student", "--group", "lab").endswith(
        "roles=student  groups=lab  active"
    )


@pytest.mark.parametrize(
    "args", [("a b",), ("nobody", "--disable"), ("kim", "--group", "a b"), ("kim", "--email", "x")]
)
def test_the_command_refuses_with_exit_2(db: None, args: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refusal:
        command(*args)
    assert refusal.value.returncode == 2
    assert not User.objects.exists()
