"""A browser and Korean letters for the browser tests: `python -m tests.install_browser`.

Uses what the machine has; otherwise installs Debian's packages, as root. Exit code 1 where neither
works: tests that need a browser are never skipped.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

BROWSER = os.environ.get("CHROMIUM") or "chromium"
FONTS = Path("/usr/share/fonts")
FONT_NAME = "NotoSansCJK*"


def missing_packages() -> list[str]:
    """Debian packages for what this machine lacks."""
    missing = [] if shutil.which(BROWSER) else ["chromium"]
    has_font = FONTS.is_dir() and next(FONTS.rglob(FONT_NAME), None)
    return missing if has_font else [*missing, "fonts-noto-cjk"]


def install(packages: list[str]) -> bool:
    """True if apt could install them."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for argv in (["apt-get", "update", "-qq"], command):
        if subprocess.run(argv, env=env, stdout=sys.stderr, check=False).returncode != 0:
            return False
    return True


def main() -> int:
    """Have a browser; 1 if there is none and none can be installed."""
    packages = missing_packages()
    if packages and not install(packages):
        print(f"Browser tests need {' and '.join(packages)}: install them, or run this as root.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
