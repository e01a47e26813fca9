"""From a specification to what `launch` and `enter` carry out: arguments, environment, limits.

Pure but for looking up paths. `driver.apply` writes the result as `launch.json`; it holds no
secret, only the names of files that do.
"""

from __future__ import annotations

import dataclasses
import math
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from apps.clusters.drivers.base import SECRET_AGENT_TOKEN, SECRET_APP_TOKEN, WorkloadSpec
from apps.clusters.drivers.local.cgroups import Cgroup
from apps.clusters.drivers.local.places import Places, Record
from apps.clusters.drivers.local.processes import MARK

#: What a person's processes may inherit of the machine's own settings, and nothing else.
PASSED = (
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_DISABLE_PIP_VERSION_CHECK",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_PROXY",
    "PIP_RETRIES",
    "PIP_TRUSTED_HOST",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TZ",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_NICE = 5


@dataclass(frozen=True, slots=True)
class Launch:
    """All that a plan is made of."""

    spec: WorkloadSpec
    places: Places
    image: Path
    cgroup: Cgroup | None


def spec_record(launch: Launch) -> Record:
    """What `spec.json` holds: the specification without secrets, and what was derived of it."""
    record: Record = dataclasses.asdict(launch.spec)
    del record["secrets"]
    record["user_id"] = launch.places.config.user_id_of(launch.spec.owner)
    cgroup = launch.cgroup
    record["cgroup"] = cgroup and {
        "folders": {name: str(path) for name, path in cgroup.folders.items()},
        "is_unified": cgroup.is_unified,
    }
    return record


def launch_record(launch: Launch) -> Record:
    """What `launch.json` holds, see `enter`."""
    spec, places = launch.spec, launch.places
    config, home = places.config, str(places.home(spec.home))
    interpreter = os.path.realpath(launch.image / "bin" / "python")
    layer = f"{home}/.env/{spec.image.slug}-{spec.image.python_version}"
    env = environment(launch, layer, os.environ)
    return {
        "argv": arguments(launch),
        "env": env,
        "secret_env": _secret_env(launch),
        "user_id": config.user_id_of(spec.owner),
        "home": home,
        "needs": _needs(launch, interpreter),
        "cgroups": [str(path) for path in launch.cgroup.distinct()] if launch.cgroup else [],
        "nice": _NICE,
        "layer": {
            "folder": layer,
            "image": str(launch.image),
            "version": spec.image.python_version,
            "interpreter": interpreter,
            "sdk": str(config.sdk),
        },
        "agent": [interpreter, "-s", "-S", "-m", "gpucommons.agent"],
        "agent_env": {
            "PYTHONPATH": str(config.sdk),
            "GPUCOMMONS_AGENT_SERVER": f"unix:{places.socket}",
            "GPUCOMMONS_AGENT_BASE_URL": spec.base_url,
            "GPUCOMMONS_AGENT_ACTIVITY": spec.app.activity,
            "GPUCOMMONS_AGENT_TOKEN_ENV": spec.app.token_env,
        },
    }


def arguments(launch: Launch) -> list[str]:
    """The server's command on a unix socket, every placeholder replaced."""
    app = launch.spec.app
    return [_filled(part, launch) for part in (*app.command, *app.socket_args)]


def _filled(text: str, launch: Launch) -> str:
    spec, places = launch.spec, launch.places
    values = {
        "{python}": str(launch.image / "bin" / "python"),
        "{home}": str(places.home(spec.home)),
        "{base_url}": spec.base_url,
        "{sdk}": str(places.config.sdk),
        "{socket}": str(places.socket),
    }
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def environment(launch: Launch, layer: str, machine: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the server, its kernels and its terminals, without secrets."""
    spec, places = launch.spec, launch.places
    home, temporary = str(places.home(spec.home)), str(places.temporary)
    threads = str(max(1, math.ceil(spec.resources.cpu_millis / 1000)))
    shell = "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"
    path = [f"{layer}/bin", f"{launch.image}/bin", "/usr/local/bin", "/usr/bin", "/bin"]
    env = {name: machine[name] for name in PASSED if name in machine}
    env |= dict.fromkeys(_THREADS, threads)
    env |= {
        "HOME": home,
        "USER": spec.owner.username,
        "LOGNAME": spec.owner.username,
        "SHELL": shell,
        "LANG": "C.UTF-8",
        "PATH": ":".join(path),
        "TMPDIR": temporary,
        "VIRTUAL_ENV": layer,
        "XDG_RUNTIME_DIR": temporary,
        "JUPYTER_RUNTIME_DIR": temporary,
        "JUPYTER_PATH": f"{layer}/share/jupyter",
        "GPUCOMMONS_URL": spec.portal_url,
        MARK: spec.uid,
    }
    if SECRET_AGENT_TOKEN in dict(spec.secrets):
        env["GPUCOMMONS_TOKEN_FILE"] = str(places.secrets / SECRET_AGENT_TOKEN)
    if spec.resources.gpus:
        env |= {"CUDA_VISIBLE_DEVICES": "", "GPUCOMMONS_SIMULATED": "1"}
    return env | {name: _filled(value, launch) for name, value in spec.app.env}


def _secret_env(launch: Launch) -> dict[str, str]:
    app, secrets = launch.spec.app, dict(launch.spec.secrets)
    if not app.token_env or SECRET_APP_TOKEN not in secrets:
        return {}
    return {app.token_env: str(launch.places.secrets / SECRET_APP_TOKEN)}


def _needs(launch: Launch, interpreter: str) -> list[str]:
    """What the person must reach, however closed the folders above it are."""
    spec, places = launch.spec, launch.places
    prefix = posixpath.dirname(posixpath.dirname(interpreter))
    needs = [places.home(spec.home), places.run, places.temporary, launch.image, places.config.sdk]
    return [prefix, *(str(path) for path in needs)]
