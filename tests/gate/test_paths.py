"""Request lines and heads that try to be read in two ways."""

from __future__ import annotations

import json

import pytest

from tests.gate.place import Home, Place

pytestmark = pytest.mark.attack


def host_of(place: Place, home: Home) -> str:
    return place.addresses.url(home.uid).split("/")[2]


def send(place: Place, line: str, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    """A request line and headers as they are; the first status and everything that came."""
    head = "\r\n".join([line, *headers, "Connection: close", "", ""])
    answer = place.raw(head.encode("latin-1") + body)
    return (int(answer.split(b" ", 2)[1]) if answer else 0), answer


def test_unknown_names_are_served_nothing(place: Place) -> None:
    for host in ("evil.example", "127.0.0.1", "w-short.localhost", "x.localhost", "localhost.evil"):
        for path in ("/", "/api/v1/me", "/static/plain.css", "/_gate/ask", f"/w/{'a' * 22}/"):
            assert send(place, f"GET {path} HTTP/1.1", f"Host: {host}")[0] == 421
    assert send(place, "GET / HTTP/1.0")[0] == 421


def test_names_of_the_other_template_are_not_workspaces(by_host: Place, by_path: Place) -> None:
    home = by_path.home()
    host = f"Host: w-{home.uid}.localhost"
    assert send(by_path, "GET / HTTP/1.1", host, f"Cookie: {by_path.cookie(home)}")[0] == 421
    home = by_host.home()
    status, answer = send(
        by_host,
        f"GET /w/{home.uid}/ HTTP/1.1",
        "Host: localhost",
        f"Cookie: {by_host.cookie(home)}",
    )
    assert status == 200
    assert f'["/w/{home.uid}/"'.encode() in answer  # the portal's own answer
    assert home.app.seen == []


def test_absolute_form_is_the_host_it_names(by_host: Place) -> None:
    mine, other = by_host.home(), by_host.home()
    cookie = f"Cookie: {by_host.cookie(mine)}"
    url = by_host.addresses.url(other.uid)
    host = f"Host: {host_of(by_host, mine)}"
    status, _ = send(by_host, f"GET {url}x HTTP/1.1", host, cookie)
    assert status in (400, 401)
    status, _ = send(by_host, "GET http://evil.example/x HTTP/1.1", host, cookie)
    assert status in (400, 421)
    assert other.app.seen == []
    own = by_host.addresses.url(mine.uid)
    status, answer = send(by_host, f"GET {own}x HTTP/1.1", "Host: evil.example", cookie)
    if status == 200:
        reached, _ = json.JSONDecoder().raw_decode(answer[answer.index(b"{") :].decode())
        assert dict(reached["headers"])["host"] == host_of(by_host, mine)
        assert reached["target"] == "/x"


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_methods_for_proxies_are_refused(place: Place, method: str) -> None:
    home = place.home()
    host, cookie = host_of(place, home), place.cookie(home)
    for target in (host, f"{host}:80", "/", place.addresses.url(home.uid)):
        status, _ = send(place, f"{method} {target} HTTP/1.1", f"Host: {host}", f"Cookie: {cookie}")
        assert status in (400, 403, 405, 421)
    assert home.app.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/w/{mine}/../{other}/x",
        "/w/{mine}/%2e%2e/{other}/x",
        "/w/{mine}/..%2f{other}/x",
        "/w/{mine}%2f..%2f{other}/x",
        "//w/{other}/x",
        "/w//{other}/x",
        "/x/../w/{other}/x",
        "/w/{other}%2fx",
        "/%77/{other}/x",
        "/w/./{other}/x",
        "/w/{mine}/..;/{other}/x",
        "/w/{mine}/..\\{other}/x",
    ],
)
def test_a_path_has_one_meaning(by_path: Place, path: str) -> None:
    """The other's grant would pass: what reaches a server lies under its own plain path."""
    mine, other = by_path.home(), by_path.home()
    cookies = f"Cookie: {by_path.cookie(mine)}; {by_path.cookie(other)}"
    line = path.format(mine=mine.uid, other=other.uid)
    send(by_path, f"GET {line} HTTP/1.1", "Host: localhost", cookies)
    for home in (mine, other):
        assert all(seen["target"].startswith(f"/w/{home.uid}/") for seen in home.app.seen)
    assert other.app.seen == []


@pytest.mark.parametrize("path", ["/_gate/ask", "/%5fgate/ask", "/_gate//ask", "/x/../_gate/ask"])
def test_the_question_cannot_be_asked_from_outside(place: Place, path: str) -> None:
    home = place.home()
    prefix = place.addresses.base_path(home.uid).rstrip("/")
    for target in (path, prefix + path):
        status, answer = send(
            place,
            f"GET {target} HTTP/1.1",
            f"Host: {host_of(place, home)}",
            f"Cookie: {place.cookie(home)}",
        )
        assert b"x-gate" not in answer.lower()
        assert b"token of-" not in answer
        assert status in (400, 403, 404)


@pytest.mark.parametrize("path", ["/livez", "/status", "/metrics", "/refusal", "/public", "/ask"])
def test_gates_own_reports_are_not_for_the_outside(by_host: Place, path: str) -> None:
    home = by_host.home()
    for target in (f"/_gate{path}", f"/_gate/../..{path}"):
        line = f"GET {target} HTTP/1.1"
        _, answer = send(by_host, line, f"Host: {host_of(by_host, home)}")
        assert b"tunnels" not in answer
        assert b"gate_decisions" not in answer


SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 6", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 6"),
        ("Content-Length: 6", "Content-Length: 7"),
        ("Content-Length: +6",),
        ("Content-Length: 6,6",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding:\x0bchunked",),
        ("Content-Length : 6",),
    ],
)
def test_ambiguous_bodies_are_refused(place: Place, headers: tuple[str, ...]) -> None:
    home = place.home()
    base = place.addresses.base_path(home.uid)
    status, _ = send(
        place,
        f"POST {base}x HTTP/1.1",
        f"Host: {host_of(place, home)}",
        f"Cookie: {place.cookie(home)}",
        f"Origin: {place.addresses.origin(home.uid)}",
        *headers,
        body=SMUGGLED,
    )
    assert not any("smuggled" in seen["target"] for seen in home.app.seen)
    assert status in (400, 411, 501) or all(seen["body_bytes"] == 0 for seen in home.app.seen)


def test_a_handshake_with_a_body_is_refused(place: Place) -> None:
    home = place.home()
    status, _ = send(
        place,
        f"GET {place.addresses.base_path(home.uid)}ws HTTP/1.1",
        f"Host: {host_of(place, home)}",
        f"Cookie: {place.cookie(home)}",
        f"Origin: {place.addresses.origin(home.uid)}",
        "Upgrade: websocket",
        f"Content-Length: {len(SMUGGLED)}",
        body=SMUGGLED,
    )
    assert status == 400
    assert home.app.seen == []


def test_heads_that_are_too_long_are_refused(place: Place) -> None:
    home = place.home()
    host = f"Host: {host_of(place, home)}"
    base = place.addresses.base_path(home.uid)
    long = "x" * 20_000
    assert send(place, f"GET {base} HTTP/1.1", host, f"Cookie: {long}")[0] == 400
    assert send(place, f"GET {base}{long} HTTP/1.1", host)[0] == 414
    many = [f"X-{number}: {'x' * 4000}" for number in range(40)]
    assert send(place, f"GET {base} HTTP/1.1", host, *many)[0] in (400, 431)


def test_long_heads_within_the_limit_pass(place: Place) -> None:
    home = place.home()
    cookie = f"{place.cookie(home)}; long={'x' * 12_000}"
    answer = place.get(home, cookie=cookie, accept_language="x" * 12_000)
    assert answer.status_code == 200
    assert dict(answer.json()["headers"])["cookie"] == f"long={'x' * 12_000}"


def test_two_hosts_are_refused(place: Place) -> None:
    home = place.home()
    hosts = (f"Host: {host_of(place, home)}", "Host: localhost")
    assert send(place, "GET / HTTP/1.1", *hosts)[0] == 400
