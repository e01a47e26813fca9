"""The programs that fill an environment: uv where there is one, else pip; and their settings.

`builder` asks for the steps of one build and runs them in order.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: pip's options in uv's words, and what separates their values there.
_UV_NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "cert": ("SSL_CERT_FILE", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "no-index": ("UV_NO_INDEX", " "),
}
#: What a build may inherit of the worker's environment, and nothing else: packages run code of
#: their own, and the worker's environment holds the portal's secrets.
_PASSED = {
    *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NETRC", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    "LD_LIBRARY_PATH",
}
_PASSED_BEGINNINGS = ("UV_", "PIP_", "SSL_")


@dataclass(frozen=True, slots=True)
class Step:
    """One program of a build. If it fails, `otherwise` is tried where there is one."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    otherwise: Step | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What is filled: the environment's folder, its base interpreter, uv's cache."""

    folder: Path
    interpreter: str
    cache: Path

    @property
    def python(self) -> str:
        """The environment's own interpreter."""
        return str(self.folder / "bin" / "python")


def find_uv() -> str | None:
    """The uv that is installed next to the portal, if it is."""
    try:
        import uv
    except ImportError:
        return None
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError:
        return None


def create_step(target: Target) -> Step:
    """Make the empty environment; with pip in it, unless uv does without."""
    plain = plain_environment()
    by_venv = Step((target.interpreter, "-I", "-m", "venv", "--clear", str(target.folder)), plain)
    uv = find_uv()
    if uv is None:
        return by_venv
    argv = (uv, "venv", "--quiet", "--clear", "--python", target.interpreter, str(target.folder))
    return Step(argv, uv_environment(target.cache), otherwise=by_venv)


def hashed_step(target: Target, requirements: Path) -> Step:
    """Install exactly what the file names, every archive checked against its hash."""
    by_pip = _pip(target, ("--require-hashes", "-r", str(requirements)))
    uv = find_uv()
    if uv is None:
        return by_pip
    options = ("--require-hashes", "--no-deps", "--link-mode", "hardlink")
    argv = (uv, "pip", "install", "--python", target.python, *options, "-r", str(requirements))
    return Step(argv, uv_environment(target.cache), otherwise=by_pip)


def unhashed_step(target: Target, requirements: Path, pip_args: tuple[str, ...]) -> Step:
    """Install by pip, from wherever the admin's `pip_args` say. Versions are the file's."""
    return _pip(target, (*pip_args, "-r", str(requirements)))


def compile_step(target: Target) -> Step:
    """Byte code for all but the packages' own tests (half of all files), so that no start has to
    make it: nobody may write it later."""
    workers = str(os.cpu_count() or 1)
    argv = (target.python, "-I", "-m", "compileall", "-qq", "-j", workers, "-x", "/tests/")
    return Step((*argv, str(target.folder / "lib")), plain_environment())


def _pip(target: Target, options: tuple[str, ...]) -> Step:
    argv = (sys.executable, "-m", "pip", "--python", target.python, "install", "--no-deps")
    quiet = ("--no-input", "--no-compile", "--progress-bar", "off", "--disable-pip-version-check")
    return Step((*argv, *quiet, *options), plain_environment())


def plain_environment() -> dict[str, str]:
    """Of ours what finds programs, packages and the network: no settings, no secrets."""
    return {
        key: value
        for key, value in os.environ.items()
        if key.upper() in _PASSED or key.startswith(_PASSED_BEGINNINGS)
    }


def uv_environment(cache: Path) -> dict[str, str]:
    """Ours, with pip's settings in uv's words; what is set for uv already wins."""
    pip = _pip_configuration()
    translated = {
        variable: separator.join(pip[option].split())
        for option, (variable, separator) in _UV_NAMES.items()
        if pip.get(option)
    }
    # Every file is checked against its hash, so it does not matter which index it comes from.
    translated["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    translated["UV_CACHE_DIR"] = str(cache)
    return {**translated, **plain_environment(), "UV_NO_CONFIG": "1", "UV_NO_PROGRESS": "1"}


def _pip_configuration() -> dict[str, str]:
    """Option name to value, as pip itself merges its files and environment."""
    argv = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(
        argv, capture_output=True, text=True, check=False, env=plain_environment()
    )
    options: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            options[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    return options
