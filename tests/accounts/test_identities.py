"""People of an identity provider: by issuer and subject, never by mail or name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from apps.accounts.models import Identity, User
from apps.accounts.services.identities import link_identity, person_for
from apps.live.errors import Conflict, DomainError, Forbidden
from tests.cast import Cast

ISSUER = "https://login.uni.example"
CLAIMS = {
    "preferred_username": "kim",
    "name": "Kim Lee",
    "email": "kim@uni.example",
    "email_verified": True,
}


def test_the_first_time_makes_a_person_and_later_finds_them(db: None) -> None:
    user = person_for(ISSUER, "42", CLAIMS)
    assert (user.username, user.display_name, user.email) == ("kim", "Kim Lee", "kim@uni.example")
    assert user.role == "student"
    assert not user.has_usable_password()
    again = person_for(ISSUER, "42", CLAIMS | {"preferred_username": "other", "name": "Other"})
    assert again.pk == user.pk
    assert again.display_name == "Kim Lee"
    assert Identity.objects.get().last_used_at is not None


def test_name_and_mail_match_nobody(owner: User) -> None:
    owner.email = "kim@uni.example"
    owner.save()
    claims = CLAIMS | {"preferred_username": "Student"}
    user = person_for(ISSUER, "42", claims)
    assert user.pk != owner.pk
    assert user.username == "Student2"


def test_another_issuer_is_another_person(db: None) -> None:
    people = {
        person_for(issuer, subject, CLAIMS).pk
        for issuer, subject in [(ISSUER, "1"), (ISSUER, "2"), (ISSUER + "/", "1")]
    }
    assert len(people) == 3


def test_mail_that_is_not_verified_is_not_kept(db: None) -> None:
    for number, verified in enumerate([False, None, "true", 1]):
        claims = CLAIMS | {"email_verified": verified}
        assert person_for(ISSUER, str(number), claims).email == ""


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"preferred_username": ["a"], "name": {"x": 1}, "email": 7},
        {"preferred_username": "<b>\x00 / ", "name": "n" * 500},
        {"preferred_username": "x" * 5000},
    ],
)
def test_strange_claims_still_make_a_person(db: None, claims: dict[str, object]) -> None:
    user = person_for(ISSUER, "1", claims)
    user.full_clean(exclude=["password"])
    assert user.username


@pytest.mark.parametrize(
    ("issuer", "subject"), [("", "1"), (ISSUER, ""), (ISSUER, "x" * 256), (ISSUER, "a\x00b")]
)
def test_an_answer_without_issuer_or_subject_is_nobody(db: None, issuer: str, subject: str) -> None:
    with pytest.raises(DomainError):
        person_for(issuer, subject, CLAIMS)
    assert not User.objects.exists()


def test_who_is_disabled_does_not_come_in(db: None) -> None:
    person_for(ISSUER, "42", CLAIMS)
    User.objects.update(is_active=False)
    with pytest.raises(Forbidden):
        person_for(ISSUER, "42", CLAIMS)


def test_linking_is_for_oneself_and_admins(cast: Cast) -> None:
    first = link_identity(cast.owner, user=cast.owner, issuer=ISSUER, subject="42")
    again = link_identity(cast.admin, user=cast.owner, issuer=ISSUER, subject="42")
    assert first.pk == again.pk
    assert person_for(ISSUER, "42", CLAIMS).pk == cast.owner.pk
    for name in ("member", "lead", "stranger"):
        with pytest.raises(Forbidden):
            link_identity(cast[name], user=cast.owner, issuer=ISSUER, subject="43")
    with pytest.raises(Conflict):
        link_identity(cast.member, user=cast.member, issuer=ISSUER, subject="42")


@pytest.mark.django_db(transaction=True)
def test_two_at_once_are_one_person() -> None:
    racers = 6
    barrier = Barrier(racers)

    def race(_number: int) -> int:
        try:
            barrier.wait(10)
            return person_for(ISSUER, "42", CLAIMS).pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(racers) as pool:
        assert len(set(pool.map(race, range(racers)))) == 1
    assert User.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_people_of_one_name_at_once_are_all_let_in() -> None:
    racers = 4
    barrier = Barrier(racers)

    def race(number: int) -> str:
        try:
            barrier.wait(10)
            return person_for(ISSUER, str(number), CLAIMS).username
        finally:
            connections.close_all()

    with ThreadPoolExecutor(racers) as pool:
        names = sorted(pool.map(race, range(racers)))
    assert names == ["kim", "kim2", "kim3", "kim4"]
