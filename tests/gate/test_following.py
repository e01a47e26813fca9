"""How gate follows the database, and what it tells operators."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator

import pytest

from apps.gate.store import SIGNOUT_MEMORY_S, Store
from tests.gate.place import Place
from tests.gate.servers import wait_for


class Clock:
    """Monotonic time that a test can push."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


async def end_others() -> None:
    """Cancel every other task of this loop, and wait for them."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def followed(by_host: Place) -> Iterator[tuple[Store, Clock]]:
    """A store of the test's own over the common database, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    clock = Clock()
    store = Store(by_host.dsn, clock)
    asyncio.run_coroutine_threadsafe(store.run(), loop)
    wait_for(lambda: store.table.read_at is not None, "first look")
    yield store, clock
    asyncio.run_coroutine_threadsafe(end_others(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_changes_arrive_and_what_stays_is_not_read_again(
    by_host: Place, followed: tuple[Store, Clock]
) -> None:
    store, _ = followed
    calls: list[int] = []
    store.on_change(lambda: calls.append(1))
    home = by_host.home()
    wait_for(lambda: home.uid in store.table.routes, "route arrived", 2)
    routes, looked = store.table.routes, store.table.read_at
    assert store.table.people[home.owner].active
    by_host.token(home.owner)
    wait_for(lambda: any(t.person_id == home.owner for t in store.table.tokens.values()), "token")
    wait_for(lambda: store.table.read_at != looked, "looked again")
    assert store.table.routes is routes
    assert calls


def test_after_long_blindness_a_sign_out_may_have_been_missed(
    followed: tuple[Store, Clock],
) -> None:
    store, clock = followed
    assert store.table.generation == 0
    clock.now += SIGNOUT_MEMORY_S + 1
    wait_for(lambda: store.table.generation == 1, "counted", 5)


def test_operators_see_age_routes_tunnels_and_decisions(by_host: Place) -> None:
    home = by_host.home()
    by_host.get(home)
    status = json.loads(by_host.ask_gate("/status"))
    assert 0 <= status["age_s"] < 3
    assert status["routes"] >= 1
    assert status["fresh"] is True
    metrics = by_host.ask_gate("/metrics")
    assert 'gate_decisions_total{outcome="unauthenticated"}' in metrics
    assert "gate_tunnels " in metrics
    assert "gate_table_age_seconds" in metrics
    assert by_host.ask_gate("/livez") == "ok\n"
