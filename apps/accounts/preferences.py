"""The language and the look that a browser carries in cookies; what they are set to also stays
with the person, for the next browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from apps.accounts.models import Theme

YEAR_S = 365 * 86400


@dataclass(frozen=True, slots=True)
class Preference:
    """One thing that can be chosen: the name of its field and of its cookie, and the choices."""

    field: str
    cookie: str
    choices: Sequence[str]

    def cookie_of(self, request: HttpRequest) -> str:
        """What this browser says, if that can be chosen, else ""."""
        value = request.COOKIES.get(self.cookie, "")
        return value if value in self.choices else ""


LANGUAGE = Preference(
    "language", settings.LANGUAGE_COOKIE_NAME, tuple(code for code, _name in settings.LANGUAGES)
)
THEME = Preference("theme", "gpc_theme", tuple(Theme.values))


def set_cookie(response: HttpResponse, preference: Preference, value: str) -> None:
    """Have the browser remember `value` for a year. No script needs to read it."""
    response.set_cookie(
        preference.cookie,
        value,
        max_age=YEAR_S,
        secure=settings.PORTAL_IS_HTTPS,
        httponly=True,
        samesite="Lax",
    )
