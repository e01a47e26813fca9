"""What a page does with its socket: newer content in, older dropped, nothing taken from the reader,
and always a true word about whether it is current."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.templatetags.ui_examples import example_workspace
from tests.browser.components.site import Peer, Site

pytestmark = pytest.mark.browser

UID = "a1b2c3d4e5f6g7h8i9j0kl"
TOPIC = f"workspace:{UID}"
PATH = f"/workspaces/{UID}/"


def open_page(site: Site, page: Page, phase: str = "ready") -> Peer:
    """A workspace's page, and the server's end of its socket after the first word."""
    context = {"workspace": example_workspace(phase), "can_change": False}
    page.goto(site.show(PATH, "workspaces/detail.html", context))
    peer = site.peer()
    said = peer.next()
    assert said == {"subscribe": [TOPIC], "have": {TOPIC: 7}, "as": "html"}
    peer.tell(topic=TOPIC, ok=True)
    return peer


def state(page: Page) -> str | None:
    return page.locator(".topbar [data-live-indicator]").get_attribute("data-state")


def expect_state(page: Page, wanted: str) -> None:
    indicator = page.locator(".topbar [data-live-indicator]")
    expect(indicator).to_have_attribute("data-state", wanted)


def test_newer_content_is_shown_and_older_is_dropped(site: Site, page: Page) -> None:
    peer = open_page(site, page)
    expect_state(page, "live")
    peer.tell(topic=TOPIC, version=9, html="<p id='said'>nine</p>")
    expect(page.locator("#said")).to_have_text("nine")
    peer.tell(topic=TOPIC, version=8, html="<p id='said'>eight</p>")
    peer.tell(topic=TOPIC, version=10, html="<p id='said'>ten</p><p id='last'></p>")
    expect(page.locator("#last")).to_be_attached()
    expect(page.locator("#said")).to_have_text("ten")
    expect(page.locator("[data-topic]")).to_have_attribute("data-version", "10")


def test_what_the_reader_was_doing_is_kept(site: Site, page: Page) -> None:
    peer = open_page(site, page)
    page.locator("#connect-example summary").click()
    page.locator(f"#stop-{UID}").focus()
    html = page.locator("[data-topic]").inner_html()
    peer.tell(topic=TOPIC, version=8, html=f"<i id='new'></i>{html.replace(' open=', ' data-x=')}")
    expect(page.locator("#new")).to_be_attached()
    expect(page.locator("#connect-example")).to_have_attribute("open", "")
    expect(page.locator(f"#stop-{UID}")).to_be_focused()


def test_focus_is_not_lost_when_its_button_goes(site: Site, page: Page) -> None:
    peer = open_page(site, page)
    page.locator(f"#stop-{UID}").focus()
    peer.tell(topic=TOPIC, version=8, html="<p id='new'>no button</p>")
    expect(page.locator("#new")).to_be_attached()
    expect(page.locator("[data-topic]")).to_be_focused()


def test_a_press_does_not_lose_its_button(site: Site, page: Page) -> None:
    peer = open_page(site, page)
    box = page.locator(f"#stop-{UID}").bounding_box()
    assert box
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    peer.tell(topic=TOPIC, version=8, html="<p id='new'></p>")
    peer.tell(topic=TOPIC, version=9, html="<p id='newer'></p>")
    page.wait_for_function("document.body.dataset.live === 'live'")
    expect(page.locator(f"#stop-{UID}")).to_be_attached()
    page.mouse.move(box["x"] + 5, box["y"] + 300)
    page.mouse.up()
    expect(page.locator("#newer")).to_be_attached()


def test_a_change_of_phase_is_said_once_for_those_who_listen(site: Site, page: Page) -> None:
    peer = open_page(site, page, "starting")
    line = page.locator("[data-live-announce]")
    peer.tell(topic=TOPIC, version=8, html="<h1 data-announce='statistics: Ready'>x</h1>")
    expect(line).to_have_text("statistics: Ready")
    expect(line).to_have_attribute("aria-live", "polite")


def test_after_a_break_it_says_what_it_has(site: Site, page: Page) -> None:
    peer = open_page(site, page)
    peer.tell(topic=TOPIC, version=12, html="<p id='new'></p>")
    expect(page.locator("#new")).to_be_attached()
    peer.close()
    again = site.peer()
    assert again.next()["have"] == {TOPIC: 12}
    expect_state(page, "live")


def test_it_says_reconnecting_then_stale_since_then_live(site: Site, page: Page) -> None:
    page.clock.install()
    peer = open_page(site, page)
    page.clock.run_for(1_000)
    expect_state(page, "live")
    site.refuses_sockets = True
    peer.close()
    expect_state(page, "reconnecting")
    page.clock.run_for(21_000)
    expect_state(page, "stale")
    assert page.locator(".topbar [data-live-since]").inner_text() != ""
    site.refuses_sockets = False
    page.clock.run_for(20_000)
    site.peer().tell(topic=TOPIC, ok=True)
    page.clock.run_for(1_000)
    expect_state(page, "live")


def test_a_quiet_connection_is_asked_and_a_dead_one_replaced(site: Site, page: Page) -> None:
    page.clock.install()
    peer = open_page(site, page)
    page.wait_for_function("document.body.dataset.live === 'live'")
    page.clock.run_for(12_000)
    assert peer.next()["have"] == {TOPIC: 7}
    page.clock.run_for(20_000)
    assert site.peer().next()["subscribe"] == [TOPIC]


def test_signed_out_elsewhere_goes_to_the_way_in(site: Site, page: Page) -> None:
    site.show("/account/login/", "errors/404.html", {"anonymous": True, "title": "in"})
    peer = open_page(site, page)
    peer.close(4401)
    page.wait_for_url(f"**/account/login/?next=%2Fworkspaces%2F{UID}%2F")


@pytest.mark.parametrize("how", ["refused", "wrong origin"])
def test_what_cannot_be_live_says_so_and_stops(site: Site, page: Page, how: str) -> None:
    peer = open_page(site, page)
    if how == "refused":
        peer.tell(topic=TOPIC, error={"code": "not_found"})
    else:
        peer.close(4403)
    expect_state(page, "stale")
    assert site.peers.empty()


def test_tries_are_spread_and_never_far_apart(site: Site, page: Page) -> None:
    open_page(site, page)
    waits = page.evaluate(
        """async () => {
          const { delayMs } = await import("/static/js/live.js");
          return [[0, 0], [0, 1], [3, 0], [3, 1], [50, 0], [50, 1]].map(([n, c]) => delayMs(n, c));
        }"""
    )
    assert waits == [500, 1000, 4000, 8000, 7500, 15000]
