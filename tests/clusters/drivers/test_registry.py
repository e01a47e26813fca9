"""Drivers are found by kind, and no kind is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.clusters.drivers.base import DriverError, SupportsHomes
from apps.clusters.drivers.fake import Behaviour, FakeDriver
from apps.clusters.drivers.local.driver import LocalDriver
from apps.clusters.drivers.registry import driver_for


def test_the_same_question_gives_the_same_driver() -> None:
    first = driver_for("fake", {"behaviour": "slow"})
    assert first is driver_for("fake", {"behaviour": "slow"})
    assert first is not driver_for("fake", {})
    assert isinstance(first, FakeDriver)
    assert first.conditions.behaviour == Behaviour.SLOW


def test_the_local_driver_takes_what_settings_give(folder: Path) -> None:
    config = {name: folder / name for name in ("data", "run", "environments", "sdk")}
    driver = driver_for("local", {**config, "trusted": True, "sim_gpus": {"bronze": 2}})
    assert isinstance(driver, LocalDriver)
    assert isinstance(driver, SupportsHomes)
    assert driver.config.trusted
    assert driver.capacity().gpus == (("bronze", 2),)
    assert driver.capacity().simulated


def test_what_is_missing_or_unknown_is_told() -> None:
    with pytest.raises(DriverError, match="no 'data'") as refusal:
        driver_for("local", {})
    assert refusal.value.code == "bad_config"
    with pytest.raises(DriverError, match="known: fake, fake-remote, local") as refusal:
        driver_for("cray", {})
    assert refusal.value.code == "unknown_driver"
