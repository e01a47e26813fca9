"""The websockets of the portal."""

from __future__ import annotations

from typing import Any

from apps.live.consumers import LiveConsumer
from portal.doorkeeper import PortalDoorkeeper

LIVE = "/ws/live/"
live = LiveConsumer.as_asgi(doorkeeper=PortalDoorkeeper())


async def websockets(scope: Any, receive: Any, send: Any) -> None:
    """The one address that there is; a handshake for any other is refused."""
    if scope["path"] == LIVE:
        await live(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.close"})
