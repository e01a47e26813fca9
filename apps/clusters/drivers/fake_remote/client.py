"""The driver of a fake cluster in another process: each call is a connection to its socket."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from apps.clusters.drivers.base import (
    Capacity,
    DriverError,
    Listing,
    LogChunk,
    Observation,
    OwnerSpec,
    WatchEvent,
    WorkloadRef,
    WorkloadSpec,
)
from apps.clusters.drivers.fake_remote.wire import decode_result

_TIMEOUT_S = 10.0
_LOOK_S = 0.05


class RemoteDriver:
    """Implements `Driver` and `SupportsHomes` by asking; holds no state but the socket's path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def apply(self, spec: WorkloadSpec) -> Observation:
        """See `Driver.apply`."""
        result: Observation = self._call("apply", spec=dataclasses.asdict(spec))
        return result

    def delete(self, ref: WorkloadRef, grace_s: int) -> Observation:
        """See `Driver.delete`."""
        result: Observation = self._call("delete", ref=dataclasses.asdict(ref), grace_s=grace_s)
        return result

    def observe(self, ref: WorkloadRef) -> Observation:
        """See `Driver.observe`."""
        result: Observation = self._call("observe", ref=dataclasses.asdict(ref))
        return result

    def list_owned(self) -> Listing:
        """See `Driver.list_owned`."""
        result: Listing = self._call("list_owned")
        return result

    def watch(self, cursor: str, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
        """See `Driver.watch`."""
        connection = self._connect("watch", cursor=cursor)
        connection.settimeout(_LOOK_S)
        waiting = b""
        try:
            while not stop():
                try:
                    data = connection.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    raise DriverError("the fake cluster has gone", retryable=True)
                *lines, waiting = (waiting + data).split(b"\n")
                for line in lines:
                    yield decode_result("watch", line)
        except OSError as error:
            raise DriverError(f"the fake cluster has gone: {error}", retryable=True) from error
        finally:
            connection.close()

    def logs(self, ref: WorkloadRef, since: int) -> LogChunk:
        """See `Driver.logs`."""
        result: LogChunk = self._call("logs", ref=dataclasses.asdict(ref), since=since)
        return result

    def capacity(self) -> Capacity:
        """See `Driver.capacity`."""
        result: Capacity = self._call("capacity")
        return result

    def delete_home(self, home: str, owner: OwnerSpec) -> None:
        """See `SupportsHomes.delete_home`."""
        self._call("delete_home", home=home, owner=dataclasses.asdict(owner))

    def exit(self, uid: str, exit_code: int, reason: str) -> None:
        """See `FakeDriver.exit`."""
        self._call("exit", uid=uid, exit_code=exit_code, reason=reason)

    def turn(self, name: str, value: object) -> None:
        """Change one of the fake's `Conditions`."""
        self._call("turn", name=name, value=value)

    def reset(self) -> None:
        """Begin anew with an empty cluster and its first conditions."""
        self._call("reset")

    def _call(self, call: str, **arguments: object) -> Any:
        connection = self._connect(call, **arguments)
        try:
            with connection.makefile("rb") as answer:
                line = answer.readline()
        except OSError as error:
            raise DriverError(f"no answer: {error}", retryable=True) from error
        finally:
            connection.close()
        if not line.endswith(b"\n"):
            raise DriverError("the fake cluster broke off", retryable=True)
        return decode_result(call, line)

    def _connect(self, call: str, **arguments: object) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(str(self._path))
            connection.sendall(json.dumps({"call": call, **arguments}).encode() + b"\n")
        except OSError as error:
            connection.close()
            raise DriverError(f"cannot reach it: {error}", retryable=True) from error
        return connection
