"""What the local driver does not pretend: homes that are not gone, cards that are not there."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from apps.clusters.drivers.base import DriverError, Resources, RunState
from apps.clusters.drivers.local import ending
from apps.clusters.drivers.local.driver import LocalDriver
from apps.clusters.drivers.local.places import Places
from apps.clusters.drivers.local.probing import publish
from tests.contracts.clusters import OWNER, Cluster, local_config, ref_of, spec_for


def test_a_home_of_which_something_is_left_is_not_gone(
    local: Cluster, driver: LocalDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_for()
    home = Places(driver.config, spec.uid).home(spec.home)
    (home / "kept").mkdir(parents=True)
    os.chown(home, driver.config.user_id_of(OWNER), -1)
    with monkeypatch.context() as patched:
        patched.setattr(ending, "_remove", lambda _folder: None)
        with pytest.raises(DriverError) as refusal:
            driver.delete_home(spec.home, OWNER)
    assert refusal.value.retryable
    driver.delete_home(spec.home, OWNER)
    assert not [name for name in os.listdir(home.parent) if spec.home in name]


def test_cards_that_are_not_there_are_refused(local: Cluster, driver: LocalDriver) -> None:
    resources = Resources(cpu_millis=1000, memory_mib=256, disk_gib=1, gpus=1, gpu_tier="bronze")
    spec = replace(local.spec_for("ok"), resources=resources)
    with pytest.raises(DriverError) as refusal:
        driver.apply(spec)
    assert (refusal.value.code, refusal.value.retryable) == ("no_gpus", False)
    assert "size without" in str(refusal.value)
    assert driver.observe(ref_of(spec)).state is RunState.ABSENT
    simulating = LocalDriver(replace(driver.config, sim_gpus=(("bronze", 1),)))
    assert simulating.apply(spec).state is RunState.STARTING


def test_nothing_but_a_socket_of_the_person_is_ever_published(folder: Path) -> None:
    places = Places(local_config(folder), "run")
    (places.run / "s").mkdir(parents=True)
    original = places.run / "s" / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(original))
        assert not publish(places, os.geteuid() + 1)
        assert publish(places, os.geteuid())
        assert publish(places, os.geteuid())
    first = places.published.lstat().st_ino
    original.unlink()
    original.write_text("not a socket")
    assert not publish(places, os.geteuid())
    original.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(original))
        (places.run / "p.new").write_text("left by a crash")
        assert publish(places, os.geteuid())
    assert places.published.lstat().st_ino == original.lstat().st_ino != first
    assert sorted(os.listdir(places.run)) == ["p", "s"]
