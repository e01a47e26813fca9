"""People and workspaces by the thousand, for trials and measurements.

Nothing of it ever runs: the workspaces are stopped or failed, on a cluster of their own that is
switched off. Rows are written in bulk and are as complete as those that services write, so that
pages, costs and invariants are right.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from apps.accounts.models import Group, Membership, User
from apps.catalog.models import App, Image, ImageVersion, Price, Size
from apps.catalog.selectors import apps_of, current_prices, default_image
from apps.clusters.models import (
    Cluster,
    ClusterKind,
    Desired,
    Observed,
    Phase,
    Workload,
)
from apps.live.errors import DomainError
from apps.live.uids import new_uid
from apps.quotas.models import Reservation, Resource, UsageInterval
from apps.workspaces.models import Workspace, WorkspaceEvent

PREFIX = "demo-"
GROUP = "demo"
CLUSTER = "demo"
BATCH = 2000
SPREAD_DAYS = 60
FAILED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Choice:
    """What the workspaces are made of."""

    cluster: Cluster
    image: Image
    version: ImageVersion
    app: App
    sizes: Sequence[Size]
    prices: dict[int, Price]


@transaction.atomic
def add_people(count: int) -> list[User]:
    """`count` more students of the group `demo`, who cannot sign in by themselves."""
    begin = User.objects.filter(username__startswith=PREFIX).count() + 1
    none = make_password(None)
    people = User.objects.bulk_create(
        (
            User(username=f"{PREFIX}{n:05}", display_name=f"Demo Person {n}", password=none)
            for n in range(begin, begin + count)
        ),
        batch_size=BATCH,
    )
    group, _made = Group.objects.get_or_create(slug=GROUP, defaults={"name": "Demonstration"})
    Membership.objects.bulk_create(
        (Membership(user=person, group=group) for person in people), batch_size=BATCH
    )
    return people


@transaction.atomic
def add_workspaces(count: int) -> None:
    """`count` more workspaces of the people of the demonstration, each with one run that is over.

    Raises DomainError where there is nothing to make them of.
    """
    people = list(User.objects.filter(username__startswith=PREFIX).order_by("pk"))
    if not people:
        people = add_people(1)
    choice = _choose()
    dice = random.Random(count)  # noqa: S311  # looks, not secrets
    owners = itertools.cycle(people)
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        _add_batch(choice, [(next(owners), number) for number in numbers], dice)


def _choose() -> Choice:
    image = default_image()
    sizes = list(Size.objects.filter(for_workspaces=True, is_published=True).order_by("position"))
    apps = apps_of(image)
    if image.current is None or not apps or not sizes:
        raise DomainError(
            _("There is no image, app or size to make workspaces of."),
            hint=_("Run `manage.py seed_trial` first."),
        )
    cluster, _made = Cluster.objects.get_or_create(
        name=CLUSTER, defaults={"kind": ClusterKind.FAKE, "is_enabled": False}
    )
    return Choice(cluster, image, image.current, apps[0], sizes, current_prices(sizes))


def _add_batch(choice: Choice, wanted: list[tuple[User, int]], dice: random.Random) -> None:
    now = timezone.now()
    rows = [_one(choice, owner, number, _when(now, dice)) for owner, number in wanted]
    Workload.objects.bulk_create([run for run, _workspace, _size in rows])
    for run, workspace, _size in rows:
        workspace.current = run
    Workspace.objects.bulk_create([workspace for _run, workspace, _size in rows])
    UsageInterval.objects.bulk_create(_interval(choice, run, size) for run, _w, size in rows)
    Reservation.objects.bulk_create(
        Reservation(
            subject_uid=workspace.uid,
            owner=workspace.owner,
            resource=Resource.DISK_GIB,
            amount=size.disk_gib,
        )
        for _run, workspace, size in rows
    )
    WorkspaceEvent.objects.bulk_create(
        event for run, workspace, _size in rows for event in _events(run, workspace)
    )


@dataclass(frozen=True, slots=True)
class Span:
    """When a run of the demonstration was, and whether it failed."""

    created: dt.datetime
    ended: dt.datetime
    failed: bool


def _when(now: dt.datetime, dice: random.Random) -> Span:
    created = now - dt.timedelta(minutes=dice.randint(600, SPREAD_DAYS * 1440))
    ended = created + dt.timedelta(minutes=dice.randint(1, 480))
    return Span(created, ended, dice.random() < FAILED_SHARE)


def _one(choice: Choice, owner: User, number: int, span: Span) -> tuple[Workload, Workspace, Size]:
    size = choice.sizes[number % len(choice.sizes)]
    workspace = Workspace(
        uid=new_uid(),
        owner=owner,
        name=f"Demo {number + 1}",
        cluster=choice.cluster,
        image=choice.image,
        image_version=choice.version,
        app=choice.app,
        size=size,
        created_at=span.created,
        phase_since=span.ended,
    )
    run = _run(choice, workspace, span)
    return run, workspace, size


def _run(choice: Choice, workspace: Workspace, span: Span) -> Workload:
    size = workspace.size
    started = span.created + dt.timedelta(seconds=1)
    resources = {
        "cpu_millis": size.cpu_millis,
        "memory_mib": size.memory_mib,
        "disk_gib": size.disk_gib,
        "gpus": size.gpus,
        "gpu_tier": size.gpu_tier,
    }
    return Workload(
        cluster=choice.cluster,
        owner=workspace.owner,
        subject_uid=workspace.uid,
        spec={"resources": resources, "owner": {"uid": workspace.owner.uid}},
        spec_hash="0" * 64,
        app_token="",
        desired=Desired.STOPPED,
        stop_reason="stopped_by_owner",
        generation=2,
        applied_generation=2,
        next_try_at=None,
        image_digest=choice.version.digest,
        observed=Observed.EXITED,
        observed_at=span.ended,
        observed_started_at=started,
        observed_ready_at=started + dt.timedelta(seconds=2),
        observed_exited_at=span.ended,
        observed_exit_code=1 if span.failed else 0,
        phase=Phase.FAILED if span.failed else Phase.STOPPED,
        reason="command_failed" if span.failed else "stopped_by_owner",
        message=gettext_noop("The server ended by itself.") if span.failed else "",
        created_at=span.created,
        ready_at=started + dt.timedelta(seconds=2),
        ended_at=span.ended,
    )


def _interval(choice: Choice, run: Workload, size: Size) -> UsageInterval:
    price = choice.prices[size.pk]
    assert run.observed_started_at is not None
    return UsageInterval(
        workload=run,
        owner=run.owner,
        subject_uid=run.subject_uid,
        size_slug=size.slug,
        image_slug=choice.image.slug,
        cpu_millis=size.cpu_millis,
        memory_mib=size.memory_mib,
        price_per_hour=price.per_hour,
        currency=price.currency,
        started_at=run.observed_started_at,
        ended_at=run.ended_at,
        end_reason=run.reason,
    )


def _events(run: Workload, workspace: Workspace) -> list[WorkspaceEvent]:
    moments = ((run.created_at, "starting"), (run.ready_at, "ready"), (run.ended_at, run.phase))
    words = {
        "starting": gettext_noop("Starting."),
        "ready": gettext_noop("Ready."),
        "stopped": gettext_noop("Stopped."),
        "failed": gettext_noop("It could not go on."),
    }
    return [
        WorkspaceEvent(workspace=workspace, workload=run, at=at, type="phase", message=words[phase])
        for at, phase in moments
        if at is not None
    ]
