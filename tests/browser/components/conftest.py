"""A site of our own pages, and a browser page that fails the test when a script complains."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.components.site import Site, start


@pytest.fixture
def site() -> Iterator[Site]:
    """A site on a loopback port of its own."""
    site = Site()
    _server, end = start(site)
    yield site
    end()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a fresh profile; what a script throws, or the policy blocks, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en")
    context.set_default_timeout(15_000)
    shown = context.new_page()
    wrong: list[str] = []
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.on(
        "console",
        lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None,
    )
    yield shown
    context.close()
    assert wrong == []
