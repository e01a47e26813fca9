"""What is wrong with a field, in words that can be translated; pydantic's own are English only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WORDS: dict[str, Promise] = {
    "bool_parsing": _("This must be true or false."),
    "bool_type": _("This must be true or false."),
    "extra_forbidden": _("There is no such field."),
    "greater_than_equal": _("This must be at least {ge}."),
    "int_from_float": _("This must be a whole number."),
    "int_parsing": _("This must be a whole number."),
    "int_type": _("This must be a whole number."),
    "less_than_equal": _("This must be at most {le}."),
    "literal_error": _("This must be one of {expected}."),
    "missing": _("This field is needed."),
    "model_attributes_type": _("This must be a JSON object."),
    "model_type": _("This must be a JSON object."),
    "no_saving": _("Saving is not available yet on this portal; send false, or leave it out."),
    "string_pattern_mismatch": _("This contains characters that cannot be here."),
    "string_too_long": _("This is longer than {max_length} characters."),
    "string_too_short": _("This is shorter than {min_length} characters."),
    "string_type": _("This must be text."),
}


def message_of(error: Mapping[str, Any]) -> str:
    """The words for one of pydantic's errors; its own where we have none."""
    words = WORDS.get(error["type"])
    if words is None:
        return str(error["msg"])
    return str(words).format(**error.get("ctx", {}))
