"""A tiny HTTP and websocket server, for measurements of everything around it.

Answers beneath its base URL: "" (readiness), "1k", "1m" (that many bytes), and "ws", which sends
each message back. Run as `python -m gpucommons.echo --socket S` or `--port N`.
"""

from __future__ import annotations

import argparse
import asyncio
import http
import signal

from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

BODIES = {"": b"echo\n", "1k": b"k" * 1024, "1m": b"m" * (1 << 20)}


def answer(request: Request, base_url: str) -> Response | None:
    """What to answer to a plain request; None lets a websocket begin."""
    path = request.path.partition("?")[0]
    name = path.removeprefix(base_url.rstrip("/")).strip("/")
    if name == "ws" and request.headers.get("Upgrade", "").lower() == "websocket":
        return None
    body = BODIES.get(name)
    status = http.HTTPStatus.OK if body is not None else http.HTTPStatus.NOT_FOUND
    body = body if body is not None else b"not here\n"
    headers = Headers()
    headers["Content-Type"] = "text/plain"
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(status.value, status.phrase, headers, body)


async def echo(connection: ServerConnection) -> None:
    """Send each message back as it came."""
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        return


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM."""

    def process(_connection: ServerConnection, request: Request) -> Response | None:
        return answer(request, arguments.base_url)

    server: Server
    if arguments.socket:
        server = await unix_serve(echo, arguments.socket, process_request=process)
    else:
        server = await serve(echo, arguments.host, arguments.port, process_request=process)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    server.close()
    await server.wait_closed()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="gpucommons.echo")
    parser.add_argument("--base-url", default="/")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket")
    where.add_argument("--port", type=int)
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - in a container
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
