"""What `make up` and `make down` say: promised lines on standard output, all else on the other."""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from deploy.trial.processes import fit_log

TAIL_LINES = 15
_kept: list[Path] = []


def keep(log: Path) -> None:
    """From now on also write what is said to this log, with the time."""
    fit_log(log)
    _kept[:] = [log]


def note(text: str) -> None:
    """A line for the log alone."""
    for log in _kept:
        with suppress(OSError), log.open("a", encoding="utf-8") as out:
            out.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}\n")


def promise(line: str) -> None:
    """A line of the contract, flushed. A reader that has gone away is no reason to stop."""
    with suppress(OSError):
        print(line, flush=True)


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    note(text)
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def failed(step: str, log: Path | str, reason: str) -> None:
    """`FAILED <step> <log>`, after the reason and the end of the log."""
    say(f"{reason}. The end of {log}:")
    with suppress(OSError):
        for line in Path(log).read_text(errors="replace").splitlines()[-TAIL_LINES:]:
            say(f"  {line}")
    note(f"FAILED {step} {log}")
    promise(f"FAILED {step} {log}")
