"""What needs no database: addresses, specifications, schedule, steps, policies, words."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.catalog.models import App, Image, ImageVersion, Size
from apps.clusters.specs import to_json
from apps.workspaces.addresses import base_path, workspace_url
from apps.workspaces.policies import ALLOWED, Action, Relation, Viewer, is_allowed, relation_of
from apps.workspaces.schedule import Rules, RunFacts, ends_at, idle_stop_at, stop_reason
from apps.workspaces.spec import Ingredients, build_spec
from apps.workspaces.stages import stages_of
from apps.workspaces.types import EventView, Told

UID = "a1" * 11
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
RULES = Rules(idle_stop_s=3600, max_lifetime_s=24 * 3600)
HOST = "https://w-{uid}.lab.example/"
PATH = "https://lab.example/w/{uid}/"


def hours(number: float) -> dt.timedelta:
    return dt.timedelta(hours=number)


@pytest.mark.parametrize(
    ("template", "url", "path", "stripped"),
    [
        (HOST, f"https://w-{UID}.lab.example/", "/", "/"),
        (PATH, f"https://lab.example/w/{UID}/", f"/w/{UID}/", "/"),
    ],
)
def test_addresses(template: str, url: str, path: str, stripped: str) -> None:
    assert workspace_url(UID, template) == url
    assert base_path(UID, template) == path
    assert base_path(UID, template, strip_prefix=True) == stripped


def ingredients() -> Ingredients:
    return Ingredients(
        owner=User(pk=7, uid="o" * 22, username="student"),
        image=Image(slug="python", python_version="3.11"),
        version=ImageVersion(digest="sha256:ab", lock="numpy==2\n", pip_args=["--no-deps"]),
        app=App(slug="jupyterlab", command=["{python}"], env={"B": "2", "A": "1"}),
        size=Size(slug="small", cpu_millis=1000, memory_mib=2048, disk_gib=5),
        home="h" * 22,
        base_path="/",
        portal_url="http://localhost:8000",
    )


def test_a_specification_holds_all_of_a_run_and_no_secret() -> None:
    spec = build_spec("r" * 22, ingredients())
    assert (spec.owner.number, spec.home, spec.base_url) == (7, "h" * 22, "/")
    assert spec.app.env == (("A", "1"), ("B", "2"))
    assert spec.secrets == ()
    assert "secrets" not in to_json(spec)


def test_the_hash_follows_what_runs() -> None:
    one = build_spec("r" * 22, ingredients())
    assert build_spec("r" * 22, ingredients()) == one
    other = replace(ingredients(), base_path="/w/x/")
    assert build_spec("r" * 22, other).spec_hash != one.spec_hash


def ready(**more: object) -> RunFacts:
    facts = RunFacts(NOW, NOW, is_ready=True, reads_activity=True)
    return replace(facts, **more)  # type: ignore[arg-type]  # by name


def test_it_ends_at_the_end_of_its_lifetime() -> None:
    assert ends_at(ready(), RULES) == NOW + hours(24)
    assert ends_at(ready(started_at=None), RULES) is None
    assert stop_reason(ready(busy=True), RULES, NOW + hours(24)) == "max_lifetime"


@pytest.mark.parametrize(
    ("facts", "at_h", "expected_h"),
    [
        (ready(), 0, 1),
        (ready(heard_at=NOW + hours(0.5), last_activity_at=NOW + hours(0.4)), 0.5, 1.4),
        (ready(heard_at=NOW + hours(2), busy=True), 2, 3),
        (ready(extended_until=NOW + hours(5)), 0, 5),
        (ready(extended_until=NOW + hours(50)), 0, 24),
        (ready(is_ready=False), 0, None),
        (ready(reads_activity=False), 0, None),
        (ready(heard_at=NOW), 2, None),
        (ready(heard_at=NOW + hours(0.5)), 0.5, None),
        (ready(heard_at=NOW, last_activity_at=NOW), 2, None),
    ],
)
def test_when_it_would_be_stopped_as_idle(
    facts: RunFacts, at_h: float, expected_h: float | None
) -> None:
    expected = None if expected_h is None else NOW + hours(expected_h)
    assert idle_stop_at(facts, RULES, NOW + hours(at_h)) == expected


def test_no_idle_time_means_no_idle_stop() -> None:
    assert idle_stop_at(ready(), Rules(0, 3600), NOW) is None


moments = st.none() | st.floats(-30, 30).map(lambda number: NOW + hours(number))


@given(moments, moments, moments, st.booleans(), moments)
def test_only_what_is_known_to_be_idle_is_stopped_as_idle(
    ready_at: dt.datetime | None,
    heard_at: dt.datetime | None,
    last: dt.datetime | None,
    busy: bool,
    extended: dt.datetime | None,
) -> None:
    facts = ready(
        ready_at=ready_at,
        heard_at=heard_at,
        last_activity_at=last,
        busy=busy,
        extended_until=extended,
    )
    if stop_reason(facts, RULES, NOW) != "idle":
        return
    assert heard_at is not None
    assert NOW - heard_at <= dt.timedelta(minutes=3)
    assert not busy
    assert extended is None or extended <= NOW
    assert last is not None
    assert last <= NOW - hours(1)


def event(kind: str, at_s: float) -> EventView:
    return EventView(NOW + dt.timedelta(seconds=at_s), kind, "", Told(""), Told(""))


def test_steps_say_how_long_each_took() -> None:
    events = [event("queued", 0), event("starting", 2), event("ready", 5)]
    stages = stages_of("ready", events)
    assert [(stage.key, stage.state, stage.seconds) for stage in stages] == [
        ("queued", "done", 2),
        ("pulling", "done", 0),
        ("starting", "done", 3),
        ("ready", "done", None),
    ]


def test_steps_on_the_way() -> None:
    stages = stages_of("pulling", [event("queued", 0), event("pulling", 1)])
    assert [stage.state for stage in stages] == ["done", "current", "todo", "todo"]


def test_who_is_what_to_a_workspace() -> None:
    viewer = Viewer(1, is_active=True, is_admin=False, leads_owner=False)
    assert relation_of(viewer, 1) is Relation.OWNER
    assert relation_of(viewer, 2) is Relation.STRANGER
    assert relation_of(replace(viewer, leads_owner=True), 2) is Relation.LEAD
    assert relation_of(replace(viewer, is_admin=True, leads_owner=True), 2) is Relation.ADMIN
    assert relation_of(replace(viewer, is_active=False, is_admin=True), 1) is Relation.STRANGER


def test_only_the_owner_opens_it_and_strangers_do_nothing() -> None:
    assert [who for who in Relation if is_allowed(Action.OPEN, who)] == [Relation.OWNER]
    assert not ALLOWED[Relation.STRANGER]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (Told(""), ""),
        (Told("100 % of it"), "100 % of it"),
        (Told("Renamed to %(name)s.", {"name": "<b>"}), "Renamed to <b>."),
        (Told("%(gone)s of it", {"name": "x"}), "%(gone)s of it"),
    ],
)
def test_words_are_always_words(told: Told, text: str) -> None:
    assert str(told) == text
