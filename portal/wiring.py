"""What follows when something changes: the one place where apps are joined that do not know
each other."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.services.tokens import revoke_workload_tokens
from apps.catalog import hooks as catalog_hooks
from apps.catalog.models import BuildState, EnvironmentBuild
from apps.catalog.selectors import price_of
from apps.catalog.services.builds import mark_missing, request_build
from apps.clusters import hooks as cluster_hooks
from apps.clusters.hooks import WorkloadChange
from apps.clusters.logs import keep_last_words
from apps.clusters.models import ImageState, Workload
from apps.clusters.services import image_changed
from apps.live import topics
from apps.live.errors import NotFound
from apps.quotas.services import close_intervals, open_interval, release
from apps.quotas.types import Billing
from apps.workspaces.models import Workspace
from apps.workspaces.services import activity_reported, workload_changed
from apps.workspaces.topics import me_topic, workspace_topic
from apps.workspaces.types import WorkspaceView
from portal.metrics import observe_launch

IMAGE_STATES = {
    BuildState.NO: ImageState.PULLING,
    BuildState.PULLING: ImageState.PULLING,
    BuildState.YES: ImageState.READY,
    BuildState.FAILED: ImageState.FAILED,
}


def connect() -> None:
    """Called once at boot."""
    cluster_hooks.followers += [follow_workload, keep_last_words, observe_launch]
    cluster_hooks.image_followers.append(follow_missing_image)
    cluster_hooks.activity_followers.append(activity_reported)
    catalog_hooks.followers.append(follow_build)
    topics.register(workspace_topic(workspace_data))
    topics.register(me_topic(me_data))


def follow_workload(change: WorkloadChange) -> None:
    """A workload changed: bill it, give back what it held, tell its workspace's pages."""
    run = change.workload
    bill(run)
    if run.is_final:
        release(run.uid)
        revoke_workload_tokens(run.uid)
    workload_changed(change)


def bill(run: Workload) -> None:
    """Open the interval of a run that holds resources, close it when it has let go.

    A run is billed from when the cluster says that it started, at the price of its launch, to when
    the cluster says that it ended, or else to the end that we know of. Idempotent.
    """
    if run.observed_started_at is not None:
        billing = billing_of(run)
        if billing is not None:
            open_interval(run, billing=billing, at=run.observed_started_at)
    if run.is_final:
        ended = run.observed_exited_at or run.ended_at or timezone.now()
        close_intervals(run, at=ended, reason=run.reason or run.phase)


def billing_of(run: Workload) -> Billing | None:
    """What the run is billed as; None for a run of nothing that we know. Without a price it is
    free: nothing may keep a change of a workload from being written."""
    workspace = (
        Workspace.objects.filter(uid=run.subject_uid).select_related("size", "image").first()
    )
    if workspace is None:
        return None
    size, image = workspace.size.slug, workspace.image.slug
    try:
        price = price_of(workspace.size, run.created_at)
    except NotFound:
        return Billing(size, image, Decimal(0), settings.CURRENCY)
    return Billing(size, image, price.per_hour, price.currency)


def follow_build(build: EnvironmentBuild) -> None:
    """An environment got on: the runs that wait for it go on, fail, or show how far it is."""
    image_changed(
        build.digest,
        state=IMAGE_STATES[BuildState(build.state)],
        progress=build.progress,
        message=build.message,
    )


def follow_missing_image(digest: str) -> None:
    """A cluster lacks an environment that was said to be there: have it built again.

    After the commit, because the builder locks the build before the runs that wait for it. A word
    that is lost here comes again with the run's next try.
    """
    transaction.on_commit(lambda: rebuild(digest), robust=True)


def rebuild(digest: str) -> None:
    """Want the environment of `digest` anew."""
    mark_missing(digest)
    build = EnvironmentBuild.objects.filter(digest=digest).select_related("version").first()
    if build is not None:
        request_build(None, version=build.version)


def workspace_data(view: WorkspaceView) -> dict[str, object]:
    """A workspace as REST shows it."""
    from apps.api.workspace_shapes import workspace_out

    return workspace_out(view).model_dump(mode="json")


def me_data(person: User) -> dict[str, object]:
    """A person as REST shows them."""
    from apps.api.me import me_out

    return me_out(person).model_dump(mode="json")
