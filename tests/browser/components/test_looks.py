"""Every page at every width in both looks: nothing runs over, nothing that axe objects to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from apps.accounts.templatetags.ui_examples import (
    example_launch,
    example_limits,
    example_workspace,
)
from tests.browser.components.site import Site

pytestmark = pytest.mark.browser

PHASES = ("queued", "pulling", "starting", "ready", "stopping", "stopped", "failed")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
LONG = "a-name-without-any-space-that-is-longer-than-a-phone-is-wide-0123456789"


def pages() -> dict[str, tuple[str, Mapping[str, object]]]:
    """Pages by a name, each with its template and what it is given."""
    mine = [example_workspace(phase, f"{phase} {LONG}") for phase in PHASES]
    full = {"workspaces": mine, "limits": example_limits(), "mine_version": 1}
    bare: dict[str, object] = {"workspaces": [], "limits": [], "mine_version": 1}
    return {
        "components": ("pages/components.html", {}),
        "launch": ("workspaces/new.html", example_launch()),
        "full": ("workspaces/list.html", {**full, "is_first_page": True, "next_cursor": "1"}),
        "empty": ("workspaces/dashboard.html", bare),
        "failed": ("workspaces/detail.html", {"workspace": mine[-1]}),
        "ready": ("workspaces/detail.html", {"workspace": mine[3]}),
        "missing": ("errors/404.html", {"title": "Nothing here", "anonymous": True}),
        "away": ("errors/503.html", {"title": "Back in a moment"}),
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 768, 1920])
def test_pages_fit_and_can_be_read(
    site: Site, page: Page, theme: Literal["light", "dark"], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(reduced_motion="reduce", color_scheme=theme)
    for name, (template, context) in pages().items():
        page.goto(site.show(f"/{name}/", template, context))
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{name} is {over} px too wide"
        found = Axe().run(page, options=RULES).response["violations"]
        said = [(rule["id"], node["target"]) for rule in found for node in rule["nodes"]]
        assert said == [], name


def test_pages_work_by_keyboard_from_the_top(site: Site, page: Page) -> None:
    page.goto(site.show("/components/", "pages/components.html", {}))
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    skip = page.locator(".skip-link")
    page.wait_for_function("document.activeElement.matches('a, button, input, summary')")
    skip.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#main'")
