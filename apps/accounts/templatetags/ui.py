"""How values look on a page: phases, times, sizes, money, icons, limits.

Every template loads this library (`{% load ui %}`). Nothing here queries the database; fragments
that are rendered once and broadcast use the same tags, so no tag may depend on the request.
"""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

register = template.Library()

Number = int | float | Decimal

PHASES: dict[str, Promise] = {
    "queued": _("Queued"),
    "pulling": _("Preparing image"),
    "starting": _("Starting"),
    "ready": _("Ready"),
    "stopping": _("Stopping"),
    "stopped": _("Stopped"),
    "failed": _("Failed"),
}

STAGES: dict[str, Promise] = {
    "queued": _("Queued"),
    "pulling": _("Image"),
    "starting": _("Start"),
    "ready": _("Ready"),
}

RESOURCES: dict[str, Promise] = {
    "workspaces": _("Running workspaces"),
    "cpu": _("CPU cores"),
    "memory_mib": _("Memory"),
    "disk_gib": _("Disk"),
    "snapshot_gib": _("Snapshots"),
    "jobs": _("Jobs"),
    "gpu_seconds": _("GPU time"),
}

WINDOWS: dict[str, Promise] = {
    "day": _("per day"),
    "week": _("per week"),
    "month": _("per month"),
}


def _plain(value: Number, places: int = 1) -> str:
    """`value` with at most `places` decimals and no trailing zeros, in the reader's locale."""
    try:
        quantum = Decimal(1).scaleb(-places)
        number = Decimal(str(value)).quantize(quantum, rounding=ROUND_HALF_UP)
    except InvalidOperation:
        return ""
    if number == number.to_integral_value():
        number = number.to_integral_value()
    else:
        number = number.normalize()
    return str(formats.number_format(number, use_l10n=True))


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """One picture of the sprite; decorative, so hidden from assistive technology."""
    return format_html(
        '<svg class="icon {}" width="16" height="16" aria-hidden="true" focusable="false">'
        '<use href="{}#{}"></use></svg>',
        css,
        static("img/icons.svg"),
        name,
    )


@register.filter
def phase_label(phase: str) -> str:
    """The phase in the reader's words; an unknown phase is shown as it is."""
    return str(PHASES.get(phase, phase))


@register.filter
def stage_label(key: str) -> str:
    """A stage of a start in the reader's words."""
    return str(STAGES.get(key, key))


@register.simple_tag
def phase_badge(phase: str) -> SafeString:
    """A phase as shape, text and colour, so that none of them has to carry it alone."""
    known = phase if phase in PHASES else "queued"
    return format_html(
        '<span class="phase phase--{}">{}<span>{}</span></span>',
        known,
        icon(f"phase-{known}"),
        phase_label(phase),
    )


@register.filter
def duration(seconds: Number | None) -> str:
    """Seconds as a person says them: `0.8 s`, `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`."""
    if seconds is None:
        return ""
    total = max(float(seconds), 0.0)
    if total < 10 and total != int(total):
        return gettext("{n} s").format(n=_plain(total))
    whole = int(total)
    parts = (
        (gettext("{n} d"), whole // 86400),
        (gettext("{n} h"), whole // 3600 % 24),
        (gettext("{n} min"), whole // 60 % 60),
        (gettext("{n} s"), whole % 60),
    )
    first = next((at for at, (_unit, n) in enumerate(parts) if n), len(parts) - 1)
    shown = [unit.format(n=n) for unit, n in parts[first : first + 2] if n]
    return " ".join(shown) or gettext("{n} s").format(n=0)


@register.simple_tag
def elapsed(since: dt.datetime | None) -> SafeString:
    """Time since `since`; goes on counting where scripts run."""
    if since is None:
        return SafeString("")
    seconds = int(max((timezone.now() - since).total_seconds(), 0))
    return format_html(
        '<time class="ticking" data-controller="elapsed" datetime="{}">{}</time>',
        since.isoformat(),
        duration(seconds),
    )


@register.simple_tag
def when(at: dt.datetime | None, style: str = "datetime") -> SafeString:
    """A moment in the portal's time zone; scripts turn it into the reader's.

    `style` is `datetime`, `date` or `time`.
    """
    if at is None:
        return SafeString("")
    local = timezone.localtime(at)
    shown = {
        "date": local.strftime("%Y-%m-%d"),
        "time": local.strftime("%H:%M:%S"),
    }.get(style, local.strftime("%Y-%m-%d %H:%M"))
    return format_html(
        '<time data-controller="local-time" data-style="{}" datetime="{}">{}</time>',
        style,
        at.isoformat(),
        shown,
    )


@register.filter
def plain_number(value: Number) -> str:
    """A number without zeros that say nothing."""
    return _plain(value, 2)


@register.filter
def mib(value: Number | None) -> str:
    """MiB as the largest unit that keeps it short: `512 MiB`, `2 GiB`, `1.5 TiB`."""
    if value is None:
        return ""
    amount = float(value)
    for unit in ("MiB", "GiB"):
        if amount < 1024:
            return f"{_plain(amount)} {unit}"
        amount /= 1024
    return f"{_plain(amount)} TiB"


@register.filter
def gib(value: Number | None) -> str:
    """GiB as the largest unit that keeps it short."""
    return "" if value is None else mib(float(value) * 1024)


@register.filter
def cores(value: Number | None) -> str:
    """`1 core`, `2 cores`, `0.5 cores`."""
    if value is None:
        return ""
    one = 1 if value == 1 else 2
    return ngettext("{n} core", "{n} cores", one).format(n=_plain(value, 2))


@register.simple_tag
def money(amount: Decimal | str | None, currency: str) -> str:
    """An amount with its currency; no decimals that say nothing, none at all for won and yen.

    Below one unit four decimals count, above it two.
    """
    if amount is None or amount == "":
        return ""
    value = Decimal(amount)
    least = 0 if currency in ("KRW", "JPY") else 2
    places = least + 2 if value and abs(value) < 1 else least
    shown = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    while places > least and shown == shown.quantize(Decimal(1).scaleb(1 - places)):
        places -= 1
    return f"{formats.number_format(shown, places)} {currency}"


@register.filter
def resource_label(resource: str) -> str:
    """What a limit counts, in the reader's words."""
    if resource.startswith("gpus:"):
        return gettext("{tier} GPUs").format(tier=resource.removeprefix("gpus:").capitalize())
    return str(RESOURCES.get(resource, resource))


@register.filter
def window_label(window: str) -> str:
    """`per month` and the like; empty for what is held at once."""
    return str(WINDOWS.get(window, ""))


def amount_of(resource: str, value: Number) -> str:
    """`value` of `resource` with its unit."""
    if resource == "memory_mib":
        return mib(value)
    if resource in ("disk_gib", "snapshot_gib"):
        return gib(value)
    if resource == "gpu_seconds":
        return duration(value)
    return _plain(value, 2)


@register.inclusion_tag("components/meter.html")
def limit_meter(limit: Any, adds: Number = 0) -> dict[str, Any]:
    """A limit as a bar and as text: what is used, and what `adds` would use on top.

    `limit` has `resource`, `limit` (a number, or None for no limit), `used`, `window`.
    """
    return meter_context(limit.resource, limit.limit, limit.used, limit.window, adds)


def meter_context(
    resource: str, maximum: Number | None, used: Number, window: str, adds: Number = 0
) -> dict[str, Any]:
    """What `components/meter.html` shows. Bar lengths are parts of 100."""
    top = float(maximum) if maximum else 0.0
    share = min(float(used) / top * 100, 100.0) if top else 0.0
    added = min(float(adds) / top * 100, 100.0 - share) if top else 0.0
    over = maximum is not None and float(used) + float(adds) > float(maximum)
    full = maximum is not None and float(used) >= float(maximum)
    return {
        "resource": resource,
        "label": resource_label(resource),
        "window": window_label(window),
        "used": amount_of(resource, used),
        "maximum": None if maximum is None else amount_of(resource, maximum),
        "raw_used": str(used),
        "raw_limit": "" if maximum is None else str(maximum),
        "bar_used": f"{share:.1f}",
        "bar_adds": f"{added:.1f}",
        "state": "over" if over else "full" if full else "near" if share >= 80 else "ok",
    }


@register.filter
def event_mark(event: Any) -> str:
    """How a line of a timeline is marked: `bad`, `wait`, `good` or nothing special."""
    kind = str(event.type).lower()
    if kind in ("failed", "error"):
        return "bad"
    if kind in ("warning", "refused"):
        return "wait"
    return "good" if kind == "ready" else "plain"


@register.filter
def curl_example(workspace: Any) -> str:
    """A call of the workspace's own server by a program that holds a token."""
    path = "api/status" if workspace.ide == "jupyterlab" else ""
    return f'curl -H "Authorization: Bearer $GPC_TOKEN" {workspace.url}{path}'
