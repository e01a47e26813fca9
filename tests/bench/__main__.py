"""`make bench`: every measurement in turn; figures as JSON in `build/bench/` and as a table."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench import launch

OUT = Path(__file__).resolve().parent.parent.parent / "build" / "bench"


def table(figures: dict[str, object]) -> str:
    """One line a figure; an interval reads `value [low, high]`."""
    lines = []
    for name, value in figures.items():
        if isinstance(value, list):
            text = "{:.3f} [{:.3f}, {:.3f}]".format(*value)
        elif isinstance(value, dict):
            text = ", ".join(f"{key} {number:.3f}" for key, number in value.items())
        else:
            text = str(value)
        lines.append(f"{name:<24} {text}")
    return "\n".join(lines)


def main() -> int:
    """Run all with their default numbers of rounds (or `--rounds N`)."""
    OUT.mkdir(parents=True, exist_ok=True)
    figures = launch.measure(launch.options(sys.argv[1:]))
    (OUT / "launch.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(table(figures) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
