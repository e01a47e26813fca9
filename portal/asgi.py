"""live: websockets, and the agents' long polls."""

import os
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")
pages = get_asgi_application()

# Only now: consumers need the apps.
from apps.clusters.agent.asgi import Receive, Send  # noqa: E402
from apps.clusters.agent.asgi import application as agents  # noqa: E402
from portal.routing import websockets  # noqa: E402


async def http(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Agents' polls wait without a thread of their own; everything else is Django's."""
    handler = agents if scope["path"].startswith("/agent/") else pages
    await handler(scope, receive, send)


application = ProtocolTypeRouter({"http": http, "websocket": websockets})
