"""Which kinds of cluster there are, and how a driver is made from a cluster's configuration.

`apps.clusters.selectors` reads the kind and the configuration from the `Cluster` row (and, for
the local one, from settings) and asks here; nothing else names a driver's class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from apps.clusters.drivers.base import Driver, DriverError

Config = Mapping[str, object]


def _local(config: Config) -> Driver:
    from apps.clusters.drivers.local.config import LocalConfig
    from apps.clusters.drivers.local.driver import LocalDriver

    return LocalDriver(LocalConfig.parse(config))


def _fake(config: Config) -> Driver:
    from apps.clusters.drivers.fake import Behaviour, Conditions, FakeDriver

    return FakeDriver(Conditions(behaviour=Behaviour(str(config.get("behaviour", "ok")))))


def _fake_remote(config: Config) -> Driver:
    from apps.clusters.drivers.fake_remote.client import RemoteDriver

    return RemoteDriver(Path(str(config["socket"])))


FACTORIES: dict[str, Callable[[Config], Driver]] = {
    "local": _local,
    "fake": _fake,
    "fake-remote": _fake_remote,
}

_made: dict[tuple[str, str], Driver] = {}


def driver_for(kind: str, config: Config) -> Driver:
    """The driver of that kind and configuration; the same object for the same question.

    Drivers are safe to share between threads. Raises `DriverError` "unknown_driver" for a kind
    that is not registered.
    """
    try:
        factory = FACTORIES[kind]
    except KeyError:
        known = ", ".join(sorted(FACTORIES))
        raise DriverError(
            f"no driver is called {kind!r} (known: {known})",
            retryable=False,
            code="unknown_driver",
        ) from None
    key = (kind, repr(sorted(config.items())))
    if key not in _made:
        _made[key] = factory(config)
    return _made[key]


def forget_drivers() -> None:
    """Drop every driver made so far (tests start from an empty fake cluster)."""
    _made.clear()
