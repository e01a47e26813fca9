"""The small environment in a home, over the image's: what `pip install` fills, and keeps.

`enter` prepares it before each start, as the person, so that root touches nothing in a home. It
is a virtual environment whose search path goes on to the image's packages; kernels, terminals
and jobs run from it, the server itself does not. Standard library only.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

_PIP = '#!/bin/sh\nexec "$(dirname "$0")/python" -m pip "$@"\n'


@dataclass(frozen=True)
class Layer:
    """`folder` is the layer, over the environment `image`, of Python `version` ("3.11"), whose
    base interpreter is `interpreter`; `sdk` is added to the path behind everything else."""

    folder: str
    image: str
    version: str
    interpreter: str
    sdk: str


def prepare(layer: Layer) -> None:
    """Make the layer or bring it up to date; added packages stay. Raises OSError."""
    packages = os.path.join(layer.folder, "lib", f"python{layer.version}", "site-packages")
    kernel = os.path.join(layer.folder, "share", "jupyter", "kernels", "python3")
    programs = os.path.join(layer.folder, "bin")
    for folder in (packages, kernel, programs):
        os.makedirs(folder, exist_ok=True)
    _write(
        os.path.join(layer.folder, "pyvenv.cfg"),
        f"home = {os.path.dirname(layer.interpreter)}\n"
        "include-system-site-packages = false\n"
        f"version = {layer.version}\n",
    )
    for name in ("python", "python3", f"python{layer.version}"):
        _link(layer.interpreter, os.path.join(programs, name))
    for name in ("pip", "pip3"):
        _write(os.path.join(programs, name), _PIP, executable=True)
    below = os.path.join(layer.image, "lib", f"python{layer.version}", "site-packages")
    # addsitedir, not a plain line: it also reads the .pth files there. The image comes last.
    _write(
        os.path.join(packages, "_image.pth"),
        f"import site; site.addsitedir({below!r})\n{layer.sdk}\n",
    )
    _write(os.path.join(kernel, "kernel.json"), json.dumps(_kernel_spec(programs)))


def _kernel_spec(programs: str) -> dict[str, object]:
    command = [os.path.join(programs, "python"), "-m", "ipykernel_launcher"]
    return {
        "argv": [*command, "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
        "metadata": {"debugger": True},
    }


def _write(path: str, text: str, executable: bool = False) -> None:
    """Write it unless it says so already; a reader never sees half of it."""
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write(text)
        if executable:
            os.fchmod(file.fileno(), 0o700)
    os.replace(path + ".part", path)


def _link(target: str, path: str) -> None:
    try:
        if os.readlink(path) == target:
            return
    except OSError:
        pass
    part = path + ".part"
    if os.path.lexists(part):
        os.unlink(part)
    os.symlink(target, part)
    os.replace(part, path)
