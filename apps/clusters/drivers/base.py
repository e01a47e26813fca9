"""What the portal asks of a cluster, and what a cluster answers.

`apps.clusters.reconcile` calls a driver, `apps.clusters.watch` listens to one. Nothing here knows
Django, the database or HTTP. Every call is idempotent and keyed by the workload's uid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

SECRET_AGENT_TOKEN = "token"
"""Name in `WorkloadSpec.secrets` of the workload's own portal token: GPUCOMMONS_TOKEN_FILE."""
SECRET_APP_TOKEN = "app_token"
"""Name in `WorkloadSpec.secrets` of the run's token: what `AppSpec.token_env` carries."""


class DriverError(Exception):
    """A cluster could not do what was asked.

    `retryable` says whether the same call may succeed later; `message` is for people to read.
    """

    def __init__(self, message: str, *, retryable: bool, code: str = "cluster_error") -> None:
        super().__init__(message)
        self.message = message
        self.retryable = retryable
        self.code = code


@dataclass(frozen=True, slots=True)
class OwnerSpec:
    """Who a workload runs for. `number` is small, stable, unique; drivers derive user ids of it."""

    uid: str
    username: str
    number: int


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What runs. `digest` names the exact content: a hash of the locked requirements (local),
    or the digest of a container image (Kubernetes). `lock` and `pip_args` are what it is built
    from."""

    slug: str
    digest: str
    python_version: str
    lock: str = ""
    pip_args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppSpec:
    """The server that a workload runs, as templates.

    Placeholders, in arguments and in values of `env`: `{python}` interpreter of the image,
    `{home}`, `{base_url}` (ends in "/"), `{sdk}` (the folder that holds the package gpucommons),
    and `{socket}` (in `socket_args`, a unix socket) or `{port}` (in `port_args`, all interfaces).
    They are replaced as they stand; other braces stay. A driver appends one of the two lists to
    `command`. `token_env` names the environment variable that carries the run's token.
    `readiness_path` is relative to the base URL; any answer below
    500 means ready. `activity` names how the agent reads activity: "jupyter", "heartbeat", "none".
    """

    slug: str
    command: tuple[str, ...]
    socket_args: tuple[str, ...]
    port_args: tuple[str, ...]
    readiness_path: str
    token_env: str
    activity: str
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Resources:
    """How much a workload gets. CPU in thousandths of a core, memory and disk in MiB and GiB."""

    cpu_millis: int
    memory_mib: int
    disk_gib: int
    gpus: int = 0
    gpu_tier: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """One run, complete: a driver needs nothing else to start it.

    `home` is the uid of the home it mounts. `secrets` maps file names to contents; drivers hand
    them over as files that only the owner can read (and the app's token as environment), never in
    argv: `SECRET_AGENT_TOKEN` and `SECRET_APP_TOKEN` are the names that drivers know.
    `spec_hash` changes when anything but the secrets does.
    """

    uid: str
    kind: str
    owner: OwnerSpec
    home: str
    image: ImageSpec
    app: AppSpec
    resources: Resources
    base_url: str
    portal_url: str
    stop_grace_s: int
    spec_hash: str
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class WorkloadRef:
    """Enough to find a workload again on its cluster."""

    uid: str
    owner_uid: str = ""


class RunState(StrEnum):
    """What a cluster sees of one workload."""

    ABSENT = "absent"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run uses now: cores, MiB, GiB. None where it cannot be told."""

    cpu: float | None = None
    memory_mib: float | None = None
    disk_gib: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one workload.

    `endpoint` is where its server listens ("unix:/path" or "host:port"), set once it is ready.
    `started_at` is when it began to hold resources, `ready_at` when it first answered,
    `exited_at` when it let go. `exit_code` is None where unknown (killed with its recorder);
    a death by signal N reads -N. `reason` is one of our codes ("", "out_of_memory",
    "command_failed", "killed", "lost", "exited", "never_ready"), `message` the cluster's own words.
    """

    uid: str
    state: RunState
    at: datetime
    spec_hash: str = ""
    endpoint: str = ""
    node: str = ""
    started_at: datetime | None = None
    ready_at: datetime | None = None
    exited_at: datetime | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All workloads that are ours on a cluster. Absence is believed only if `complete`."""

    observations: tuple[Observation, ...]
    complete: bool
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change. `observation` is None for a bare sign of life (at least every 10 s)."""

    cursor: str
    observation: Observation | None


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Log text from byte `start` up to byte `end`; `end` is the next `since`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a cluster has in all. `gpus` maps tier to count; simulated ones are not real cards."""

    cpu_millis: int
    memory_mib: int
    gpus: tuple[tuple[str, int], ...] = ()
    simulated: bool = False


class CursorExpired(DriverError):
    """The cluster no longer knows the cursor: list again, then watch from the new one."""

    def __init__(self, message: str = "the watch cursor is too old") -> None:
        super().__init__(message, retryable=True, code="cursor_expired")


class Driver(Protocol):
    """What every kind of cluster can do. All methods raise `DriverError` and nothing else."""

    def apply(self, spec: WorkloadSpec) -> Observation:
        """Make it run. Running already with the same `spec_hash`: changes nothing. An object of the
        same name that is not ours is neither adopted nor deleted: DriverError "conflict".
        A workload that has exited stays exited: a uid runs once."""
        ...

    def delete(self, ref: WorkloadRef, grace_s: int) -> Observation:
        """Ask it to end, end it after `grace_s`, and clean up what it held, its home excepted.
        Returns at once; ABSENT when nothing is left. Deleting what is absent is no error."""
        ...

    def observe(self, ref: WorkloadRef) -> Observation:
        """One look. "Not found" is the observation ABSENT, never an error."""
        ...

    def list_owned(self) -> Listing:
        """All that is ours."""
        ...

    def watch(self, cursor: str, stop: Callable[[], bool]) -> Iterator[WatchEvent]:
        """Changes since `cursor` until `stop()`; raises `CursorExpired` when it cannot tell."""
        ...

    def logs(self, ref: WorkloadRef, since: int) -> LogChunk:
        """The server's log from byte `since` (negative: that many bytes from the end)."""
        ...

    def capacity(self) -> Capacity:
        """What there is."""
        ...


@runtime_checkable
class SupportsHomes(Protocol):
    """Drivers that keep homes themselves (a folder, a claim)."""

    def delete_home(self, home: str, owner: OwnerSpec) -> None:
        """Remove the home and everything in it; absent is no error."""
        ...
