"""What `make up` and `make down` say: promised lines on standard output, all else on the other."""

import sys
from contextlib import suppress
from pathlib import Path

TAIL_LINES = 15


def promise(line: str) -> None:
    """A line of the contract, flushed. A reader that has gone away is no reason to stop."""
    with suppress(OSError):
        print(line, flush=True)


def say(text: str) -> None:
    """A line of progress for whoever watches."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def failed(step: str, log: Path | str, reason: str) -> None:
    """`FAILED <step> <log>`, after the reason and the end of the log."""
    say(f"{reason}. The end of {log}:")
    with suppress(OSError):
        for line in Path(log).read_text(errors="replace").splitlines()[-TAIL_LINES:]:
            say(f"  {line}")
    promise(f"FAILED {step} {log}")
