"""The live socket: who gets in, what is answered, and what comes when something changes."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from apps.accounts.models import User
from apps.live import services
from apps.live.metrics import RENDERS
from apps.workspaces.models import Workspace
from apps.workspaces.services import delete, rename
from tests.live.sockets import (
    Open,
    bearer_headers,
    cookie_headers,
    on_thread,
    session_of,
    topic_of,
)


def renders(form: str = "html", topic: str = "workspace") -> float:
    return float(RENDERS.labels(topic, form)._value.get())


async def test_state_comes_at_once_and_then_every_change(
    workspace: Workspace, owner: User, door: Open
) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    topic = topic_of(workspace)

    await socket.send(subscribe=[topic, "me"], **{"as": "data"})
    state = await socket.until(lambda frame: "data" in frame and frame["topic"] == topic)

    assert {"topic": topic, "ok": True} in socket.frames
    assert socket.frames.index({"topic": topic, "ok": True}) < socket.frames.index(state)
    assert state["data"]["uid"] == workspace.uid
    assert state["data"]["version"] == state["version"]
    await on_thread(rename, owner, uid=workspace.uid, name="Another")
    changed = await socket.until(
        lambda frame: frame.get("topic") == topic and frame["version"] > state["version"]
    )
    assert changed["data"]["name"] == "Another"


async def test_pages_get_fragments_in_their_language(
    workspace: Workspace, owner: User, door: Open
) -> None:
    headers = cookie_headers(await on_thread(session_of, owner), language="ko")
    socket = await door(headers)
    state = await socket.subscribe(topic_of(workspace))
    assert workspace.name in state["html"]
    assert "csrf" not in state["html"]
    mine = await socket.subscribe("me")
    assert mine["topic"] == "me"
    assert workspace.name in mine["html"]


async def test_what_is_shown_already_is_not_sent(
    workspace: Workspace, owner: User, door: Open
) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    topic = topic_of(workspace)
    state = await socket.subscribe(topic)
    other = await door(await on_thread(bearer_headers, owner))
    await other.send(subscribe=[topic], have={topic: state["version"]})
    assert await other.next() == {"topic": topic, "ok": True}
    await on_thread(rename, owner, uid=workspace.uid, name="Another")
    assert (await other.next())["version"] > state["version"]


async def test_a_version_from_another_world_is_not_believed(
    workspace: Workspace, owner: User, door: Open
) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    topic = topic_of(workspace)
    state = await socket.subscribe(topic, have={topic: 10**12})
    assert state["version"] == workspace.version


async def test_asking_again_is_answered_and_brings_what_is_lacking(
    workspace: Workspace, owner: User, door: Open
) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    topic = topic_of(workspace)
    state = await socket.subscribe(topic)
    again = await socket.subscribe(topic, have={topic: state["version"] - 1})
    assert again == state


async def test_after_unsubscribing_nothing_comes(
    workspace: Workspace, owner: User, door: Open
) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    topic = topic_of(workspace)
    await socket.subscribe(topic)
    await socket.send(unsubscribe=[topic])
    await socket.send(subscribe=["nothing"])
    await socket.until(lambda frame: frame.get("error") == "not_found")
    await on_thread(rename, owner, uid=workspace.uid, name="Another")
    assert await socket.wire.receive_nothing(0.5)


async def test_twenty_who_look_cost_one_rendering(
    workspace: Workspace, owner: User, door: Open
) -> None:
    headers = await on_thread(bearer_headers, owner)
    before = renders()
    sockets = [await door(headers) for _ in range(20)]
    topic = topic_of(workspace)
    states = await asyncio.gather(*(socket.subscribe(topic) for socket in sockets))
    assert renders() - before == 1
    assert len({state["html"] for state in states}) == 1

    await on_thread(rename, owner, uid=workspace.uid, name="Another")
    changed = await asyncio.gather(
        *(socket.until(lambda frame: "Another" in frame.get("html", "")) for socket in sockets)
    )

    assert renders() - before == 2
    assert len({state["version"] for state in changed}) == 1


async def test_a_burst_of_changes_is_coalesced_and_ends_with_the_last(
    workspace: Workspace, owner: User, door: Open
) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    await socket.subscribe(topic_of(workspace))
    before = renders()
    began = asyncio.get_running_loop().time()
    for number in range(30):
        await on_thread(rename, owner, uid=workspace.uid, name=f"No {number}.")
    await socket.until(lambda frame: "No 29." in frame.get("html", ""))
    took = asyncio.get_running_loop().time() - began
    assert renders() - before <= took * 4 + 2
    versions = [frame["version"] for frame in socket.frames if "version" in frame]
    assert all(one < two for one, two in itertools.pairwise(versions))


async def test_a_lost_word_costs_seconds_and_nothing_else(
    workspace: Workspace, owner: User, door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.Announcement, "__call__", lambda self: None)
    socket = await door(await on_thread(bearer_headers, owner))
    await socket.subscribe(topic_of(workspace))
    await on_thread(rename, owner, uid=workspace.uid, name="Another")
    await socket.until(lambda frame: "Another" in frame.get("html", ""), within_s=5)


async def test_what_is_deleted_is_gone_for_everybody(
    workspace: Workspace, owner: User, lead: User, door: Open
) -> None:
    socket = await door(await on_thread(bearer_headers, lead))
    await socket.subscribe(topic_of(workspace))
    await on_thread(delete, owner, uid=workspace.uid)
    await socket.until(lambda frame: frame.get("error") == "not_found", within_s=5)
