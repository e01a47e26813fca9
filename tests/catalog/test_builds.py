"""Environments: wanted once, built once, retried, failed with the reason, taken over from the
dead. Building itself is replaced by what each test needs; `tests/catalog/environments` builds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Barrier

import pytest
from django.db import connections
from django.db.models import F
from django.db.models.functions import Now
from pytest_django.fixtures import Settings

from apps.accounts.models import AuditRow, User
from apps.catalog import hooks, selectors
from apps.catalog.environments import builder
from apps.catalog.environments.builder import BuildError, BuildRequest, environment_dir
from apps.catalog.models import BuildState, EnvironmentBuild, Image, ImageVersion
from apps.catalog.services import building, builds, forget_missing, request_build, retry_build
from apps.catalog.tasks import build_due, build_environment
from apps.live import hints
from apps.live.errors import Forbidden
from tests.cast import DIGEST, make_image

Build = Callable[[BuildRequest, Callable[[float], None]], None]


@pytest.fixture
def version(db: None) -> ImageVersion:
    current = make_image().current
    assert current is not None
    return current


@pytest.fixture(autouse=True)
def environments(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of environments, quick looks, and no messages to workers."""
    settings.ENVIRONMENTS_DIR = tmp_path
    monkeypatch.setattr(building, "WRITE_EVERY_S", 0.01)
    monkeypatch.setattr(builds, "send_hint", lambda _digest: None)
    return tmp_path


@pytest.fixture
def seen() -> Iterator[list[tuple[str, float]]]:
    """What followers were told: state and progress."""
    told: list[tuple[str, float]] = []
    hooks.followers.append(lambda build: told.append((build.state, build.progress)))
    yield told
    hooks.followers.pop()


@pytest.fixture
def builds_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Build], None]:
    return lambda build: monkeypatch.setattr(builder, "build", build)


def put(request: BuildRequest, progress: Callable[[float], None]) -> None:
    """A build that works."""
    folder = environment_dir(request.root, request.digest)
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin" / "python").touch()
    (folder / "ready.json").touch()
    progress(1.0)


def fails(request: BuildRequest, progress: Callable[[float], None]) -> None:
    raise BuildError("no such package", "log line 1\nlog line 2")


def row() -> EnvironmentBuild:
    return EnvironmentBuild.objects.get(digest=DIGEST)


def make_due() -> None:
    EnvironmentBuild.objects.update(next_try_at=Now() - dt.timedelta(seconds=1))


def lease_runs_out() -> None:
    EnvironmentBuild.objects.update(lease_until=Now() - dt.timedelta(seconds=1))


def test_an_environment_is_wanted_once(version: ImageVersion, owner: User) -> None:
    first = request_build(owner, version=version)
    again = request_build(owner, version=version)
    assert first.pk == again.pk
    assert row().state == BuildState.PULLING
    assert AuditRow.objects.filter(action="image.request_build").count() == 1


def test_a_worker_builds_it(
    version: ImageVersion,
    builds_with: Callable[[Build], None],
    seen: list[tuple[str, float]],
) -> None:
    requests: list[BuildRequest] = []

    def build(request: BuildRequest, progress: Callable[[float], None]) -> None:
        requests.append(request)
        put(request, progress)

    builds_with(build)
    request_build(None, version=version)
    build_environment(DIGEST)
    built = row()
    assert (built.state, built.progress, built.lease) == (BuildState.YES, 1, "")
    assert built.built_at is not None
    assert requests[0].lock == version.lock
    assert requests[0].python_version == "3.11"
    assert seen[-1] == ("yes", 1.0)
    build_environment(DIGEST)
    assert len(requests) == 1


def test_nothing_is_built_that_nobody_wants(
    version: ImageVersion, builds_with: Callable[[Build], None]
) -> None:
    builds_with(fails)
    EnvironmentBuild.objects.create(digest=DIGEST, version=version)
    build_environment(DIGEST)
    build_environment("sha256:" + "0" * 64)
    assert row().tries == 0
    assert selectors.due_builds() == []


def test_a_failure_is_tried_again_later_and_at_last_final(
    version: ImageVersion, builds_with: Callable[[Build], None], seen: list[tuple[str, float]]
) -> None:
    builds_with(fails)
    request_build(None, version=version)
    for tried in range(1, builds.MAX_TRIES):
        build_environment(DIGEST)
        waiting = row()
        assert (waiting.state, waiting.tries) == (BuildState.PULLING, tried)
        assert waiting.next_try_at is not None
        build_environment(DIGEST)
        assert row().tries == tried, "the back-off is kept"
        make_due()
    build_environment(DIGEST)
    failed = row()
    assert failed.state == BuildState.FAILED
    assert failed.message == "no such package"
    assert failed.log_tail == "log line 1\nlog line 2"
    assert seen[-1][0] == "failed"
    make_due()
    build_environment(DIGEST)
    assert row().tries == builds.MAX_TRIES


def test_after_a_failure_a_launch_tries_again_but_not_at_once(
    version: ImageVersion, builds_with: Callable[[Build], None], owner: User, admin: User
) -> None:
    builds_with(fails)
    request_build(owner, version=version)
    building.build_now(version)
    assert request_build(owner, version=version).state == BuildState.FAILED
    with pytest.raises(Forbidden):
        retry_build(owner, version=version)
    assert retry_build(admin, version=version).state == BuildState.PULLING
    building.build_now(version)
    make_due()
    assert request_build(owner, version=version).state == BuildState.PULLING


def test_a_dead_worker_is_followed_by_another_when_its_lease_is_over(
    version: ImageVersion, builds_with: Callable[[Build], None]
) -> None:
    builds_with(put)
    request_build(None, version=version)
    dead = builds.claim(DIGEST)
    assert dead is not None
    assert builds.claim(DIGEST) is None
    assert selectors.due_builds() == []
    lease_runs_out()
    assert selectors.due_builds() == [DIGEST]
    build_environment(DIGEST)
    assert row().state == BuildState.YES
    assert not builds.report(dead, progress=0.1, message="late")
    assert not builds.settle_failed(dead, message="late", log_tail="", retryable=True)
    assert not builds.settle_built(dead)
    assert row().state == BuildState.YES


def test_one_that_kills_its_worker_each_time_ends_as_failed(version: ImageVersion) -> None:
    request_build(None, version=version)
    for _ in range(builds.MAX_TRIES):
        assert builds.claim(DIGEST) is not None
        lease_runs_out()
    assert builds.claim(DIGEST) is None
    assert row().state == BuildState.FAILED
    assert "died" in row().message


def test_builds_at_once_are_few(version: ImageVersion) -> None:
    digests = [DIGEST]
    request_build(None, version=version)
    for number in range(builds.MAX_AT_ONCE):
        digest = f"sha256:{number:064d}"
        current = make_image(f"image{number}", digest=digest).current
        assert current is not None
        request_build(None, version=current)
        digests.append(digest)
    claims = [builds.claim(digest) for digest in digests]
    assert [claim is not None for claim in claims] == [True] * builds.MAX_AT_ONCE + [False]
    assert builds.claim(digests[-1], at_once=True) is not None


def test_progress_is_written_and_holds_the_lease(
    version: ImageVersion, seen: list[tuple[str, float]]
) -> None:
    request_build(None, version=version)
    claim = builds.claim(DIGEST)
    assert claim is not None
    EnvironmentBuild.objects.update(lease_until=Now() + dt.timedelta(seconds=1))
    assert builds.report(claim, progress=0.4, message="Installing packages")
    count = len(seen)
    assert builds.report(claim, progress=0.4, message="Installing packages")
    assert len(seen) == count, "what did not change is not told"
    held = EnvironmentBuild.objects.filter(lease_until__gt=Now() + builds.LEASE / 2)
    assert held.filter(progress=0.4).exists()


def test_progress_is_written_at_most_at_each_look(
    version: ImageVersion,
    builds_with: Callable[[Build], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports: list[float] = []
    steps = 10_000
    report = builds.report

    def counted(claim: builds.Claim, *, progress: float, message: str) -> bool:
        reports.append(progress)
        return report(claim, progress=progress, message=message)

    def build(request: BuildRequest, progress: Callable[[float], None]) -> None:
        for step in range(steps):
            progress(step / steps)

    monkeypatch.setattr(builds, "report", counted)
    builds_with(build)
    request_build(None, version=version)
    build_environment(DIGEST)
    assert len(reports) < steps / 10
    assert reports == sorted(reports)


def test_an_environment_that_vanished_is_noticed_and_built_when_wanted(
    version: ImageVersion, builds_with: Callable[[Build], None], environments: Path
) -> None:
    builds_with(put)
    building.build_now(version)
    assert forget_missing() == []
    (environment_dir(environments, DIGEST) / "ready.json").unlink()
    build_due()
    assert row().state == BuildState.NO
    assert selectors.due_builds() == []
    assert request_build(None, version=version).state == BuildState.PULLING
    assert selectors.due_builds() == [DIGEST]


def test_an_unexpected_end_of_a_build_is_a_failure_too(
    version: ImageVersion, builds_with: Callable[[Build], None]
) -> None:
    def build(request: BuildRequest, progress: Callable[[float], None]) -> None:
        raise OSError(28, "No space left on device")

    builds_with(build)
    assert building.build_now(version).state == BuildState.FAILED
    assert "No space left" in row().message


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_one_gets_the_claim() -> None:
    image: Image = make_image()
    assert image.current is not None
    request_build(None, version=image.current)
    racers = 8
    barrier = Barrier(racers)

    def race(_number: int) -> bool:
        try:
            barrier.wait(10)
            return builds.claim(DIGEST) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(racers) as pool:
        assert sum(pool.map(race, range(racers))) == 1
    assert EnvironmentBuild.objects.filter(tries=F("tries")).get().tries == 1


def test_a_build_is_hinted_when_the_wish_is_committed(
    version: ImageVersion,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(builds, "send_hint", sent.append)
    with django_capture_on_commit_callbacks(execute=True):
        request_build(None, version=version)
        assert sent == []
    assert sent == [DIGEST]
    build_due()
    assert sent == [DIGEST, DIGEST]


def test_a_broker_that_is_away_delays_no_wish(
    version: ImageVersion,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Callable[..., AbstractContextManager[object]],
) -> None:
    asked: list[str] = []

    def away(task: str, *args: str) -> bool:
        asked.append(task)
        return False

    monkeypatch.undo()
    monkeypatch.setattr(hints, "send", away)
    with django_capture_on_commit_callbacks(execute=True):
        assert request_build(None, version=version).state == BuildState.PULLING
    assert asked == [build_environment.name]
    assert selectors.due_builds() == [DIGEST]
