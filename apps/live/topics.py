"""What pages can subscribe to. Apps describe their topics here; `portal.wiring` registers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """A topic's content at one version: how to make the REST object, and the template's context.

    Both are used under the language of whoever they are for, so their words must not be translated
    before; `data` may query the database.
    """

    version: int
    data: Callable[[], Mapping[str, object]]
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TopicType:
    """One kind of topic, `name` or `name:<key>`.

    `resolve(user, key)` applies the page's policy and returns the canonical key (for `me` the
    person's uid), raising `DomainError` where the person may not see it. `versions(keys)` returns
    the present version of each key that still exists, in one query. `state(key)` is the whole
    content, the same for all who may see it; None when it is gone. `template` renders `context` as
    the fragment. All three are synchronous and may use the database. `is_personal`: it is called by
    its bare name and no other, and means something else for each person.
    """

    name: str
    template: str
    resolve: Callable[[object, str], str]
    versions: Callable[[Sequence[str]], Mapping[str, int]]
    state: Callable[[str], State | None]
    is_personal: bool = False


_types: dict[str, TopicType] = {}


def register(topic_type: TopicType) -> None:
    """Offer a kind of topic; the same name twice is a mistake."""
    if topic_type.name in _types:
        raise ValueError(f"topic {topic_type.name} is registered already")
    _types[topic_type.name] = topic_type


def find(name: str) -> TopicType | None:
    """The kind of topic called `name`, if there is one."""
    return _types.get(name)
