"""Launch: what we add to a bare `jupyter lab`, against what JupyterHub adds.

Rounds are interleaved and each round's order is shuffled, so that whatever else the machine does
falls on all three alike; figures are ratios of paired differences with bootstrap intervals.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import sys
import tempfile
from pathlib import Path

from tests.bench import ours, peers
from tests.bench.stats import Round, added, added_ratio, bootstrap, percentile

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = ROOT / "deploy" / "images" / "python" / "requirements.lock"


def free_ports(count: int) -> list[int]:
    """Loopback ports that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def one_round(
    portal: ours.Portal, workspace: dict[str, str], hub: peers.Hub, bare: tuple[peers.Peers, Path]
) -> Round:
    """Each way once, in an order of chance."""
    took: dict[str, float] = {}

    async def measure() -> None:
        ways = ["ours", "peer", "bare"]
        random.shuffle(ways)
        for way in ways:
            if way == "ours":
                took[way] = await ours.launch(portal, workspace)
            elif way == "peer":
                took[way] = await peers.launch_hub(hub)
            else:
                took[way] = await peers.launch_bare(*bare, free_ports(1)[0])

    asyncio.run(measure())
    return Round(**took)


def report(rounds: list[Round]) -> dict[str, object]:
    """The figures as JSON; seconds, and ratios with their 95 % intervals."""
    figures: dict[str, object] = {"rounds": len(rounds)}
    for name in ("bare", "ours", "peer"):
        values = [getattr(r, name) for r in rounds]
        figures[name] = {f"p{int(s * 100)}": percentile(values, s) for s in (0.5, 0.95)}
    for share in (0.5, 0.95):
        label = f"p{int(share * 100)}"
        for name in ("ours", "peer"):
            seconds = bootstrap(rounds, added(name, share))
            figures[f"{name}_added_{label}"] = [seconds.value, seconds.low, seconds.high]
        ratio = bootstrap(rounds, added_ratio(share))
        figures[f"added_ratio_{label}"] = [ratio.value, ratio.low, ratio.high]
    return figures


def options(arguments: list[str]) -> argparse.Namespace:
    """`--rounds N`, at least 50 for figures that are published."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    return parser.parse_args(arguments)


def measure(chosen: argparse.Namespace) -> dict[str, object]:
    """Start all three, warm each once, and run the rounds."""
    cache = Path(os.environ.get("CACHE") or Path.home() / ".cache" / "gpucommons")
    installed = peers.install(cache, LOCK, str(Path(sys.executable).parent / "uv"))
    with tempfile.TemporaryDirectory(prefix="gpc-bench-") as name:
        folder = Path(name)
        bare = (installed, folder / "bare")
        bare[1].mkdir()
        portal = ours.start_portal(free_ports(1)[0], folder / "var")
        try:
            port, hub_port, api_port = free_ports(3)
            with peers.running_hub(installed, folder, (port, hub_port, api_port)) as hub:
                workspace = asyncio.run(ours.make_workspace(portal))
                one_round(portal, workspace, hub, bare)
                rounds = []
                for number in range(chosen.rounds):
                    rounds.append(one_round(portal, workspace, hub, bare))
                    sys.stderr.write(f"{number + 1}/{chosen.rounds} {rounds[-1]}\n")
        finally:
            ours.stop_portal(portal)
    return report(rounds)
