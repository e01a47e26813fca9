"""DATA/etc/portal.env: what every process of this trial finds in its environment.

Written at each `make up`: secrets are made once and kept, addresses follow PORT, DATA and HOST,
and settings (`PORTAL_*`) that `make up` was given are passed on. `manage.py` reads the same file.
"""

import ipaddress
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from deploy.trial.database import ROLE
from deploy.trial.layout import LOOPBACK, Layout

#: Names that /readyz?all=1 expects; the order is that of the contract.
PROCESSES = (
    "supervisor",
    "nginx",
    "gate",
    "web",
    "live",
    "worker",
    "beat",
    "watcher-local",
    "postgres",
    "valkey",
)
METRICS = "PROMETHEUS_MULTIPROC_DIR"
SECRETS = ("PORTAL_SECRET_KEY", "PORTAL_GATE_KEY", "TRIAL_DATABASE_PASSWORD")
DEFAULTS = {"PORTAL_MAX_RUNNING_PER_PERSON": "3", "PORTAL_SIM_GPUS": "bronze:2,silver:1"}
MAKE_VARIABLES = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT")


def prepare_environment(layout: Layout, given: Mapping[str, str]) -> dict[str, str]:
    """Write portal.env for this run; return it. `given` is the environment of `make up`."""
    kept = read(layout.env_file)
    settings = {name: value for name, value in given.items() if name.startswith("PORTAL_")}
    own = {name: kept.get(name) or secrets.token_urlsafe(48) for name in SECRETS}
    values = {**DEFAULTS, **settings, **own}
    values |= addresses(layout, values["TRIAL_DATABASE_PASSWORD"])
    values["PORTAL_WORKSPACE_URL_TEMPLATE"] = workspace_template(layout, given)
    if given.get("TRUSTED"):
        values["PORTAL_TRUSTED"] = given["TRUSTED"]
    write(layout.env_file, values)
    return values


def addresses(layout: Layout, password: str) -> dict[str, str]:
    """Everything that follows from where this trial is."""
    sockets = quote(str(layout.run / "pg"), safe="/")
    broker = quote(str(layout.socket("valkey")), safe="/")
    return {
        "DJANGO_SETTINGS_MODULE": "portal.settings.dev",
        "PORTAL_DATABASE_URL": f"postgresql://{ROLE}:{password}@/{ROLE}?host={sockets}",
        "PORTAL_BROKER_URL": f"redis+socket://{broker}?virtual_host=0",
        "PORTAL_CHANNEL_URL": f"unix://{broker}?db=1",
        "PORTAL_URL": layout.url,
        "PORTAL_DATA_DIR": str(layout.data),
        "PORTAL_RUN_DIR": str(layout.run),
        "PORTAL_STATIC_DIR": str(layout.static),
        "PORTAL_ENVIRONMENTS_DIR": str(layout.environments),
        "PORTAL_PROCESSES": ",".join(PROCESSES),
        "PORTAL_ALLOWED_HOSTS": ",".join(dict.fromkeys((layout.host, "localhost", LOOPBACK))),
    }


def workspace_template(layout: Layout, given: Mapping[str, str]) -> str:
    """What was asked for; else a host name each, or a path where HOST is a bare address."""
    wanted = given.get("WORKSPACE_URL_TEMPLATE") or given.get("PORTAL_WORKSPACE_URL_TEMPLATE")
    if wanted:
        return wanted.replace("<uid>", "{uid}")
    try:
        ipaddress.ip_address(layout.host)
    except ValueError:
        return f"http://w-{{uid}}.{layout.host}:{layout.port}/"
    return f"{layout.url}/w/{{uid}}/"


def process_environment(values: Mapping[str, str], venv: Path) -> dict[str, str]:
    """The whole environment of a portal process: ours over the machine's, without make's."""
    machine = {
        name: value
        for name, value in os.environ.items()
        if name not in MAKE_VARIABLES and not name.startswith("PORTAL_")
    }
    path = f"{venv / 'bin'}{os.pathsep}{machine.get('PATH', os.defpath)}"
    # Only for the processes that serve: a command that ends would leave its counts behind.
    counts = {METRICS: str(Path(values["PORTAL_RUN_DIR"]) / "metrics")}
    return {**machine, **values, **counts, "PATH": path, "PYTHONUNBUFFERED": "1"}


def read(file: Path) -> dict[str, str]:
    """The variables of an environment file; none if it is not there."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name: value for name, equals, value in pairs if equals}


def write(file: Path, values: Mapping[str, str]) -> None:
    """Replace the file whole, readable by its owner alone."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write("# Written by `make up`. Holds secrets: keep it to yourself.\n")
        out.writelines(f"{name}={value}\n" for name, value in sorted(values.items()))
    fresh.replace(file)
