"""No secret that lets somebody in reaches a log, whichever library writes the line."""

from __future__ import annotations

import io
import json
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from django.test import Client

from portal.logs import configure_logging

SECRET = secrets.token_urlsafe(32)
LINK = f"/account/link/{SECRET}/"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the processes' standard error would get from here on."""
    root, written = logging.getLogger(), io.StringIO()
    before, level = list(root.handlers), root.level
    with monkeypatch.context() as patched:
        patched.setattr("sys.stderr", written)
        configure_logging()
    yield written
    root.handlers[:] = before
    root.setLevel(level)


def test_a_refused_sign_in_link_is_not_logged(lines: io.StringIO, db: None) -> None:
    answer = Client(enforce_csrf_checks=True).post(LINK)
    assert answer.status_code == 403
    assert "/account/link/***/" in lines.getvalue()
    assert SECRET not in lines.getvalue()


def test_secrets_are_masked_in_every_field(lines: io.StringIO) -> None:
    token = f"gpc_{secrets.token_urlsafe(32)}"
    log = structlog.get_logger("test")
    log.warning("seen", url=f"/x?next=%2Faccount%2Flink%2F{SECRET}", held=[{"token": token}])
    log.warning("seen", path=Path(LINK))
    try:
        raise ValueError(f"no such {LINK}")
    except ValueError:
        logging.getLogger("any.library").exception("Authorization: Bearer %s", token)
    assert SECRET not in lines.getvalue()
    assert token not in lines.getvalue()
    assert "Bearer gpc_***" in lines.getvalue()


def test_what_is_no_secret_stays(lines: io.StringIO) -> None:
    structlog.get_logger("test").warning("seen", path="/w/abcdefghijklmnopqrstuvwx/lab", count=3)
    line = json.loads(lines.getvalue())
    assert line["path"] == "/w/abcdefghijklmnopqrstuvwx/lab"
    assert (line["event"], line["count"], line["level"]) == ("seen", 3, "warning")
