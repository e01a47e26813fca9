"""Websockets: what reaches the workspace, what comes back, how much goes through."""

from __future__ import annotations

import json
import os
import socket
import threading

from tests.gate.place import Home, Place
from tests.gate.servers import wait_for


def headers(place: Place, home: Home) -> dict[str, str]:
    return {"cookie": place.cookie(home), "origin": place.addresses.origin(home.uid)}


def test_the_handshake_is_cleaned_both_ways(place: Place) -> None:
    home = place.home()
    sent = headers(place, home)
    sent["cookie"] += "; own=1; gpc_session=s"
    extra = {"remote_user": "evil", "x_gate_upstream": "evil", "x_upstream": "evil"}
    with place.websocket(home, **sent, **extra, authorization="token mine") as opened:
        record = json.loads(opened.recv(timeout=5))
        reached = dict(record["headers"])
        assert opened.response is not None
        planted = opened.response.headers.get_all("set-cookie")
    assert record["target"] == place.addresses.base_path(home.uid) + "ws"
    assert reached["cookie"] == "own=1"
    assert reached["authorization"] == f"token of-{home.uid}"
    assert reached["host"] == place.addresses.url(home.uid).split("/")[2]
    assert reached["origin"] == sent["origin"]
    assert "evil" not in json.dumps(record)
    assert not any(name.startswith("x-gate") for name in reached)
    assert [cookie.partition("=")[0] for cookie in planted] == ["own"]


def test_a_prefix_is_stripped(by_path: Place) -> None:
    home = by_path.home(strip=True)
    with by_path.websocket(home, **headers(by_path, home)) as opened:
        assert json.loads(opened.recv(timeout=5))["target"] == "/ws"


def test_large_messages_pass_whole(by_host: Place) -> None:
    home = by_host.home()
    message = os.urandom(8 * 1024 * 1024)
    with by_host.websocket(home, **headers(by_host, home)) as opened:
        opened.recv(timeout=5)
        opened.send(message)
        assert opened.recv(timeout=20) == message


def test_a_client_that_leaves_is_forgotten(by_host: Place) -> None:
    home = by_host.home()
    before = by_host.status()["tunnels"]
    with by_host.websocket(home, **headers(by_host, home)) as opened:
        opened.recv(timeout=5)
        assert by_host.status()["tunnels"] == before + 1
    wait_for(lambda: by_host.status()["tunnels"] <= before, "tunnel forgotten", 5)


def test_a_slow_reader_holds_back_its_writer(by_host: Place) -> None:
    """Gate keeps neither what a client does not read, nor others waiting."""
    home = by_host.home()
    address = by_host.folder / "sockets" / f"{home.uid}.sock"
    home.server.stop()
    sent = threading.Event()
    total = 0
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen()

        def pour() -> None:
            nonlocal total
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
                    b"connection: upgrade\r\n\r\n"
                )
                connection.settimeout(1)
                try:
                    while total < 256 * 1024 * 1024:
                        total += connection.send(b"x" * 65536)
                except TimeoutError:
                    sent.set()

        pourer = threading.Thread(target=pour)
        pourer.start()
        with socket.create_connection(("127.0.0.1", by_host.port)) as raw:
            lines = [
                "GET /ws HTTP/1.1",
                f"Host: w-{home.uid}.localhost",
                "Upgrade: websocket",
                "Connection: upgrade",
                f"Cookie: {by_host.cookie(home)}",
                f"Origin: {by_host.addresses.origin(home.uid)}",
                "",
                "",
            ]
            raw.sendall("\r\n".join(lines).encode())
            assert sent.wait(30), "the writer was never held back"
        pourer.join(10)
    assert total < 64 * 1024 * 1024


def test_what_is_no_websocket_is_an_ordinary_request(place: Place) -> None:
    home = place.home()
    answer = place.get(
        home, cookie=place.cookie(home), upgrade="h2c", connection="Upgrade, HTTP2-Settings"
    )
    assert answer.status_code == 200
    assert "upgrade" not in dict(answer.json()["headers"])


def test_a_refusal_of_the_workspace_is_passed_on(by_host: Place) -> None:
    home = by_host.home()
    address = by_host.folder / "sockets" / f"{home.uid}.sock"
    home.server.stop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen()

        def refuse() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 418 No\r\ncontent-length: 3\r\nx-why: tea\r\n\r\nno!")

        thread = threading.Thread(target=refuse)
        thread.start()
        assert by_host.upgrade(home, **headers(by_host, home)) == 418
        thread.join(5)
