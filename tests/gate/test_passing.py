"""What goes through: requests to the workspace cleaned, answers cleaned, bearer tokens."""

from __future__ import annotations

import json
import socket

import httpx
import pytest

from apps.gate.question import IDENTITY_HEADERS
from tests.gate.place import Home, Place


def headers_of(answer: httpx.Response) -> dict[str, str]:
    """The headers that reached the workspace."""
    return dict(answer.json()["headers"])


def test_the_workspace_gets_the_request_as_it_was(place: Place) -> None:
    home = place.home()
    answer = place.get(home, "a%20b%2Fc/..%2fd?q=%41&r", cookie=place.cookie(home))
    base = place.addresses.base_path(home.uid)
    assert answer.json()["target"] == f"{base}a%20b%2Fc/..%2fd?q=%41&r"
    reached = headers_of(answer)
    assert reached["host"] == httpx.URL(place.addresses.url(home.uid)).netloc.decode()
    assert reached["x-forwarded-proto"] == "http"
    assert reached["x-forwarded-for"] == "127.0.0.1"


def test_a_prefix_is_stripped_for_apps_that_want_it(by_path: Place) -> None:
    home = by_path.home(strip=True)
    answer = by_path.get(home, "a%2Fb?x=1", cookie=by_path.cookie(home))
    assert answer.json()["target"] == "/a%2Fb?x=1"
    assert headers_of(answer)["x-forwarded-prefix"] == f"/w/{home.uid}"


def test_nothing_is_stripped_where_hosts_tell_workspaces_apart(by_host: Place) -> None:
    home = by_host.home(strip=True)
    path = f"w/{home.uid}/a"
    answer = by_host.get(home, path, cookie=by_host.cookie(home))
    assert answer.json()["target"] == f"/{path}"


def test_a_path_without_its_last_slash_is_completed(by_path: Place) -> None:
    home = by_path.home()
    answer = httpx.get(by_path.addresses.url(home.uid).rstrip("/") + "?a=1")
    assert answer.status_code == 308
    assert answer.headers["location"] == f"/w/{home.uid}/?a=1"


@pytest.mark.attack
def test_cookies_and_tokens_of_the_portal_never_reach_a_workspace(place: Place) -> None:
    home = place.home()
    cookie = (
        f"gpc_session=s; own=1; {place.cookie(home)}; __Host-gpc_session=s; GPC_csrf=c;"
        ' __Secure-gpc_x=1; "gpc_q"=2; gpc_bare; second=a=b'
    )
    reached = headers_of(place.get(home, cookie=cookie, authorization="token mine"))
    assert reached["cookie"] == "own=1; second=a=b"
    assert reached["authorization"] == f"token of-{home.uid}"


@pytest.mark.attack
def test_headers_in_our_names_are_dropped_before_anyone_sees_them(place: Place) -> None:
    home = place.home()
    sent = dict.fromkeys([*IDENTITY_HEADERS, "x-gate-upstream", "x-gate-authorization"], "evil")
    answer = place.get(
        home,
        cookie=place.cookie(home),
        **sent,
        x_gate_workspace="b" * 22,
        x_gate_cookie="evil=1",
        x_real_ip="6.6.6.6",
        x_forwarded_for="6.6.6.6",
        x_forwarded_host="evil.example",
    )
    assert answer.json()["label"] == home.uid
    assert "evil" not in answer.text
    assert "6.6.6.6" not in answer.text


@pytest.mark.attack
def test_identity_headers_do_not_reach_the_portal_either(place: Place) -> None:
    with place.client() as client:
        sent = dict.fromkeys(IDENTITY_HEADERS, "evil") | {"x-forwarded-host": "evil.example"}
        answer = client.get(place.addresses.portal_url + "/api/v1/me", headers=sent)
    assert answer.status_code == 200
    assert "evil" not in answer.text
    _, reached = answer.json()
    assert reached["host"] == place.addresses.portal_authority


COOKIES = [
    "gpc_session=x; Domain=localhost; Path=/",
    "a=b; domain=.localhost; PATH=/; Domain=example.com",
    "a=b; Path=/w/other/; DOMAIN=localhost",
    "a=b; Domain = localhost",
    "a=b;\tDomain=localhost",
    "a=b;\t\tDomain\t=\tlocalhost;\tPath=/",
]


def last(attribute: str, cookie: str) -> str | None:
    """The value that a browser obeys: of the last attribute of that name (RFC 6265, 5.3)."""
    found = None
    for part in cookie.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip(" \t").lower() == attribute:
            found = value.strip(" \t")
    return found


def cookies_set(place: Place, home: Home, *cookies: str) -> list[str]:
    """What a browser is told to keep when the workspace sets these."""
    url = str(httpx.URL("say", params=[("set-cookie", cookie) for cookie in cookies]))
    return place.get(home, url, cookie=place.cookie(home)).headers.get_list("set-cookie")


@pytest.mark.attack
@pytest.mark.parametrize("cookie", COOKIES)
def test_cookies_of_a_workspace_stay_with_it(place: Place, cookie: str) -> None:
    home = place.home()
    host = httpx.URL(place.addresses.url(home.uid)).host
    for kept in cookies_set(place, home, "first=1", cookie):
        assert last("domain", kept) in (None, host)
        if not place.addresses.by_host:
            assert last("path", kept) == f"/w/{home.uid}/"


@pytest.mark.attack
@pytest.mark.parametrize(
    "name", ["gpc_session", "GPC_csrf", "__Host-gpc_session", " gpc_x", "\tgpc_"]
)
def test_cookies_in_our_names_are_not_set(place: Place, name: str) -> None:
    kept = cookies_set(place, place.home(), "a=1", f"{name}=evil", "b=2")
    assert [cookie.partition("=")[0] for cookie in kept] == ["a", "b"]


def test_several_cookies_are_set_as_they_were(by_host: Place) -> None:
    cookies = [
        "_xsrf=2|a|b; Path=/",
        'u="2|1:0|x:"; expires=Wed, 23 Dec 2026 10:00:00 GMT; HttpOnly; Path=/',
        "__Host-app=1; Secure; Path=/",
        "old=; expires=Wed, 23-Dec-2020 10:00:00 GMT",
        "e=5",
    ]
    assert cookies_set(by_host, by_host.home(), *cookies) == cookies


@pytest.mark.attack
@pytest.mark.parametrize(
    "header",
    [
        "x-accel-redirect",
        "clear-site-data",
        "strict-transport-security",
        "alt-svc",
        "nel",
        "report-to",
    ],
)
def test_headers_that_speak_for_the_site_are_dropped(place: Place, header: str) -> None:
    home = place.home()
    answer = place.get(home, f"say?{header}=/_gate/ask", cookie=place.cookie(home))
    assert answer.status_code == 200
    assert answer.json()["label"] == home.uid
    assert header not in answer.headers


@pytest.mark.attack
def test_no_workspace_can_serve_the_portals_paths(by_path: Place, by_host: Place) -> None:
    for place, expected in ((by_path, None), (by_host, "/")):
        home = place.home()
        answer = place.get(home, "say?service-worker-allowed=/", cookie=place.cookie(home))
        assert answer.headers.get("service-worker-allowed") == expected


def test_large_uploads_stream_through(place: Place) -> None:
    home = place.home()
    size = 40 * 1024 * 1024

    def chunks() -> object:
        for _ in range(40):
            yield b"x" * (1024 * 1024)

    with place.client(cookie=place.cookie(home), origin=place.addresses.origin(home.uid)) as client:
        url = place.addresses.url(home.uid) + "upload"
        answer = client.put(url, content=chunks())  # type: ignore[arg-type]
    assert answer.json()["body_bytes"] == size


def test_the_portal_takes_no_large_bodies(place: Place) -> None:
    head = f"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**9}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(12) == b"HTTP/1.1 413"


def test_hashed_files_are_cached_for_ever(place: Place) -> None:
    with place.client() as client:
        hashed = client.get(place.addresses.portal_url + "/static/main.0123456789ab.css")
        plain = client.get(place.addresses.portal_url + "/static/plain.css")
    assert hashed.status_code == plain.status_code == 200
    assert "immutable" in hashed.headers["cache-control"]
    assert "immutable" not in plain.headers["cache-control"]
    assert "nginx/" not in hashed.headers["server"]


def test_the_owners_token_opens_without_cookie_or_origin(place: Place) -> None:
    home = place.home()
    bearer = f"Bearer {place.token(home.owner, ('read', 'workspaces'))}"
    answer = place.request(
        "POST", home, "api", authorization=bearer, origin="https://elsewhere.example"
    )
    assert answer.json()["label"] == home.uid
    assert headers_of(answer)["authorization"] == f"token of-{home.uid}"
    assert bearer not in answer.text


def refused(place: Place, home: Home, authorization: str) -> httpx.Response:
    """With a good cookie too: a bearer token decides alone."""
    return place.get(home, authorization=authorization, cookie=place.cookie(home))


@pytest.mark.attack
def test_other_tokens_do_not(place: Place) -> None:
    home, stranger = place.home(), place.person()
    cases = {
        "Bearer nonsense": (401, "unauthenticated"),
        "bearer": (401, "unauthenticated"),
        "Bearer gpc_unknown": (401, "unauthenticated"),
        f"Bearer {place.token(home.owner, ('read',))}": (403, "scope_missing"),
        f"Bearer {place.token(stranger)}": (404, "not_found"),
    }
    for authorization, (status, code) in cases.items():
        answer = refused(place, home, authorization)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert home.app.seen == []


def test_an_expired_or_revoked_token_is_refused(place: Place) -> None:
    home = place.home()
    bearer = f"Bearer {place.token(home.owner)}"
    assert place.get(home, authorization=bearer).status_code == 200
    place.change("DELETE FROM gate_tokens WHERE person_id = %s", home.owner)
    # A yes may be kept for up to two seconds; another request's facts make another question.
    assert place.get(home, authorization=bearer, sec_fetch_site="none").status_code == 401


@pytest.mark.attack
def test_a_token_in_the_query_is_no_credential(place: Place) -> None:
    home = place.home()
    token = place.token(home.owner)
    assert place.get(home, f"api?token={token}").status_code == 401


def test_logs_hold_no_secrets(place: Place) -> None:
    home = place.home()
    token, cookie = place.token(home.owner), place.cookie(home)
    place.get(home, f"x?token={token}", cookie=cookie)
    place.get(home, authorization=f"Bearer {token}")
    place.get(home, "x", cookie=cookie + "x")
    place.announce()
    written = place.log("gate") + place.log("nginx") + place.log("nginx-access")
    for secret in (token, cookie.partition("=")[2], place.key):
        assert secret not in written
    for line in place.log("gate").splitlines():
        assert json.loads(line)["event"]
