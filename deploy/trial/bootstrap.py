"""First part of `make up`, `make down` and `make test`: from a bare machine to the environment.

    python3 deploy/trial/bootstrap.py up|down|dev

Runs under whatever `python3` there is, finds one that is new enough, refuses at once what cannot
work (port taken, DATA in use), installs, and becomes the program in `.venv`. `dev` only installs,
with what tests need. Standard library only.
"""

import os
import subprocess
import sys
from typing import NoReturn

OLDEST = (3, 11)
HERE = os.path.dirname(os.path.abspath(__file__))
CHECKOUT_FOLDER = os.path.dirname(os.path.dirname(HERE))
USAGE_EXIT = 2


def refuse(text: str) -> NoReturn:
    """End with exit code 2 and a line that says what to do."""
    sys.stderr.write(text + "\n")
    sys.exit(USAGE_EXIT)


def use_new_enough_python() -> None:
    """Go on under an interpreter that can make environments; become another one if need be."""
    needs = "import sys, venv, ensurepip, ssl; sys.exit(sys.version_info < (3, 11))"
    candidates = [sys.executable, "python3", "/usr/bin/python3"]
    candidates += ["python3.%d" % minor for minor in range(OLDEST[1], 20)]  # noqa: UP031
    for python in candidates:
        try:
            found = subprocess.call([python, "-c", needs], stderr=subprocess.DEVNULL) == 0
        except OSError:
            found = False
        if found and python == sys.executable:
            return
        if found:
            os.execvp(python, [python, os.path.abspath(__file__), *sys.argv[1:]])
    refuse(
        "GPU Commons needs Python 3.11 or newer with the modules venv and ensurepip.\n"
        "On Debian and Ubuntu: apt-get install python3 python3-venv"
    )


def main() -> None:
    """Prepare, then become the program that was asked for."""
    if len(sys.argv) != 2 or sys.argv[1] not in ("up", "down", "dev"):
        refuse("usage: bootstrap.py up|down|dev")
    if sys.version_info < OLDEST or sys.argv[1] != "down":
        use_new_enough_python()
    sys.path[0] = CHECKOUT_FOLDER
    os.umask(0o022)
    from deploy.trial.arrival import arrive

    arrive(sys.argv[1])


if __name__ == "__main__":
    main()
