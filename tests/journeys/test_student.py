"""A student's first day and the next one, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.journeys.conftest import SignIn
from tests.journeys.notebook import NAME, digits
from tests.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.trial, pytest.mark.timeout(420)]
START_MS = 90_000
RUN_MS = 180_000


def workspace_uid(page: Page) -> str:
    found = re.search(r"/workspaces/([a-z0-9]{20,26})/", page.url)
    assert found, page.url
    return found.group(1)


def wait_for_phase(page: Page, phase: str) -> None:
    """Without reloading: the page must come to it by itself."""
    expect(page.locator(f"main [data-phase='{phase}']").first).to_be_visible(timeout=START_MS)


def launch_default(page: Page, stack: Stack) -> str:
    page.goto(f"{stack.url}/workspaces/new/")
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"/workspaces/[a-z0-9]{20,26}/$"))
    return workspace_uid(page)


def open_lab(context: BrowserContext, page: Page) -> Page:
    with context.expect_page() as opened:
        page.get_by_role("link", name=re.compile("Open JupyterLab")).first.click()
    lab = opened.value
    lab.wait_for_selector("#jp-top-panel, .jp-LabShell", timeout=START_MS)
    return lab


def put_notebook(lab: Page) -> None:
    """As JupyterLab itself saves: a same-origin request to the Contents API."""
    status = lab.evaluate(
        """async ([name, text]) => (await fetch(new URL(`api/contents/${name}`,
            document.baseURI.replace(/lab.*$/, "")), {
              method: "PUT", headers: {"Content-Type": "application/json"},
              body: JSON.stringify({type: "notebook", format: "json",
                                    content: JSON.parse(text)})})).status""",
        [NAME, digits()],
    )
    assert status == 201


def menu(lab: Page, name: str, item: str) -> None:
    lab.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{name}$")).click()
    lab.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).click()


def run_everything(lab: Page, url: str) -> None:
    lab.goto(f"{url}lab/tree/{NAME}")
    lab.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=START_MS)
    expect(lab.get_by_role("button", name="Python 3 | Idle")).to_be_visible(timeout=START_MS)
    menu(lab, "Run", "Run All Cells")
    notebook = lab.locator(".jp-Notebook")
    expect(notebook.get_by_text(re.compile(r"accuracy 0\.9"))).to_be_visible(timeout=RUN_MS)
    expect(notebook.locator(".jp-OutputArea img")).to_be_visible(timeout=RUN_MS)
    expect(notebook.get_by_text("all cells ran")).to_be_visible(timeout=RUN_MS)
    menu(lab, "File", "Save Notebook")
    expect(lab.locator(".jp-mod-dirty")).to_have_count(0)


def test_a_day_and_the_next(stack: Stack, sign_in: SignIn) -> None:
    context = sign_in("student")
    page = context.new_page()
    uid = launch_default(page, stack)
    wait_for_phase(page, "ready")
    lab = open_lab(context, page)
    url = f"http://w-{uid}.localhost:{stack.port}/"
    put_notebook(lab)
    run_everything(lab, url)
    lab.close()

    page.get_by_role("button", name="Stop").click()
    wait_for_phase(page, "stopped")

    page.get_by_role("button", name="Start").click()
    wait_for_phase(page, "ready")
    lab = open_lab(context, page)
    lab.goto(f"{url}lab/tree/{NAME}")
    expect(lab.locator(".jp-OutputArea img")).to_be_visible(timeout=START_MS)
    lab.goto(f"{url}lab/tree/{NAME}")
    run_everything(lab, url)
    page.get_by_role("button", name="Stop").click()
    wait_for_phase(page, "stopped")


def test_another_student_reaches_nothing(stack: Stack, sign_in: SignIn) -> None:
    mine = sign_in("student").new_page()
    uid = launch_default(mine, stack)
    wait_for_phase(mine, "ready")
    context = sign_in("student2")
    other = context.new_page()
    for address in (
        f"{stack.url}/workspaces/{uid}/",
        f"{stack.url}/workspaces/{uid}/enter/?next=/lab",
        f"{stack.url}/workspaces/{uid}/delete/",
        f"http://w-{uid}.localhost:{stack.port}/",
        f"http://w-{uid}.localhost:{stack.port}/lab",
        f"http://w-{uid}.localhost:{stack.port}/api/contents",
        f"{stack.url}/w/{uid}/lab",
        f"{stack.url}/api/v1/workspaces/{uid}",
    ):
        answer = other.goto(address)
        assert answer is not None
        assert answer.status in {401, 403, 404}, (address, answer.status)
        assert "jp-LabShell" not in other.content()
    mine.get_by_role("button", name="Stop").click()
    wait_for_phase(mine, "stopped")


def test_a_sleeping_workspace_offers_its_start(stack: Stack, sign_in: SignIn) -> None:
    context = sign_in("student")
    page = context.new_page()
    uid = launch_default(page, stack)
    wait_for_phase(page, "ready")
    open_lab(context, page).close()
    page.get_by_role("button", name="Stop").click()
    wait_for_phase(page, "stopped")
    asleep = context.new_page()
    answer = asleep.goto(f"http://w-{uid}.localhost:{stack.port}/lab")
    assert answer is not None
    assert answer.status == 200
    asleep.get_by_role("link", name="Start").click()
    asleep.wait_for_url(f"{stack.url}/workspaces/{uid}/**")
