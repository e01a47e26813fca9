"""What the services share: choosing from the catalogue, locking in one order, beginning a run.

Locks are always taken in the order environment, workload, workspace, person: the watcher and the
builder come from the first two, people from the third.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.accounts.services.people import touch
from apps.catalog.models import App, BuildState, Image, ImageStatus, ImageVersion, Size
from apps.catalog.selectors import apps_of, build_of, get_image_for, get_size_for
from apps.catalog.services import request_build
from apps.clusters.models import ImageState, Workload
from apps.clusters.services import WorkloadPlan, create_workload
from apps.live.errors import Conflict, DomainError, NotFound, Text
from apps.live.services import announce, announce_to_gate
from apps.live.uids import new_uid
from apps.quotas.models import Resource
from apps.quotas.services import reserve
from apps.workspaces.addresses import base_path
from apps.workspaces.models import Workspace
from apps.workspaces.selectors import get_workspace_for
from apps.workspaces.spec import Ingredients, build_spec

SLUG = re.compile(r"[A-Za-z0-9_-]{1,63}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, as rows that the chooser may use."""

    image: Image
    version: ImageVersion
    app: App
    size: Size


def choose(
    actor: User, *, image: str, app: str, size: str, present: Workspace | None = None
) -> Choice:
    """The rows behind three slugs; what `present` has already is taken as it is, whatever became of
    it in the catalogue. Raises DomainError that names the field of each that is not there, not for
    this person, no longer for new workspaces, or does not fit the others."""
    problems: dict[str, Text] = {}
    found_image, version = _choose_image(actor, image, present, problems)
    found_app = _choose_app(found_image, app, present, problems)
    found_size = _choose_size(actor, size, present, problems)
    if problems or not (found_image and version and found_app and found_size):
        raise DomainError(
            " ".join(str(text) for text in problems.values()),
            hint=_("Choose among what the launch form offers."),
            fields=problems,
        )
    return Choice(found_image, version, found_app, found_size)


def _slug(text: str) -> str:
    """`text` if it can be a slug at all; what cannot is never sent to the database."""
    return text if SLUG.fullmatch(text) else ""


def _choose_image(
    actor: User, slug: str, present: Workspace | None, problems: dict[str, Text]
) -> tuple[Image | None, ImageVersion | None]:
    if present is not None and present.image.slug == slug:
        return present.image, present.image_version
    try:
        found = get_image_for(actor, _slug(slug))
    except NotFound as error:
        problems["image"] = error.message
        return None, None
    if found.status == ImageStatus.DEPRECATED:
        problems["image"] = _(
            "{image} is deprecated: workspaces that have it keep it, others cannot take it."
        ).format(image=found.name)
    return found, found.current


def _choose_app(
    image: Image | None, slug: str, present: Workspace | None, problems: dict[str, Text]
) -> App | None:
    if image is None:
        return None
    if present is not None and (present.image_id, present.app.slug) == (image.pk, slug):
        return present.app
    found = {offered.slug: offered for offered in apps_of(image)}.get(slug)
    if found is None:
        problems["ide"] = _("{image} cannot run {app}.").format(image=image.name, app=slug)
    return found


def _choose_size(
    actor: User, slug: str, present: Workspace | None, problems: dict[str, Text]
) -> Size | None:
    if present is not None and present.size.slug == slug:
        return present.size
    try:
        found = get_size_for(actor, _slug(slug))
    except NotFound as error:
        problems["size"] = error.message
        return None
    if not found.for_workspaces:
        problems["size"] = _("The size {slug} is not for workspaces.").format(slug=slug)
    return found


def ensure_image(actor: User, version: ImageVersion) -> ImageState:
    """Whether the environment of `version` is there; else it is asked for, and its row is locked
    so that the end of its building cannot be missed. Raises Conflict where it cannot be had now."""
    build = build_of(version)
    if build is None or build.state != BuildState.YES:
        build = request_build(actor, version=version)
    if build.state == BuildState.FAILED:
        raise Conflict(
            _("This image could not be prepared a moment ago."),
            hint=_("Choose another image, ask an admin, or try again in ten minutes."),
            code="image_failed",
        )
    return ImageState.READY if build.state == BuildState.YES else ImageState.PULLING


def running_amounts(size: Size) -> dict[str, int]:
    """What a running workspace of this size holds of its owner's limits."""
    return {
        Resource.WORKSPACES.value: 1,
        Resource.CPU_MILLIS.value: size.cpu_millis,
        Resource.MEMORY_MIB.value: size.memory_mib,
    }


def disk_amounts(size: Size) -> dict[str, int]:
    """What the home holds, whether anything runs or not."""
    return {Resource.DISK_GIB.value: size.disk_gib}


def get_locked_for(actor: User, uid: str, action: str, *, deleted: bool = False) -> Workspace:
    """As `get_workspace_for`, its run and then itself locked until the transaction ends."""
    found = get_workspace_for(actor, uid, action, deleted=deleted)
    return lock(found)


def lock(workspace: Workspace) -> Workspace:
    """The same workspace, newly read with its run, both locked. Raises Conflict if a new run began
    in between."""
    if workspace.current_id is not None:
        Workload.objects.select_for_update(no_key=True).get(pk=workspace.current_id)
    rows = Workspace.objects.select_related(
        "owner", "cluster", "image", "image_version", "app", "size", "current"
    )
    locked = rows.select_for_update(of=("self",), no_key=True).get(pk=workspace.pk)
    if locked.current_id != workspace.current_id or locked.deleted_at != workspace.deleted_at:
        raise Conflict(
            _("Something else just happened to this workspace."),
            hint=_("Reload the page and try again."),
        )
    return locked


def begin_run(workspace: Workspace, image_state: ImageState) -> Workload:
    """Reserve what the workspace's size needs and begin a run, which becomes `current`.

    The caller has locked the workspace or just made it. Raises QuotaExceeded.
    """
    run_uid = new_uid()
    owner = workspace.owner
    reserve(owner, subject_uid=run_uid, amounts=running_amounts(workspace.size))
    spec = build_spec(
        run_uid,
        Ingredients(
            owner=owner,
            image=workspace.image,
            version=workspace.image_version,
            app=workspace.app,
            size=workspace.size,
            home=workspace.uid,
            base_path=base_path(
                workspace.uid,
                settings.WORKSPACE_URL_TEMPLATE,
                strip_prefix=workspace.app.strip_prefix,
            ),
            portal_url=settings.PORTAL_URL,
        ),
    )
    run = create_workload(
        WorkloadPlan(
            owner=owner,
            cluster=workspace.cluster,
            subject_uid=workspace.uid,
            spec=spec,
            image_state=image_state,
        )
    )
    Workspace.objects.filter(pk=workspace.pk).update(
        current=run, extended_until=None, phase_since=timezone.now()
    )
    return run


def publish(workspace: Workspace, *, raises_version: bool = True) -> None:
    """What follows every change that people can see: the version rises (unless it has), the owner's
    pages, this page and gate are told. Leaves `workspace` as it is in the database."""
    if raises_version:
        Workspace.objects.filter(pk=workspace.pk).update(version=F("version") + 1)
    touch(workspace.owner_id)
    announce(f"workspace:{workspace.uid}")
    announce_to_gate()
    workspace.refresh_from_db()
