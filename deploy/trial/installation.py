"""The virtual environment of this checkout: made once, from the lock, and stamped with its hash.

Standard library only; runs under the machine's own Python. Registries, certificates and wheels
are found as the machine's pip is set up to find them.
"""

import ast
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from deploy.trial.layout import CHECKOUT
from deploy.trial.locking import exclusive

VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
STAMP = VENV / ".installed"
LOCK = CHECKOUT / "requirements.lock"
DEV_LOCK = CHECKOUT / "requirements-dev.lock"

#: How uv calls what pip's configuration calls, and what separates several values there.
UV_NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "cert": ("SSL_CERT_FILE", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
}


class InstallError(Exception):
    """The environment could not be made; the log says more."""


def digest(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def is_installed(lock: Path) -> bool:
    """True if the environment holds at least what `lock` names."""
    try:
        return PYTHON.exists() and digest(lock) in STAMP.read_text().split()
    except FileNotFoundError:
        return False


def install(python: str, locks: Sequence[Path], cache: Path, log: Path) -> None:
    """Make the environment hold exactly what the last of `locks` pins, by hash.

    `locks` are all that it satisfies. Two at once do it once. Raises InstallError.
    """
    with exclusive(CHECKOUT), log.open("ab") as out:
        if all(is_installed(lock) for lock in locks):
            return
        if not is_usable():
            run([python, "-m", "venv", "--clear", str(VENV)], out, os.environ)
        STAMP.unlink(missing_ok=True)
        install_lock(locks[-1], cache, out)
        STAMP.write_text("\n".join(digest(lock) for lock in locks) + "\n")


def is_usable() -> bool:
    """True if there is an environment whose interpreter still runs and has pip."""
    check = [str(PYTHON), "-c", "import pip"]
    return (
        PYTHON.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0
    )


def install_lock(lock: Path, cache: Path, out: IO[bytes]) -> None:
    """uv, by pip and by hash; then everything, by uv, or by pip where uv finds less than pip."""
    pinned = pin_of("uv", lock)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(pinned)
        file.flush()
        run([*pip, file.name], out, os.environ)
    uv = [str(UV), "pip", "install", "--quiet", "--python", str(PYTHON), "--require-hashes", "-r"]
    try:
        run([*uv, str(lock)], out, uv_environment(pip_configuration(), cache))
    except InstallError:
        run([*pip, str(lock)], out, os.environ)


def pin_of(name: str, lock: Path) -> str:
    """The lines of `lock` that pin one package, hashes included."""
    found = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*\n", lock.read_text(), re.MULTILINE)
    if not found:
        raise InstallError(f"{lock.name} does not pin {name}")
    return found.group()


def pip_configuration() -> dict[str, str]:
    """Option name to value, as pip itself merges its files and environment."""
    listed = subprocess.run(
        [str(PYTHON), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    options: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            options[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    return options


def uv_environment(pip: Mapping[str, str], cache: Path) -> dict[str, str]:
    """pip's settings in uv's words; what is set for uv already wins."""
    translated = {
        variable: separator.join(pip[option].split())
        for option, (variable, separator) in UV_NAMES.items()
        if pip.get(option)
    }
    # Every file is checked against its hash, so it does not matter which index it comes from.
    translated["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    # As pip does: whom the machine trusts, not a list of uv's own.
    translated["UV_SYSTEM_CERTS"] = "1"
    try:
        (cache / "uv").mkdir(parents=True, exist_ok=True)
        translated["UV_CACHE_DIR"] = str(cache / "uv")
    except OSError:
        translated["UV_NO_CACHE"] = "1"
    return {**translated, **os.environ, "UV_NO_CONFIG": "1", "UV_NO_PROGRESS": "1"}


def run(argv: Sequence[str], out: IO[bytes], env: Mapping[str, str]) -> None:
    """Run a program of the installation, its output to the log. InstallError if it fails."""
    done = subprocess.run(argv, stdout=out, stderr=out, env=env, cwd=CHECKOUT, check=False)
    if done.returncode != 0:
        raise InstallError(f"{Path(argv[0]).name} ended with code {done.returncode}")
