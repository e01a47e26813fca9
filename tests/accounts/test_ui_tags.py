"""How values are written, and that what is broadcast is nobody's in particular."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from apps.accounts.templatetags import ui, ui_examples

PHASES = ("queued", "pulling", "starting", "ready", "stopping", "stopped", "failed")


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, ""),
        (0, "0 s"),
        (-5, "0 s"),
        (0.84, "0.8 s"),
        (9.96, "10 s"),
        (59, "59 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (7805, "2 h 10 min"),
        (90061, "1 d 1 h"),
        (86400 + 59, "1 d"),
    ],
)
def test_durations(seconds: float | None, written: str) -> None:
    assert ui.duration(seconds) == written


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (None, "USD", ""),
        ("0", "USD", "0.00 USD"),
        ("0.0400", "USD", "0.04 USD"),
        ("0.4712", "USD", "0.4712 USD"),
        ("0.47125", "USD", "0.4713 USD"),
        ("12.5", "USD", "12.50 USD"),
        ("1234", "KRW", "1234 KRW"),
        ("0.25", "KRW", "0.25 KRW"),
    ],
)
def test_money(amount: str | None, currency: str, written: str) -> None:
    assert ui.money(None if amount is None else Decimal(amount), currency) == written


def test_sizes() -> None:
    assert [ui.mib(n) for n in (512, 1024, 1536, 3 * 1024**2)] == [
        "512 MiB",
        "1 GiB",
        "1.5 GiB",
        "3 TiB",
    ]
    assert [ui.cores(n) for n in (1, 2, Decimal("0.5"))] == ["1 core", "2 cores", "0.5 cores"]


@pytest.mark.parametrize(
    ("maximum", "used", "adds", "state"),
    [
        (4, 1, 0, "ok"),
        (10, 8, 0, "near"),
        (4, 4, 0, "full"),
        (4, 3, 2, "over"),
        (None, 99, 1, "ok"),
    ],
)
def test_a_limit_says_how_full_it_is(maximum: int | None, used: int, adds: int, state: str) -> None:
    shown = ui.meter_context("cpu", maximum, used, "now", adds)
    assert shown["state"] == state
    assert float(shown["bar_used"]) + float(shown["bar_adds"]) <= 100


def test_a_limit_of_nothing_is_full() -> None:
    assert ui.meter_context("cpu", 0, 0, "now")["state"] == "full"


def test_an_unknown_phase_is_shown_as_it_is() -> None:
    assert "odd &lt;phase&gt;" in ui.phase_badge("odd <phase>")


def test_times_are_for_machines_too() -> None:
    at = timezone.now() - dt.timedelta(seconds=75)
    assert f'datetime="{at.isoformat()}"' in ui.when(at)
    assert "1 min 15 s" in ui.elapsed(at)


@pytest.mark.parametrize("phase", PHASES)
def test_a_broadcast_fragment_is_nobodys_in_particular(phase: str) -> None:
    workspace = ui_examples.example_workspace(phase, "<b>mine</b>")
    one = render_to_string("workspaces/_status.html", {"workspace": workspace})
    mine = {"workspaces": [workspace], "limits": ui_examples.example_limits()}
    many = render_to_string("workspaces/_mine.html", mine)
    for html in (one, many):
        assert "csrf" not in html.lower()
        assert "<b>mine</b>" not in html
        assert "&lt;b&gt;mine&lt;/b&gt;" in html
        assert " style=" not in html
        assert "<script" not in html


@pytest.mark.parametrize(
    ("phase", "offered", "withheld"),
    [
        ("ready", ("open-", "stop-"), ("start-",)),
        ("starting", ("stop-",), ("open-", "start-")),
        ("stopping", (), ("open-", "start-", "stop-")),
        ("stopped", ("start-",), ("open-", "stop-")),
        ("failed", ("start-",), ("open-", "stop-")),
    ],
)
def test_only_what_can_be_done_is_offered(
    phase: str, offered: tuple[str, ...], withheld: tuple[str, ...]
) -> None:
    workspace = ui_examples.example_workspace(phase)
    html = render_to_string("workspaces/_actions.html", {"workspace": workspace})
    assert all(f'id="{name}' in html for name in offered)
    assert not any(f'id="{name}' in html for name in withheld)
