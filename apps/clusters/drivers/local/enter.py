"""From the shim to the server: join the limits, become the person, prepare the home, exec.

Runs as `python -I -S` under the shim, for a moment, with the plan that `driver.apply` wrote. What
goes wrong here is in the server's log, and the run ends with code 64.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from apps.clusters.drivers.local.confine import ConfineError, Confinement, enter
from apps.clusters.drivers.local.layer import Layer, prepare

_CANNOT = 64
Plan = dict[str, Any]


def main(record: str) -> None:
    """Become the server that `record`/launch.json plans."""
    with open(os.path.join(record, "launch.json"), encoding="utf-8") as file:
        plan: Plan = json.load(file)
    try:
        _join(plan)
        env = {**plan["env"], **_secrets(plan)}
        uid, gid = plan["user_id"], plan["user_id"]
        enter(Confinement(uid, gid, tuple(plan["needs"]), plan["home"]))
        _prepare(plan)
        _start_agent(plan, env)
        os.execve(plan["argv"][0], plan["argv"], env)
    except (ConfineError, OSError) as error:
        sys.stderr.write(f"the server could not be started: {error}\n")
        sys.exit(_CANNOT)


def _join(plan: Plan) -> None:
    for path in plan["cgroups"]:
        with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    if plan["nice"]:
        os.nice(plan["nice"])


def _secrets(plan: Plan) -> dict[str, str]:
    """Environment variables whose values are in files, so that no plan and no argv has them."""
    values = {}
    for name, path in plan["secret_env"].items():
        with open(path, encoding="utf-8") as file:
            values[name] = file.read()
    return values


def _prepare(plan: Plan) -> None:
    """The layer for added packages. Without it the server still starts, so say it and go on."""
    try:
        prepare(Layer(**plan["layer"]))
    except OSError as error:
        sys.stderr.write(f"packages cannot be added to this home: {error}\n")
        sys.stderr.flush()


def _start_agent(plan: Plan, env: dict[str, str]) -> None:
    """Beside the server, not its child: the shim is the parent of both and ends it at last."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return
    try:
        if os.fork() == 0:
            os.nice(5)
            os.execve(plan["agent"][0], plan["agent"], {**env, **plan["agent_env"]})
    finally:
        os._exit(0)
