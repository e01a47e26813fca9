"""Carries websockets to workspaces: one handshake that is judged, then bytes both ways.

nginx hands over every upgrade request on `gate-ws.sock`. An open tunnel is asked about again
whenever the table changes, and once a second for what ends by the clock; one whose ground is gone
is cut at once, in both directions.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import structlog

from apps.gate import handshake
from apps.gate.answers import UNREACHABLE, Answer, Answers, Problem
from apps.gate.handshake import HandshakeError, Head
from apps.gate.metrics import DECISIONS, TUNNELS, TUNNELS_CLOSED
from apps.gate.pages import Kind
from apps.gate.policy import Moment, Pass, Refused, Rules, decide, still_allowed
from apps.gate.question import Question, read_question
from apps.gate.store import Store
from apps.gate.upstream import Upstream, parse_upstream

log = structlog.get_logger("gate.tunnel")

MAX_TUNNELS_PER_WORKSPACE = 256
_HEAD_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 30.0
_RECHECK_S = 1.0
_CHUNK = 64 * 1024

BAD_HANDSHAKE = Problem(400, "invalid", "Not a proper websocket handshake.", Kind.REFUSED)
TOO_MANY = Problem(
    429,
    "rate_limited",
    "This workspace has too many open connections.",
    Kind.UNAVAILABLE,
    hint="Close some of its tabs and terminals.",
    retry_after_s=5,
)

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@dataclass(eq=False, slots=True)
class Tunnel:
    """One open websocket and the ground on which it is open."""

    passed: Pass
    generation: int
    writers: tuple[Writer, Writer]
    revoked: bool = field(default=False)

    def cut(self) -> None:
        """End it now, whatever is still buffered."""
        self.revoked = True
        for writer in self.writers:
            writer.transport.abort()


class Tunnels:
    """All open tunnels of this process. `serve` is the callback of the listening socket."""

    def __init__(self, rules: Rules, store: Store, answers: Answers) -> None:
        self._rules = rules
        self._store = store
        self._answers = answers
        self._open: set[Tunnel] = set()
        store.on_change(self.recheck)

    def __len__(self) -> int:
        return len(self._open)

    async def watch(self) -> None:
        """Ask again every second, for ever: tokens and stays end without any change."""
        while True:
            await asyncio.sleep(_RECHECK_S)
            self.recheck()

    def recheck(self) -> None:
        """Cut every tunnel that would not be opened on what is known now."""
        table, now = self._store.table, time.time()
        for tunnel in list(self._open):
            allowed = still_allowed(tunnel.passed, table, now)
            if not allowed or tunnel.generation != table.generation:
                route = tunnel.passed.route
                log.info("tunnel_revoked", workspace=route.workspace_uid, run=route.run)
                self._open.discard(tunnel)
                tunnel.cut()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        """One connection from nginx, from handshake to end."""
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, HandshakeError) as error:
            log.info("tunnel_failed", error=type(error).__name__)
        finally:
            writer.close()

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT_S):
                head = await handshake.read_request(reader)
        except HandshakeError:
            empty = read_question(())
            await _reply(writer, self._answers.problem(empty, BAD_HANDSHAKE))
            return
        question = read_question(head.headers, upgrade=True)
        decision = self._decide(question)
        upstream = parse_upstream(decision.route.upstream) if isinstance(decision, Pass) else None
        if isinstance(decision, Refused):
            refusal = self._answers.refusal(question, decision.reason, decision.route)
            await _reply(writer, refusal)
        elif upstream is None:
            await _reply(writer, self._answers.problem(question, UNREACHABLE))
        elif self._count(question.facts.workspace) >= MAX_TUNNELS_PER_WORKSPACE:
            await _reply(writer, self._answers.problem(question, TOO_MANY))
        else:
            client = _Client(reader, writer, head, question)
            await self._connect(client, decision, upstream)

    def _decide(self, question: Question) -> Pass | Refused:
        at = Moment(now=time.time(), monotonic=time.monotonic())
        decision = decide(question.facts, self._store.table, self._rules, at)
        outcome = "pass" if isinstance(decision, Pass) else decision.reason.value
        DECISIONS.labels(outcome).inc()
        return decision

    def _count(self, workspace: str) -> int:
        return sum(one.passed.route.workspace_uid == workspace for one in self._open)

    async def _connect(self, client: _Client, passed: Pass, upstream: Upstream) -> None:
        generation = self._store.table.generation
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                reader, writer = await _open(upstream)
        except (OSError, TimeoutError):
            problem = self._answers.problem(client.question, UNREACHABLE, passed.route)
            await _reply(client.writer, problem)
            return
        tunnel = Tunnel(passed, generation, (client.writer, writer))
        # Registered before the first byte goes through: nothing can slip past a revocation.
        self._open.add(tunnel)
        self.recheck()
        TUNNELS.inc()
        try:
            await self._carry(client, tunnel, reader, writer)
        finally:
            self._open.discard(tunnel)
            TUNNELS.dec()
            TUNNELS_CLOSED.labels("revoked" if tunnel.revoked else "ended").inc()
            writer.close()

    async def _carry(self, client: _Client, tunnel: Tunnel, reader: Reader, writer: Writer) -> None:
        passed = tunnel.passed
        target = self._target(client.head, passed)
        writer.write(
            handshake.request_bytes(client.head, target, passed.cookie, passed.authorization)
        )
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                answer = await handshake.read_response(reader)
        except (HandshakeError, OSError, TimeoutError):
            if not tunnel.revoked:
                await _reply(client.writer, self._answers.problem(client.question, UNREACHABLE))
            return
        if answer.status != 101:
            client.writer.write(
                handshake.response_bytes(answer.status, answer.headers, answer.early)
            )
            await client.writer.drain()
            return
        client.writer.write(handshake.response_bytes(101, answer.headers) + answer.early)
        writer.write(client.head.early)
        await _pipe_both((client.reader, writer), (reader, client.writer))

    def _target(self, head: Head, passed: Pass) -> str:
        """The request target for the workspace, its prefix taken off if the app wants that."""
        target = head.start.decode("latin-1")
        base = self._rules.addresses.base_path(passed.route.workspace_uid)
        if passed.route.strip_prefix and target.startswith(base):
            return "/" + target[len(base) :]
        return target


@dataclass(frozen=True, slots=True)
class _Client:
    """The client's side of a tunnel."""

    reader: Reader
    writer: Writer
    head: Head
    question: Question


async def _open(upstream: Upstream) -> tuple[Reader, Writer]:
    if upstream.path:
        return await asyncio.open_unix_connection(upstream.path)
    return await asyncio.open_connection(upstream.host.strip("[]"), upstream.port)


async def _reply(writer: Writer, answer: Answer) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    writer.write(handshake.response_bytes(answer.status, headers, answer.body))
    await writer.drain()


async def _pipe_both(outward: tuple[Reader, Writer], inward: tuple[Reader, Writer]) -> None:
    """Copy both ways until either side ends, then let go of both."""
    pipes = {asyncio.create_task(_pipe(*outward)), asyncio.create_task(_pipe(*inward))}
    try:
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


async def _pipe(reader: Reader, writer: Writer) -> None:
    """Copy until end of file; waits while the other side is slow."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
