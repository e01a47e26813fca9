"""Every page as everybody, with good and bad input."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as portal
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries, Settings

from apps.accounts.models import User
from apps.catalog.models import EnvironmentBuild
from apps.clusters.drivers.base import RunState
from apps.clusters.models import Cluster, Phase, WorkloadLog
from apps.gate.tickets import read_entry, session_digest
from apps.live.uids import new_uid
from apps.quotas.models import Limit
from apps.workspaces.models import Workspace
from tests.cast import Cast
from tests.workspaces.lab import again, launch, make_over, make_ready, run_of, see

SignIn = Callable[[User], Client]
FORM = {"name": "", "image": "python", "ide": "jupyterlab", "size": "small"}
GARBAGE = ["x" * 22, "../../etc", "%00", "A" * 22, "0", "'--", "x" * 500]
READ = ["", "delete/", "enter/"]
WRITE = ["start/", "stop/", "rename/", "delete/", "extend/"]
PAGES = ["/", "/workspaces/", "/workspaces/new/", "/components/"]

MATRIX = {
    # what: owner, member, stranger, lead, admin
    ("GET", ""): (200, 404, 404, 200, 200),
    ("GET", "delete/"): (200, 404, 404, 403, 403),
    ("GET", "enter/"): (302, 404, 404, 404, 404),
    ("POST", "start/"): (302, 404, 404, 403, 403),
    ("POST", "rename/"): (302, 404, 404, 403, 403),
    ("POST", "extend/"): (302, 404, 404, 403, 403),
    ("POST", "stop/"): (302, 404, 404, 403, 302),
    ("POST", "delete/"): (302, 404, 404, 403, 403),
}
CAST = ("owner", "member", "stranger", "lead", "admin")


def url_of(workspace: Workspace, what: str = "") -> str:
    return f"/workspaces/{workspace.uid}/{what}"


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("who", CAST)
def test_pages_of_ones_own(
    lab: Cluster, cast: Cast, signed_in: SignIn, path: str, who: str
) -> None:
    make_ready(launch(cast.owner, name="Private <b>thesis</b>"))
    answer = signed_in(cast[who]).get(path)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "<b>thesis" not in text
    shows = path in ("/", "/workspaces/") and who == "owner"
    assert ("thesis&lt;/b&gt;" in text) is shows


@pytest.mark.parametrize(("act", "expected"), MATRIX.items())
def test_who_may_do_what(
    lab: Cluster, cast: Cast, signed_in: SignIn, act: tuple[str, str], expected: tuple[int, ...]
) -> None:
    method, what = act
    workspace = make_ready(launch(cast.owner))
    data = {"name": "new name", "hours": "1"}
    for who, status in reversed(list(zip(CAST, expected, strict=True))):
        client = signed_in(cast[who])
        answer = (
            client.generic(method, url_of(workspace, what))
            if method == "GET"
            else (client.post(url_of(workspace, what), data))
        )
        assert answer.status_code == status, (who, act)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_no_page(lab: Cluster, client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/account/login/?next=")


def test_nobody_does_anything(lab: Cluster, owner: User, client: Client) -> None:
    workspace = make_ready(launch(owner))
    for what in READ:
        assert client.get(url_of(workspace, what)).status_code == 302
    for what in WRITE:
        answer = client.post(url_of(workspace, what))
        assert answer["Location"].startswith("/account/login/")
    assert again(workspace).phase == Phase.READY


@pytest.mark.parametrize("uid", GARBAGE)
def test_addresses_of_nothing(lab: Cluster, owner: User, signed_in: SignIn, uid: str) -> None:
    client = signed_in(owner)
    for what in READ:
        assert client.get(f"/workspaces/{uid}/{what}").status_code == 404
    for what in WRITE:
        assert (
            client.post(f"/workspaces/{uid}/{what}", {"name": "x", "hours": 1}).status_code == 404
        )


def test_every_change_needs_a_form_of_ours(lab: Cluster, owner: User) -> None:
    workspace = make_ready(launch(owner))
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    for path in [*(url_of(workspace, what) for what in WRITE), "/workspaces/new/"]:
        assert client.post(path, FORM).status_code == 403
    assert Workspace.objects.count() == 1


@pytest.mark.parametrize("what", ["start/", "stop/", "rename/", "extend/"])
def test_looking_changes_nothing(lab: Cluster, owner: User, signed_in: SignIn, what: str) -> None:
    workspace = make_ready(launch(owner))
    assert signed_in(owner).get(url_of(workspace, what)).status_code == 405


def test_the_form_launches(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    answer = signed_in(owner).post("/workspaces/new/", {**FORM, "name": "Thesis"})
    workspace = Workspace.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, url_of(workspace))
    assert workspace.name == "Thesis"


def test_two_clicks_launch_once(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    client = signed_in(owner)
    form = client.get("/workspaces/new/").context["form"]
    data = {**FORM, "once": form["once"].value()}
    first = client.post("/workspaces/new/", data)
    assert client.post("/workspaces/new/", data)["Location"] == first["Location"]
    assert Workspace.objects.count() == 1


def test_the_address_fills_the_form_and_launches_nothing(
    lab: Cluster, owner: User, signed_in: SignIn
) -> None:
    answer = signed_in(owner).get("/workspaces/new/?image=python&ide=jupyterlab&size=medium")
    assert answer.context["chosen"] == {"image": "python", "ide": "jupyterlab", "size": "medium"}
    odd = signed_in(owner).get("/workspaces/new/?image=<script>&ide=%00&size=medium")
    assert odd.context["chosen"]["image"] == "python"
    assert not Workspace.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": "nothing"},
        {"ide": "nothing"},
        {"size": "nothing"},
        {"image": ""},
        {"image": "x\x00y"},
        {"name": "two\nlines"},
        {"name": "x" * 81},
        {"size": "x" * 5000},
    ],
)
def test_a_wrong_form_comes_back_with_all_that_was_typed(
    lab: Cluster, owner: User, signed_in: SignIn, wrong: dict[str, str]
) -> None:
    data = {**FORM, "name": "My thesis", "size": "medium", **wrong}
    answer = signed_in(owner).post("/workspaces/new/", data)
    assert answer.status_code == 422
    form = answer.context["form"]
    assert set(form.errors) == set(wrong)
    if "name" not in wrong:
        assert "My thesis" in answer.content.decode()
    if "size" not in wrong:
        assert answer.context["chosen"]["size"] == "medium"
    assert not Workspace.objects.exists()


def test_limits_are_shown_before_they_are_hit(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    Limit.objects.create(resource="cpu", max=2000)
    answer = signed_in(owner).get("/workspaces/new/")
    refusals = {size.slug: size.refusal for size in answer.context["sizes"]}
    assert not refusals["small"]
    assert "4" in refusals["large"]
    assert answer.context["chosen"]["size"] == "small"
    cpu = next(line for line in answer.context["limits"] if line.resource == "cpu")
    assert (cpu.limit, cpu.used) == (2, 0)


def test_a_refused_launch_says_why_on_the_form(
    lab: Cluster, owner: User, signed_in: SignIn, settings: Settings
) -> None:
    settings.MAX_RUNNING_PER_PERSON = 1
    launch(owner)
    answer = signed_in(owner).post("/workspaces/new/", FORM)
    assert answer.status_code == 422
    assert "1" in answer.context["form"].non_field_errors()[0]


def test_a_wrong_name_is_told_on_the_page(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    workspace = make_ready(launch(owner))
    answer = signed_in(owner).post(url_of(workspace, "rename/"), {"name": ""})
    assert answer.status_code == 422
    assert "name" in answer.context["rename_form"].errors
    assert answer.context["workspace"].name == workspace.name


@pytest.mark.parametrize(("who", "reads"), [("owner", True), ("admin", True), ("lead", False)])
def test_the_end_of_the_log_is_for_those_who_may_read_it(
    lab: Cluster, cast: Cast, signed_in: SignIn, who: str, reads: bool
) -> None:
    workspace = see(make_ready(launch(cast.owner)), RunState.EXITED, exit_code=1)
    text = "an early line\n" + "between\n" * 30 + "<b>ModuleNotFound 4711</b>\n"
    WorkloadLog.objects.create(workload=run_of(workspace), text=text)

    page = signed_in(getattr(cast, who)).get(url_of(workspace)).content.decode()

    assert run_of(workspace).phase == Phase.FAILED
    assert ("&lt;b&gt;ModuleNotFound 4711" in page) == reads
    assert ("last-words" in page) == reads
    assert "<b>Module" not in page
    assert "an early line" not in page


def test_buttons_go_back_to_where_they_were_pressed(
    lab: Cluster, owner: User, signed_in: SignIn
) -> None:
    workspace = make_ready(launch(owner))
    client = signed_in(owner)
    answer = client.post(url_of(workspace, "stop/"), {"next": "/workspaces/"})
    assert answer["Location"] == "/workspaces/"
    answer = client.post(url_of(workspace, "stop/"), {"next": "https://evil.example/"})
    assert answer["Location"] == url_of(workspace)


def test_a_start_that_is_refused_says_what_would_help(
    lab: Cluster, owner: User, signed_in: SignIn
) -> None:
    stopped = make_over(make_ready(launch(owner)))
    for _ in range(3):
        launch(owner)
    answer = signed_in(owner).post(url_of(stopped, "start/"))
    assert answer.status_code == 409
    assert "Stop a workspace" in answer.content.decode()


def test_deleting_asks_first(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    workspace = make_ready(launch(owner))
    client = signed_in(owner)
    assert client.get(url_of(workspace, "delete/")).context["grace_s"] == portal.DELETE_GRACE_S
    assert again(workspace).deleted_at is None
    assert client.post(url_of(workspace, "delete/"))["Location"] == "/workspaces/"
    assert client.get(url_of(workspace)).status_code == 404


def test_entering_gives_its_owner_a_ticket(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    workspace = make_ready(launch(owner))
    client = signed_in(owner)

    answer = client.get(url_of(workspace, "enter/"), {"next": "/lab/tree/a b?x=1#y"})

    place = urlsplit(answer["Location"])
    assert (place.hostname, place.path) == (f"w-{workspace.uid}.localhost", "/_gate/enter")
    ticket = parse_qs(place.query)["ticket"][0]
    entry = read_entry(ticket, key=portal.GATE_KEY, now=0)
    assert (entry.person_id, entry.workspace) == (owner.pk, workspace.uid)
    assert entry.next_path == "/lab/tree/a b?x=1#y"
    assert entry.session == session_digest(client.session.session_key)
    assert entry.epoch == owner.session_epoch


def test_a_workspace_that_was_just_told_of_is_not_entered_by_uid_alone(
    lab: Cluster, owner: User, signed_in: SignIn
) -> None:
    assert signed_in(owner).get(f"/workspaces/{new_uid()}/enter/").status_code == 404


def test_the_dashboard_offers_a_launch(lab: Cluster, owner: User, signed_in: SignIn) -> None:
    offer = signed_in(owner).get("/").context["default_launch"]
    assert (offer.image, offer.ide, offer.size, offer.is_ready) == (
        "python",
        "jupyterlab",
        "small",
        True,
    )
    EnvironmentBuild.objects.all().delete()
    assert signed_in(owner).get("/").context["default_launch"].is_ready is False


def test_an_empty_installation_has_pages(db: None, owner: User, signed_in: SignIn) -> None:
    client = signed_in(owner)
    for path in PAGES:
        assert client.get(path).status_code == 200
    assert client.post("/workspaces/new/", FORM).status_code == 422


def test_the_list_goes_on(lab: Cluster, owner: User, signed_in: SignIn, settings: Settings) -> None:
    settings.MAX_RUNNING_PER_PERSON = 100
    Workspace.objects.bulk_create(clones(launch(owner), 60))
    client = signed_in(owner)
    first = client.get("/workspaces/").context
    second = client.get("/workspaces/", {"cursor": first["next_cursor"]}).context
    uids = [view.uid for view in (*first["workspaces"], *second["workspaces"])]
    assert len(set(uids)) == len(uids) == 61
    assert (second["next_cursor"], second["is_first_page"]) == (None, False)
    for cursor in ("x", "-1", "9" * 40, "²"):
        assert client.get("/workspaces/", {"cursor": cursor}).status_code == 404


def clones(workspace: Workspace, number: int) -> list[Workspace]:
    """More of the same that do not run."""
    same = ("owner", "cluster", "image", "image_version", "app", "size")
    values = {name: getattr(workspace, name) for name in same}
    return [Workspace(name=f"No {n}", **values) for n in range(number)]


@pytest.mark.parametrize("path", ["/", "/workspaces/"])
def test_the_number_of_queries_does_not_grow(
    lab: Cluster,
    owner: User,
    signed_in: SignIn,
    django_assert_num_queries: DjangoAssertNumQueries,
    path: str,
) -> None:
    expected = {"/": 14, "/workspaces/": 8}[path]
    one = make_ready(launch(owner))
    client = signed_in(owner)
    with django_assert_num_queries(expected):
        client.get(path)
    Workspace.objects.bulk_create(clones(one, 49))
    with django_assert_num_queries(expected):
        client.get(path)


def test_the_page_of_one_has_a_fixed_number_of_queries(
    lab: Cluster,
    owner: User,
    signed_in: SignIn,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    workspace = make_ready(launch(owner))
    assert run_of(workspace).phase == Phase.READY
    client = signed_in(owner)
    with django_assert_num_queries(7):
        client.get(url_of(workspace))
