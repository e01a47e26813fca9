"""/livez and /readyz, with parts up and parts down."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from apps.clusters.models import Cluster, ClusterKind
from apps.live.models import Heartbeat
from apps.live.tasks import heartbeat
from portal import checks, probes

ALL = ["web", "live", "gate", "nginx", "beat", "worker", "watcher-fake", "postgres", "valkey",
       "supervisor"]  # fmt: skip


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    checks.forget()
    yield
    checks.forget()


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Path:
    settings.RUN_DIR = tmp_path
    settings.EXPECTED_PROCESSES = ALL
    return tmp_path


def serve(path: Path, answer: bytes) -> socket.socket:
    """A unix socket that gives `answer` to whoever connects."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)

    def loop() -> None:
        while True:
            try:
                peer, _address = listener.accept()
            except OSError:
                return
            with closing(peer):
                if answer:
                    peer.recv(4096)
                    peer.sendall(answer)

    threading.Thread(target=loop, daemon=True).start()
    return listener


def gate_says(told: object) -> bytes:
    body = json.dumps(told).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.fixture
def everything_up(run: Path, settings: Settings, transactional_db: None) -> Iterator[Path]:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as door,
        closing(serve(run / "live.sock", b"")),
        closing(serve(run / "gate.sock", gate_says({"age_s": 0.5}))),
    ):
        settings.PORTAL_URL = f"http://127.0.0.1:{door.getsockname()[1]}"
        heartbeat()
        Cluster.objects.create(name="fake", kind=ClusterKind.FAKE, watched_at=timezone.now())
        states = {"supervisor": {"pid": os.getpid(), "state": "up", "since": time.time()}}
        (run / "supervisor.json").write_text(json.dumps(states))
        yield run


def readyz(query: str = "?all=1") -> tuple[int, dict[str, dict[str, object]], str]:
    response = Client().get(f"/readyz{query}")
    body = response.json()
    assert set(body) == {"status", "checks"}
    for check in body["checks"].values():
        assert set(check) == {"ok", "age_s", "detail"}
    return response.status_code, body["checks"], body["status"]


def test_livez_touches_nothing() -> None:
    client = Client(headers={"host": "10.0.0.7"})
    client.cookies["gpc_session"] = "x" * 32
    response = client.get("/livez")  # without the database: pytest-django would refuse
    assert response.status_code == 200


@pytest.mark.django_db(transaction=True)
def test_readyz_looks_at_the_database_alone(run: Path) -> None:
    status, found, word = readyz("")
    assert (status, word) == (200, "ok")
    assert set(found) == {"web", "database"}


def test_all_is_well(everything_up: Path) -> None:
    status, found, word = readyz()
    assert (status, word) == (200, "ok"), found
    assert set(found) == {*ALL, "database", "broker"}


def break_socket(name: str) -> Callable[[Path], None]:
    def break_it(run: Path) -> None:
        (run / f"{name}.sock").unlink()

    return break_it


def old_heartbeat(run: Path) -> None:
    Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=2))


def unseen_cluster(run: Path) -> None:
    Cluster.objects.update(watched_at=timezone.now() - timedelta(minutes=2))


def troubled_cluster(run: Path) -> None:
    Cluster.objects.update(trouble="cannot be listed at /secret/path")


def dead_supervisor(run: Path) -> None:
    states = {"supervisor": {"pid": 2**22 + 1, "state": "up"}}
    (run / "supervisor.json").write_text(json.dumps(states))


@pytest.mark.parametrize(
    ("break_it", "names"),
    [
        (break_socket("live"), {"live"}),
        (break_socket("gate"), {"gate"}),
        (old_heartbeat, {"beat", "worker"}),
        (unseen_cluster, {"watcher-fake"}),
        (troubled_cluster, {"watcher-fake"}),
        (dead_supervisor, {"supervisor"}),
        (break_socket("none"), set()),
    ],
)
def test_what_is_broken_is_named(
    everything_up: Path, break_it: Callable[[Path], None], names: set[str]
) -> None:
    (everything_up / "none.sock").touch()
    break_it(everything_up)
    status, found, word = readyz()
    assert {name for name, check in found.items() if not check["ok"]} == names, found
    assert (status, word) == ((503, "degraded") if names else (200, "ok"))
    assert all(found[name]["detail"] for name in names)
    assert "secret" not in str(found)


def test_this_web_serves_though_others_are_broken(everything_up: Path) -> None:
    (everything_up / "gate.sock").unlink()
    assert readyz("")[0] == 200
    assert readyz()[0] == 503


@pytest.mark.parametrize("told", [{"age_s": 60}, {"age_s": None}, {}, []])
def test_a_gate_that_is_blind(everything_up: Path, told: object) -> None:
    (everything_up / "gate.sock").unlink()
    with closing(serve(everything_up / "gate.sock", gate_says(told))):
        assert readyz()[1]["gate"]["ok"] is False


def test_without_the_database_it_is_down(
    everything_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(sql: str) -> None:
        raise psycopg.OperationalError("password=secret")

    monkeypatch.setattr(probes, "query", away)
    status, found, word = readyz()
    assert (status, word) == (503, "down")
    assert not found["database"]["ok"]
    assert not found["watcher-fake"]["ok"]
    assert "secret" not in str(found)
    checks.forget()
    assert readyz("")[0] == 503


def test_without_the_broker(everything_up: Path, settings: Settings) -> None:
    settings.CELERY_BROKER_URL = "redis+socket:///nonexistent.sock?virtual_host=0"
    status, found, word = readyz()
    assert (status, word) == (503, "degraded")
    assert not found["broker"]["ok"]
    assert not found["valkey"]["ok"]


def test_a_part_that_hangs_delays_by_a_second_at_most(
    everything_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def hang() -> probes.Check:
        released.wait(20)
        return probes.Check(ok=True, age_s=0)

    monkeypatch.setitem(checks.PROBES, "live", hang)
    began = time.monotonic()
    for _ in range(3):
        assert readyz()[1]["live"]["ok"] is False
    assert time.monotonic() - began < 8
    before = threading.active_count()
    checks.look(["live"])
    assert threading.active_count() <= before + 1
    released.set()
    checks._running["live"].result(5)


def test_answers_are_kept_for_a_second(
    everything_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = probes.query

    def counted(sql: str) -> object:
        asked.append(sql)
        return real(sql)

    monkeypatch.setattr(probes, "query", counted)
    monkeypatch.setattr(checks, "GOOD_FOR_S", 60)
    for _ in range(5):
        readyz()
    many = len(asked)
    readyz()
    assert len(asked) == many
    found = readyz()[1]
    assert all(check["age_s"] is not None for check in found.values())


def test_the_supervisors_words_are_added(everything_up: Path) -> None:
    states = {
        "supervisor": {"pid": os.getpid(), "state": "up", "restarts": 0},
        "live": {"pid": None, "state": "backoff", "restarts": 4, "last_exit": -9, "log": "/x"},
    }
    (everything_up / "supervisor.json").write_text(json.dumps(states))
    (everything_up / "live.sock").unlink()
    detail = str(readyz()[1]["live"]["detail"])
    assert "backoff, last exit -9" in detail
    assert "restarts: 4" in detail


def test_a_process_that_is_down_is_so_although_its_heartbeat_is_young(everything_up: Path) -> None:
    alive = {"pid": os.getpid(), "state": "up", "since": time.time()}
    down = {"pid": None, "state": "backoff", "restarts": 1, "last_exit": 1}
    states = {"supervisor": alive, "worker": down, "live": {**alive, "restarts": 2}}
    (everything_up / "supervisor.json").write_text(json.dumps(states))
    status, found, _word = readyz()
    assert status == 503
    assert [name for name, check in found.items() if not check["ok"]] == ["worker"]
    assert found["live"]["detail"] == "restarts: 2"


def test_a_broken_state_file_breaks_nothing_else(everything_up: Path) -> None:
    (everything_up / "supervisor.json").write_text("{")
    found = readyz()[1]
    assert [name for name, check in found.items() if not check["ok"]] == ["supervisor"]


@pytest.mark.django_db(transaction=True)
def test_the_heartbeat_uses_the_databases_clock() -> None:
    heartbeat()
    heartbeat()
    row = Heartbeat.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXTRACT(EPOCH FROM now() - %s)", [row.at])
        assert 0 <= float(cursor.fetchone()[0]) < 5
