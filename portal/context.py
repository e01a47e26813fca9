"""What every page knows."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from portal.version import VERSION


def page(request: HttpRequest) -> dict[str, object]:
    """`version`, `theme` (auto, light, dark), `deployment`, `languages`, `csp_nonce`."""
    theme = request.COOKIES.get("gpc_theme", "auto")
    return {
        "version": VERSION,
        "theme": theme if theme in {"light", "dark"} else "auto",
        "deployment": settings.DEPLOYMENT,
        "languages": settings.OFFERED_LANGUAGES,
        "csp_nonce": getattr(request, "csp_nonce", ""),
    }
