"""What a refused request gets: a redirect to the portal, a page, or problem+json.

`app` sends these over HTTP, `tunnel` in reply to a refused upgrade.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from apps.gate import cookies, pages
from apps.gate.addresses import Addresses
from apps.gate.policy import Refusal
from apps.gate.question import Question
from apps.gate.table import Route

STATE_LIFETIME_S = 900
# Longer ones, marked and signed, would not fit where the portal and gate take them back.
_MAX_NEXT = 1900
_HTML = "text/html; charset=utf-8"
_PROBLEM = "application/problem+json"

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response."""

    status: int
    headers: tuple[Header, ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Problem:
    """An outcome in both forms: problem+json for programs, a page for people."""

    status: int
    code: str
    detail: str
    page: pages.Kind
    hint: str = ""
    retry_after_s: int = 0
    page_status: int = 0
    challenge: bool = False


_LOCKED = pages.Kind.REFUSED
PROBLEMS: dict[Refusal, Problem] = {
    Refusal.ENTER: Problem(401, "unauthenticated", "Sign in first.", _LOCKED, challenge=True),
    Refusal.UNAUTHENTICATED: Problem(
        401,
        "unauthenticated",
        "This workspace needs its owner's session or API token.",
        _LOCKED,
        hint="Open it in a browser, or send Authorization: Bearer with scope workspaces.",
        challenge=True,
    ),
    Refusal.INVALID_BEARER: Problem(
        401,
        "unauthenticated",
        "The token is unknown, expired or revoked.",
        _LOCKED,
        hint="Make a new token on the account page.",
        challenge=True,
    ),
    Refusal.SCOPE_MISSING: Problem(
        403,
        "scope_missing",
        "The token lacks the scope workspaces.",
        _LOCKED,
        hint="Make a token that has it.",
    ),
    Refusal.CROSS_ORIGIN: Problem(
        403,
        "forbidden",
        "The request came from a page outside this workspace.",
        _LOCKED,
        hint="Send the workspace's own Origin, or a bearer token instead of the cookie.",
    ),
    Refusal.NOT_FOUND: Problem(404, "not_found", "There is no such workspace.", pages.Kind.MISSING),
    Refusal.NOT_RUNNING: Problem(
        503,
        "workspace_not_running",
        "The workspace does not run.",
        pages.Kind.SLEEPING,
        hint="Start it on its page, or with POST /api/v1/workspaces/{uid}/start.",
        retry_after_s=5,
        page_status=200,
    ),
    Refusal.UNAVAILABLE: Problem(
        503,
        "unavailable",
        "Whether this may pass cannot be decided at the moment.",
        pages.Kind.UNAVAILABLE,
        hint="Try again in a few seconds.",
        retry_after_s=2,
    ),
}
UNREACHABLE = Problem(
    503,
    "unavailable",
    "The workspace's server does not answer.",
    pages.Kind.UNREACHABLE,
    hint="It may have just ended; look at the workspace's page.",
    retry_after_s=2,
)


class Answers:
    """Makes answers; holds what they need: addresses and message catalogues."""

    def __init__(self, addresses: Addresses, locale_dir: Path) -> None:
        self._addresses = addresses
        self._locale_dir = locale_dir

    def refusal(self, question: Question, reason: Refusal, route: Route | None = None) -> Answer:
        """Why this request may not pass. ENTER is a redirect to the portal."""
        if reason is Refusal.ENTER:
            return self._to_portal(question)
        return self.problem(question, PROBLEMS[reason], route)

    def problem(self, question: Question, problem: Problem, route: Route | None = None) -> Answer:
        """A problem, as a page if a person waits for one."""
        extra: list[Header] = [("cache-control", "no-store")]
        if problem.retry_after_s:
            extra.append(("retry-after", str(problem.retry_after_s)))
        if question.facts.wants_page:
            status = problem.page_status or problem.status
            return self._page(question, problem, status, route, extra)
        if problem.challenge:
            extra.append(("www-authenticate", 'Bearer realm="workspaces"'))
        body = {
            "type": "about:blank",
            "title": HTTPStatus(problem.status).phrase,
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
            "hint": problem.hint,
        }
        return Answer(
            problem.status,
            (("content-type", _PROBLEM), *extra),
            json.dumps(body).encode(),
        )

    def redirect(self, location: str, *set_cookies: str) -> Answer:
        """302, never cached, leaking no address to where it leads."""
        headers: list[Header] = [
            ("location", location),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ]
        headers.extend(("set-cookie", cookie) for cookie in set_cookies)
        return Answer(302, tuple(headers))

    def _to_portal(self, question: Question) -> Answer:
        """Send a browser to the portal, marked, so that only it can come back with the ticket."""
        uid = question.facts.workspace
        state, cookie = self._state(question)
        base = self._addresses.base_path(uid)
        fits = len(question.uri) <= _MAX_NEXT and question.uri.isascii()
        wanted = question.uri if fits else base
        rest = wanted[len(base) :] if wanted.startswith(base) else ""
        marked = f"{base}_gate/from/{state_digest(state)}/{rest}"
        return self.redirect(
            f"{self._addresses.enter_url(uid)}?{urlencode({'next': marked})}", cookie
        )

    def _state(self, question: Question) -> tuple[str, str]:
        uid = question.facts.workspace
        name = self._addresses.cookie_name("enter", uid)
        known = cookies.values(question.facts.cookie, name)
        state = known[0] if known and is_state(known[0]) else secrets.token_hex(16)
        return state, f"{name}={state}{self._addresses.cookie_attributes(uid, STATE_LIFETIME_S)}"

    def _page(
        self,
        question: Question,
        problem: Problem,
        status: int,
        route: Route | None,
        extra: list[Header],
    ) -> Answer:
        uid = question.facts.workspace
        page = pages.render(
            problem.page,
            pages.Context(
                name=route.name if route else "",
                phase=route.phase if route else "",
                portal_url=self._addresses.portal_url,
                workspace_page=self._addresses.page_url(uid) if route else "",
                again=self._addresses.base_path(uid),
            ),
            pages.translations(question.language, self._locale_dir),
        )
        headers = (
            ("content-type", _HTML),
            ("content-language", page.language),
            ("content-security-policy", page.policy),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            *extra,
        )
        return Answer(status, headers, page.html.encode())


def is_state(text: str) -> bool:
    """True if `text` looks like a state that gate made."""
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)


def state_digest(state: str) -> str:
    """What of a browser's state goes through the portal and into the ticket."""
    return hashlib.sha256(state.encode()).hexdigest()[:32]
