"""What ends a grant or a token ends it soon, for requests and for open websockets."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from apps.gate.tickets import session_digest
from tests.gate.place import Home, Place
from tests.gate.servers import wait_for

LIMIT_S = 2.5
"""The promise is 5 s; this is the aim."""

End = Callable[[Place, Home], None]


def disabled(place: Place, home: Home) -> None:
    place.db.execute("UPDATE gate_people SET active = false WHERE person_id = %s", (home.owner,))


def epoch_raised(place: Place, home: Home) -> None:
    place.db.execute("UPDATE gate_people SET epoch = 2 WHERE person_id = %s", (home.owner,))


def signed_out(place: Place, home: Home) -> None:
    digest = session_digest(home.session)
    place.db.execute("INSERT INTO gate_signouts VALUES (%s, now())", (digest,))


def run_replaced(place: Place, home: Home) -> None:
    place.db.execute("UPDATE gate_routes SET run = 'r2' WHERE workspace_uid = %s", (home.uid,))


def stopped(place: Place, home: Home) -> None:
    place.db.execute(
        "UPDATE gate_routes SET ready = false, upstream = '', phase = 'stopped'"
        " WHERE workspace_uid = %s",
        (home.uid,),
    )


def deleted(place: Place, home: Home) -> None:
    place.db.execute("DELETE FROM gate_routes WHERE workspace_uid = %s", (home.uid,))


def handed_over(place: Place, home: Home) -> None:
    place.db.execute(
        "UPDATE gate_routes SET owner_id = %s WHERE workspace_uid = %s", (place.person(), home.uid)
    )


ENDS = [disabled, epoch_raised, signed_out, run_replaced, stopped, deleted, handed_over]


def assert_cut(opened: ClientConnection, within_s: float) -> None:
    began = time.monotonic()
    with pytest.raises(ConnectionClosed):
        opened.recv(timeout=within_s)
    assert time.monotonic() - began < within_s


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("notified", [True, False], ids=["notified", "found by looking"])
def test_an_open_websocket_is_cut(by_host: Place, end: End, notified: bool) -> None:
    home = by_host.home()
    own = by_host.addresses.origin(home.uid)
    with by_host.websocket(home, cookie=by_host.cookie(home), origin=own) as opened:
        opened.recv(timeout=5)
        opened.send("before")
        assert opened.recv(timeout=5) == "before"
        end(by_host, home)
        if notified:
            by_host.db.execute("NOTIFY gate")
        assert_cut(opened, LIMIT_S)


@pytest.mark.parametrize("end", ENDS)
def test_requests_are_refused(place: Place, end: End) -> None:
    home = place.home()
    cookie = place.cookie(home)
    assert place.get(home, cookie=cookie).status_code == 200
    end(place, home)
    place.db.execute("NOTIFY gate")
    wait_for(
        lambda: place.get(home, cookie=cookie).status_code in (401, 404, 503),
        "refused",
        LIMIT_S,
    )


@pytest.mark.parametrize("end", [disabled, stopped, handed_over])
def test_a_tokens_websocket_is_cut(by_host: Place, end: End) -> None:
    home = by_host.home()
    bearer = f"Bearer {by_host.token(home.owner)}"
    with by_host.websocket(home, authorization=bearer) as opened:
        opened.recv(timeout=5)
        end(by_host, home)
        by_host.db.execute("NOTIFY gate")
        assert_cut(opened, LIMIT_S)


def test_a_revoked_token_cuts_its_websocket_and_no_other(by_host: Place) -> None:
    home = by_host.home()
    kept, revoked = (by_host.token(home.owner) for _ in range(2))
    with (
        by_host.websocket(home, authorization=f"Bearer {kept}") as stays,
        by_host.websocket(home, authorization=f"Bearer {revoked}") as goes,
    ):
        stays.recv(timeout=5)
        goes.recv(timeout=5)
        query = "DELETE FROM gate_tokens WHERE digest = %s"
        by_host.change(query, session_digest(revoked))
        assert_cut(goes, LIMIT_S)
        stays.send("still")
        assert stays.recv(timeout=5) == "still"


def test_a_token_that_expires_cuts_its_websocket(by_host: Place) -> None:
    home = by_host.home()
    token = by_host.token(home.owner)
    query = "UPDATE gate_tokens SET expires_at = now() + interval '1500 ms' WHERE digest = %s"
    by_host.change(query, session_digest(token))
    with by_host.websocket(home, authorization=f"Bearer {token}") as opened:
        opened.recv(timeout=5)
        assert_cut(opened, 4)


@pytest.mark.attack
def test_an_old_grant_never_reaches_what_now_listens_there(place: Place) -> None:
    """Another person's run on the very address that an old grant names."""
    home, other = place.home(), place.home()
    cookie = place.cookie(home)
    assert place.get(home, cookie=cookie).status_code == 200
    place.db.execute(
        "UPDATE gate_routes SET upstream = %s WHERE workspace_uid = %s", (home.upstream, other.uid)
    )
    place.db.execute(
        "UPDATE gate_routes SET upstream = %s, run = 'r2' WHERE workspace_uid = %s",
        (other.upstream, home.uid),
    )
    place.announce()
    own = place.addresses.origin(home.uid)
    assert place.request("POST", home, cookie=cookie, origin=own).status_code == 401
    assert place.upgrade(home, cookie=cookie, origin=own) == 401
    assert other.app.seen == []


def test_many_open_websockets_of_others_stay(by_host: Place) -> None:
    mine, other = by_host.home(), by_host.home()
    with (
        by_host.websocket(
            mine, cookie=by_host.cookie(mine), origin=by_host.addresses.origin(mine.uid)
        ) as goes,
        by_host.websocket(
            other, cookie=by_host.cookie(other), origin=by_host.addresses.origin(other.uid)
        ) as stays,
    ):
        goes.recv(timeout=5)
        stays.recv(timeout=5)
        assert by_host.status()["tunnels"] >= 2
        disabled(by_host, mine)
        by_host.announce()
        assert_cut(goes, LIMIT_S)
        stays.send(b"\x00" * 100_000)
        assert stays.recv(timeout=5) == b"\x00" * 100_000
