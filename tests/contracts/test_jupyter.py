"""The default image under the local driver: a real JupyterLab, real kernels, packages that stay."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from apps.clusters.drivers.base import Resources, RunState, WorkloadSpec
from apps.clusters.drivers.local.driver import LocalDriver
from tests.contracts.clusters import Cluster, local_cluster, new_uid, ref_of, spec_for, until
from tests.contracts.jupyter import Jupyter, app_of, built_image

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def machine(folder: Path) -> Iterator[Cluster]:
    """This machine with the real image; it may be built first."""
    environments, _image = built_image()
    with local_cluster(folder) as made:
        assert isinstance(made.driver, LocalDriver)
        config = replace(made.driver.config, environments=environments, ready_deadline_s=120)
        yield replace(made, driver=LocalDriver(config))


def lab() -> WorkloadSpec:
    _environments, image = built_image()
    return replace(
        spec_for(),
        image=image,
        app=app_of("jupyterlab"),
        resources=Resources(cpu_millis=2000, memory_mib=2048, disk_gib=5),
    )


def started(machine: Cluster, spec: WorkloadSpec) -> Jupyter:
    machine.driver.apply(spec)
    seen = until(
        lambda: machine.driver.observe(ref_of(spec)),
        lambda one: one.state is not RunState.STARTING,
        within_s=120,
    )
    assert seen.state is RunState.READY, machine.driver.logs(ref_of(spec), 0).text
    return Jupyter(seen.endpoint.removeprefix("unix:"), spec.base_url)


def stopped(machine: Cluster, spec: WorkloadSpec) -> None:
    until(
        lambda: machine.driver.delete(ref_of(spec), 5).state,
        lambda state: state is RunState.ABSENT,
    )


def small_wheel(folder: Path) -> Path:
    """A package `tinygift` 1.0, made here, so that installing it needs no network."""
    files = {
        "tinygift.py": b"WORD = 'kept'\n",
        "tinygift-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinygift\nVersion: 1.0\n",
        "tinygift-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\n"
        b"Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    files["tinygift-1.0.dist-info/RECORD"] = "\n".join(
        [*lines, "tinygift-1.0.dist-info/RECORD,,"]
    ).encode()
    path = folder / "tinygift-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


async def test_a_kernel_answers_over_its_websocket(machine: Cluster) -> None:
    jupyter = started(machine, lab())
    kernel = await jupyter.start_kernel()
    assert await jupyter.execute(kernel, "1+1") == "2"
    code = "import sys, os, gpucommons; print(sys.prefix == os.environ['VIRTUAL_ENV'])"
    assert await jupyter.execute(kernel, code) == "True\n"
    assert await jupyter.execute(kernel, "import numpy; int(numpy.arange(4).sum())") == "6"
    # Not on ports: anyone on the machine could read along there.
    code = "from ipykernel.connect import get_connection_info as c; c(unpack=True)['transport']"
    assert await jupyter.execute(kernel, code) == "'ipc'"


async def test_the_server_is_as_it_should_be(machine: Cluster) -> None:
    jupyter = started(machine, lab())
    async with jupyter.client() as client:
        page = await client.get("lab")
        assert page.status_code == 200
        assert (await client.get("api/status")).status_code == 200
    async with jupyter.client() as stranger:
        denied = await stranger.get("api/status", headers={"Authorization": "token wrong"})
        assert denied.status_code == 403
    async with jupyter.client() as client:
        await client.put("api/contents/notes.txt", json={"type": "file", "content": "x"})
        terminal = await client.post("api/terminals")
        assert terminal.status_code == 200


async def test_added_packages_stay_and_cannot_break_the_server(
    machine: Cluster, folder: Path
) -> None:
    spec = lab()
    wheel = small_wheel(folder / "sdk")
    jupyter = started(machine, spec)
    kernel = await jupyter.start_kernel()
    told = await jupyter.execute(kernel, f"%pip install --no-index {wheel}")
    assert "Successfully installed tinygift-1.0" in told
    assert await jupyter.execute(kernel, "import tinygift; tinygift.WORD") == "'kept'"
    # A package of theirs, and a file beside the notebooks, that would stop any server from loading.
    breaking = (
        "import sysconfig, pathlib\n"
        "for place in (pathlib.Path.home(), pathlib.Path(sysconfig.get_path('purelib'))):\n"
        "    (place / 'jupyterlab.py').write_text('raise SystemExit')\n"
        "    (place / 'tornado.py').write_text('raise SystemExit')\n"
    )
    assert await jupyter.execute(kernel, breaking) == ""
    stopped(machine, spec)

    again = replace(spec, uid=new_uid())
    jupyter = started(machine, again)
    async with jupyter.client() as client:
        assert (await client.get("lab")).status_code == 200


async def test_a_package_is_there_after_stop_and_start(machine: Cluster, folder: Path) -> None:
    spec = lab()
    wheel = small_wheel(folder / "sdk")
    jupyter = started(machine, spec)
    kernel = await jupyter.start_kernel()
    await jupyter.execute(kernel, f"!pip install --no-index {wheel}")
    stopped(machine, spec)
    jupyter = started(machine, replace(spec, uid=new_uid()))
    kernel = await jupyter.start_kernel()
    assert await jupyter.execute(kernel, "import tinygift; tinygift.WORD") == "'kept'"
