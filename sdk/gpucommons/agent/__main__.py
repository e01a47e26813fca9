"""The agent's two loops: telling (this thread), and hearing (another)."""

from __future__ import annotations

import os
import random
import sys
import threading
import time

from gpucommons.agent.activity import Meter, now, read_server, shape_of
from gpucommons.agent.requests import Unreachable, ask_portal
from gpucommons.agent.settings import Settings

LOOK_S = 5.0
TELL_S = 60.0
WAIT_S = 25
FIRST_BACK_OFF_S = 1.0
MOST_BACK_OFF_S = 60.0


class BackOff:
    """How long to leave the portal alone: doubling up to a minute, with jitter, so that a thousand
    agents do not come back in the same second."""

    def __init__(self) -> None:
        self._next_s = FIRST_BACK_OFF_S

    def failed(self) -> float:
        """Seconds to wait after one more failure."""
        wait_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        self._next_s = min(self._next_s * 2, MOST_BACK_OFF_S)
        return wait_s

    def worked(self) -> None:
        """Begin anew."""
        self._next_s = FIRST_BACK_OFF_S


def tell(settings: Settings, parent: int) -> None:
    """Report on change and each minute, until the parent (the shim, so the run) is gone."""
    meter, back_off = Meter(settings.home), BackOff()
    told: object = None
    told_at = quiet_until = 0.0
    while os.getppid() == parent:
        seen = read_server(settings)
        at = time.monotonic()
        due = seen is not None and (shape_of(seen) != told or at - told_at >= TELL_S)
        if seen is not None and due and at >= quiet_until:
            report = {"at": now(), **seen, **meter.read()}
            try:
                answer = ask_portal(settings, "POST", "/agent/v1/activity", report)
            except Unreachable as error:
                answer = None
                say(f"the portal does not hear: {error}")
            if answer is not None and answer.status < 300:
                told, told_at = shape_of(seen), at
                back_off.worked()
            else:
                quiet_until = at + back_off.failed()
        time.sleep(LOOK_S)


def hear(settings: Settings) -> None:
    """Ask for commands, again and again; each answer may take `WAIT_S`."""
    back_off, after = BackOff(), 0
    while True:
        try:
            path = f"/agent/v1/commands?after={after}&wait={WAIT_S}"
            answer = ask_portal(settings, "GET", path)
        except Unreachable:
            answer = None
        if answer is None or answer.status not in (200, 204):
            time.sleep(back_off.failed())
            continue
        back_off.worked()
        commands = answer.body["commands"] if answer.status == 200 else []
        for command in commands:
            after = max(after, int(command["id"]))
            obey(command)


def obey(command: dict[str, object]) -> None:
    """Do what the portal wants. A type that this version does not know is left alone."""
    if command.get("type") == "about_to_stop":
        say(f"this run is about to stop: {command.get('at', 'soon')}")


def say(text: str) -> None:
    """One line in the run's log."""
    sys.stderr.write(f"[gpucommons] {text}\n")
    sys.stderr.flush()


def main() -> None:
    """Run until the run ends."""
    parent = os.getppid()
    try:
        settings = Settings.read(os.environ)
    except KeyError as error:
        say(f"no agent: {error.args[0]} is not set")
        return
    threading.Thread(target=hear, args=(settings,), daemon=True).start()
    tell(settings, parent)


if __name__ == "__main__":
    main()
