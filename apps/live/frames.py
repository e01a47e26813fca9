"""What travels over a live socket: requests as they are read, answers as they are written. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BYTES = 16 * 1024
MAX_TOPICS = 64
MAX_NAME = 80
FORMS = ("html", "data")


class Malformed(Exception):
    """The frame is not one of ours; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks. `have`: the version of a topic that it shows already."""

    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    have: Mapping[str, int] = field(default_factory=dict)
    form: str = "html"


def read(text: str) -> Request:
    """The request in a frame. Raises Malformed; names that it does not know are ignored."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed("not JSON") from error
    if not isinstance(said, dict):
        raise Malformed("not an object")
    form = said.get("as", "html")
    if form not in FORMS:
        raise Malformed("as is html or data")
    have = said.get("have", {})
    if not isinstance(have, dict):
        raise Malformed("have is an object")
    request = Request(
        subscribe=_names(said, "subscribe"),
        unsubscribe=_names(said, "unsubscribe"),
        have={name: version for name, version in have.items() if type(version) is int},
        form=form,
    )
    if not request.subscribe and not request.unsubscribe:
        raise Malformed("nothing is subscribed or unsubscribed")
    return request


def _names(said: Mapping[str, object], key: str) -> tuple[str, ...]:
    names = said.get(key, [])
    if not isinstance(names, list) or len(names) > MAX_TOPICS:
        raise Malformed(f"{key} is a list of at most {MAX_TOPICS} topics")
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_NAME for name in names):
        raise Malformed(f"a topic is a text of at most {MAX_NAME} characters")
    return tuple(dict.fromkeys(names))


def accepted(topic: str) -> str:
    """The answer to a subscription that is granted."""
    return json.dumps({"topic": topic, "ok": True})


def refused(topic: str | None, code: str, message: str = "") -> str:
    """The answer to one that is not, or (None) to a frame that could not be read."""
    said = {"topic": topic, "error": code}
    return json.dumps({**said, "message": message} if message else said)


def content(topic: str, version: int, form: str, what: object) -> str:
    """A topic's content at a version."""
    return json.dumps({"topic": topic, "version": version, form: what}, ensure_ascii=False)
