"""What somebody who may not pass sees: pages for people, problem+json for programs."""

from __future__ import annotations

import re

import pytest

from tests.gate.place import Home, Place

BROWSER = {"accept": "text/html,*/*;q=0.8", "sec_fetch_mode": "navigate"}


def asleep(place: Place, phase: str = "stopped") -> Home:
    home = place.home()
    place.change(
        "UPDATE gate_routes SET ready = false, upstream = '', run = '', phase = %s"
        " WHERE workspace_uid = %s",
        phase,
        home.uid,
    )
    home.run = home.upstream = ""
    return home


def test_a_sleeping_workspace_shows_a_page_with_start(place: Place) -> None:
    home = asleep(place)
    answer = place.get(home, "lab", cookie=place.cookie(home), **BROWSER)
    assert answer.status_code == 200
    assert "Digits &amp; &lt;b&gt; is not running" in answer.text
    link = f'href="{place.addresses.portal_url}/workspaces/{home.uid}/"'
    assert re.search(re.escape(link) + r"[^>]*>Start<", answer.text)
    policy = answer.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    assert f'<style nonce="{nonce[1]}">' in answer.text
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_an_old_grant_is_enough_for_that_page(place: Place) -> None:
    home = place.home()
    cookie = place.cookie(home)
    place.change(
        "UPDATE gate_routes SET ready = false, upstream = '' WHERE workspace_uid = %s", home.uid
    )
    assert place.get(home, cookie=cookie, **BROWSER).status_code == 200


def test_programs_are_told_that_it_does_not_run(place: Place) -> None:
    home = asleep(place)
    for headers in (
        {"cookie": place.cookie(home)},
        {"authorization": f"Bearer {place.token(home.owner)}"},
    ):
        answer = place.get(home, "api", accept="application/json", **headers)
        assert answer.status_code == 503
        assert answer.json()["code"] == "workspace_not_running"
        assert int(answer.headers["retry-after"]) > 0


def test_a_starting_workspace_shows_a_page_that_goes_on_by_itself(place: Place) -> None:
    home = asleep(place, "pulling")
    answer = place.get(home, cookie=place.cookie(home), **BROWSER)
    assert answer.status_code == 200
    assert 'http-equiv="refresh"' in answer.text
    assert "is starting" in answer.text


@pytest.mark.attack
def test_a_stranger_learns_nothing(place: Place) -> None:
    home = place.home()
    stranger = place.person()
    bearer = f"Bearer {place.token(stranger)}"
    there = place.get(home, authorization=bearer)
    cookie = place.cookie(home, person_id=stranger)
    assert place.get(home, cookie=cookie).status_code == 404
    place.change("DELETE FROM gate_routes WHERE workspace_uid = %s", home.uid)
    gone = place.get(home, authorization=bearer)
    assert there.status_code == gone.status_code == 404
    assert there.json() == gone.json()
    page = place.get(home, cookie=cookie, **BROWSER)
    assert page.status_code == 404
    assert "Digits" not in page.text


@pytest.mark.attack
def test_a_name_cannot_break_out_of_the_page(place: Place) -> None:
    home = asleep(place)
    place.change(
        "UPDATE gate_routes SET name = %s WHERE workspace_uid = %s",
        '"><script>alert(1)</script>$nonce%(name)s',
        home.uid,
    )
    answer = place.get(home, cookie=place.cookie(home), **BROWSER)
    assert answer.status_code == 200
    assert "<script" not in answer.text


def test_a_dead_server_is_said_to_be_dead(place: Place) -> None:
    home = place.home()
    home.server.stop()
    cookie = place.cookie(home)
    page = place.get(home, cookie=cookie, **BROWSER)
    assert page.status_code == 503
    assert "does not answer" in page.text
    answer = place.get(home, cookie=cookie)
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    own = place.addresses.origin(home.uid)
    assert place.upgrade(home, cookie=cookie, origin=own) == 503


def test_a_route_without_a_proper_address_is_503_whatever_the_client_says(place: Place) -> None:
    home, other = place.home(), place.home()
    for address in ("", "nonsense", "unix:/x y", "unix:/x;", "host:99999", "http://x"):
        place.change(
            "UPDATE gate_routes SET upstream = %s WHERE workspace_uid = %s", address, home.uid
        )
        home.upstream = address
        answer = place.get(
            home,
            cookie=place.cookie(home),
            x_upstream=other.upstream,
            x_gate_upstream=other.upstream + ":",
        )
        assert answer.status_code == 503
    assert other.app.seen == []


def test_pages_are_only_for_people(place: Place) -> None:
    home = place.home()
    fetched = place.get(home, accept="text/html", sec_fetch_mode="cors", sec_fetch_site="none")
    assert fetched.status_code == 401
    posted = place.request("POST", home, accept="text/html")
    assert posted.status_code == 401
