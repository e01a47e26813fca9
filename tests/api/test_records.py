"""Events, logs and the manifest of a workspace."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.accounts.models import User
from apps.catalog.models import Size
from apps.clusters import logs
from apps.clusters.drivers.base import DriverError, LogChunk
from apps.clusters.hooks import WorkloadChange
from apps.clusters.models import Cluster, Phase, Workload, WorkloadLog
from apps.workspaces.models import Workspace
from tests.api.rest import Answer, As, assert_problem
from tests.cast import Cast
from tests.stack import eventually, free_port

ROOT = Path(__file__).resolve().parents[2]


class Talking:
    """Answers `logs` as told."""

    def __init__(self, told: LogChunk | DriverError) -> None:
        self.told = told

    def logs(self, ref: object, since: int) -> LogChunk:
        if isinstance(self.told, DriverError):
            raise self.told
        return self.told


def says(monkeypatch: pytest.MonkeyPatch, told: LogChunk | DriverError) -> None:
    monkeypatch.setattr(logs, "driver_of", lambda _cluster: Talking(told))


@pytest.fixture
def uid(rest: As, owner: User, ready: dict[str, str]) -> str:
    return str(rest(owner).post("/workspaces", ready).body["uid"])


@pytest.mark.django_db
def test_events_are_newest_first_and_in_pages(rest: As, owner: User, uid: str) -> None:
    caller = rest(owner)
    caller.patch(f"/workspaces/{uid}", {"name": "Renamed"})
    page = caller.get(f"/workspaces/{uid}/events?limit=1").body
    assert page["items"][0]["type"] == "renamed"
    assert "Renamed" in page["items"][0]["message"]
    rest_of_it = caller.get(f"/workspaces/{uid}/events?cursor={page['next']}").body
    assert rest_of_it["items"][-1]["type"] == "launched"
    assert rest_of_it["next"] is None


@pytest.mark.django_db(transaction=True)
def test_a_log_is_read_by_a_worker_while_the_caller_waits(
    rest: As,
    owner: User,
    uid: str,
    monkeypatch: pytest.MonkeyPatch,
    no_hints: list[tuple[str, ...]],
) -> None:
    says(monkeypatch, LogChunk("one\ntwo\nthree\n", 10, 24))
    caller = rest(owner)

    def ask() -> Answer:
        try:
            return caller.get(f"/workspaces/{uid}/logs?tail=2")
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask)
        run = Workload.objects.get(subject_uid=uid)
        eventually(lambda: (logs.TASK, run.uid) in no_hints, "a worker is asked", 5)
        logs.fetch_logs(run.uid)
        found = answer.result(10)
    assert found.status == 200
    assert found.body["text"] == "two\nthree\n"
    assert found.body["is_cut"] is True
    assert found.body["age_s"] < 5


@pytest.mark.django_db(transaction=True)
def test_what_was_read_before_is_given_with_its_age(
    rest: As, owner: User, uid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.api.workspace_records.LOG_WAIT_S", 0.01)
    run = Workload.objects.get(subject_uid=uid)
    caller = rest(owner)
    assert_problem(caller.get(f"/workspaces/{uid}/logs"), 503, "unavailable")
    long_ago = timezone.now() - timedelta(minutes=5)
    WorkloadLog.objects.filter(workload=run).update(text="old\n", fetched_at=long_ago)
    found = caller.get(f"/workspaces/{uid}/logs").body
    assert found["text"] == "old\n"
    assert found["age_s"] > 299


@pytest.mark.django_db(transaction=True)
def test_many_readers_ask_one_worker_a_second(
    rest: As,
    owner: User,
    uid: str,
    monkeypatch: pytest.MonkeyPatch,
    no_hints: list[tuple[str, ...]],
) -> None:
    monkeypatch.setattr("apps.api.workspace_records.LOG_WAIT_S", 0.01)
    caller = rest(owner)
    for _ in range(5):
        caller.get(f"/workspaces/{uid}/logs")
    assert len([sent for sent in no_hints if sent[0] == logs.TASK]) <= 2


@pytest.mark.django_db
@pytest.mark.parametrize("tail", ["0", "5001", "x"])
def test_tails_out_of_range(rest: As, owner: User, uid: str, tail: str) -> None:
    assert_problem(rest(owner).get(f"/workspaces/{uid}/logs?tail={tail}"), 422, "invalid")


@pytest.mark.django_db
def test_logs_are_the_owners_and_admins(rest: As, cast: Cast, uid: str) -> None:
    assert_problem(rest(cast.lead).get(f"/workspaces/{uid}/logs"), 403, "forbidden")
    assert_problem(rest(cast.member).get(f"/workspaces/{uid}/logs"), 404, "not_found")


@pytest.mark.django_db
def test_the_last_words_of_a_failed_run_are_kept(
    uid: str,
    monkeypatch: pytest.MonkeyPatch,
    no_hints: list[tuple[str, ...]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    run = Workload.objects.get(subject_uid=uid)
    run.phase = Phase.FAILED
    with django_capture_on_commit_callbacks(execute=True):
        logs.keep_last_words(WorkloadChange(run, Phase.STARTING))
    assert (logs.TASK, run.uid) in no_hints
    text = "".join(f"line {n}\n" for n in range(100)) + "Killed\0"
    says(monkeypatch, LogChunk(text, 0, len(text)))
    logs.fetch_logs(run.uid)
    assert logs.last_words(run, lines=2).startswith("line 99\nKilled")
    says(monkeypatch, LogChunk("", 0, 0))
    logs.fetch_logs(run.uid)
    says(monkeypatch, DriverError("away", retryable=True))
    logs.fetch_logs(run.uid)
    assert "Killed" in logs.last_words(run)


@pytest.mark.django_db
def test_the_manifest_is_a_script_with_the_lock_in_it(rest: As, owner: User, uid: str) -> None:
    answer = rest(owner).get(f"/workspaces/{uid}/manifest")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/x-shellscript")
    assert "numpy==2.0.0" in answer.body
    assert f"workspace-{uid}.sh" in answer.headers["content-disposition"]
    token = Workload.objects.get(subject_uid=uid).app_token
    assert token not in answer.body
    done = subprocess.run(["sh", "-n"], input=answer.body, text=True, check=False)
    assert done.returncode == 0


@pytest.mark.django_db
def test_the_manifest_quotes_what_the_catalogue_says(rest: As, owner: User, uid: str) -> None:
    app = Workspace.objects.get(uid=uid).app
    app.command = ["{python}", "it's; $(touch /tmp/x)", "--at={home}/a b", ""]
    app.port_args = ["--ip=0.0.0.0", "--port={port}"]
    app.env = {"A": "`id`"}
    app.save()
    text = rest(owner).get(f"/workspaces/{uid}/manifest").body
    last = text[text.index("export A=") :].replace("exec ", "printf '%s|' ")
    run = f"ENVIRONMENT=/e FOLDER=/home PORT=1\n{last}"
    done = subprocess.run(["sh"], input=run, capture_output=True, text=True, check=True)
    expected = ["/e/bin/python", "it's; $(touch /tmp/x)", "--at=/home/a b", ""]
    assert done.stdout.split("|")[:-1] == [*expected, "--ip=127.0.0.1", "--port=1"]


@pytest.mark.django_db
@pytest.mark.timeout(240)
def test_the_manifest_of_the_echo_image_runs(
    rest: As, owner: User, cluster: Cluster, sizes: dict[str, Size], tmp_path: Path
) -> None:
    from django.core.management import call_command

    call_command("demo", "--echo")
    body = {"image": "echo", "ide": "echo", "size": "small"}
    caller = rest(owner)
    uid = caller.post("/workspaces", body).body["uid"]
    script = tmp_path / "run.sh"
    script.write_text(caller.get(f"/workspaces/{uid}/manifest").body)
    port = free_port()
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PORT": str(port),
        "PYTHON": shutil.which("python3") or "python3",
        "GPUCOMMONS_SDK": str(ROOT / "sdk"),
    }
    environment |= {k: v for k, v in os.environ.items() if "PIP" in k or "CERT" in k}
    process = subprocess.Popen(["sh", script.name], cwd=tmp_path, env=environment)
    try:

        def answers() -> bytes | None:
            assert process.poll() is None, "the script has ended"
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/1k", timeout=2) as found:
                    return bytes(found.read())
            except OSError:
                return None

        found = eventually(answers, "the server answers", 200)
        assert isinstance(found, bytes)
        assert len(found) == 1024
    finally:
        process.terminate()
        process.wait(10)
