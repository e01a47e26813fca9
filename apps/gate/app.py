"""Gate's HTTP side: a plain ASGI function behind nginx, on a unix socket.

`/ask`      may this request pass? 200 with where to in the headers, or 403; nginx keeps a 200 for
            a second, so this sees little traffic.
`/refusal`  the same request again after a no: the response that its sender gets.
`/unreachable`  the same after a yes that led to no server.
`/public`   everything below `<workspace>/_gate/`.
`/livez`, `/status`, `/metrics` for operators; nginx has no way to these.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from apps.gate.answers import PROBLEMS, UNREACHABLE, Answer, Answers, Problem
from apps.gate.entry import Doorman
from apps.gate.metrics import DECISIONS, ROUTES, TABLE_AGE
from apps.gate.policy import Decision, Moment, Refusal, Refused, Rules, decide
from apps.gate.question import Question, read_question
from apps.gate.store import Store
from apps.gate.upstream import parse_upstream

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_NO = Answer(403)
_PASSED = DECISIONS.labels("pass")
_REFUSED = {reason: DECISIONS.labels(reason.value) for reason in Refusal}


def moment() -> Moment:
    """Now, on both clocks."""
    return Moment(now=time.time(), monotonic=time.monotonic())


class GateApp:
    """The ASGI application. `tunnels` counts open websockets, for `/status`."""

    def __init__(
        self, rules: Rules, store: Store, answers: Answers, tunnels: Callable[[], int]
    ) -> None:
        self._rules = rules
        self._store = store
        self._answers = answers
        self._tunnels = tunnels
        self._doorman = Doorman(rules, store, answers, time.time)
        self._reports = {
            "/livez": self._livez,
            "/status": self._status,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """One request; bodies are never read."""
        answer = await self._answer(scope["path"], scope["headers"])
        headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> Answer:
        if path == "/ask":
            return self._ask(read_question(headers))
        if path in ("/refusal", "/unreachable"):
            # A yes by now: after a no it has just become one, so trying again helps.
            if_yes = UNREACHABLE if path == "/unreachable" else PROBLEMS[Refusal.UNAVAILABLE]
            return self._refusal(read_question(headers), if_yes)
        if path == "/public":
            return await self._doorman.answer(read_question(headers))
        report = self._reports.get(path)
        return Answer(404) if report is None else report()

    @staticmethod
    def _livez() -> Answer:
        return _text("ok\n", "text/plain")

    def _decide(self, question: Question) -> Decision:
        return decide(question.facts, self._store.table, self._rules, moment())

    def _ask(self, question: Question) -> Answer:
        decision = self._decide(question)
        if isinstance(decision, Refused):
            _REFUSED[decision.reason].inc()
            return _NO
        upstream = parse_upstream(decision.route.upstream)
        if upstream is None:
            _REFUSED[Refusal.UNAVAILABLE].inc()
            return _NO
        _PASSED.inc()
        by_path = not self._rules.addresses.by_host
        headers = [
            ("x-gate-upstream", upstream.for_nginx),
            ("x-gate-authorization", decision.authorization),
            ("x-gate-cookie", decision.cookie),
            ("x-gate-strip", "1" if decision.route.strip_prefix and by_path else ""),
        ]
        if decision.renewed is not None:
            headers.append(("x-gate-renewal", self._doorman.cookie(decision.renewed)))
        return Answer(200, tuple(headers))

    def _refusal(self, question: Question, if_yes: Problem) -> Answer:
        decision = self._decide(question)
        if isinstance(decision, Refused):
            return self._answers.refusal(question, decision.reason, decision.route)
        return self._answers.problem(question, if_yes, decision.route)

    def _status(self) -> Answer:
        table = self._store.table
        age_s = table.age_s(time.monotonic())
        status = {
            "age_s": None if age_s is None else round(age_s, 3),
            "fresh": table.is_fresh(time.monotonic()),
            "routes": len(table.routes),
            "tunnels": self._tunnels(),
        }
        return _text(json.dumps(status), "application/json")

    def _metrics(self) -> Answer:
        table = self._store.table
        age_s = table.age_s(time.monotonic())
        TABLE_AGE.set(float("inf") if age_s is None else age_s)
        ROUTES.set(len(table.routes))
        return Answer(200, (("content-type", CONTENT_TYPE_LATEST),), generate_latest(REGISTRY))


def _text(body: str, content_type: str) -> Answer:
    return Answer(200, (("content-type", content_type),), body.encode())
