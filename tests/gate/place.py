"""A gatehouse for tests: real nginx, real gate process, real PostgreSQL with gate's four tables."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from apps.gate.addresses import Addresses
from apps.gate.tickets import Grant, grant_ticket, session_digest
from deploy.nginx.render import NginxSettings, folders, render
from deploy.trial.nginx import binary as nginx_binary
from tests.gate.loopback import Loopback, free_port
from tests.gate.servers import DatabaseWire, Portal, Server, Workspace, wait_for

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sys.executable

TABLES = """
CREATE TABLE gate_routes (workspace_uid text, owner_id bigint, owner_uid text, run text,
    upstream text, auth_header text, strip_prefix bool, ready bool,
    phase text, name text);
CREATE TABLE gate_people (person_id bigint, uid text, epoch bigint, active bool);
CREATE TABLE gate_tokens (digest text, person_id bigint, scopes text[], expires_at timestamptz);
CREATE TABLE gate_signouts (session text, at timestamptz);
"""


@dataclass
class Home:
    """One person's workspace in a test, with its server."""

    uid: str
    owner: int
    run: str
    upstream: str
    session: str
    app: Workspace
    server: Server


class Place:
    """Starts everything; `stop()` ends it. Each test makes its own people and workspaces."""

    def __init__(self, by_host: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gpc-gate-"))
        self.port = free_port()
        self.key = secrets.token_urlsafe(32)
        portal_url = f"http://localhost:{self.port}"
        by_name = f"http://w-{{uid}}.localhost:{self.port}/"
        template = by_name if by_host else portal_url + "/w/{uid}/"
        self.addresses = Addresses(portal_url, template)
        self._stack = contextlib.ExitStack()
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._database()
        self._folders()
        self.portal = Portal(self.addresses, self.key)
        self._servers: list[Server] = []
        self._stack.callback(self._stop_servers)
        for name in ("web", "live"):
            self._servers.append(Server(self.portal, self.folder / "run" / f"{name}.sock"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stack.callback(self.end_all)
        self.start_gate()
        self.start_nginx()

    # ---- parts

    def _database(self) -> None:
        admin = os.environ["PORTAL_DATABASE_URL"]
        name = f"gate_{secrets.token_hex(6)}"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        self._stack.callback(self._drop, admin, name)
        self.dsn = make_conninfo(admin, dbname=name)
        self.db = psycopg.connect(self.dsn, autocommit=True)
        self._stack.callback(self.db.close)
        self.db.execute(TABLES)
        wire = self.folder / "wire"
        wire.mkdir()
        real = Path(str(conninfo_to_dict(admin)["host"])) / ".s.PGSQL.5432"
        self.wire = DatabaseWire(wire, real)
        self._stack.callback(self.wire.stop)
        self.gate_dsn = make_conninfo(self.dsn, host=str(wire))

    @staticmethod
    def _drop(admin: str, name: str) -> None:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _folders(self) -> None:
        for name in ("run", "data", "static", "log", "sockets"):
            (self.folder / name).mkdir()
        (self.folder / "static" / "main.0123456789ab.css").write_text("body{}")
        (self.folder / "static" / "plain.css").write_text("body{}")
        settings = NginxSettings(
            bind="127.0.0.1",
            port=self.port,
            portal_url=self.addresses.portal_url,
            workspace_url_template=self.addresses.template,
            run_dir=self.folder / "run",
            data_dir=self.folder / "data",
            static_dir=self.folder / "static",
            log_dir=self.folder / "log",
            pid_file=self.folder / "run" / "nginx.pid",
            user="root" if os.geteuid() == 0 else "",
        )
        for folder in folders(settings):
            folder.mkdir(mode=0o700)
        (self.folder / "nginx.conf").write_text(render(settings))

    def start_gate(self) -> None:
        """Start gate and wait until it knows the database."""
        self.launch_gate()
        wait_for(lambda: self.status().get("age_s") is not None, "gate knows the database", 20)

    def launch_gate(self) -> None:
        """Start gate."""
        environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PORTAL_")},
            "PORTAL_GATE_KEY": self.key,
            "PORTAL_DATABASE_URL": self.gate_dsn,
            "PORTAL_URL": self.addresses.portal_url,
            "PORTAL_WORKSPACE_URL_TEMPLATE": self.addresses.template,
            "PORTAL_RUN_DIR": str(self.folder / "run"),
        }
        self._spawn("gate", [PYTHON, "-m", "apps.gate"], environ)

    def start_nginx(self) -> None:
        """Start nginx and wait until it accepts."""
        conf = str(self.folder / "nginx.conf")
        command = [str(nginx_binary()), "-c", conf, "-p", str(self.folder), "-e", "stderr"]
        self._spawn("nginx", command, dict(os.environ))
        wait_for(self._accepts, "nginx accepts connections")

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _spawn(self, name: str, command: list[str], environ: dict[str, str]) -> None:
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=environ, stdout=log, stderr=log
            )

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        """End "gate" or "nginx" and return its exit code."""
        process = self._processes.pop(name)
        process.send_signal(number)
        return process.wait(15)

    def end_all(self) -> None:
        """End both processes."""
        for name in list(self._processes):
            self.end(name)

    def stop_portal(self) -> None:
        """End web and live."""
        for server in self._servers[:2]:
            server.stop()

    def _stop_servers(self) -> None:
        for server in self._servers:
            server.ask_to_stop()
        for server in self._servers:
            server.stop()

    def stop(self) -> None:
        """End everything and remove the folder."""
        self._stack.close()

    def log(self, name: str) -> str:
        """What "gate" or "nginx" has written."""
        return (self.folder / "log" / f"{name}.log").read_text()

    def status(self) -> dict[str, Any]:
        """Gate's `/status`; empty while it does not answer."""
        try:
            return dict(json.loads(self.ask_gate("/status")))
        except OSError:
            return {}

    def ask_gate(self, path: str) -> str:
        """Body of a GET on gate's own socket. Raises OSError while it does not answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.folder / "run" / "gate.sock"))
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            with connection.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError("no answer")
        return body.decode()

    # ---- people and workspaces

    def person(self) -> int:
        """A new active person; returns the id."""
        person = secrets.randbelow(10**9)
        self.db.execute("INSERT INTO gate_people VALUES (%s, %s, 1, true)", (person, f"p{person}"))
        self.portal.people[person] = (f"p{person}", 1)
        return person

    def home(self, owner: int | None = None, *, strip: bool = False) -> Home:
        """A running workspace with a server of its own, known to gate."""
        owner = owner if owner is not None else self.person()
        uid = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(22))
        app = Workspace(uid)
        path = self.folder / "sockets" / f"{uid}.sock"
        server = Server(app, path)
        self._servers.append(server)
        home = Home(uid, owner, "r1", f"unix:{path}", f"{owner}-session", app, server)
        self.portal.owners[uid] = owner
        self.db.execute(
            "INSERT INTO gate_routes"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, true, 'ready', 'Digits & <b>')",
            (uid, owner, f"p{owner}", home.run, home.upstream, f"token of-{uid}", strip),
        )
        self.announce()
        return home

    def token(self, person: int, scopes: tuple[str, ...] = ("workspaces",)) -> str:
        """A new API token of a person."""
        text = f"gpc_{secrets.token_urlsafe(24)}"
        self.db.execute(
            "INSERT INTO gate_tokens VALUES (%s, %s, %s, now() + interval '1 day')",
            (session_digest(text), person, list(scopes)),
        )
        self.announce()
        return text

    def change(self, query: str, *parameters: object) -> None:
        """Change the database and notify, as the portal does; waits until gate has looked."""
        self.db.execute(query, parameters)
        self.announce()

    def announce(self) -> None:
        """NOTIFY, and wait until gate has looked at the database since."""
        before = time.monotonic()
        self.db.execute("NOTIFY gate")
        wait_for(lambda: self._looked_since(before), "gate looked at the database")

    def _looked_since(self, moment: float) -> bool:
        age_s = self.status().get("age_s")
        return age_s is not None and time.monotonic() - age_s > moment

    # ---- clients

    def cookie(self, home: Home, left_s: int = 600, **changes: object) -> str:
        """A Cookie header with a grant for this workspace, made with gate's key."""
        now = int(time.time())
        fields: dict[str, Any] = {
            "person_id": home.owner,
            "epoch": 1,
            "session": session_digest(home.session),
            "workspace": home.uid,
            "run": home.run,
            "upstream": home.upstream,
            "began_at": now,
            "expires_at": now + left_s,
        }
        grant = Grant(**{**fields, **changes})
        name = self.addresses.cookie_name("gate", home.uid)
        return f"{name}={grant_ticket(grant, key=self.key)}"

    def client(self, **headers: str) -> httpx.Client:
        """A browser-like client: cookie jar, no redirects unless asked, any name is this nginx."""
        client = httpx.Client(transport=Loopback(self.port), headers=headers, timeout=15)
        self._stack.callback(client.close)
        return client

    def get(self, home: Home, path: str = "", **headers: str) -> httpx.Response:
        """GET below the workspace's URL. Header names are spelled with underscores."""
        return self.request("GET", home, path, **headers)

    def request(self, method: str, home: Home, path: str = "", **headers: str) -> httpx.Response:
        """Any method below the workspace's URL."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx.Client(transport=Loopback(self.port), timeout=15) as client:
            return client.request(method, self.addresses.url(home.uid) + path, headers=named)

    @contextlib.contextmanager
    def websocket(self, home: Home, **headers: str) -> Iterator[ClientConnection]:
        """Open `ws` of the workspace. Raises what `websockets` raises when refused."""
        url = self.addresses.url(home.uid).replace("http", "ws", 1) + "ws"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with (
            socket.create_connection(("127.0.0.1", self.port)) as raw,
            connect(url, sock=raw, additional_headers=named, proxy=None, max_size=None) as opened,
        ):
            yield opened

    def upgrade(self, home: Home, **headers: str) -> int:
        """The status that a websocket handshake gets: 101 if it opens."""
        try:
            with self.websocket(home, **headers):
                return 101
        except InvalidStatus as refusal:
            return refusal.response.status_code

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they are; return all that comes until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(data)
            answer = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while chunk := connection.recv(65536):
                    answer += chunk
            return answer
