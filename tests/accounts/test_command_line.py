"""The commands as programs: what is on standard output, and how they end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from apps.accounts.services.tokens import principal_of
from tests.cast import make_person

ROOT = Path(__file__).resolve().parents[2]


def manage(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """`manage.py` in a process of its own, on the database of this test."""
    url = os.environ["PORTAL_DATABASE_URL"]
    own = url.replace("@/portal?", f"@/{connection.settings_dict['NAME']}?")
    assert own != url
    return subprocess.run(
        [sys.executable, "manage.py", *args],
        cwd=ROOT,
        env={**os.environ, "PORTAL_DATABASE_URL": own, "DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.django_db(transaction=True)
def test_standard_output_is_the_answer_alone(tmp_path: Path) -> None:
    user = make_person("kim")
    done = manage(tmp_path, "token", "kim", "--scopes", "read", "--days", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"gpc_[A-Za-z0-9_-]{43}\n", done.stdout)
    principal = principal_of(done.stdout.strip())
    assert principal is not None
    assert principal.user == user
    link = manage(tmp_path, "signin_link", "kim")
    assert (link.returncode, link.stderr) == (0, "")
    assert re.fullmatch(r"http://\S+/account/link/[A-Za-z0-9_-]{43}/\n", link.stdout)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["token", "signin_link"])
def test_an_unknown_user_is_told_on_standard_error(tmp_path: Path, command: str) -> None:
    done = manage(tmp_path, command, "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nobody" in done.stderr
    assert "Traceback" not in done.stderr
