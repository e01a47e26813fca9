"""The driver of this machine: real processes, one session per run, no daemon of its own.

Everything it knows is in files (`places`) and in the kernel, so any number of workers, watchers and
commands may hold a `LocalDriver` at once, and a restart of all of them loses nothing.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.clusters.drivers.base import (
    Capacity,
    CursorExpired,
    DriverError,
    Listing,
    LogChunk,
    Observation,
    OwnerSpec,
    RunState,
    WatchEvent,
    WorkloadRef,
    WorkloadSpec,
)
from apps.clusters.drivers.local import launch as launcher
from apps.clusters.drivers.local.cgroups import make_cgroup
from apps.clusters.drivers.local.config import LocalConfig
from apps.clusters.drivers.local.ending import (
    insist,
    is_foreign,
    remove_home,
    request_stop,
    retire,
    settle,
)
from apps.clusters.drivers.local.folders import admit, make_folders, make_roots, owner_of_home
from apps.clusters.drivers.local.logs import read_log
from apps.clusters.drivers.local.looking import look
from apps.clusters.drivers.local.places import (
    Places,
    checked_name,
    locked,
    read_record,
    record_names,
    ring,
    write_record,
)
from apps.clusters.drivers.local.planning import Launch, launch_record, spec_record
from apps.clusters.drivers.local.probing import is_answering
from apps.clusters.drivers.local.processes import is_shim_alive
from apps.clusters.drivers.local.watching import Watch, note_ready

_LAUNCH_S = 20


class LocalDriver:
    """Implements `Driver` and `SupportsHomes`. Makes its folders; safe to share between threads."""

    def __init__(self, config: LocalConfig) -> None:
        self.config = config
        make_roots(config)

    def apply(self, spec: WorkloadSpec) -> Observation:
        """See `Driver.apply`. Errors: "image_missing" (retryable), "not_isolated", "conflict",
        "path_too_long", "invalid", "no_gpus", "launch_failed" (retryable)."""
        places = Places(self.config, spec.uid)
        with _told():
            return self._apply(spec, places)

    def _apply(self, spec: WorkloadSpec, places: Places) -> Observation:
        if read_record(places.ended, "ended.json") is not None:
            return look(places)
        places.record.mkdir(mode=0o700, exist_ok=True)
        with locked(places.record):
            before = read_record(places.record, "spec.json")
            if is_foreign(places.record):
                raise DriverError(
                    f"{places.record} exists and is not ours", retryable=False, code="conflict"
                )
            if before is not None and before["spec_hash"] != spec.spec_hash:
                raise DriverError(
                    f"{spec.uid} was started with another specification",
                    retryable=False,
                    code="conflict",
                )
            if read_record(places.record, "state.json") is None:
                try:
                    self._start(spec, places)
                except DriverError:
                    _forget_unstarted(places)
                    raise
        ring(self.config)
        return look(places)

    def _start(self, spec: WorkloadSpec, places: Places) -> None:
        self._check_gpus(spec)
        image = self._image_of(spec)
        _ = places.socket
        admit(self.config, spec.owner)
        make_folders(places, spec)
        cgroup = make_cgroup(spec.uid, spec.resources) if self.config.use_cgroups else None
        launch = Launch(spec, places, image, cgroup)
        write_record(places.record, "launch.json", launch_record(launch))
        write_record(places.record, "spec.json", spec_record(launch))
        program = [self.config.python, "-I", "-S", str(Path(launcher.__file__))]
        try:
            done = subprocess.run(
                [*program, str(places.record), spec.spec_hash],
                capture_output=True,
                text=True,
                timeout=_LAUNCH_S,
                check=False,
                env={"PATH": os.defpath},
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _launch_failed(str(error)) from None
        if done.returncode != 0:
            raise _launch_failed(done.stderr[-300:])

    def _check_gpus(self, spec: WorkloadSpec) -> None:
        """Without simulated slots there is nothing to give: better no run than one without."""
        if spec.resources.gpus > 0 and not self.config.sim_gpus:
            raise DriverError(
                "this machine's driver gives no GPUs: choose a size without them; an admin can"
                " simulate some (sim_gpus) or take a cluster that has them",
                retryable=False,
                code="no_gpus",
            )

    def _image_of(self, spec: WorkloadSpec) -> Path:
        # The same rule as apps.catalog.environments.builder.environment_dir, which is a sibling.
        name = checked_name(spec.image.digest.removeprefix("sha256:")[:32])
        folder = self.config.environments / name
        if not (folder / "ready.json").is_file() or not (folder / "bin" / "python").exists():
            raise DriverError(
                f"the image {spec.image.slug} is not built on this machine",
                retryable=True,
                code="image_missing",
            )
        return folder

    def delete(self, ref: WorkloadRef, grace_s: int) -> Observation:
        """See `Driver.delete`. The watcher, or the next `delete`, insists after `grace_s`."""
        places = Places(self.config, ref.uid)
        with _told():
            if places.record.is_dir() and not is_foreign(places.record):
                request_stop(places, grace_s, reason="")
                insist(places)
                if settle(places):
                    retire(places)
            return look(places)

    def observe(self, ref: WorkloadRef) -> Observation:
        """See `Driver.observe`. Asks a starting server once whether it answers."""
        places = Places(self.config, ref.uid)
        with _told():
            seen = look(places)
            if seen.state is RunState.STARTING:
                spec = read_record(places.record, "spec.json")
                if spec is not None and is_answering(places, spec):
                    note_ready(places)
                    return look(places)
            elif seen.state is RunState.EXITED:
                settle(places)
                return look(places)
            return seen

    def list_owned(self) -> Listing:
        """See `Driver.list_owned`: the records are here, so it is always complete."""
        cursor = str(time.time_ns())
        with _told():
            names = sorted(record_names(self.config))
            seen = [look(Places(self.config, name)) for name in names]
        found = tuple(one for one in seen if one.state is not RunState.ABSENT)
        return Listing(found, complete=True, cursor=cursor)

    def watch(self, cursor: str, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
        """See `Driver.watch`. Begins with how everything is now, and what ended since `cursor`."""
        if cursor and not cursor.isdigit():
            raise CursorExpired
        since_ns = int(cursor) if cursor else time.time_ns()
        try:
            yield from Watch(self.config, since_ns).events(stop)
        except OSError as error:
            raise DriverError(f"watching failed: {error}", retryable=True) from error

    def logs(self, ref: WorkloadRef, since: int) -> LogChunk:
        """See `Driver.logs`; of a run that has ended too, while its record is kept."""
        places = Places(self.config, ref.uid)
        folder = places.record if places.record.is_dir() else places.ended
        with _told():
            return read_log(folder / "server.log", since)

    def capacity(self) -> Capacity:
        """See `Driver.capacity`: what this process may use of the machine."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return Capacity(
            cpu_millis=len(os.sched_getaffinity(0)) * 1000,
            memory_mib=memory >> 20,
            gpus=self.config.sim_gpus,
            simulated=bool(self.config.sim_gpus),
        )

    def delete_home(self, home: str, owner: OwnerSpec) -> None:
        """See `SupportsHomes.delete_home`. Refused ("conflict") while a run uses it, or if it
        belongs to someone else."""
        place = Places(self.config, "none").home(home)
        for name in record_names(self.config):
            folder = self.config.data / "workloads" / name
            spec, state = read_record(folder, "spec.json"), read_record(folder, "state.json")
            if spec and state and spec["home"] == home and is_shim_alive(state):
                raise DriverError(f"{name} still uses it", retryable=True, code="conflict")
        found = owner_of_home(place)
        if found is not None and found != self.config.user_id_of(owner):
            raise DriverError(
                f"{place} belongs to user id {found}", retryable=False, code="conflict"
            )
        with _told():
            remove_home(place)


@contextmanager
def _told() -> Iterator[None]:
    """What the machine refuses (a full disk, a record put away meanwhile) may go well later."""
    try:
        yield
    except OSError as error:
        raise DriverError(f"this machine refuses: {error}", retryable=True) from error


def _forget_unstarted(places: Places) -> None:
    """A refused start leaves no record behind, so that nothing is seen that is not there."""
    if read_record(places.record, "state.json") is None:
        for name in ("spec.json", "launch.json"):
            (places.record / name).unlink(missing_ok=True)


def _launch_failed(why: str) -> DriverError:
    return DriverError(f"the run could not be started: {why}", retryable=True, code="launch_failed")
