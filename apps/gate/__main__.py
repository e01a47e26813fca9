"""The gate process: `python -m apps.gate`. Two unix sockets, one event loop, no Django.

`gate.sock` answers nginx's questions, `gate-ws.sock` carries websockets. The sockets appear whole
(bound under another name, then renamed), so a restart leaves no moment without one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import structlog
import uvicorn
import uvloop

from apps.gate.answers import Answers
from apps.gate.app import GateApp
from apps.gate.policy import Rules
from apps.gate.settings import GateSettings, read_settings
from apps.gate.store import Store
from apps.gate.tunnel import Tunnels

log = structlog.get_logger("gate")

_BACKLOG = 1024
_FIRST_LOOK_S = 3.0
# Longer than nginx keeps its idle connections, so that gate never closes one under a question.
_KEEPALIVE_S = 90


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 2 if the settings are wrong."""
    _configure_logs()
    try:
        settings = read_settings()
    except (ValueError, OSError) as error:
        log.error("bad_settings", error=str(error))
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles both while it serves, then raises them again to whoever was there before.
        signal.signal(number, lambda *_: None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings))
    return 0


async def _serve(settings: GateSettings) -> None:
    rules = Rules(key=settings.key, addresses=settings.addresses)
    store = Store(settings.database_url)
    answers = Answers(settings.addresses, settings.locale_dir)
    tunnels = Tunnels(rules, store, answers)
    server = uvicorn.Server(
        uvicorn.Config(
            GateApp(rules, store, answers, tunnels.__len__),
            interface="asgi3",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEPALIVE_S,
            timeout_graceful_shutdown=2,
        )
    )
    background = [asyncio.create_task(store.run()), asyncio.create_task(tunnels.watch())]
    await store.look_now(_FIRST_LOOK_S)
    listener = await asyncio.start_unix_server(
        tunnels.serve, sock=_listen(settings.tunnel_socket), limit=256 * 1024
    )
    log.info("gate_started", pid=os.getpid(), fresh=store.table.is_fresh(time.monotonic()))
    try:
        await server.serve(sockets=[_listen(settings.http_socket)])
    finally:
        listener.close()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path` that only our own user can reach."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listening.bind(str(unfinished))
    finally:
        os.umask(mask)
    listening.listen(_BACKLOG)
    listening.setblocking(False)
    unfinished.rename(path)
    return listening


def _configure_logs() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
