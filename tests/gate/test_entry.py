"""Coming in with a browser: to the portal and back, a grant, its renewal."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from apps.gate.tickets import Entry, enter_location, enter_ticket, session_digest
from tests.gate.place import Home, Place

BROWSER = {"accept": "text/html", "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}


def enter(place: Place, home: Home, path: str = "") -> tuple[httpx.Client, httpx.Response]:
    """Follow the way in by hand: the jar knows no cookies for the bare name localhost."""
    client = place.client(**BROWSER, **{"sec-fetch-dest": "document"})
    answer = client.get(place.addresses.url(home.uid) + path)
    for _ in range(6):
        if answer.status_code != 302:
            break
        location = httpx.URL(place.addresses.portal_url).join(answer.headers["location"])
        if answer.headers["location"].startswith("/"):
            location = answer.request.url.join(answer.headers["location"])
        extra = {}
        if location.path.startswith("/workspaces/"):
            extra["cookie"] = f"gpc_session={home.session}"
        answer = client.get(location, headers=extra)
    return client, answer


def test_first_entry_leads_through_the_portal_and_back_to_where_one_wanted(place: Place) -> None:
    home = place.home()
    client, answer = enter(place, home, "lab/tree/a%20b.ipynb?x=1&y=%2F")
    assert answer.status_code == 200
    assert answer.json()["target"].endswith("lab/tree/a%20b.ipynb?x=1&y=%2F")
    again = client.get(place.addresses.url(home.uid) + "api", headers={"accept": "*/*"})
    assert again.json()["label"] == home.uid


@pytest.mark.parametrize("path", ["x" * 1850, "x" * 1950, "x?" + "%22" * 600, "\xe9" * 400])
def test_no_path_is_too_long_to_come_in(place: Place, path: str) -> None:
    _, answer = enter(place, place.home(), path)
    assert answer.status_code == 200


def test_the_grant_is_a_closed_cookie_of_this_workspace_alone(place: Place) -> None:
    home = place.home()
    client, _ = enter(place, home)
    grants = [c for c in client.cookies.jar if c.name == f"gpc_gate_{home.uid[:8]}"]
    assert len(grants) == 1
    assert grants[0].path == place.addresses.base_path(home.uid)
    assert not grants[0].domain_specified
    assert grants[0].has_nonstandard_attr("HttpOnly")
    assert grants[0].expires is not None
    assert grants[0].expires <= time.time() + 601


def test_a_program_without_credentials_gets_401(place: Place) -> None:
    answer = place.get(place.home(), "api", accept="application/json")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def ticket_url(place: Place, home: Home, **changes: object) -> str:
    fields = {
        "person_id": home.owner,
        "person_uid": f"p{home.owner}",
        "epoch": 1,
        "session": session_digest(home.session),
        "workspace": home.uid,
        "next_path": place.addresses.base_path(home.uid),
        **changes,
    }
    ticket = enter_ticket(Entry(**fields), key=place.key, now=time.time())  # type: ignore[arg-type]
    return enter_location(place.addresses.url(home.uid), ticket)


def begin(place: Place, home: Home) -> tuple[httpx.Client, str]:
    """A browser that has been sent to the portal, and the `next` that it took along."""
    client = place.client(**BROWSER)
    answer = client.get(place.addresses.url(home.uid) + "lab")
    location = urlsplit(answer.headers["location"])
    assert f"{location.scheme}://{location.netloc}" == place.addresses.portal_url
    assert location.path == f"/workspaces/{home.uid}/enter/"
    return client, parse_qs(location.query)["next"][0]


def test_a_ticket_opens_once(place: Place) -> None:
    home = place.home()
    client, wanted = begin(place, home)
    url = ticket_url(place, home, next_path=wanted)
    first = client.get(url)
    assert first.status_code == 302
    assert first.headers["location"] == place.addresses.base_path(home.uid) + "lab"
    second = client.get(url)
    assert second.status_code == 403
    assert "set-cookie" not in second.headers


def test_a_ticket_of_another_browser_opens_nothing(place: Place) -> None:
    home = place.home()
    _, wanted = begin(place, home)
    answer = place.client(**BROWSER).get(ticket_url(place, home, next_path=wanted))
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_ticket_begun_at_the_portal_goes_round_by_the_workspace(place: Place) -> None:
    home = place.home()
    answer = place.client(**BROWSER).get(ticket_url(place, home))
    assert answer.status_code == 302
    assert answer.headers["location"] == place.addresses.base_path(home.uid)
    assert "set-cookie" not in answer.headers


@pytest.mark.attack
@pytest.mark.parametrize(
    "changes",
    [{"epoch": 2}, {"person_id": 1}, {"workspace": "z" * 22}, {"session": session_digest("out")}],
    ids=["old epoch", "another person", "another workspace", "signed out"],
)
def test_a_ticket_that_does_not_fit_opens_nothing(place: Place, changes: dict[str, object]) -> None:
    home = place.home()
    place.change("INSERT INTO gate_signouts VALUES (%s, now())", session_digest("out"))
    client, wanted = begin(place, home)
    answer = client.get(ticket_url(place, home, next_path=wanted, **changes))
    assert answer.status_code in (401, 403, 404)
    assert "set-cookie" not in answer.headers


@pytest.mark.attack
@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "/\\evil.example", "https://evil.example/", "/a\r\nx: y", "%2e%2e/../x"],
)
def test_the_way_in_leads_nowhere_else(place: Place, target: str) -> None:
    home = place.home()
    client, wanted = begin(place, home)
    mark = wanted[: wanted.index("_gate/from/") + len("_gate/from/") + 33]
    for attempt in (target, mark + target):
        answer = client.get(ticket_url(place, home, next_path=attempt))
        assert answer.status_code == 302
        there = httpx.URL(place.addresses.url(home.uid)).join(answer.headers["location"])
        assert str(there).startswith(place.addresses.url(home.uid))


def test_a_grant_is_renewed_when_half_used(place: Place) -> None:
    home = place.home()
    fresh = place.get(home, cookie=place.cookie(home, left_s=590))
    assert "set-cookie" not in fresh.headers
    used = place.get(home, cookie=place.cookie(home, left_s=200))
    name, _, rest = used.headers["set-cookie"].partition("=")
    assert name == place.addresses.cookie_name("gate", home.uid)
    assert "HttpOnly" in rest
    renewed = f"{name}={rest.partition(';')[0]}"
    assert place.get(home, cookie=renewed).status_code == 200


def test_an_expired_grant_is_none(place: Place) -> None:
    home = place.home()
    assert place.get(home, cookie=place.cookie(home, left_s=-1)).status_code == 401


def test_a_stay_ends_after_twelve_hours(place: Place) -> None:
    home = place.home()
    cookie = place.cookie(home, began_at=int(time.time()) - 12 * 3600)
    assert place.get(home, cookie=cookie).status_code == 401
