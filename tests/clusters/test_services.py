"""Wanting a run, wanting it no more, and images that come or fail."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import ApiToken
from apps.clusters import hooks
from apps.clusters.hooks import WorkloadChange
from apps.clusters.models import AgentCommand, Cluster, ImageState, Phase, Workload
from apps.clusters.reasons import words_of
from apps.clusters.services import image_changed, request_stop
from apps.clusters.specs import spec_of, spec_with_secrets
from tests.clusters.builders import DIGEST, again, person, run_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    heard: list[tuple[str, str]] = []

    def follow(change: WorkloadChange) -> None:
        heard.append((change.before, change.workload.phase))

    monkeypatch.setattr(hooks, "followers", [follow])
    return heard


def test_a_new_run_is_wanted_due_and_told(cluster: Cluster, changes: list[tuple[str, str]]) -> None:
    run = again(run_of(cluster))
    assert (run.phase, run.desired, run.generation, run.version) == ("queued", "running", 1, 1)
    assert run.next_try_at == run.created_at
    assert changes == [("", "queued")]


def test_what_is_kept_holds_no_secret_and_gives_back_the_same_spec(cluster: Cluster) -> None:
    run = again(run_of(cluster))
    token = spec_with_secrets(run)
    assert dict(token.secrets)["app_token"] == run.app_token
    for _name, secret in token.secrets:
        assert secret not in str(run.spec)
        assert secret not in repr(token)
    assert spec_of(run).resources.memory_mib == 2048
    assert ApiToken.objects.filter(workload_uid=run.uid, revoked_at=None).count() == 1


def test_one_subject_has_one_live_run(cluster: Cluster) -> None:
    run = run_of(cluster)
    with pytest.raises(IntegrityError), transaction.atomic():
        run_of(cluster, run.owner, subject_uid=run.subject_uid)


def test_a_stop_is_wanted_once(cluster: Cluster, changes: list[tuple[str, str]]) -> None:
    run = run_of(cluster)
    for _time in range(3):
        row = request_stop(run, reason="stopped_by_owner")
    assert (row.phase, row.generation, row.version) == (Phase.STOPPING, 2, 2)
    assert changes == [("", "queued"), ("queued", "stopping")]
    command = AgentCommand.objects.get()
    assert (command.type, command.detail) == ("about_to_stop", {"reason": "stopped_by_owner"})


def test_a_run_waits_for_its_image_and_shows_how_far_it_is(cluster: Cluster) -> None:
    run = run_of(cluster, image_state=ImageState.PULLING)
    assert run.phase == Phase.PULLING
    assert image_changed(DIGEST, state=ImageState.PULLING, progress=0.5) == 1
    assert image_changed(DIGEST, state=ImageState.PULLING, progress=0.5) == 0
    assert (again(run).version, again(run).image_progress) == (2, 0.5)
    Workload.objects.filter(pk=run.pk).update(next_try_at=None, tries=4)
    assert image_changed(DIGEST, state=ImageState.READY, progress=1) == 1
    row = again(run)
    assert row.phase == Phase.QUEUED
    assert row.next_try_at is not None


def test_an_image_that_fails_ends_the_run_with_a_hint(cluster: Cluster) -> None:
    run = run_of(cluster, image_state=ImageState.PULLING)
    image_changed(DIGEST, state=ImageState.FAILED, message="no such package")
    row = again(run)
    assert (row.phase, row.reason) == (Phase.FAILED, "image_failed")
    assert row.ended_at is not None
    assert "another image" in words_of(row).hint


def test_an_image_says_nothing_to_runs_that_have_it(cluster: Cluster) -> None:
    run = run_of(cluster)
    Workload.objects.filter(pk=run.pk).update(applied_generation=1, phase=Phase.READY)
    assert image_changed(DIGEST, state=ImageState.FAILED) == 0
    assert image_changed("sha256:other", state=ImageState.FAILED) == 0
    assert again(run).phase == Phase.READY


def test_words_carry_their_values(cluster: Cluster) -> None:
    run = run_of(cluster, person())
    run.message, run.hint = "It ended with %(exit_code)s of %(memory_mib)s.", ""
    run.observed_exit_code = 3
    assert words_of(run).message == "It ended with 3 of 2048."
