"""A site of our templates and scripts alone: pages rendered here, a live socket that tests speak
through. No database, no portal: what is tried is what the browser does."""

from __future__ import annotations

import json
import logging
import mimetypes
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import translation
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

NONCE = "nonce-of-the-test"
POLICY = (
    f"default-src 'none'; script-src 'self' 'nonce-{NONCE}'; style-src 'self' 'nonce-{NONCE}'; "
    "img-src 'self' data:; connect-src 'self' ws:; form-action 'self'; base-uri 'none'"
)
PATIENCE_S = 15


@dataclass
class Peer:
    """The server's end of one live socket: what the page said, and a way to answer."""

    connection: ServerConnection
    said: queue.Queue[dict[str, object]] = field(default_factory=queue.Queue)

    def next(self) -> dict[str, object]:
        """The next message of the page."""
        return self.said.get(timeout=PATIENCE_S)

    def tell(self, **message: object) -> None:
        """Send the page a message."""
        self.connection.send(json.dumps(message))

    def close(self, code: int = 1011) -> None:
        """End the connection with a close code."""
        self.connection.close(code)


@dataclass
class Site:
    """Pages by path, and the sockets that they open, in order."""

    pages: dict[str, str] = field(default_factory=dict)
    peers: queue.Queue[Peer] = field(default_factory=queue.Queue)
    refuses_sockets: bool = False
    origin: str = ""

    def peer(self) -> Peer:
        """The next socket that a page opens."""
        return self.peers.get(timeout=PATIENCE_S)

    def show(self, path: str, template: str, context: Mapping[str, object]) -> str:
        """Put a page at `path`; its address."""
        self.pages[path] = page_of(path, template, context)
        return self.origin + path

    def answer(self, _connection: ServerConnection, request: Request) -> Response | None:
        """A page, an asset, or None: go on to a websocket."""
        path = urlsplit(request.path).path
        if path == "/ws/live/":
            return reply(503, "text/plain", b"") if self.refuses_sockets else None
        if path.startswith("/static/"):
            found = finders.find(path.removeprefix("/static/"))
            if found:
                kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
                return reply(200, kind, Path(str(found)).read_bytes())
        if path in self.pages:
            return reply(200, "text/html; charset=utf-8", self.pages[path].encode())
        return reply(404, "text/plain", b"nothing here")

    def listen(self, connection: ServerConnection) -> None:
        """One live socket, until it closes."""
        peer = Peer(connection)
        self.peers.put(peer)
        for message in connection:
            peer.said.put(json.loads(message))


def reply(status: int, kind: str, body: bytes) -> Response:
    headers = Headers(
        {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": POLICY,
            "Connection": "close",
        }
    )
    return Response(status, "", headers, body)


def page_of(path: str, template: str, context: Mapping[str, object]) -> str:
    """A page as somebody who is signed in sees it, or nobody (`anonymous` in the context)."""
    request = RequestFactory().get(path)
    person = SimpleNamespace(is_authenticated=True, username="ada", name="Ada Kim")
    request.user = AnonymousUser() if context.get("anonymous") else person  # type: ignore[assignment]  # looks like one
    request.csp_nonce = NONCE  # type: ignore[attr-defined]  # set by our middleware
    words = {"messages": (), **context}
    with translation.override("en"):
        return render_to_string(template, words, request=request)


def start(site: Site) -> tuple[Server, Callable[[], None]]:
    """Serve `site` on a free loopback port; what ends it."""
    log = logging.getLogger("tests.browser.site")
    log.setLevel(logging.CRITICAL)
    server = serve(site.listen, "127.0.0.1", 0, process_request=site.answer, logger=log)
    port = server.socket.getsockname()[1]
    site.origin = f"http://127.0.0.1:{port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        thread.join(PATIENCE_S)

    return server, end
