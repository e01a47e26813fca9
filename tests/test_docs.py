"""The documents are true: what they name is there, and what is there is named."""

from __future__ import annotations

import re
from pathlib import Path

from portal.settings.env import PREFIX, Environment

ROOT = Path(__file__).resolve().parent.parent
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_setting_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(rf"^\| `({PREFIX}[A-Z_]+)`", text, re.MULTILINE))
    there = {f"{PREFIX}{name.upper()}" for name in Environment.model_fields}
    assert documented - {"PORTAL_LOG_LEVEL"} == there


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCS:
        text = document.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_folders_named_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for app in re.findall(r"^  (\w+)/ ", text, re.MULTILINE):
        assert (ROOT / "apps" / app).is_dir(), app
    for path in re.findall(r"`((?:apps|portal|deploy|tests)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
