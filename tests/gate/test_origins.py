"""Requests that other pages make a browser send: Origin x Sec-Fetch x method."""

from __future__ import annotations

import itertools

import pytest

from tests.gate.place import Place

pytestmark = pytest.mark.attack

OWN, SIBLING, PORTAL = "own", "sibling", "portal"
ORIGINS = [None, OWN, SIBLING, PORTAL, "null", "https://evil.example"]
SITES = [None, "same-origin", "same-site", "cross-site", "none", "nonsense"]


def spelled(place: Place, uid: str, origin: str | None) -> str | None:
    """The Origin header for a row of the table."""
    if origin == OWN:
        return place.addresses.origin(uid)
    if origin == SIBLING:
        return place.addresses.origin("s" * 22)
    if origin == PORTAL:
        return place.addresses.portal_origin
    return origin


def may_change(own: str, origin: str | None, site: str | None) -> bool:
    """The rule for unsafe methods and upgrades, written a second time and plainly."""
    if origin == own:
        return site in (None, "same-origin")
    return origin is None and site == "same-origin"


def headers(origin: str | None, site: str | None) -> dict[str, str]:
    found = {"origin": origin, "sec_fetch_site": site}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_unsafe_methods_need_the_workspaces_own_origin(place: Place, method: str) -> None:
    home = place.home()
    cookie, own = place.cookie(home), place.addresses.origin(home.uid)
    for row, site in itertools.product(ORIGINS, SITES):
        origin = spelled(place, home.uid, row)
        answer = place.request(method, home, "api", cookie=cookie, **headers(origin, site))
        expected = 200 if may_change(own, origin, site) else 403
        assert answer.status_code == expected, (row, site)
        if expected == 403:
            assert answer.json()["code"] == "forbidden"


def test_upgrades_need_it_too(place: Place) -> None:
    home = place.home()
    cookie, own = place.cookie(home), place.addresses.origin(home.uid)
    for row, site in itertools.product(ORIGINS, SITES):
        origin = spelled(place, home.uid, row)
        expected = 101 if may_change(own, origin, site) else 403
        assert place.upgrade(home, cookie=cookie, **headers(origin, site)) == expected, (row, site)


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("cross-site", "navigate", "document", 200),
        ("same-site", "navigate", "document", 200),
        ("cross-site", "navigate", "iframe", 403),
        ("same-site", "navigate", "embed", 403),
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "cors", "empty", 403),
        ("same-site", "no-cors", "script", 403),
        ("same-origin", "cors", "empty", 200),
        ("same-origin", "navigate", "iframe", 200),
        ("none", "navigate", "document", 200),
        ("nonsense", "cors", "empty", 403),
    ],
)
def test_reading_from_elsewhere_is_for_whole_tabs(
    place: Place, site: str, mode: str, dest: str, status: int
) -> None:
    home = place.home()
    facts = {"sec_fetch_site": site, "sec_fetch_mode": mode, "sec_fetch_dest": dest}
    answer = place.get(home, cookie=place.cookie(home), **facts)
    assert answer.status_code == status


def test_a_kept_yes_covers_nothing_else(place: Place) -> None:
    """Each request follows at once on a yes for one that differs in a single fact."""
    home = place.home()
    cookie = place.cookie(home)
    own = place.addresses.origin(home.uid)
    assert place.get(home, cookie=cookie).status_code == 200
    assert place.request("POST", home, cookie=cookie).status_code == 403
    assert place.request("POST", home, cookie=cookie, origin=own).status_code == 200
    evil = place.request("POST", home, cookie=cookie, origin="https://evil.example")
    assert evil.status_code == 403
    assert place.get(home, cookie=cookie, sec_fetch_site="cross-site").status_code == 403
    assert place.get(home).status_code == 401
    assert place.get(home, cookie=cookie[:-1]).status_code == 401
    assert place.get(place.home(), cookie=cookie).status_code == 401
