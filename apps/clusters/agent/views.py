"""What agents call, on the live processes: telling activity, and waiting for commands.

Asynchronous to the ground: a poll that waits holds no thread and no database connection. Each look
at the database borrows both for as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError

from apps.accounts.models import Scope
from apps.accounts.services.tokens import principal_of
from apps.clusters.agent.commands import Poll, commands_after
from apps.clusters.agent.reports import MAX_BODY, Report, write_report
from apps.clusters.agent.wake import bell_of
from apps.live.outages import is_outage

LOOK_EVERY_S = 10.0
LOOK_EVERY_DEAF_S = 2.0

P = ParamSpec("P")
R = TypeVar("R")


class Refused(Exception):
    """Answer with this problem."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


@csrf_exempt  # a bearer token, never a cookie
async def activity(request: HttpRequest) -> HttpResponse:
    """POST: what the run does now (`reports.Report`). 204; 401, 403, 413, 422 as problem+json."""
    try:
        _allow(request, "POST")
        uid = await _workload_of(request)
        report = _parse_report(request)
        if not await _in_thread(write_report, uid, report):
            raise Refused(410, "gone", "This run is over.")
    except Refused as problem:
        return _problem(problem)
    return HttpResponse(status=204)


@csrf_exempt
async def commands(request: HttpRequest) -> HttpResponse:
    """GET `?after=<id>&wait=<seconds>`: the commands after that id; waits for one at most so long.
    200 `{"commands": [{"id", "type", "at", "detail"}]}`, which may be empty."""
    try:
        _allow(request, "GET")
        uid = await _workload_of(request)
        poll = _parse_poll(request)
        found = await _wait_for_commands(uid, poll)
    except Refused as problem:
        return _problem(problem)
    return JsonResponse({"commands": found}, headers={"Cache-Control": "no-store"})


async def _wait_for_commands(uid: str, poll: Poll) -> list[dict[str, object]]:
    clock = asyncio.get_running_loop().time
    end = clock() + poll.wait
    found = await _in_thread(commands_after, uid, poll.after)
    if found or not poll.wait:
        return found
    async with bell_of(uid) as bell:
        # Once more at first: a command may have come before the bell was hung up.
        while not (found := await _in_thread(commands_after, uid, poll.after)):
            left = end - clock()
            if left <= 0:
                break
            await bell.wait(min(left, LOOK_EVERY_S if bell.is_connected else LOOK_EVERY_DEAF_S))
    return found


async def _workload_of(request: HttpRequest) -> str:
    """The run that the bearer token belongs to. Raises Refused."""
    scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
    principal = None
    if scheme.lower() == "bearer":
        principal = await _in_thread(principal_of, text.strip())
    if principal is None:
        raise Refused(401, "unauthenticated", "A run's own token is needed.")
    if Scope.AGENT.value not in principal.scopes or not principal.workload_uid:
        raise Refused(403, "scope_missing", "Only the token of a run may do this.")
    return principal.workload_uid


def _parse_report(request: HttpRequest) -> Report:
    length = request.headers.get("Content-Length", "")
    if (length.isdigit() and int(length) > MAX_BODY) or len(request.body) > MAX_BODY:
        raise Refused(413, "too_large", f"At most {MAX_BODY} bytes.")
    try:
        return Report.model_validate_json(request.body)
    except ValidationError as error:
        raise _invalid(error) from None


def _parse_poll(request: HttpRequest) -> Poll:
    try:
        return Poll.model_validate(request.GET.dict())
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> Refused:
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    return Refused(422, "invalid", f"{where}: {first['msg']}")


def _allow(request: HttpRequest, method: str) -> None:
    if request.method != method:
        raise Refused(405, "method_not_allowed", f"Only {method}.")


def _problem(problem: Refused) -> JsonResponse:
    body = {
        "type": "about:blank",
        "title": problem.code,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "hint": "",
    }
    response = JsonResponse(body, status=problem.status, content_type="application/problem+json")
    if problem.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if problem.status == 503:
        response["Retry-After"] = "5"
    return response


async def _in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run what uses the database in a borrowed thread and give the connection back at once."""

    def call() -> R:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    try:
        return await sync_to_async(call, thread_sensitive=False)()
    except Exception as error:
        if is_outage(error):
            raise Refused(503, "unavailable", "The database does not answer now.") from error
        raise
