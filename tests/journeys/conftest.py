"""One installation for all journeys of a run, and ways to come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.stack import Stack

PATIENCE_MS = 30_000


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A portal started with `make up`, ended with `make down`."""
    portal = Stack()
    try:
        yield portal.up()
    finally:
        portal.remove()


SignIn = Callable[[str], BrowserContext]


@pytest.fixture
def sign_in(stack: Stack, browser: Browser) -> Iterator[SignIn]:
    """Signs a person in by a link from the command line, each in a browser profile of their own."""
    contexts: list[BrowserContext] = []

    def enter(username: str) -> BrowserContext:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        follow_link(page, stack.signin_link(username))
        page.close()
        return context

    yield enter
    for context in contexts:
        context.close()


def follow_link(page: Page, link: str) -> None:
    """Open a sign-in link and press its one button."""
    page.goto(link)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/")
