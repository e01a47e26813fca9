"""`make check`: everything that can be said about the tree without running the portal.

Every check runs, whatever the others say; the exit code is 1 if any found something.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PYTHON_FOLDERS = ("portal", "apps", "deploy", "sdk", "tests")
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.check_settings", "DATA": "/nonexistent"}


def commands() -> list[list[str]]:
    """Each check as a command line, cheapest first."""
    folders = [name for name in PYTHON_FOLDERS if (ROOT / name).is_dir()]
    manage = [sys.executable, "manage.py"]
    return [
        [str(BIN / "ruff"), "check", "--quiet", "."],
        [str(BIN / "ruff"), "format", "--quiet", "--check", "."],
        [str(BIN / "djlint"), "templates", "--check", "--lint", "--quiet"],
        [str(BIN / "lint-imports")],
        [*manage, "makemigrations", "--check", "--dry-run"],
        [*manage, "check", "--deploy", "--fail-level", "WARNING"],
        [sys.executable, "-m", "pytest", "-q", "tests/test_house_style.py"],
        [str(BIN / "mypy"), "manage.py", *folders],
    ]


def main() -> int:
    """Run them all; 1 if any failed."""
    failed: list[str] = []
    for command in commands():
        name = " ".join(word.removeprefix(f"{BIN}/") for word in command)
        begun = time.monotonic()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **SETTINGS},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        verdict = "ok" if done.returncode == 0 else "FAILED"
        print(f"{verdict:6} {time.monotonic() - begun:5.1f} s  {name}", flush=True)
        if done.returncode != 0:
            print(done.stdout, flush=True)
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
