"""Making a topic's content: once for each version, form and language, whoever looks.

Synchronous, for a thread of the live process: it queries the database and runs templates.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.template.loader import render_to_string
from django.utils import translation

from apps.live import frames
from apps.live.metrics import RENDERS
from apps.live.topics import State, TopicType

Look = tuple[str, str]
"""A form ("html", "data") and a language."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A topic's content at one version, as frames that are ready to be sent, by look."""

    version: int = 0
    frames: Mapping[Look, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """What to render. `name` is what clients call the topic, `have` what was rendered before."""

    topic: TopicType
    key: str
    name: str
    looks: Collection[Look]
    have: Rendered


def render(task: Task) -> Rendered | None:
    """The topic as it is now in every look that is wanted; None when it is gone.

    What `have` holds of the same version is not rendered again; should the database be behind
    `have`, that is returned.
    """
    state = task.topic.state(task.key)
    if state is None:
        return None
    if state.version < task.have.version:
        return task.have
    known = task.have.frames if state.version == task.have.version else {}
    missing = [look for look in task.looks if look not in known]
    made = {look: _frame(task, state, look) for look in missing}
    return Rendered(state.version, {**known, **made})


def _frame(task: Task, state: State, look: Look) -> str:
    form, language = look
    RENDERS.labels(task.topic.name, form).inc()
    with translation.override(language):
        what: object = (
            render_to_string(task.topic.template, dict(state.context))
            if form == "html"
            else state.data()
        )
    return frames.content(task.name, state.version, form, what)
