"""The supervisor: starts, watches, restarts and ends the portal's processes, in the foreground.

circus, supervisord and honcho were considered. None has all that the contract asks for: an order
of start that waits for readiness, a pid file per process, a death signal so that a killed
supervisor leaves no half portal behind, and a state that `/readyz` can read. What is here is one
loop over pidfds in one thread. Workspaces and jobs are not its children and survive it.
"""

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from deploy.trial import records
from deploy.trial.console import note, say
from deploy.trial.layout import Layout
from deploy.trial.processes import Start, bound_log, fit_log, spawn, started_at

BACKOFF_FIRST_S = 0.5
BACKOFF_LAST_S = 30.0
#: A process that stayed up this long has earned a quick restart again.
STEADY_S = 60.0
PROBE_EVERY_S = 0.05
IDLE_S = 5.0
#: How often the logs' sizes are looked at.
LOGS_EVERY_S = 30.0
#: Exits during start-up after which it is given up.
START_TRIES = 3


class StartError(Exception):
    """A process or a step of the start did not succeed; `log` says why."""

    def __init__(self, name: str, log: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name
        self.log = log


class StopRequested(Exception):
    """SIGINT, SIGTERM or SIGHUP arrived."""


@dataclass(frozen=True)
class Program:
    """One process to keep running. `is_ready` is asked every 50 ms until it says yes once."""

    name: str
    start: Start
    is_ready: Callable[[], bool] = lambda: True
    stop_signal: int = signal.SIGTERM
    stop_grace_s: float = 8.0


@dataclass
class Child:
    """A program and what became of it. `due`: when a restart in back-off is to happen."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    pidfd: int = -1
    started: str | None = None
    state: str = "stopped"
    since: float = field(default_factory=time.time)
    restarts: int = 0
    last_exit: int | None = None
    delay_s: float = BACKOFF_FIRST_S
    due: float = 0.0
    started_mono: float = 0.0

    def become(self, name: str) -> None:
        self.state, self.since = name, time.time()

    def written(self) -> records.ProcessState:
        return records.ProcessState(
            pid=self.process.pid if self.process else None,
            started=self.started,
            state=self.state,
            restarts=self.restarts,
            since=self.since,
            last_exit=self.last_exit,
            log=str(self.program.start.log),
        )


class Supervisor:
    """Keeps programs running. Use from the main thread only; `close()` ends them all.

    Every method that waits raises StopRequested as soon as a signal asks us to stop.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._children: dict[str, Child] = {}
        self._since = time.time()
        self._stopping = False
        self._closing = False
        self._logs_due = 0.0
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        self._listen_to_signals()
        self._write()

    def _listen_to_signals(self) -> None:
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup stays nohup; an ignored SIGINT (a shell's `&`) does not stay ignored.
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        self._stopping = True

    def add(self, *programs: Program) -> None:
        """Start these now; the loop keeps them running."""
        for program in programs:
            child = self._children[program.name] = Child(program)
            self._launch(child)
        self._write()

    def wait_ready(self, names: Iterable[str], timeout_s: float) -> None:
        """Return when all are up. StartError names the first that is not, or that keeps dying."""
        deadline = time.monotonic() + timeout_s
        waiting = [self._children[name] for name in names]
        while waiting := [child for child in waiting if child.state != "up"]:
            late = time.monotonic() > deadline
            for child in waiting:
                if late or child.restarts >= START_TRIES:
                    reason = "is not ready" if late else f"ends with code {child.last_exit}"
                    name, log = child.program.name, str(child.program.start.log)
                    raise StartError(name, log, f"{name} {reason}")
            self.turn(PROBE_EVERY_S)

    def run_forever(self) -> None:
        """Keep everything running until a signal asks us to stop (StopRequested)."""
        while True:
            self.turn(IDLE_S)
            self._bound_logs()

    def close(self, order: Sequence[Sequence[str]] = ()) -> None:
        """End every process: the groups in `order` one after the other, then the rest."""
        self._closing = True
        for group in [*order, list(self._children)]:
            self._end([self._children[name] for name in group if name in self._children])
        self._children.clear()
        records.clear(self._layout)

    # One turn of the loop --------------------------------------------------------------------

    def turn(self, longest_s: float) -> None:
        """Wait for an exit, a signal or the next thing due, and do what it asks for."""
        if self._stopping and not self._closing:
            raise StopRequested
        self._wait(min(longest_s, self._next_due_s()))
        changed = [self._look_after(child) for child in self._children.values()]
        if any(changed):
            self._write()

    def _bound_logs(self) -> None:
        """Every log in the folder, whoever appends to it: nginx's access log is no child's."""
        if time.monotonic() < self._logs_due:
            return
        self._logs_due = time.monotonic() + LOGS_EVERY_S
        for log in self._layout.logs.glob("*.log"):
            try:
                bound_log(log)
            except OSError as error:
                say(f"{log.name} cannot be bounded: {error}")

    def _wait(self, timeout_s: float) -> None:
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        for child in self._children.values():
            if child.pidfd >= 0:
                poller.register(child.pidfd, select.POLLIN)
        poller.poll(timeout_s * 1000)
        with suppress(BlockingIOError):
            self._wake.recv(4096)

    def _next_due_s(self) -> float:
        states = [child.state for child in self._children.values()]
        if "starting" in states:
            return PROBE_EVERY_S
        dues = [child.due for child in self._children.values() if child.state == "backoff"]
        return max(0.0, min(dues) - time.monotonic()) if dues else IDLE_S

    def _look_after(self, child: Child) -> bool:
        """Bring one child a step on; True if its state changed."""
        before = (child.state, child.restarts)
        if child.process and has_ended(child.pidfd):
            self._bury(child)
        if child.state == "backoff" and time.monotonic() >= child.due and not self._closing:
            child.restarts += 1
            self._launch(child)
        elif child.state == "starting" and child.program.is_ready():
            child.become("up")
            note(f"{child.program.name} is up")
        return (child.state, child.restarts) != before

    def _launch(self, child: Child) -> None:
        fit_log(child.program.start.log)
        child.process = spawn(child.program.start)
        child.pidfd = os.pidfd_open(child.process.pid)
        child.started = started_at(child.process.pid)
        child.started_mono = time.monotonic()
        child.become("starting")

    def _bury(self, child: Child) -> None:
        """Take note of an exit and plan the restart."""
        if child.process is None:
            return
        child.last_exit = end_group(child.process)
        os.close(child.pidfd)
        child.process, child.pidfd, child.started = None, -1, None
        now = time.monotonic()
        if now - child.started_mono >= STEADY_S:
            child.delay_s = BACKOFF_FIRST_S
        child.due = now + child.delay_s
        child.delay_s = min(child.delay_s * 2, BACKOFF_LAST_S)
        child.become("stopped" if self._closing else "backoff")
        if not self._closing:
            say(f"{child.program.name} ended with code {child.last_exit}; it is started again")

    def _end(self, children: list[Child]) -> None:
        running = [child for child in children if child.process]
        for child in running:
            if child.process:
                child.process.send_signal(child.program.stop_signal)
        begun = time.monotonic()
        while left := [child for child in running if child.process]:
            for child in left:
                if child.process and time.monotonic() - begun > child.program.stop_grace_s:
                    child.process.kill()
            self.turn(PROBE_EVERY_S)
        for child in children:
            child.become("stopped")

    def _write(self) -> None:
        own = records.ProcessState(
            pid=os.getpid(),
            started=started_at(os.getpid()),
            state="stopped" if self._closing else "up",
            restarts=0,
            since=self._since,
            last_exit=None,
            log=str(self._layout.log_file(records.SUPERVISOR)),
        )
        children = {name: child.written() for name, child in self._children.items()}
        records.write_states(self._layout, {records.SUPERVISOR: own, **children})


def has_ended(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def end_group(process: subprocess.Popen[bytes]) -> int:
    """Kill what is left of a process and its group, and return its exit code.

    A killed nginx master leaves workers that hold the port. The group's number cannot have been
    given away, because the process that it is named after has not been reaped yet.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
