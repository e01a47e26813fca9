"""The agents' endpoints as an ASGI application of their own, for `portal.asgi`.

Django's handler runs the project's middleware, most of which is synchronous, and keeps a thread for
each request as long as it lasts. Thousands of long polls must not cost thousands of threads, so
this one has no middleware, sends no request signals and opens no thread context: `views` needs
none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from tempfile import SpooledTemporaryFile
from typing import Any

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseServerError

from apps.clusters.agent.reports import MAX_BODY

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class AgentApplication(ASGIHandler):
    """Serves `/agent/`. A client that goes away ends its poll at once."""

    _get_response_async: Any  # Django's, which the stubs do not know

    def load_middleware(self, is_async: bool = False) -> None:  # Django's
        """None."""
        self._view_middleware: list[object] = []
        self._template_response_middleware: list[object] = []
        self._exception_middleware: list[object] = []
        self._middleware_chain = convert_exception_to_response(self._get_response_async)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            request, refusal = self.create_request(scope, body)
            if request is None:
                await self.send_response(refusal or HttpResponseServerError(), send)
            else:
                await self._answer(request, receive, send)

    async def _answer(self, request: HttpRequest, receive: Receive, send: Send) -> None:
        answer = asyncio.ensure_future(self.get_response_async(request))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                await self.send_response(answer.result(), send)
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)

    async def read_body(self, receive: Receive) -> SpooledTemporaryFile[bytes]:
        """The body, or one byte more than is allowed of one that is too long."""
        body: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(max_size=2 * MAX_BODY)  # noqa: SIM115  # closed by the caller
        room, more = MAX_BODY + 1, True
        while more and room:
            message = await receive()
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            room -= body.write(message.get("body", b"")[:room])
            more = message.get("more_body", False)
        body.seek(0)
        return body


async def _gone(receive: Receive) -> None:
    """Returns when the client has gone; what it still sends until then is not looked at."""
    while (await receive())["type"] != "http.disconnect":
        pass


application = AgentApplication()
