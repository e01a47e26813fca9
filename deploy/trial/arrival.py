"""Second part of the bootstrap, under a Python that is new enough: check, install, become.

Standard library only.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from deploy.trial import installation, locking, ports, records
from deploy.trial.console import failed, say
from deploy.trial.layout import CHECKOUT, LOOPBACK, Layout, LayoutError, layout_from

REFUSED_EXIT, FAILED_EXIT = 2, 1


def arrive(command: str) -> NoReturn:
    """Do what `bootstrap.py <command>` promises."""
    if command == "dev":
        locks = [installation.LOCK, installation.DEV_LOCK]
        log = CHECKOUT / "build" / "install.log"
        log.parent.mkdir(exist_ok=True)
        install(locks, layout_here().cache, log)
        sys.exit(0)
    layout = layout_here()
    if command == "up":
        handle = enter(layout)
        install([installation.LOCK], layout.cache, layout.log_file("install"))
        locking.hand_on(handle)
        become(installation.PYTHON, "deploy.trial.up")
    # What runs was started from the environment; without one there is at most rubble to clear.
    python = installation.PYTHON if installation.PYTHON.exists() else Path(sys.executable)
    become(python, "deploy.trial.down")


def layout_here() -> Layout:
    try:
        return layout_from(os.environ)
    except LayoutError as error:
        refuse(str(error))


def enter(layout: Layout) -> int:
    """The lock of DATA, its rubble cleared and the port free; else exit 2 with the reason."""
    try:
        layout.make()
        handle = locking.take(layout)
        if handle is None:
            refuse(
                f"{layout.data} is in use by another `make up`{running(layout)}. "
                "End that one (make down), or give this one its own DATA and PORT."
            )
        if left := records.end_leftovers(layout):
            say(f"Ended what an earlier run left behind: {', '.join(left)}")
        if not ports.is_free(layout.bind, layout.port):
            refuse(
                f"Port {layout.port} is taken by {ports.owner(layout.port)}. "
                "End that, or choose another: make up PORT=8001"
            )
    except LayoutError as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{error.filename or layout.bind}: {error.strerror or error}")
    if layout.bind != LOOPBACK:
        say(
            f"{layout.url} is reachable from other machines and is NOT encrypted (no TLS): "
            "passwords can be read on the way. Use it in a network that you trust."
        )
    return handle


def running(layout: Layout) -> str:
    found = records.identities(layout).get(records.SUPERVISOR)
    return f" (pid {found.pid})" if found else ""


def install(locks: list[Path], cache: Path, log: Path) -> None:
    """Have an environment for these locks; `FAILED install <log>` and exit 1 if that fails."""
    if all(installation.is_installed(lock) for lock in locks):
        return
    say(f"Installing into {installation.VENV}, once (log: {log})")
    try:
        installation.install(sys.executable, locks, cache, log)
    except (installation.InstallError, OSError) as error:
        failed("install", log, str(error))
        sys.exit(FAILED_EXIT)


def become(python: Path, module: str) -> NoReturn:
    os.chdir(CHECKOUT)
    os.execv(python, [str(python), "-m", module])


def refuse(text: str) -> NoReturn:
    say(text)
    sys.exit(REFUSED_EXIT)
