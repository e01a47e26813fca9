"""Paths and addresses of a trial follow from its variables."""

from pathlib import Path

import pytest

from deploy.trial.environment import prepare_environment, read, workspace_template
from deploy.trial.layout import CHECKOUT, Layout, LayoutError, layout_from


def test_defaults_are_those_of_the_contract() -> None:
    layout = layout_from({"HOME": "/home/somebody"})
    assert layout.data == CHECKOUT / "var"
    assert (layout.bind, layout.url) == ("127.0.0.1", "http://localhost:8000")


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"PORT": "web"}, "PORT"),
        ({"PORT": "70000"}, "PORT"),
        ({"BIND": "0.0.0.0"}, "HOST"),
    ],
)
def test_variables_that_cannot_be_meant_are_refused(variables: dict[str, str], names: str) -> None:
    with pytest.raises(LayoutError, match=names):
        layout_from(variables)


def test_sockets_of_a_deep_folder_are_in_a_short_one_of_ours(tmp_path: Path) -> None:
    layout = Layout(data=tmp_path / ("d" * 100), cache=tmp_path)
    layout.make()
    try:
        assert len(str(layout.socket("watcher"))) < 60
        assert layout.run.stat().st_mode & 0o777 == 0o711
        assert layout.pids == layout.data / "run"
    finally:
        layout.run.rmdir()


def test_a_socket_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    layout = Layout(data=tmp_path / ("e" * 100), cache=tmp_path)
    layout.run.symlink_to(tmp_path)
    try:
        with pytest.raises(LayoutError, match="not a folder of this user"):
            layout.make()
    finally:
        layout.run.unlink()


def test_secrets_are_made_once_and_addresses_follow(tmp_path: Path) -> None:
    first = Layout(data=tmp_path, cache=tmp_path, port=8101)
    (tmp_path / "etc").mkdir()
    before = prepare_environment(first, {"PORTAL_IDLE_STOP_S": "60", "PORTAL_SECRET_KEY": "no"})
    after = prepare_environment(Layout(data=tmp_path, cache=tmp_path, port=8102), {})
    assert before["PORTAL_IDLE_STOP_S"] == "60"
    assert "PORTAL_IDLE_STOP_S" not in after
    assert len(before["PORTAL_SECRET_KEY"]) > 40
    for name in ("PORTAL_SECRET_KEY", "PORTAL_GATE_KEY", "PORTAL_DATABASE_URL"):
        assert after[name] == before[name]
    assert after["PORTAL_URL"] == "http://localhost:8102"
    assert read(first.env_file) == after
    assert first.env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("host", "variables", "template"),
    [
        ("localhost", {}, "http://w-{uid}.localhost:8000/"),
        ("192.0.2.7", {}, "http://192.0.2.7:8000/w/{uid}/"),
        (
            "localhost",
            {"WORKSPACE_URL_TEMPLATE": "http://localhost:8000/w/<uid>/"},
            "http://localhost:8000/w/{uid}/",
        ),
    ],
)
def test_workspaces_have_a_name_each_or_a_path(
    tmp_path: Path, host: str, variables: dict[str, str], template: str
) -> None:
    layout = Layout(data=tmp_path, cache=tmp_path, host=host)
    assert workspace_template(layout, variables) == template
