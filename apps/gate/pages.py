"""The few pages that gate shows itself, complete in one response.

They stand on a workspace's origin, where nothing of the portal can be counted on: no script, no
other file, one style under a nonce. `answers` decides which page, this module only renders.
"""

from __future__ import annotations

import gettext
import secrets
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from html import escape
from pathlib import Path
from string import Template

LANGUAGES = ("en", "ko")
_STARTING_PHASES = frozenset({"queued", "pulling", "starting"})
_REFRESH_S = 2


def gettext_noop(text: str) -> str:
    """Mark a text for translation; it is translated when the page is rendered."""
    return text


class Kind(StrEnum):
    """The pages."""

    SLEEPING = "sleeping"
    STARTING = "starting"
    MISSING = "missing"
    REFUSED = "refused"
    ENTRY_SPENT = "entry_spent"
    UNREACHABLE = "unreachable"
    UNAVAILABLE = "unavailable"


_TITLES = {
    Kind.SLEEPING: gettext_noop("%(name)s is not running"),
    Kind.STARTING: gettext_noop("%(name)s is starting"),
    Kind.MISSING: gettext_noop("There is no such workspace"),
    Kind.REFUSED: gettext_noop("This request was refused"),
    Kind.ENTRY_SPENT: gettext_noop("This way in has been used or has expired"),
    Kind.UNREACHABLE: gettext_noop("%(name)s does not answer"),
    Kind.UNAVAILABLE: gettext_noop("Not available for the moment"),
}
_TEXTS = {
    Kind.SLEEPING: gettext_noop("Your files are kept. Start it and come back to this page."),
    Kind.STARTING: gettext_noop("This page goes on by itself as soon as it is ready."),
    Kind.MISSING: gettext_noop("It was deleted, or it belongs to somebody else."),
    Kind.REFUSED: gettext_noop(
        "It came from a page outside this workspace, or without the owner's permission."
    ),
    Kind.ENTRY_SPENT: gettext_noop(
        "Open the workspace again. If this page comes back, allow cookies for this address."
    ),
    Kind.UNREACHABLE: gettext_noop("Its server may have just ended. Its page says what happened."),
    Kind.UNAVAILABLE: gettext_noop(
        "Who may pass cannot be checked right now. Running workspaces go on; try again shortly."
    ),
}
_START = gettext_noop("Start")
_DETAILS = gettext_noop("See its page")
_AGAIN = gettext_noop("Try again")
_PORTAL = gettext_noop("All workspaces")
_NAV = gettext_noop("What you can do")
_UNNAMED = gettext_noop("The workspace")


@dataclass(frozen=True, slots=True)
class Context:
    """What a page is about. `workspace_page` is "" unless the reader owns the workspace."""

    name: str
    phase: str
    portal_url: str
    workspace_page: str
    again: str


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page, its language, and the Content-Security-Policy it needs."""

    html: str
    language: str
    policy: str


@dataclass(frozen=True, slots=True)
class Translations:
    """One language's messages."""

    language: str
    catalogue: gettext.NullTranslations


def translations(accept_language: str, locale_dir: Path) -> Translations:
    """The messages in the first language of the header that we have; English without one."""
    wanted = (part.partition(";")[0].strip().lower() for part in accept_language.split(","))
    for tag in wanted:
        primary = tag.partition("-")[0]
        if primary in LANGUAGES:
            return _catalogue(primary, locale_dir)
    return _catalogue(LANGUAGES[0], locale_dir)


@lru_cache(maxsize=8)
def _catalogue(language: str, locale_dir: Path) -> Translations:
    found = gettext.translation("django", locale_dir, languages=[language], fallback=True)
    return Translations(language, found)


@lru_cache(maxsize=1)
def _template() -> Template:
    return Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


def render(kind: Kind, context: Context, words: Translations) -> Page:
    """The page as HTML; everything that comes from people is escaped."""
    if kind is Kind.SLEEPING and context.phase in _STARTING_PHASES:
        kind = Kind.STARTING
    translate = words.catalogue.gettext
    nonce = secrets.token_urlsafe(16)
    refresh = f'<meta http-equiv="refresh" content="{_REFRESH_S}">'
    html = _template().substitute(
        language=words.language,
        nonce=nonce,
        refresh=refresh if kind is Kind.STARTING else "",
        title=escape(translate(_TITLES[kind]) % {"name": context.name or translate(_UNNAMED)}),
        text=escape(translate(_TEXTS[kind])),
        nav_label=escape(translate(_NAV)),
        links="\n".join(
            f'<a href="{escape(url)}"{css}>{escape(translate(label))}</a>'
            for label, url, css in _links(kind, context)
        ),
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return Page(html=html, language=words.language, policy=policy)


def _links(kind: Kind, context: Context) -> list[tuple[str, str, str]]:
    """Label, address and class of each link; the first is what most people want."""
    act = ' class="act"'
    portal = (_PORTAL, context.portal_url.rstrip("/") + "/workspaces/", "")
    if kind is Kind.SLEEPING and context.workspace_page:
        return [(_START, context.workspace_page, act), portal]
    if kind in (Kind.STARTING, Kind.UNREACHABLE) and context.workspace_page:
        return [(_DETAILS, context.workspace_page, act), (_AGAIN, context.again, ""), portal]
    if kind is Kind.MISSING:
        return [(_PORTAL, portal[1], act)]
    return [(_AGAIN, context.again, act), portal]
