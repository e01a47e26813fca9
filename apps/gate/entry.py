"""`<workspace>/_gate/...`: where a browser arrives from the portal with its ticket.

The ticket is web's word that this person may enter; the mark in its `next_path` is gate's own that
this browser asked (without it, someone could send others a link that signs them in to a workspace
full of scripts). Both fit: the browser gets its grant, and goes where it wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, unquote

import structlog

from apps.gate import cookies
from apps.gate.answers import Answer, Answers, Problem, is_state, state_digest
from apps.gate.pages import Kind
from apps.gate.policy import Refusal, Rules
from apps.gate.question import Question
from apps.gate.store import Store
from apps.gate.table import Table
from apps.gate.tickets import (
    ENTRY_LIFETIME_S,
    GRANT_LIFETIME_S,
    Entry,
    Grant,
    TicketError,
    grant_ticket,
    read_entry,
)

log = structlog.get_logger("gate.entry")

_LOOK_TIMEOUT_S = 2.0
_MARKED = re.compile(r"_gate/from/([0-9a-f]{32})/(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x20\x7f-\xff\\]")

SPENT = Problem(
    403,
    "forbidden",
    "This way in has been used or has expired.",
    Kind.ENTRY_SPENT,
    hint="Open the workspace again.",
)


class Doorman:
    """Turns tickets into grants, each once."""

    def __init__(
        self, rules: Rules, store: Store, answers: Answers, now: Callable[[], float]
    ) -> None:
        self._rules = rules
        self._store = store
        self._answers = answers
        self._now = now
        self._burned: dict[str, float] = {}

    async def answer(self, question: Question) -> Answer:
        """The response to any request below `_gate/`."""
        base = self._rules.addresses.base_path(question.facts.workspace)
        path, _, query = question.uri.partition("?")
        below = path.removeprefix(base)
        if question.facts.method not in ("GET", "HEAD"):
            return self._answers.refusal(question, Refusal.NOT_FOUND)
        if below == "_gate/enter":
            return await self._enter(question, parse_qs(query).get("ticket", [""])[0])
        if _MARKED.fullmatch(below):
            return self._answers.redirect(self._unmarked(question.uri, base)[1])
        return self._answers.refusal(question, Refusal.NOT_FOUND)

    async def _enter(self, question: Question, text: str) -> Answer:
        uid = question.facts.workspace
        try:
            entry = self._read(question, text)
        except TicketError as error:
            log.info("entry_refused", workspace=uid, reason=str(error))
            return self._answers.problem(question, SPENT)
        mark, target = self._unmarked(entry.next_path, self._rules.addresses.base_path(uid))
        if not mark:
            # Begun at the portal: go round by the workspace, so that this browser gets its mark.
            return self._answers.redirect(target)
        fresh = await self._store.look_now(_LOOK_TIMEOUT_S)
        grant = self._grant(entry, self._store.table) if fresh else Refusal.UNAVAILABLE
        if isinstance(grant, Refusal):
            log.info("entry_refused", workspace=uid, reason=grant.value)
            return self._answers.refusal(question, grant)
        log.info("entered", workspace=uid, actor=entry.person_uid)
        return self._answers.redirect(target, self.cookie(grant))

    def _read(self, question: Question, text: str) -> Entry:
        """The entry in a ticket for this workspace and browser; burns it. Raises TicketError."""
        uid = question.facts.workspace
        entry = read_entry(text, key=self._rules.key, now=self._now())
        if entry.workspace != uid:
            raise TicketError("another workspace")
        mark, _ = self._unmarked(entry.next_path, self._rules.addresses.base_path(uid))
        if mark and not self._is_this_browser(question, mark):
            raise TicketError("another browser")
        if not self._burn(entry):
            raise TicketError("used")
        return entry

    def cookie(self, grant: Grant) -> str:
        """The Set-Cookie value that gives a browser this grant."""
        addresses = self._rules.addresses
        name = addresses.cookie_name("gate", grant.workspace)
        age_s = max(1, grant.expires_at - int(self._now()))
        attributes = addresses.cookie_attributes(grant.workspace, age_s)
        return f"{name}={grant_ticket(grant, key=self._rules.key)}{attributes}"

    def _grant(self, entry: Entry, table: Table) -> Grant | Refusal:
        person = table.people.get(entry.person_id)
        if person is None or not person.active or person.epoch != entry.epoch:
            return Refusal.UNAUTHENTICATED
        if entry.session in table.signouts:
            return Refusal.UNAUTHENTICATED
        route = table.routes.get(entry.workspace)
        if route is None or route.owner_id != entry.person_id:
            return Refusal.NOT_FOUND
        now = int(self._now())
        return Grant(
            person_id=entry.person_id,
            epoch=entry.epoch,
            session=entry.session,
            workspace=entry.workspace,
            run=route.run,
            upstream=route.upstream,
            began_at=now,
            expires_at=now + GRANT_LIFETIME_S,
        )

    def _burn(self, entry: Entry) -> bool:
        """Remember a ticket; False if this gate has seen it before.

        Another gate process would not know; there the mark still keeps other browsers out.
        """
        now = self._now()
        for nonce in [nonce for nonce, until in self._burned.items() if until <= now]:
            del self._burned[nonce]
        if entry.nonce in self._burned:
            return False
        self._burned[entry.nonce] = now + ENTRY_LIFETIME_S + 1
        return True

    def _is_this_browser(self, question: Question, mark: str) -> bool:
        name = self._rules.addresses.cookie_name("enter", question.facts.workspace)
        states = cookies.values(question.facts.cookie, name)
        return any(is_state(state) and state_digest(state) == mark for state in states)

    @staticmethod
    def _unmarked(path: str, base: str) -> tuple[str, str]:
        """The mark in a marked path ("" if none), and where it leads: a path below `base`."""
        if not path.startswith(base):
            return "", base
        match = _MARKED.fullmatch(path.removeprefix(base))
        mark, rest = (match[1], match[2]) if match else ("", path.removeprefix(base))
        # "//host" and "/\\host" would lead to another site; no browser sends control characters.
        segments = unquote(rest.partition("?")[0]).split("/")
        is_safe = segments[0] not in ("", "_gate") and ".." not in segments
        return mark, base + rest if is_safe and not _CONTROL.search(rest) else base
