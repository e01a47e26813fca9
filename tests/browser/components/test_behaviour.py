"""The small behaviours: copying, menus, ticking times, the launch form, forms sent twice."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from apps.accounts.templatetags.ui_examples import example_launch, example_workspace
from tests.browser.components.site import Site

pytestmark = pytest.mark.browser


def show_components(site: Site, page: Page) -> None:
    page.goto(site.show("/components/", "pages/components.html", {}))
    page.wait_for_function("document.querySelector('[data-copy-button]').hidden === false")


def test_a_text_is_copied(site: Site, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    show_components(site, page)
    page.get_by_role("button", name="Copy the example").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "curl http://localhost:8000/api/v1/me"


def test_the_menu_closes_by_escape_and_by_a_click_elsewhere(site: Site, page: Page) -> None:
    show_components(site, page)
    menu = page.locator("details.menu")
    page.locator("details.menu summary").click()
    expect(menu).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(page.locator("details.menu summary")).to_be_focused()
    page.locator("details.menu summary").click()
    page.locator("h1").click()
    expect(menu).not_to_have_attribute("open", "")


def test_times_go_on_counting(site: Site, page: Page) -> None:
    page.clock.install()
    context = {"workspace": example_workspace("starting"), "can_change": False}
    page.goto(site.show("/w/", "workspaces/detail.html", context))
    time = page.locator(".state time.ticking")
    expect(time).to_have_text(re.compile(r"^\d+ s$"))
    page.clock.run_for(3_600_000)
    expect(time).to_have_text(re.compile(r"^1 h( \d+ min)?$"))


def test_the_launch_form_says_what_it_takes(site: Site, page: Page) -> None:
    page.goto(site.show("/workspaces/new/", "workspaces/new.html", example_launch()))
    expect(page.locator("[data-price-value]")).to_have_text("0.04 USD")
    cpu = page.locator('[data-meter="cpu"]')
    expect(cpu).to_have_attribute("data-state", "near")
    page.get_by_role("radio", name=re.compile("^Medium")).check()
    expect(page.locator("[data-price-value]")).to_have_text("0.08 USD")
    expect(cpu.locator("[data-meter-plus]")).to_have_text("+ 2")
    expect(cpu).to_have_attribute("data-state", "over")
    expect(cpu).to_contain_text("more than you may hold")
    expect(page.get_by_role("radio", name=re.compile("^Large"))).to_be_disabled()


def test_the_launch_form_offers_the_editors_of_the_image(site: Site, page: Page) -> None:
    page.goto(site.show("/workspaces/new/", "workspaces/new.html", example_launch()))
    code = page.get_by_role("radio", name=re.compile("^VS Code"))
    code.check()
    page.get_by_role("radio", name=re.compile("^PyTorch")).check()
    expect(code).to_be_disabled()
    note = page.locator(".choice", has_text="VS Code").get_by_text("Not in the chosen image")
    expect(note).to_be_visible()
    expect(page.get_by_role("radio", name=re.compile("^JupyterLab"))).to_be_checked()


def test_a_form_is_sent_once(site: Site, page: Page) -> None:
    page.goto(site.show("/workspaces/new/", "workspaces/new.html", example_launch()))
    sent = page.evaluate(
        """() => {
          let sent = 0;
          const form = document.querySelector("form[data-controller]");
          document.addEventListener("submit", (event) => {
            if (!event.defaultPrevented) sent += 1;
            event.preventDefault();
          });
          const button = form.querySelector("button[type=submit]");
          button.click();
          button.click();
          return sent;
        }"""
    )
    assert sent == 1
