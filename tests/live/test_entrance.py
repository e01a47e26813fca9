"""The live socket: who gets in, what they may look at, and what is made of odd frames."""

from __future__ import annotations

import asyncio

import pytest
from django.conf import settings as portal

from apps.accounts.models import User
from apps.accounts.services.people import disable
from apps.clusters.models import Cluster
from apps.live import frames, hub
from apps.live.metrics import SOCKETS
from apps.workspaces.models import Workspace
from tests.live.sockets import (
    Open,
    Socket,
    bearer_headers,
    cookie_headers,
    eventually,
    on_thread,
    session_of,
    topic_of,
)
from tests.workspaces.lab import launch


@pytest.mark.parametrize("who", ["member", "stranger"])
async def test_others_topics_are_not_there(
    workspace: Workspace, member: User, stranger: User, door: Open, who: str
) -> None:
    person = {"member": member, "stranger": stranger}[who]
    socket = await door(await on_thread(bearer_headers, person))
    for topic in (topic_of(workspace), f"me:{person.uid}", "me:", "workspace:", "nothing:x"):
        await socket.send(subscribe=[topic])
        answer = await socket.until(lambda frame: "error" in frame or "ok" in frame)
        assert (answer["topic"], answer.get("error")) == (topic, "not_found")


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


async def test_open_sockets_are_counted(lab: Cluster, owner: User, door: Open) -> None:
    before = SOCKETS._value.get()
    socket = await door(await on_thread(bearer_headers, owner))
    await socket.subscribe("me")
    assert SOCKETS._value.get() == before + 1
    await socket.close()

    async def is_back() -> bool:
        return bool(SOCKETS._value.get() == before)

    await eventually(is_back, "the socket is not counted any more")


async def test_other_addresses_are_refused(lab: Cluster, owner: User) -> None:
    wire = Socket(await on_thread(bearer_headers, owner), path="/ws/other/").wire
    assert not await wire.connect()


async def test_a_second_name_of_a_topic_stops_nobodys_check(
    workspace: Workspace, owner: User, lead: User, door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.live.hub.CHECK_S", 0.1)
    mine = await door(await on_thread(bearer_headers, owner))
    await mine.subscribe("me")
    await mine.send(subscribe=["me:"])
    answer = await mine.until(lambda frame: frame.get("topic") == "me:")
    assert answer.get("error") == "not_found"
    await mine.send(unsubscribe=["me"])
    leads = await door(await on_thread(bearer_headers, lead))
    await leads.subscribe(topic_of(workspace))

    await on_thread(lambda: lead.memberships.all().delete())

    refused = await leads.until(lambda frame: "error" in frame, within_s=5)
    assert refused["error"] == "not_found"


async def test_a_reader_that_is_missing_stops_nobodys_check(
    workspace: Workspace, owner: User, lead: User, door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.live.hub.CHECK_S", 0.1)
    first = await door(await on_thread(bearer_headers, owner))
    await first.subscribe("me")
    leads = await door(await on_thread(bearer_headers, lead))
    await leads.subscribe(topic_of(workspace))
    here = hub._hubs[asyncio.get_running_loop()]
    here.feeds[f"me:{owner.uid}"].readers.clear()

    await on_thread(lambda: lead.memberships.all().delete())

    refused = await leads.until(lambda frame: "error" in frame, within_s=5)
    assert refused["error"] == "not_found"
