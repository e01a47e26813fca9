"""The agents' endpoints through the application that live serves: telling, hearing, refusing."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import connections

from apps.accounts.services.tokens import (
    TokenRequest,
    create_token,
    revoke_workload_tokens,
    workload_token,
)
from apps.clusters.clock import database_now
from apps.clusters.models import AgentCommand, Workload, WorkloadActivity
from apps.clusters.services import request_stop
from portal.asgi import application
from tests.clusters.builders import fake_cluster, run_of

pytestmark = pytest.mark.django_db(transaction=True)
ACTIVITY = "/agent/v1/activity"
COMMANDS = "/agent/v1/commands"
Scenario = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@pytest.fixture
def run() -> Workload:
    return run_of(fake_cluster())


def ask(run: Workload | None, scenario: Scenario, token: str = "") -> httpx.Response:
    text = token or (workload_token(run.uid) if run else "")
    headers = {"Authorization": f"Bearer {text}"} if text else {}

    async def talk() -> httpx.Response:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as client:
            return await scenario(client)

    return asyncio.run(talk())


def tell(run: Workload, **changes: object) -> httpx.Response:
    report = {"at": dt.datetime.now(dt.UTC).isoformat(), **changes}
    return ask(run, lambda client: client.post(ACTIVITY, json=report))


def hear(run: Workload, query: str = "") -> httpx.Response:
    return ask(run, lambda client: client.get(f"{COMMANDS}?{query}"))


def test_a_report_is_kept_and_replaced(run: Workload) -> None:
    kernel = {"name": "python3", "state": "busy", "connections": 1, "last_activity": None}
    assert tell(run, kernels=[kernel], busy=True, cpu=0.5, memory_mib=120.5).status_code == 204
    assert tell(run, terminals=2).status_code == 204
    row = WorkloadActivity.objects.get()
    assert (row.workload_id, row.kernels, row.terminals, row.busy) == (run.pk, 0, 2, False)
    assert (row.cpu, row.memory_mib, row.disk_gib) == (0.5, 120.5, None)


@pytest.mark.parametrize("off_h", [0, 5, -5])
def test_an_agents_clock_may_be_off(run: Workload, off_h: int) -> None:
    at = dt.datetime.now(dt.UTC) + dt.timedelta(hours=off_h)
    active = at - dt.timedelta(minutes=10)
    assert tell(run, at=at.isoformat(), last_activity=active.isoformat()).status_code == 204
    row = WorkloadActivity.objects.get()
    assert row.last_activity_at is not None
    age = database_now() - row.last_activity_at
    assert dt.timedelta(minutes=10) <= age < dt.timedelta(minutes=11)


def test_the_last_activity_never_goes_back(run: Workload) -> None:
    now = dt.datetime.now(dt.UTC)
    for minutes in (5, 50):
        tell(run, last_activity=(now - dt.timedelta(minutes=minutes)).isoformat())
    tell(run, last_activity=None)
    row = WorkloadActivity.objects.get()
    assert row.last_activity_at is not None
    assert database_now() - row.last_activity_at < dt.timedelta(minutes=6)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"at": "yesterday"},
        {"at": "2026-01-01T00:00:00"},
        {"at": "2026-01-01T00:00:00Z", "owner": 1},
        {"at": "2026-01-01T00:00:00Z", "cpu": -1},
        {"at": "2026-01-01T00:00:00Z", "terminals": 10**9},
        {"at": "2026-01-01T00:00:00Z", "kernels": [{}] * 301},
    ],
)
def test_what_makes_no_sense_is_refused(run: Workload, body: object) -> None:
    answer = ask(run, lambda client: client.post(ACTIVITY, json=body))
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not WorkloadActivity.objects.exists()


def test_not_a_number_is_refused(run: Workload) -> None:
    text = '{"at": "2026-01-01T00:00:00Z", "cpu": NaN}'
    assert ask(run, lambda client: client.post(ACTIVITY, content=text)).status_code == 422


@pytest.mark.parametrize("chunked", [False, True])
def test_too_much_is_refused(run: Workload, chunked: bool) -> None:
    whole = json.dumps({"at": "x" * 100_000}).encode()

    async def parts() -> object:
        for start in range(0, len(whole), 1000):
            yield whole[start : start + 1000]

    content = parts() if chunked else whole
    answer = ask(run, lambda client: client.post(ACTIVITY, content=content))  # type: ignore[arg-type]
    assert answer.status_code == 413


def test_only_the_token_of_a_run_may_speak(run: Workload) -> None:
    _row, text = create_token(
        None, user=run.owner, request=TokenRequest(scopes=("read", "workspaces"))
    )
    get: Scenario = lambda client: client.get(COMMANDS)  # noqa: E731
    assert ask(None, get).status_code == 401
    assert ask(None, get, "gpc_" + "x" * 43).status_code == 401
    assert ask(None, get, text).status_code == 403
    assert ask(run, get).status_code == 200
    revoke_workload_tokens(run.uid)
    answer = ask(run, get)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_only_its_own_commands_are_heard(run: Workload) -> None:
    other = run_of(run.cluster)
    AgentCommand.objects.create(workload=other, type="about_to_stop")
    assert hear(run).json() == {"commands": []}
    [command] = hear(other).json()["commands"]
    assert command["type"] == "about_to_stop"
    assert hear(other, f"after={command['id']}").json() == {"commands": []}


@pytest.mark.parametrize("query", ["wait=600", "wait=NaN", "after=-1", "after=x", "who=me"])
def test_a_poll_that_makes_no_sense_is_refused(run: Workload, query: str) -> None:
    assert hear(run, query).status_code == 422


def test_other_methods_are_refused(run: Workload) -> None:
    assert ask(run, lambda client: client.get(ACTIVITY)).status_code == 405
    assert ask(run, lambda client: client.post(COMMANDS)).status_code == 405


def test_a_poll_hears_of_a_stop_at_once(run: Workload) -> None:
    async def scenario(client: httpx.AsyncClient) -> httpx.Response:
        poll = asyncio.ensure_future(client.get(f"{COMMANDS}?wait=50"))
        await until_waiting(run, 1)
        assert not poll.done()
        began = time.monotonic()
        await sync_to_async(_stop)(run)
        answer = await poll
        # Far below what looking at the table now and then would take.
        assert time.monotonic() - began < 1.5
        return answer

    [command] = ask(run, scenario).json()["commands"]
    assert command["type"] == "about_to_stop"
    assert command["detail"] == {"reason": "stopped_by_owner"}


def test_a_poll_that_is_not_woken_looks_for_itself(
    run: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.clusters.agent.views.LOOK_EVERY_S", 0.1)

    async def scenario(client: httpx.AsyncClient) -> httpx.Response:
        poll = asyncio.ensure_future(client.get(f"{COMMANDS}?wait=20"))
        await until_waiting(run, 1)
        await sync_to_async(_add)(run)
        return await poll

    assert len(ask(run, scenario).json()["commands"]) == 1


def test_a_poll_ends_by_itself_with_nothing(run: Workload) -> None:
    began = time.monotonic()
    assert hear(run, "wait=0.3").json() == {"commands": []}
    assert time.monotonic() - began >= 0.3


def test_a_hundred_polls_that_wait_hold_no_threads(run: Workload) -> None:
    async def scenario(client: httpx.AsyncClient) -> httpx.Response:
        await client.get(COMMANDS)
        polls = [asyncio.ensure_future(client.get(f"{COMMANDS}?wait=30")) for _n in range(100)]
        await until_waiting(run, 100)
        assert not any(poll.done() for poll in polls)
        # The loop's own pool is all there is; Django's handler would hold one for each.
        assert threading.active_count() < 50
        await sync_to_async(_stop)(run)
        answers = await asyncio.gather(*polls)
        assert all(len(answer.json()["commands"]) == 1 for answer in answers)
        return answers[0]

    assert ask(run, scenario).status_code == 200


async def until_waiting(run: Workload, polls: int) -> None:
    """Until so many polls of this run have hung up their bells."""
    layer = get_channel_layer()
    assert layer is not None
    group = f"gpc__group__agent.{run.uid}"
    async with asyncio.timeout(20):
        while len(layer.groups.get(group, ())) < polls:  # noqa: ASYNC110  # the layer's own state
            await asyncio.sleep(0.01)


def _stop(run: Workload) -> None:
    request_stop(run, reason="stopped_by_owner")
    connections.close_all()


def _add(run: Workload) -> None:
    AgentCommand.objects.create(workload=run, type="about_to_stop")
    connections.close_all()
