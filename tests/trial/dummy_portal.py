"""A supervisor over three small programs, for tests: `python -m tests.trial.dummy_portal DATA`.

`steady` makes a file when it starts and has a child of its own; `late` is ready when that file is
there; `hasty` ends at once, again and again.
"""

import os
import sys
from pathlib import Path

from deploy.trial.layout import CHECKOUT, Layout
from deploy.trial.processes import Start
from deploy.trial.supervisor import Program, StartError, StopRequested, Supervisor

STEADY = """
import pathlib, subprocess, sys
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
child.wait()
"""


def program(layout: Layout, name: str, *argv: str) -> Program:
    start = Start(argv, os.environ, CHECKOUT, layout.log_file(name))
    mark = layout.data / "mark"
    return Program(name, start, is_ready=mark.exists, stop_grace_s=2)


def main(data: Path, wanted: list[str]) -> int:
    """Run the named programs until told to stop; print the name of one that cannot be started."""
    layout = Layout(data=data, cache=data)
    layout.make()
    programs = {
        "steady": program(
            layout, "steady", sys.executable, "-c", STEADY, str(layout.data / "mark")
        ),
        "late": program(layout, "late", "sleep", "600"),
        "hasty": program(layout, "hasty", "false"),
    }
    supervisor = Supervisor(layout)
    try:
        supervisor.add(*(programs[name] for name in wanted))
        supervisor.wait_ready([name for name in wanted if name != "hasty"], 20)
        print("ready", flush=True)
        if wanted == ["hasty"]:
            supervisor.wait_ready(wanted, 20)
        supervisor.run_forever()
    except StopRequested:
        supervisor.close([["late"], ["steady"]])
        return 0
    except StartError as error:
        supervisor.close()
        print(error.name, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
