"""The preparing process as `up` sees it: how far it is, what it told, and that it failed."""

import subprocess
import tempfile
import time
from dataclasses import replace
from typing import IO, Self

from deploy.trial.processes import Start, fit_log, spawn
from deploy.trial.supervisor import StartError, Supervisor, end_group

LOOK_EVERY_S = 0.05


class Preparation:
    """A run of `deploy.trial.prepare` beside the supervisor's programs.

    Its steps end in the order in which they are awaited. Use as a context: leaving it ends it.
    """

    def __init__(self, supervisor: Supervisor, start: Start) -> None:
        self._supervisor = supervisor
        self._start = start
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        fit_log(self._start.log)
        self._process = spawn(replace(self._start, output=self._output))
        return self

    def __exit__(self, *_: object) -> None:
        if self._process:
            end_group(self._process)
        self._output.close()

    def told(self) -> list[str]:
        """The whole lines that it has told so far."""
        self._output.seek(0)
        return self._output.read().decode().split("\n")[:-1]

    def wait_for(self, step: str, timeout_s: float) -> None:
        """Return when a step is done, other programs being kept running. StartError if it fails."""
        deadline = time.monotonic() + timeout_s
        while step not in self.told():
            code = self._process.poll() if self._process else 0
            if code is not None and step not in self.told():
                raise self._error(step, f"ended with code {code}")
            if time.monotonic() > deadline:
                raise self._error(step, f"took more than {timeout_s:.0f} s")
            self._supervisor.turn(LOOK_EVERY_S)

    def links(self) -> dict[str, str]:
        """Sign-in links by username."""
        told = (line.split() for line in self.told())
        return {words[1]: words[2] for words in told if words[0] == "link"}

    def _error(self, step: str, reason: str) -> StartError:
        return StartError(step, str(self._start.log), f"{step}: preparing {reason}")
