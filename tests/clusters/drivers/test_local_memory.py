"""Memory of a run that lives on: warned of with control groups and without."""

from __future__ import annotations

import pytest

from apps.clusters.drivers.base import Observation, RunState
from apps.clusters.drivers.local import memory
from apps.clusters.drivers.local.cgroups import Cgroup
from apps.clusters.drivers.local.processes import Family
from tests.clusters.drivers.following import followed
from tests.contracts.clusters import Cluster, ref_of, until


def is_told(told: list[Observation], reason: str) -> bool:
    return bool(told) and told[-1].reason == reason


def test_memory_that_is_nearly_full_is_warned_of(
    either: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = either.started()
    used = {"mib": 240}
    for kind in (Cgroup, Family):
        monkeypatch.setattr(kind, "memory_bytes", lambda _self: used["mib"] << 20)
    with followed(either.driver) as told:
        until(lambda: told, lambda told: is_told(told, "memory_low"))
        assert told[-1].state is RunState.READY
        assert told[-1].endpoint
        assert either.driver.observe(ref_of(spec)).reason == "memory_low"
        used["mib"] = 100
        until(lambda: told, lambda told: is_told(told, ""))
    assert told[-1].state is RunState.READY


def test_a_process_that_was_ended_is_told_for_a_while(
    local: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.started()
    monkeypatch.setattr(Cgroup, "limits_memory", True)
    monkeypatch.setattr(Cgroup, "memory_kills", lambda _self: 2)
    monkeypatch.setattr(Cgroup, "memory_bytes", lambda _self: 0)
    with followed(local.driver) as told:
        until(lambda: told, lambda told: is_told(told, "process_out_of_memory"))
        assert told[-1].state is RunState.READY
        assert "2 of its processes" in told[-1].message
        monkeypatch.setattr(memory, "TELL_S", 0.0)
        until(lambda: told, lambda told: is_told(told, ""))
