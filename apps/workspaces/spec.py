"""What a run of a workspace is made of, as drivers want it. Pure: rows in, a specification out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from apps.accounts.models import User
from apps.catalog.models import App, Image, ImageVersion, Size
from apps.clusters.drivers.base import AppSpec, ImageSpec, OwnerSpec, Resources, WorkloadSpec
from apps.clusters.models import Kind

STOP_GRACE_S = 10


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What a run is made from. `home` is the workspace's uid, `base_path` where it answers."""

    owner: User
    image: Image
    version: ImageVersion
    app: App
    size: Size
    home: str
    base_path: str
    portal_url: str


def build_spec(run_uid: str, ingredients: Ingredients) -> WorkloadSpec:
    """The specification of one run, without its secrets."""
    draft = WorkloadSpec(
        uid=run_uid,
        kind=Kind.WORKSPACE.value,
        owner=owner_spec(ingredients.owner),
        home=ingredients.home,
        image=image_spec(ingredients.image, ingredients.version),
        app=app_spec(ingredients.app),
        resources=resources_of(ingredients.size),
        base_url=ingredients.base_path,
        portal_url=ingredients.portal_url,
        stop_grace_s=STOP_GRACE_S,
        spec_hash="",
    )
    return dataclasses.replace(draft, spec_hash=spec_hash(draft))


def owner_spec(owner: User) -> OwnerSpec:
    """The person as a driver knows them; the number is the row's key, which never changes."""
    return OwnerSpec(uid=owner.uid, username=owner.username, number=owner.pk)


def image_spec(image: Image, version: ImageVersion) -> ImageSpec:
    """One version of an image as a driver knows it."""
    return ImageSpec(
        slug=image.slug,
        digest=version.digest,
        python_version=image.python_version,
        lock=version.lock,
        pip_args=tuple(str(argument) for argument in version.pip_args),
    )


def app_spec(app: App) -> AppSpec:
    """The server to start."""
    return AppSpec(
        slug=app.slug,
        command=tuple(app.command),
        socket_args=tuple(app.socket_args),
        port_args=tuple(app.port_args),
        readiness_path=app.readiness_path,
        token_env=app.token_env,
        activity=app.activity,
        env=tuple(sorted((str(name), str(value)) for name, value in app.env.items())),
    )


def resources_of(size: Size) -> Resources:
    """How much the run gets."""
    return Resources(
        cpu_millis=size.cpu_millis,
        memory_mib=size.memory_mib,
        disk_gib=size.disk_gib,
        gpus=size.gpus,
        gpu_tier=size.gpu_tier,
    )


def spec_hash(spec: WorkloadSpec) -> str:
    """SHA-256 of everything in `spec` but the secrets and the hash itself."""
    whole = dataclasses.asdict(spec)
    del whole["secrets"], whole["spec_hash"]
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
