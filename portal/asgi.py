"""live: websockets, and the agents' long polls."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")
pages = get_asgi_application()

# Only now: consumers need the apps.
from portal.routing import websockets  # noqa: E402

application = ProtocolTypeRouter({"http": pages, "websocket": websockets})
