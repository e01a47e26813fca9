"""Parts that die: gate, nginx, the database, the workspace's own server."""

from __future__ import annotations

import signal

import pytest
from websockets.exceptions import ConnectionClosed

from tests.gate.place import Place
from tests.gate.servers import wait_for

pytestmark = pytest.mark.fault


def test_without_gate_nobody_passes_and_with_it_again_all_do(breakable: Place) -> None:
    place = breakable
    home = place.home()
    cookie = place.cookie(home)
    own = place.addresses.origin(home.uid)
    assert place.get(home, cookie=cookie).status_code == 200
    place.end("gate", signal.SIGKILL)
    # A yes that nginx already has may be used for two more seconds.
    wait_for(lambda: place.get(home, cookie=cookie).status_code == 503, "refused", 3)
    answer = place.get(home, cookie=cookie)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unavailable"
    assert answer.headers["retry-after"] == "2"
    page = place.get(home, cookie=cookie, accept="text/html")
    assert page.status_code == 503
    assert page.headers["content-type"].startswith("text/html")
    assert place.upgrade(home, cookie=cookie, origin=own) == 503
    assert place.get(home, "_gate/enter?ticket=x").status_code == 503
    place.start_gate()
    assert place.get(home, cookie=cookie).status_code == 200
    assert place.upgrade(home, cookie=cookie, origin=own) == 101


def test_gate_ends_cleanly_when_asked(breakable: Place) -> None:
    assert breakable.end("gate") == 0
    assert "Traceback" not in breakable.log("gate")


def test_running_workspaces_go_on_without_the_portal(breakable: Place) -> None:
    place = breakable
    home = place.home()
    place.stop_portal()
    assert place.get(home, cookie=place.cookie(home)).status_code == 200
    with place.client() as client:
        answer = client.get(place.addresses.portal_url + "/")
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"


def test_a_restarted_nginx_asks_again(breakable: Place) -> None:
    place = breakable
    home = place.home()
    cookie = place.cookie(home)
    assert place.get(home, cookie=cookie).status_code == 200
    place.end("nginx", signal.SIGTERM)
    place.change("UPDATE gate_people SET active = false WHERE person_id = %s", home.owner)
    place.start_nginx()
    wait_for(lambda: place.get(home, cookie=cookie).status_code == 401, "refused", 2.5)


def test_without_the_database_grants_last_and_nobody_new_comes_in(breakable: Place) -> None:
    """Until knowledge is 15 s old little changes; then first entry and unknown tokens get 503."""
    place = breakable
    home = place.home()
    cookie, own = place.cookie(home), place.addresses.origin(home.uid)
    seen, unseen = place.token(home.owner), "gpc_never-seen"
    with place.websocket(home, cookie=cookie, origin=own) as opened:
        opened.recv(timeout=5)
        place.wire.cut()
        wait_for(lambda: place.status()["fresh"] is False, "stale", 20)
        assert place.get(home, cookie=cookie).status_code == 200
        assert place.upgrade(home, cookie=cookie, origin=own) == 101
        assert place.get(home, authorization=f"Bearer {seen}").status_code == 200
        assert place.get(home, authorization=f"Bearer {unseen}").status_code == 503
        assert place.get(home, authorization="Bearer nonsense").status_code == 401
        assert place.get(home).status_code == 503
        assert place.get(home, accept="text/html").status_code == 503
        nearly_over = place.get(home, cookie=place.cookie(home, left_s=100))
        assert nearly_over.status_code == 200
        assert "set-cookie" not in nearly_over.headers
        opened.send("on")
        assert opened.recv(timeout=5) == "on"
        place.db.execute("UPDATE gate_people SET epoch = 2 WHERE person_id = %s", (home.owner,))
        place.wire.mend()
        with pytest.raises(ConnectionClosed):
            opened.recv(timeout=5)
    wait_for(lambda: place.get(home, cookie=cookie).status_code == 401, "revoked", 5)


def test_gate_that_starts_without_the_database_lets_nobody_in_until_it_is_there(
    breakable: Place,
) -> None:
    place = breakable
    home = place.home()
    cookie = place.cookie(home)
    place.end("gate")
    place.wire.cut()
    place.launch_gate()
    wait_for(lambda: place.status().get("age_s", 0) is None, "gate runs", 20)
    assert place.get(home, cookie=cookie).status_code == 503
    place.wire.mend()
    wait_for(lambda: place.get(home, cookie=cookie).status_code == 200, "let in", 10)


def test_a_workspace_that_dies_closes_its_websocket(breakable: Place) -> None:
    place = breakable
    home = place.home()
    own = place.addresses.origin(home.uid)
    with place.websocket(home, cookie=place.cookie(home), origin=own) as opened:
        opened.recv(timeout=5)
        home.server.stop()
        with pytest.raises(ConnectionClosed):
            opened.recv(timeout=5)
    wait_for(lambda: place.status()["tunnels"] == 0, "tunnel forgotten", 5)
