"""nginx's configuration as text, the addresses it is made from, gate's settings and pages."""

from __future__ import annotations

import re
from pathlib import Path

import polib
import pytest

from apps.gate import pages, question
from apps.gate.addresses import Addresses
from apps.gate.settings import read_settings
from apps.gate.upstream import parse_upstream
from deploy.nginx.render import GATE_HEADERS, IDENTITY_HEADERS, NginxSettings, render

UID = "a" * 22


def settings(**changes: object) -> NginxSettings:
    fields: dict[str, object] = {
        "bind": "127.0.0.1",
        "port": 8000,
        "portal_url": "http://localhost:8000",
        "workspace_url_template": "http://w-{uid}.localhost:8000/",
        "run_dir": Path("/run/x"),
        "data_dir": Path("/data"),
        "static_dir": Path("/static"),
        "log_dir": Path("/log"),
        "pid_file": Path("/run/x/nginx.pid"),
        **changes,
    }
    return NginxSettings(**fields)  # type: ignore[arg-type]


def test_nginx_and_gate_drop_the_same_headers() -> None:
    assert {name.lower() for name in IDENTITY_HEADERS} == question.IDENTITY_HEADERS
    sent = {question.WORKSPACE, question.METHOD, question.URI}
    assert sent <= {name.lower() for name in GATE_HEADERS}


def test_the_same_settings_give_the_same_text() -> None:
    assert render(settings()) == render(settings())
    assert not re.search(r"%\{[A-Z]", render(settings()))


@pytest.mark.parametrize("kind", ["client_body", "proxy", "fastcgi", "scgi", "uwsgi"])
def test_nothing_is_written_beside_the_program(kind: str) -> None:
    assert re.search(rf'{kind}_temp_path "/data/nginx/\w+";', render(settings()))


def test_proxies_in_front_can_be_trusted() -> None:
    text = render(settings(trusted_proxies=("10.0.0.0/8", "::1")))
    assert "set_real_ip_from 10.0.0.0/8;" in text
    assert "listen [::1]:8000" in render(settings(bind="::1"))


@pytest.mark.parametrize(
    "changes",
    [
        {"data_dir": Path('/a"; evil')},
        {"data_dir": Path("relative")},
        {"run_dir": Path("/a$b")},
        {"bind": "127.0.0.1; evil"},
        {"port": 0},
        {"user": "root; evil"},
        {"trusted_proxies": ("10.0.0.0/8; evil",)},
        {"workspace_url_template": "http://localhost:8000/x/{uid}/y/"},
        {"workspace_url_template": "http://elsewhere/w/{uid}/"},
        {"workspace_url_template": "http://w.localhost:8000/"},
        {"workspace_url_template": "ftp://w-{uid}.localhost/"},
        {"workspace_url_template": "http://w-{uid}.localhost:8000"},
        {"workspace_url_template": "http://w-{uid}.localhost:8000/x/"},
    ],
)
def test_what_nginx_would_misread_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        render(settings(**changes))


def test_cookies_over_https_carry_the_prefix_that_browsers_guard() -> None:
    host = Addresses("https://lab.example", "https://w-<uid>.lab.example/")
    path = Addresses("https://lab.example", "https://lab.example/w/{uid}/")
    assert host.cookie_name("gate", UID) == "__Host-gpc_gate_aaaaaaaa"
    assert path.cookie_name("gate", UID) == "__Secure-gpc_gate_aaaaaaaa"
    assert host.cookie_attributes(UID, 5) == "; Path=/; Max-Age=5; HttpOnly; SameSite=Lax; Secure"
    assert f"Path=/w/{UID}/;" in path.cookie_attributes(UID, 5)
    assert host.origin(UID) == f"https://w-{UID}.lab.example"
    assert host.port_suffix == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:/tmp/a-b_c.sock", "unix:/tmp/a-b_c.sock:"),
        ("w.ns.svc:8888", "w.ns.svc:8888"),
        ("[fd00::1]:8888", "[fd00::1]:8888"),
    ],
)
def test_addresses_of_servers(text: str, expected: str) -> None:
    upstream = parse_upstream(text)
    assert upstream is not None
    assert upstream.for_nginx == expected


@pytest.mark.parametrize(
    "text", ["", "unix:relative", "unix:/a b", "unix:/a:/b", "host", "host:0", "host:1/x", "a\nb:1"]
)
def test_other_texts_are_no_address(text: str) -> None:
    assert parse_upstream(text) is None


ENVIRON = {
    "PORTAL_GATE_KEY": "k" * 40,
    "PORTAL_DATABASE_URL": "postgresql://x",
    "PORTAL_URL": "http://localhost:8000",
    "PORTAL_WORKSPACE_URL_TEMPLATE": "http://w-{uid}.localhost:8000/",
    "PORTAL_RUN_DIR": "/run/x",
}


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("f" * 40 + "\n")
    found = read_settings({**ENVIRON, "PORTAL_GATE_KEY_FILE": str(tmp_path / "key")})
    assert found.key == "f" * 40
    assert "fff" not in repr(found)
    assert "postgresql" not in repr(found)


@pytest.mark.parametrize("name", ENVIRON)
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        read_settings({**ENVIRON, name: ""})


def test_pages_speak_the_readers_language(tmp_path: Path) -> None:
    catalogue = polib.POFile()
    catalogue.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    catalogue.append(polib.POEntry(msgid="%(name)s is not running", msgstr="%(name)s 멈춤"))
    folder = tmp_path / "ko" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue.save_as_mofile(str(folder / "django.mo"))
    context = pages.Context("Digits", "stopped", "http://p", "http://p/w", "/")
    for header, expected in (
        ("ko-KR,ko;q=0.9,en;q=0.8", "Digits 멈춤"),
        ("fr, ko", "Digits 멈춤"),
        ("en-GB, ko", "Digits is not running"),
        ("", "Digits is not running"),
        (";;,q=", "Digits is not running"),
    ):
        words = pages.translations(header, tmp_path)
        page = pages.render(pages.Kind.SLEEPING, context, words)
        assert expected in page.html
        assert f'<html lang="{page.language}"' in page.html


@pytest.mark.parametrize("kind", list(pages.Kind))
def test_every_page_stands_alone(kind: pages.Kind, tmp_path: Path) -> None:
    context = pages.Context("<i>", "stopped", "http://p", "", "/")
    page = pages.render(kind, context, pages.translations("en", tmp_path))
    assert "<i>" not in page.html
    assert "src=" not in page.html
    assert "default-src 'none'" in page.policy
