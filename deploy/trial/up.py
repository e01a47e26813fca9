"""`make up` in the environment: starts everything in order, announces it, and stays as supervisor.

Becomes so by exec from the bootstrap, with the lock of DATA. Ends with 0 after Ctrl-C or SIGTERM,
with 1 and `FAILED <step> <log>` if something cannot be started.
"""

import os
import sys
import time

from deploy.trial import locking, workloads
from deploy.trial.arrival import enter, layout_here
from deploy.trial.console import failed, keep, promise, say
from deploy.trial.database import ensure_database
from deploy.trial.environment import prepare_environment, process_environment
from deploy.trial.installation import VENV
from deploy.trial.nginx import NginxError
from deploy.trial.postgres import PostgresError
from deploy.trial.preparation import Preparation
from deploy.trial.probes import failing_checks
from deploy.trial.programs import STOP_ORDER, Stage, cluster_of, services, stores
from deploy.trial.records import SUPERVISOR
from deploy.trial.supervisor import StartError, StopRequested, Supervisor
from deploy.trial.valkey import ValkeyError

STORES_TIMEOUT_S, SERVICES_TIMEOUT_S, CHECKS_TIMEOUT_S = 60, 90, 60
WELL_FOR_S = 1.2
DATABASE_TIMEOUT_S, IMAGE_TIMEOUT_S, LINKS_TIMEOUT_S = 300, 1800, 60


def main() -> int:
    """Run the portal until told to stop; the exit code."""
    begun = time.monotonic()
    layout = layout_here()
    handle = locking.take(layout) if locking.LOCK_FD in os.environ else enter(layout)
    keep(layout.log_file(SUPERVISOR))
    values = prepare_environment(layout, os.environ)
    stage = Stage(layout, process_environment(values, VENV))
    supervisor = Supervisor(layout)
    try:
        for line in bring_up(stage, supervisor, values["TRIAL_DATABASE_PASSWORD"]):
            promise(line)
        say(f"Up after {time.monotonic() - begun:.1f} s. Ctrl-C stops the portal, not workspaces.")
        supervisor.run_forever()
    except StopRequested:
        say("Stopping the portal")
        supervisor.close(STOP_ORDER)
        say(goodbye(workloads.count_running(layout)))
        return 0
    except StartError as error:
        supervisor.close(STOP_ORDER)
        failed(error.name, error.log, str(error))
    except PostgresError as error:
        supervisor.close(STOP_ORDER)
        failed("postgres", layout.log_file("postgres"), str(error))
    except (ValkeyError, NginxError, OSError) as error:
        supervisor.close(STOP_ORDER)
        failed("start", layout.log_file(SUPERVISOR), str(error))
    finally:
        if handle is not None:
            os.close(handle)
    return 1


def bring_up(stage: Stage, supervisor: Supervisor, password: str) -> list[str]:
    """Start everything; return the lines that announce it. Raises StartError."""
    layout = stage.layout
    say("Starting PostgreSQL and Valkey")
    supervisor.add(*stores(stage))
    supervisor.wait_ready(["postgres", "valkey"], STORES_TIMEOUT_S)
    ensure_database(cluster_of(layout), password)
    say("Preparing the database and static files")
    start = stage.python("prepare", "-m", "deploy.trial.prepare")
    with Preparation(supervisor, start) as preparation:
        preparation.wait_for("database", DATABASE_TIMEOUT_S)
        programs = services(stage)
        supervisor.add(*programs)
        say(f"Starting the portal; building the default image if need be (log: {start.log})")
        preparation.wait_for("image", IMAGE_TIMEOUT_S)
        supervisor.wait_ready([program.name for program in programs], SERVICES_TIMEOUT_S)
        wait_checks(stage, supervisor)
        preparation.wait_for("links", LINKS_TIMEOUT_S)
        links = preparation.links()
    return [f"READY {layout.url}", *(f"SIGNIN {who} {link}" for who, link in links.items())]


def wait_checks(stage: Stage, supervisor: Supervisor) -> None:
    """Return when the portal calls all its parts well. StartError names those that are not.

    Each of web's processes remembers what it saw for a second: well is what stays so for longer.
    """
    endpoint = stage.endpoint("web")
    deadline = time.monotonic() + CHECKS_TIMEOUT_S
    well_since: float | None = None
    while well_since is None or time.monotonic() < well_since + WELL_FOR_S:
        answer = endpoint.get("/readyz?all=1")
        failing = failing_checks(answer[1]) if answer else {"web": "does not answer"}
        if failing:
            well_since = None
        elif well_since is None:
            well_since = time.monotonic()
        if failing and time.monotonic() > deadline:
            reasons = "; ".join(f"{name}: {detail}" for name, detail in failing.items())
            raise StartError("readyz", str(stage.layout.log_file("web")), reasons)
        supervisor.turn(0.1)


def goodbye(running: int) -> str:
    if not running:
        return "Stopped. No workspace or job is running."
    return f"Stopped. Workspaces and jobs still running: {running} (make down ends them too)."


if __name__ == "__main__":
    sys.exit(main())
