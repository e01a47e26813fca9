"""The decision as a pure function: what holds for every request, table and moment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gate import cookies
from apps.gate.addresses import Addresses
from apps.gate.policy import (
    MAX_STAY_S,
    Facts,
    Moment,
    Pass,
    Refusal,
    Refused,
    Rules,
    decide,
    is_cross_origin,
    still_allowed,
)
from apps.gate.table import STALE_AFTER_S, Person, Route, Table, Token
from apps.gate.tickets import Grant, grant_ticket, session_digest

UID, OTHER = "a" * 22, "b" * 22
ADDRESSES = Addresses("http://localhost:8000", "http://w-{uid}.localhost:8000/")
RULES = Rules(key="k" * 40, addresses=ADDRESSES)
AT = Moment(now=1_800_000_000.0, monotonic=1000.0)
TOKEN = "gpc_good"

GRANT = Grant(
    person_id=1,
    epoch=3,
    session="s",
    workspace=UID,
    run="r1",
    upstream="unix:/x",
    began_at=int(AT.now) - 60,
    expires_at=int(AT.now) + 540,
)


def route(uid: str, owner: int, **changes: object) -> Route:
    whole = Route(uid, owner, f"p{owner}", "r1", "unix:/x", "token t", False, True, "ready", "n")
    return replace(whole, **changes)  # type: ignore[arg-type]


TABLE = Table(
    routes={UID: route(UID, 1), OTHER: route(OTHER, 2)},
    people={1: Person(1, "p1", 3, True), 2: Person(2, "p2", 3, True)},
    tokens={session_digest(TOKEN): Token(1, frozenset({"workspaces"}), AT.now + 60)},
    read_at=AT.monotonic,
)


def cookie_for(grant: Grant, uid: str = UID) -> str:
    return f"{ADDRESSES.cookie_name('gate', uid)}={grant_ticket(grant, key=RULES.key)}"


def ask(table: Table = TABLE, at: Moment = AT, **facts: object) -> Pass | Refusal:
    whole = {"workspace": UID, "method": "GET", "cookie": cookie_for(GRANT), **facts}
    decision = decide(Facts(**whole), table, RULES, at)  # type: ignore[arg-type]
    return decision.reason if isinstance(decision, Refused) else decision


def test_the_owner_passes_with_grant_or_token() -> None:
    assert isinstance(ask(), Pass)
    assert isinstance(ask(cookie="", authorization=f"Bearer {TOKEN}"), Pass)


words = st.sampled_from(["", "same-origin", "same-site", "cross-site", "none", "x"])
facts = st.builds(
    Facts,
    workspace=st.sampled_from([UID, OTHER, "c" * 22, "", "../x", "A" * 22]),
    method=st.sampled_from(["GET", "HEAD", "OPTIONS", "POST", "DELETE", "X", ""]),
    upgrade=st.booleans(),
    origin=st.sampled_from(["", "null", ADDRESSES.origin(UID), ADDRESSES.origin(OTHER), "x"]),
    fetch_site=words,
    fetch_mode=st.sampled_from(["", "navigate", "cors", "no-cors", "websocket"]),
    fetch_dest=st.sampled_from(["", "document", "iframe", "empty"]),
    cookie=st.sampled_from(
        ["", cookie_for(GRANT), cookie_for(GRANT, OTHER), cookie_for(replace(GRANT, epoch=2))]
    ),
    authorization=st.sampled_from(["", "Bearer x", f"Bearer {TOKEN}", "Basic eDp5", "token x"]),
    accept=st.sampled_from(["", "text/html", "application/json"]),
)
ages = st.sampled_from([0.0, STALE_AFTER_S, STALE_AFTER_S + 1, 10_000.0])


@given(asked=facts, age=ages)
def test_a_yes_is_always_the_owners_on_the_present_run(asked: Facts, age: float) -> None:
    table = replace(TABLE, read_at=AT.monotonic - age)
    decision = decide(asked, table, RULES, AT)
    if isinstance(decision, Pass):
        assert decision.route == table.routes[asked.workspace]
        assert decision.route.owner_id == 1
        assert still_allowed(decision, table, AT.now)
        assert "gpc_" not in decision.cookie
        if decision.credential.grant is not None:
            assert not is_cross_origin(asked, ADDRESSES)
            assert not asked.authorization.lower().startswith("bearer")
        if age > STALE_AFTER_S:
            assert decision.renewed is None


@given(asked=facts, age=ages, other=facts)
def test_a_kept_yes_holds_for_all_that_share_its_key(
    asked: Facts, age: float, other: Facts
) -> None:
    """What nginx's cache key leaves out (Accept, the method beyond its class) decides nothing."""
    table = replace(TABLE, read_at=AT.monotonic - age)
    if asked.upgrade:
        return
    method = other.method if (other.method in ("GET", "HEAD")) else asked.method
    same_class = asked.method in ("GET", "HEAD", "OPTIONS")
    twin = replace(asked, accept=other.accept, method=method if same_class else asked.method)
    first, second = decide(asked, table, RULES, AT), decide(twin, table, RULES, AT)
    assert isinstance(first, Pass) == isinstance(second, Pass)


@given(asked=facts)
def test_nobody_passes_who_is_disabled(asked: Facts) -> None:
    people = {key: replace(person, active=False) for key, person in TABLE.people.items()}
    assert isinstance(decide(asked, replace(TABLE, people=people), RULES, AT), Refused)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (replace(TABLE, people={1: Person(1, "p1", 4, True)}), Refusal.UNAUTHENTICATED),
        (replace(TABLE, people={}), Refusal.UNAUTHENTICATED),
        (replace(TABLE, signouts=frozenset({"s"})), Refusal.UNAUTHENTICATED),
        (replace(TABLE, routes={}), Refusal.NOT_FOUND),
        (replace(TABLE, routes={UID: route(UID, 2)}), Refusal.NOT_FOUND),
        (replace(TABLE, routes={UID: route(UID, 1, ready=False)}), Refusal.NOT_RUNNING),
        (replace(TABLE, routes={UID: route(UID, 1, upstream="")}), Refusal.NOT_RUNNING),
        (replace(TABLE, routes={UID: route(UID, 1, run="r2")}), Refusal.UNAUTHENTICATED),
        (replace(TABLE, routes={UID: route(UID, 1, upstream="unix:/y")}), Refusal.UNAUTHENTICATED),
        (replace(TABLE, routes={}, read_at=None), Refusal.UNAVAILABLE),
    ],
)
def test_what_no_longer_fits_is_refused(table: Table, reason: Refusal) -> None:
    assert ask(table) is reason
    passed = ask()
    assert isinstance(passed, Pass)
    assert not still_allowed(passed, table, AT.now)


def test_people_are_sent_to_the_portal_and_programs_are_not() -> None:
    assert ask(cookie="", accept="text/html") is Refusal.ENTER
    assert ask(cookie="", accept="text/html", method="POST") is Refusal.UNAUTHENTICATED
    assert ask(cookie="", accept="application/json") is Refusal.UNAUTHENTICATED


def test_a_planted_cookie_of_the_same_name_does_no_harm() -> None:
    name = ADDRESSES.cookie_name("gate", UID)
    assert isinstance(ask(cookie=f"{name}=planted; {cookie_for(GRANT)}"), Pass)


def test_a_renewal_keeps_when_the_stay_began_and_ends_with_it() -> None:
    late = replace(GRANT, expires_at=int(AT.now) + 100)
    passed = ask(cookie=cookie_for(late))
    assert isinstance(passed, Pass)
    assert passed.renewed == replace(late, expires_at=int(AT.now) + 600)
    began = int(AT.now) - MAX_STAY_S + 30
    passed = ask(cookie=cookie_for(replace(late, began_at=began)))
    assert isinstance(passed, Pass)
    assert passed.renewed is not None
    assert passed.renewed.expires_at == began + MAX_STAY_S
    assert not still_allowed(passed, TABLE, began + MAX_STAY_S)


def test_a_token_that_expires_ends_what_it_opened() -> None:
    passed = ask(authorization=f"Bearer {TOKEN}")
    assert isinstance(passed, Pass)
    assert still_allowed(passed, TABLE, AT.now + 59)
    assert not still_allowed(passed, TABLE, AT.now + 60)


names = st.from_regex(r"[A-Za-z_-]{1,12}", fullmatch=True)


@given(st.lists(st.tuples(names, st.from_regex(r"[a-z=]{0,8}", fullmatch=True)), max_size=8))
def test_only_our_cookies_are_taken_out(pairs: list[tuple[str, str]]) -> None:
    theirs = [f"{name}={value}" for name, value in pairs if not cookies.is_ours(f"{name}={value}")]
    header = "; ".join(["gpc_a=1", *(f"{name}={value}" for name, value in pairs), "__Host-gpc_b=2"])
    assert cookies.without_ours(header) == "; ".join(theirs)
