"""How to run a workspace without the portal: for what runs on this machine, one shell script.

Pure: a run's specification in, text out. The script makes the same environment from the same lock
and starts the same server over a folder; it needs a Python of the same version and nothing of ours.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from django.conf import settings

from apps.clusters.drivers.base import AppSpec, WorkloadSpec
from apps.workspaces.models import Workspace
from apps.workspaces.spec import Ingredients, build_spec

VARIABLES = {
    "{python}": '"$ENVIRONMENT/bin/python"',
    "{home}": '"$FOLDER"',
    "{base_url}": "/",
    "{port}": '"$PORT"',
    "{sdk}": '"$GPUCOMMONS_SDK"',
}
ANYWHERE, LOOPBACK = "0.0.0.0", "127.0.0.1"  # noqa: S104  # what is replaced by loopback

HEAD = """\
#!/bin/sh
# Runs {image} with {app} without GPU Commons: workspace {home}, image {digest}.
# Usage: PORT=8888 sh {file_name} [FOLDER]
# FOLDER is a copy of the workspace's home; without one, ./home is used and made if need be.
# In the portal it had {cpu:g} CPU, {memory_mib} MiB of memory and {disk_gib} GiB of disk.
set -eu
FOLDER=${{1:-$PWD/home}}
PORT=${{PORT:-8888}}
PYTHON=${{PYTHON:-python{python_version}}}
ENVIRONMENT=${{ENVIRONMENT:-$PWD/environment-{short}}}
"""
SDK = """\
: "${GPUCOMMONS_SDK:?This app comes with the portal: name the folder sdk of its source here}"
"""
BUILD = """\
mkdir -p "$FOLDER"
if [ ! -e "$ENVIRONMENT/ready" ]; then
    "$PYTHON" -m venv "$ENVIRONMENT"
    cat > "$ENVIRONMENT/requirements.lock" <<'{mark}'
{lock}
{mark}
    "$ENVIRONMENT/bin/python" -m pip install --quiet {pip_args}-r "$ENVIRONMENT/requirements.lock"
    : > "$ENVIRONMENT/ready"
fi
cd "$FOLDER"
PATH=$ENVIRONMENT/bin:$PATH
export PATH
"""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A file to take away."""

    file_name: str
    media_type: str
    text: str


def manifest_of(workspace: Workspace) -> Manifest:
    """How to run this workspace, as it is or would be started now, without the portal. No query
    where it came from `get_workspace_for`."""
    spec = build_spec(
        workspace.current.uid if workspace.current else "",
        Ingredients(
            owner=workspace.owner,
            image=workspace.image,
            version=workspace.image_version,
            app=workspace.app,
            size=workspace.size,
            home=workspace.uid,
            base_path="/",
            portal_url=settings.PORTAL_URL,
        ),
    )
    file_name = f"workspace-{workspace.uid}.sh"
    return Manifest(file_name, "text/x-shellscript", shell_script(spec, file_name))


def shell_script(spec: WorkloadSpec, file_name: str) -> str:
    """The script for `spec`. It listens on loopback only, and sets no token of ours: the server
    makes its own."""
    short = spec.image.digest.removeprefix("sha256:")[:12]
    head = HEAD.format(
        image=spec.image.slug,
        app=spec.app.slug,
        home=spec.home,
        digest=spec.image.digest,
        file_name=file_name,
        cpu=spec.resources.cpu_millis / 1000,
        memory_mib=spec.resources.memory_mib,
        disk_gib=spec.resources.disk_gib,
        python_version=spec.image.python_version,
        short=short,
    )
    build = BUILD.format(
        mark=f"LOCK_{short}",
        lock=spec.image.lock.strip(),
        pip_args="".join(f"{shlex.quote(argument)} " for argument in spec.image.pip_args),
    )
    return head + (SDK if _needs_sdk(spec.app) else "") + build + _run(spec.app)


def _run(app: AppSpec) -> str:
    exports = [f"export {name}={_shell(value)}\n" for name, value in app.env]
    words = [_shell(word) for word in (*app.command, *app.port_args)]
    return "".join(exports) + "exec " + " \\\n    ".join(words) + "\n"


def _needs_sdk(app: AppSpec) -> bool:
    texts = (*app.command, *app.port_args, *(value for _name, value in app.env))
    return any("{sdk}" in text for text in texts)


def _shell(text: str) -> str:
    """One word of the shell: what is literal quoted, placeholders as variables."""
    parts = re.split("(" + "|".join(re.escape(name) for name in VARIABLES) + ")", text)
    words = (
        VARIABLES.get(part) or shlex.quote(part.replace(ANYWHERE, LOOPBACK))
        for part in parts
        if part
    )
    return "".join(words) or "''"
