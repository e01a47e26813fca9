"""The live socket: who gets in, what is answered, and what comes when something changes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from django.conf import settings as portal

from apps.accounts.models import User
from apps.accounts.services.people import disable
from apps.clusters.models import Cluster
from apps.live import frames, services
from apps.live.metrics import RENDERS, SOCKETS
from apps.workspaces.models import Workspace
from apps.workspaces.services import delete, rename
from tests.live.sockets import (
    Headers,
    Socket,
    bearer_headers,
    cookie_headers,
    eventually,
    on_thread,
    session_of,
)
from tests.workspaces.lab import launch, make_ready

Open = Callable[..., Awaitable[Socket]]


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.clusters.hints.send", lambda *args, **more: True)


@pytest.fixture
def workspace(lab: Cluster, owner: User) -> Workspace:
    return make_ready(launch(owner))


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Open]:
    """Opens sockets and closes them at the end."""
    opened: list[Socket] = []

    async def open_(headers: Headers) -> Socket:
        socket = await Socket(headers).open()
        opened.append(socket)
        return socket

    yield open_
    for socket in opened:
        await socket.close()


def renders(form: str = "html", topic: str = "workspace") -> float:
    return float(RENDERS.labels(topic, form)._value.get())


def topic_of(workspace: Workspace) -> str:
    return f"workspace:{workspace.uid}"


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


@pytest.mark.parametrize("who", ["member", "stranger"])
async def test_others_topics_are_not_there(
    workspace: Workspace, member: User, stranger: User, door: Open, who: str
) -> None:
    person = {"member": member, "stranger": stranger}[who]
    socket = await door(await on_thread(bearer_headers, person))
    for topic in (topic_of(workspace), f"me:{person.uid}", "me:", "workspace:", "nothing:x"):
        await socket.send(subscribe=[topic])
        answer = await socket.until(lambda frame: "error" in frame or "ok" in frame)
        if topic != "me:":
            assert (answer["topic"], answer["error"]) == (topic, "not_found")


@pytest.mark.parametrize("who", ["lead", "admin"])
async def test_leads_and_admins_look(
    workspace: Workspace, lead: User, admin: User, door: Open, who: str
) -> None:
    person = {"lead": lead, "admin": admin}[who]
    socket = await door(await on_thread(bearer_headers, person))
    assert (await socket.subscribe(topic_of(workspace)))["topic"] == topic_of(workspace)


async def test_who_leads_no_more_sees_no_more(
    workspace: Workspace, lead: User, door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.live.hub.CHECK_S", 0.1)
    socket = await door(await on_thread(bearer_headers, lead))
    await socket.subscribe(topic_of(workspace))
    await on_thread(lambda: lead.memberships.all().delete())
    await socket.until(lambda frame: frame.get("error") == "not_found", within_s=5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"subscribe": "me"}',
        '{"subscribe": [1]}',
        '{"subscribe": [""]}',
        '{"subscribe": ["me"], "as": "xml"}',
        '{"subscribe": ["me"], "have": []}',
        "[" * 5000,
        '{"subscribe": ["' + "x" * 81 + '"]}',
        '{"subscribe": [' + ",".join(['"me"'] * 65) + "]}",
    ],
)
async def test_malformed_frames_are_answered(
    lab: Cluster, owner: User, door: Open, text: str
) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    await socket.wire.send_text(text)
    answer = await socket.next()
    assert (answer["topic"], answer["error"]) == (None, "malformed")
    assert (await socket.subscribe("me", have={"me": True, "x": "y"}))["topic"] == "me"


async def test_bytes_and_odd_names_are_answered(lab: Cluster, owner: User, door: Open) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    await socket.wire.send_bytes(b"\xff\x00")
    assert (await socket.next())["error"] == "malformed"
    for name in ("workspace:\x00", "workspace:' OR 1=1", "\ud800", "WORKSPACE:x", "me\n"):
        await socket.send(subscribe=[name])
        assert (await socket.next())["error"] == "not_found"


async def test_large_frames_end_it(lab: Cluster, owner: User, door: Open) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    await socket.wire.send_text("x" * (frames.MAX_BYTES + 1))
    assert await socket.next() == {"close": 1009}


async def test_too_many_frames_end_it(lab: Cluster, owner: User, door: Open) -> None:
    socket = await door(await on_thread(bearer_headers, owner))
    for _ in range(41):
        await socket.wire.send_text("{}")
    await socket.until(lambda frame: frame.get("close") == 4429)


async def test_too_many_topics_are_refused(
    lab: Cluster, owner: User, door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspaces = [await on_thread(launch, owner) for _ in range(3)]
    socket = await door(await on_thread(bearer_headers, owner))
    monkeypatch.setattr(frames, "MAX_TOPICS", 2)
    for workspace in workspaces:
        await socket.send(subscribe=[topic_of(workspace)])
    await socket.until(lambda frame: frame.get("error") == "too_many")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:1", "null", "", "http://localhost:99999", "x"],
)
async def test_only_our_own_pages_bring_cookies(
    lab: Cluster, owner: User, door: Open, origin: str
) -> None:
    key = await on_thread(session_of, owner)
    socket = await door(cookie_headers(key, origin=origin))
    assert await socket.next() == {"close": 4403}


async def test_a_workspace_page_cannot_use_a_token_either(
    workspace: Workspace, owner: User, door: Open
) -> None:
    headers = await on_thread(bearer_headers, owner)
    origin = f"http://w-{workspace.uid}.localhost:8000".encode()
    socket = await door([*headers, (b"origin", origin)])
    assert await socket.next() == {"close": 4403}


async def test_nobody_and_too_little_stay_outside(lab: Cluster, owner: User, door: Open) -> None:
    outside = [
        [(b"origin", portal.PORTAL_URL.encode())],
        cookie_headers("x" * 32),
        cookie_headers('"aaaaaaaa\\000"'),
        [(b"authorization", b"Bearer gpc_nothing")],
        [(b"authorization", b"Basic xyz")],
        await on_thread(bearer_headers, owner, "workspaces"),
    ]
    for headers in outside:
        socket = await door(headers)
        assert await socket.next() == {"close": 4401}


async def test_a_disabled_person_is_shown_out(
    lab: Cluster, owner: User, admin: User, door: Open
) -> None:
    by_token = await door(await on_thread(bearer_headers, owner))
    by_cookie = await door(cookie_headers(await on_thread(session_of, owner)))
    await by_token.subscribe("me")
    await by_cookie.subscribe("me")
    await on_thread(disable, admin, user=owner)
    for socket in (by_token, by_cookie):
        await socket.until(lambda frame: frame.get("close") == 4401, within_s=5)


async def test_signing_out_ends_the_sockets_of_that_session(
    lab: Cluster, owner: User, door: Open
) -> None:
    from django.contrib.sessions.models import Session

    key = await on_thread(session_of, owner)
    socket = await door(cookie_headers(key))
    stays = await door(cookie_headers(await on_thread(session_of, owner)))
    await on_thread(lambda: Session.objects.filter(session_key=key).delete())
    await socket.until(lambda frame: frame.get("close") == 4401, within_s=5)
    assert (await stays.subscribe("me"))["topic"] == "me"


async def test_open_sockets_are_counted(lab: Cluster, owner: User) -> None:
    before = SOCKETS._value.get()
    socket = await Socket(await on_thread(bearer_headers, owner)).open()
    await socket.subscribe("me")
    assert SOCKETS._value.get() == before + 1
    await socket.close()

    async def is_back() -> bool:
        return bool(SOCKETS._value.get() == before)

    await eventually(is_back, "the socket is not counted any more")


async def test_other_addresses_are_refused(lab: Cluster, owner: User) -> None:
    wire = Socket(await on_thread(bearer_headers, owner), path="/ws/other/").wire
    assert not await wire.connect()
