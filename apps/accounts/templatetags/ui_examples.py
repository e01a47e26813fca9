"""Things to show on the page of components, and to look at in tests: no database behind them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from types import SimpleNamespace

from django import forms, template
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

register = template.Library()

STAGE_KEYS = ("queued", "pulling", "starting", "ready")
SECONDS = {"queued": 0.2, "pulling": 1.1, "starting": 2.4}
WORDS = {
    "queued": (_("Waiting for its turn."), ""),
    "pulling": (_("The image is being prepared."), ""),
    "stopping": (_("Its files are being put away."), ""),
    "failed": (
        _("It used more memory than its size has (2 GiB)."),
        _("Choose a larger size, or load less data at once, and start it again."),
    ),
}


class ExampleForm(forms.Form):
    """Fields of each kind that pages use."""

    name = forms.CharField(label=_("Name"), help_text=_("Shown to you alone."), required=False)
    days = forms.IntegerField(label=_("Good for (days)"), min_value=1, max_value=365)


class ExampleLaunchForm(forms.Form):
    """The fields of the launch form."""

    name = forms.CharField(label=_("Name"), required=False)
    image = forms.CharField(label=_("Image"))
    ide = forms.CharField(label=_("Opens in"))
    size = forms.CharField(label=_("Size"))


def _stage(key: str, phase: str, now: dt.datetime) -> SimpleNamespace:
    """One stage of the track as it is in `phase`; a failure is one of the start."""
    at = STAGE_KEYS.index(key)
    reached = STAGE_KEYS.index(phase if phase in STAGE_KEYS else "starting")
    state = "done" if at < reached or phase == "ready" else "current" if at == reached else "todo"
    if phase == "failed" and state == "current":
        state = "failed"
    return SimpleNamespace(
        key=key,
        state=state,
        since=now - dt.timedelta(seconds=8),
        seconds=SECONDS.get(key) if state == "done" else None,
        note="",
    )


def _events(phase: str, now: dt.datetime) -> list[SimpleNamespace]:
    lines: list[tuple[str, object, object]] = [
        ("normal", _("Launched."), ""),
        ("normal", _("The image was there already."), ""),
        ("ready", _("Ready."), ""),
    ]
    if phase == "failed":
        message, hint = WORDS["failed"]
        lines.append(("failed", message, hint))
    events = [
        SimpleNamespace(
            at=now - dt.timedelta(minutes=9 - 2 * step),
            type=kind,
            reason="",
            message=message,
            hint=hint,
            workspace_uid="a1b2c3d4e5f6g7h8i9j0kl",
            workspace_name="statistics",
        )
        for step, (kind, message, hint) in enumerate(lines)
    ]
    return events[::-1]


@register.simple_tag
def example_workspace(phase: str = "ready", name: str = "statistics") -> SimpleNamespace:
    """A workspace in `phase`, with everything that `workspaces/_row.html` lists."""
    now = timezone.now()
    message, hint = WORDS.get(phase, ("", ""))
    uid = "a1b2c3d4e5f6g7h8i9j0kl"
    return SimpleNamespace(
        uid=uid,
        name=name,
        version=7,
        phase=phase,
        phase_since=now - dt.timedelta(seconds=8 if phase != "ready" else 4210),
        reason="",
        message=message,
        hint=hint,
        log_tail="[I 10:02:11] Serving notebooks\n[E 10:09:55] Killed\n",
        activity=None,
        url=f"http://w-{uid}.localhost:8000/",
        image="python",
        image_name="Scientific Python",
        image_version="2026.1",
        ide="jupyterlab",
        ide_name="JupyterLab",
        python_version="3.11",
        size_name="Small",
        cpu=Decimal(1),
        memory_mib=2048,
        disk_gib=10,
        gpus=0,
        gpu_tier="",
        price_per_hour=Decimal("0.0400"),
        currency="USD",
        created_at=now - dt.timedelta(days=3),
        ready_at=now,
        idle_stop_at=now + dt.timedelta(hours=1) if phase == "ready" else None,
        ends_at=now + dt.timedelta(hours=11) if phase == "ready" else None,
        ready_s=3.7,
        cost_amount=Decimal("0.4712"),
        cost_currency="USD",
        home_uid=uid,
        home_bytes=None,
        progress=40 if phase == "pulling" else None,
        is_isolated=True,
        is_simulated=False,
        stages=[_stage(key, phase, now) for key in STAGE_KEYS],
        events=_events(phase, now),
    )


@register.simple_tag
def example_limits() -> list[SimpleNamespace]:
    """Limits that are free, nearly used, used up, and without an end."""
    return [
        SimpleNamespace(resource=resource, limit=limit, used=used, window=window)
        for resource, limit, used, window in (
            ("workspaces", 3, 1, "now"),
            ("cpu", 8, 7, "now"),
            ("memory_mib", 8192, 8192, "now"),
            ("disk_gib", None, 20, "now"),
        )
    ]


@register.simple_tag
def example_form(state: str = "empty") -> ExampleForm:
    """A form as it opens, or (`wrong`) as it comes back."""
    return ExampleForm({"name": "statistics", "days": "900"} if state == "wrong" else None)


def _image(slug: str, name: str, *ides: str, **state: object) -> SimpleNamespace:
    return SimpleNamespace(
        slug=slug,
        name=name,
        description="",
        framework=name,
        framework_version="2.3",
        python_version="3.11",
        ides=ides,
        is_ready=state.get("is_ready", False),
        is_building=False,
        build_minutes=state.get("build_minutes"),
        failed="",
    )


def _size(slug: str, cpu: int, price: str, refusal: str = "") -> SimpleNamespace:
    return SimpleNamespace(
        slug=slug,
        name=slug.capitalize(),
        cpu=cpu,
        memory_mib=2048 * cpu,
        disk_gib=10,
        gpus=0,
        gpu_tier="",
        price_per_hour=Decimal(price),
        currency="USD",
        refusal=refusal,
        refusal_hint="",
    )


def example_launch() -> dict[str, object]:
    """Everything that `workspaces/new.html` lists."""
    return {
        "nav": "launch",
        "form": ExampleLaunchForm(),
        "images": [
            _image("python", "Scientific Python", "jupyterlab", "vscode", is_ready=True),
            _image("pytorch", "PyTorch", "jupyterlab", build_minutes=4),
        ],
        "ides": [
            SimpleNamespace(slug="jupyterlab", name="JupyterLab"),
            SimpleNamespace(slug="vscode", name="VS Code"),
        ],
        "sizes": [
            _size("small", 1, "0.04"),
            _size("medium", 2, "0.08"),
            _size("large", 4, "0.24", "You hold 7 of 8 cores; this needs 4."),
        ],
        "limits": example_limits(),
        "chosen": {"image": "python", "ide": "jupyterlab", "size": "small"},
    }
