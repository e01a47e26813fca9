"""`make screenshots`: every page in its states, light and dark, wide and narrow, to look at.

Writes PNG files to `build/screenshots/`. Uses a portal of its own.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.chromium import FLAGS, chromium_program
from tests.journeys.conftest import follow_link
from tests.stack import Stack

OUT = Path(__file__).resolve().parent.parent / "build" / "screenshots"
READY_MS = 120_000


@dataclass(frozen=True, slots=True)
class Look:
    """One way to see a page."""

    name: str
    width: int
    height: int
    scheme: str


LOOKS = (
    Look("light", 1280, 900, "light"),
    Look("dark", 1280, 900, "dark"),
    Look("narrow", 320, 700, "light"),
    Look("narrow-dark", 320, 700, "dark"),
    Look("projector", 1920, 1080, "light"),
)


class Gallery:
    """Takes each page in every look, in the browser profile of one person."""

    def __init__(self, browser: Browser, stack: Stack) -> None:
        self.browser = browser
        self.stack = stack
        self.count = 0

    @contextmanager
    def visitor(self, username: str = "") -> Iterator[BrowserContext]:
        context = self.browser.new_context()
        if username:
            page = context.new_page()
            follow_link(page, self.stack.signin_link(username))
            page.close()
        yield context
        context.close()

    def take(self, context: BrowserContext, path: str, name: str) -> None:
        """All looks of `path` (of the portal, or a whole address)."""
        address = path if path.startswith("http") else f"{self.stack.url}{path}"
        page = context.new_page()
        page.goto(address)
        for look in LOOKS:
            self.shoot(page, look, name)
        page.close()

    def shoot(self, page: Page, look: Look, name: str) -> None:
        page.set_viewport_size({"width": look.width, "height": look.height})
        page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of two words
        page.screenshot(path=str(OUT / f"{name}.{look.name}.png"), full_page=True)
        self.count += 1


def before_any_launch(gallery: Gallery) -> None:
    with gallery.visitor() as nobody:
        gallery.take(nobody, "/account/login/", "login")
        gallery.take(nobody, gallery.stack.signin_link("student2"), "signin-link")
        gallery.take(nobody, "/account/link/never-was-one/", "signin-link-gone")
    with gallery.visitor("stranger") as stranger:
        gallery.take(stranger, "/", "dashboard-empty")
        gallery.take(stranger, "/workspaces/", "list-empty")
        gallery.take(stranger, "/workspaces/new/", "launch")
        gallery.take(stranger, "/account/", "account")
        gallery.take(stranger, "/account/tokens/", "tokens-empty")
        gallery.take(stranger, "/nothing/here/", "not-found")
        gallery.take(stranger, "/components/", "components")


def with_workspaces(gallery: Gallery) -> None:
    with gallery.visitor("student") as student:
        page = student.new_page()
        for _ in range(3):
            page.goto(f"{gallery.stack.url}/workspaces/new/")
            page.get_by_role("button", name="Launch").click()
            page.wait_for_url("**/workspaces/*/")
            path = page.url.removeprefix(gallery.stack.url)
            gallery.take(student, path, "workspace-starting")
            page.locator("main [data-phase='ready']").first.wait_for(timeout=READY_MS)
        gallery.take(student, path, "workspace-ready")
        gallery.take(student, "/", "dashboard")
        gallery.take(student, "/workspaces/", "list")
        gallery.take(student, "/workspaces/new/", "launch-at-the-limit")
        gallery.take(student, f"{path}delete/", "delete")
        page.goto(f"{gallery.stack.url}{path}")
        page.get_by_role("button", name="Stop").click()
        page.locator("main [data-phase='stopped']").first.wait_for(timeout=READY_MS)
        gallery.take(student, path, "workspace-stopped")
        uid = path.strip("/").split("/")[-1]
        gallery.take(student, f"http://w-{uid}.localhost:{gallery.stack.port}/lab", "asleep")


def main() -> int:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    stack = Stack()
    try:
        stack.up()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_program(), args=FLAGS)
            gallery = Gallery(browser, stack)
            before_any_launch(gallery)
            with_workspaces(gallery)
            browser.close()
    finally:
        stack.remove()
    sys.stdout.write(f"{gallery.count} pictures in {OUT}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
