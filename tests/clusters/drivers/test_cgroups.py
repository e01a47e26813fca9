"""Control groups of both versions, in a tree that looks like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.clusters.drivers.base import Resources
from apps.clusters.drivers.local import cgroups
from apps.clusters.drivers.local.cgroups import Cgroup

RESOURCES = Resources(cpu_millis=1500, memory_mib=512, disk_gib=1)


def group(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def test_version_2_limits_and_counters(tmp_path: Path) -> None:
    folder = group(
        tmp_path / "g",
        memory__max="max",
        memory__current=str(300 << 20),
        memory__peak=str(400 << 20),
        memory__stat=f"anon 5\ninactive_file {100 << 20}\n",
        memory__events="low 0\noom 2\noom_kill 2\n",
        cpu__max="max 100000",
        cpu__stat="usage_usec 2500000\nuser_usec 1\n",
        pids__max="max",
        cgroup__procs="11\n12\n",
    )
    found = Cgroup(dict.fromkeys(("memory", "cpu", "pids"), folder), is_unified=True)
    found.limit(RESOURCES)
    assert (folder / "memory.max").read_text() == str(512 << 20)
    assert (folder / "cpu.max").read_text() == "150000 100000"
    assert (folder / "pids.max").read_text() == "4096"
    assert not (folder / "memory.swap.max").exists(), "what this kernel does not know is left out"
    assert found.memory_bytes() == 200 << 20
    assert found.memory_peak_bytes() == 400 << 20
    assert found.memory_kills() == 2
    assert found.cpu_seconds() == 2.5
    assert found.processes() == {11, 12}


def test_version_1_limits_and_counters(tmp_path: Path) -> None:
    memory = group(
        tmp_path / "memory",
        memory__limit_in_bytes="x",
        memory__usage_in_bytes=str(50 << 20),
        memory__max_usage_in_bytes=str(60 << 20),
        memory__stat=f"inactive_file 1\ntotal_inactive_file {10 << 20}\n",
        memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    )
    cpu = group(tmp_path / "cpu", cpu__shares="1", cpu__cfs_quota_us="-1", cpu__cfs_period_us="1")
    account = group(tmp_path / "cpuacct", cpuacct__usage="1500000000")
    found = Cgroup({"memory": memory, "cpu": cpu, "cpuacct": account})
    found.limit(RESOURCES)
    assert (memory / "memory.limit_in_bytes").read_text() == str(512 << 20)
    assert (cpu / "cpu.cfs_quota_us").read_text() == "150000"
    assert (cpu / "cpu.shares").read_text() == "1536"
    assert found.memory_bytes() == 40 << 20
    assert found.memory_peak_bytes() == 60 << 20
    assert found.memory_kills() == 1
    assert found.cpu_seconds() == 1.5


def test_a_version_2_tree_is_used_where_it_was_given_to_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(
        tmp_path / "user" / "portal",
        cgroup__procs="",
        cgroup__subtree_control="",
    )
    (tmp_path / "user" / "cgroup.procs").write_text("")
    (tmp_path / "user" / "cgroup.subtree_control").write_text("cpu memory pids")
    answers = {
        "/proc/self/cgroup": "0::/user/portal\n",
        "/proc/self/mounts": f"cgroup2 {tmp_path} cgroup2 rw 0 0\n",
    }
    real = cgroups._text
    monkeypatch.setattr(cgroups, "_text", lambda path: answers.get(str(path)) or real(path))
    made = cgroups.make_cgroup("w1", RESOURCES)
    assert made is not None
    assert made.is_unified
    assert made.distinct() == [tmp_path / "user" / "gpucommons-w1"]
    assert made.remove()
    (tmp_path / "user" / "cgroup.subtree_control").write_text("")
    assert cgroups.make_cgroup("w1", RESOURCES) is None
