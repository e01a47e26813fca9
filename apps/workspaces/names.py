"""What a workspace may be called."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from django.utils.translation import gettext_lazy as _

from apps.live.errors import DomainError, Text

NAME_LENGTH = 80
# Control characters, halves of surrogate pairs, and the separators that break a line.
_REFUSED = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They turn the text around them, so that a name could look like another one.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_name(text: str) -> str:
    """`text` without surrounding white space. Any script; raises DomainError, with the field
    `name`, for control characters and for more than 80 characters."""
    name = text.strip()
    if len(name) > NAME_LENGTH:
        raise _refusal(_("A name has at most {n} characters.").format(n=NAME_LENGTH))
    if any(letter in _TURNING or unicodedata.category(letter) in _REFUSED for letter in name):
        raise _refusal(_("A name cannot hold line breaks or control characters."))
    return name


def default_name(base: str, taken: Collection[str]) -> str:
    """`base` with the first number that is free among `taken`."""
    short = base[: NAME_LENGTH - 8].strip()
    number = next(n for n in range(1, len(taken) + 2) if f"{short} {n}" not in taken)
    return f"{short} {number}"


def _refusal(message: Text) -> DomainError:
    return DomainError(message, hint=_("Choose another name."), fields={"name": message})
