"""doctor, invariants and demo."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from apps.accounts.models import User
from apps.catalog.models import Image, Size
from apps.clusters.models import FINAL, Workload
from apps.quotas.models import UsageInterval
from apps.workspaces.models import Workspace
from portal import checks, doctor, probes


def run(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command(*words, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def findings() -> tuple[int, dict[str, dict[str, str]]]:
    checks.forget()
    code, text = run("doctor", "--json")
    return code, {found["name"]: found for found in json.loads(text)}


@pytest.mark.django_db(transaction=True)
class TestDoctor:
    @pytest.fixture(autouse=True)
    def well(self, settings: Settings, tmp_path: Path, image: Image) -> None:
        settings.DATA_DIR = settings.RUN_DIR = tmp_path
        settings.EXPECTED_PROCESSES = ["valkey", "postgres"]

    def test_all_is_well(self) -> None:
        code, found = findings()
        assert code == 0, found
        assert found["database"]["found"].startswith("PostgreSQL")
        code, text = run("doctor")
        assert "All is well." in text

    def test_what_is_wrong_comes_with_how_to_mend_it(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.EXPECTED_PROCESSES = ["live"]
        settings.CELERY_BROKER_URL = "redis+socket:///nonexistent.sock"
        settings.GATE_KEY = settings.SECRET_KEY
        monkeypatch.setattr(doctor, "MIN_FREE_BYTES", 2**80)
        Image.objects.update(is_default=False)
        code, found = findings()
        assert code == 1
        for name in ("live", "broker", "gate key", "data folder", "default image"):
            assert found[name]["state"] == "wrong", name
            assert found[name]["mend"], name
        code, text = run("doctor")
        assert code == 1
        assert "->" in text

    def test_without_a_database_it_still_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import psycopg

        def away(sql: str) -> None:
            raise psycopg.OperationalError("connection refused\nmore")

        monkeypatch.setattr(probes, "query", away)
        code, found = findings()
        assert code == 1
        assert found["database"]["found"] == "connection refused"
        assert "migrations" not in found

    def test_open_secrets(self, settings: Settings, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        file = tmp_path / "etc" / "portal.env"
        file.write_text("")
        file.chmod(0o644)
        assert findings()[1]["secrets"]["state"] == "wrong"
        file.chmod(0o600)
        assert "secrets" not in findings()[1]

    def test_a_clock_that_is_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = time.time
        monkeypatch.setattr("portal.doctor.time.time", lambda: real() + 3600)
        assert findings()[1]["clock"]["state"] == "wrong"

    def test_more_than_one_person_without_root(
        self, monkeypatch: pytest.MonkeyPatch, owner: User, member: User, sizes: dict[str, Size]
    ) -> None:
        from apps.clusters.models import Cluster, ClusterKind

        Cluster.objects.create(name="local", kind=ClusterKind.LOCAL)
        monkeypatch.setattr("portal.doctor.os.geteuid", lambda: 1000)
        assert findings()[1]["isolation"]["state"] == "note"
        call_command("demo", people=2, workspaces=2)
        assert findings()[1]["isolation"]["state"] == "wrong"


@pytest.mark.django_db
class TestInvariants:
    def test_nothing_is_broken(self) -> None:
        assert run("invariants") == (0, "[]\n")

    def test_what_is_broken_is_listed(self, image: Image, sizes: dict[str, Size]) -> None:
        call_command("demo", people=1, workspaces=3)
        assert run("invariants") == (0, "[]\n")
        first, second, third = Workspace.objects.order_by("pk")
        Workspace.objects.filter(pk=first.pk).update(current=None)
        assert first.current_id is not None
        Workload.objects.filter(pk=first.current_id).update(phase="ready", ended_at=None)
        Workspace.objects.filter(pk=second.pk).update(purge_after=second.created_at)
        Workspace.objects.filter(pk=third.pk).update(uid="z" * 22)
        code, text = run("invariants")
        assert code == 1
        rules = {found["rule"] for found in json.loads(text)}
        assert {
            "run_without_workspace",
            "half_deleted",
            "current_run_is_not_the_newest",
            "home_without_disk",
        } <= rules
        for found in json.loads(text):
            assert set(found) == {"rule", "subject", "message"}

    def test_every_check_of_every_app_is_run(self) -> None:
        from portal.invariants import CHECKS

        names = {check.__module__ for check in CHECKS}
        assert names == {f"apps.{app}.invariants" for app in ("clusters", "quotas", "workspaces")}


@pytest.mark.django_db
class TestDemo:
    def test_thousands_in_few_statements_and_nothing_runs(
        self,
        image: Image,
        sizes: dict[str, Size],
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        with django_assert_max_num_queries(60):
            call_command("demo", people=100, workspaces=4_000)
        assert User.objects.filter(username__startswith="demo-").count() == 100
        assert Workspace.objects.count() == UsageInterval.objects.count() == 4_000
        assert not Workload.objects.exclude(phase__in=FINAL).exists()
        assert not Workload.objects.filter(next_try_at__isnull=False).exists()
        assert run("invariants") == (0, "[]\n")

    def test_twice_adds(self, image: Image, sizes: dict[str, Size]) -> None:
        call_command("demo", people=2, workspaces=3)
        call_command("demo", people=2, workspaces=3)
        assert User.objects.filter(username__startswith="demo-").count() == 4
        assert Workspace.objects.count() == 6

    def test_production_gets_none(
        self, settings: Settings, image: Image, sizes: dict[str, Size]
    ) -> None:
        settings.DEPLOYMENT = "production"
        with pytest.raises(CommandError, match="production"):
            call_command("demo", people=1)
        assert not User.objects.exists()

    @pytest.mark.parametrize("options", [{}, {"people": -1}])
    def test_nothing_to_do_is_said(self, options: dict[str, int]) -> None:
        with pytest.raises(CommandError):
            call_command("demo", **options)

    def test_without_images_it_says_what_to_do(self, db: None) -> None:
        with pytest.raises(CommandError):
            call_command("demo", workspaces=1)

    def test_echo(self, db: None) -> None:
        call_command("demo", "--echo")
        call_command("demo", "--echo")
        image = Image.objects.get(slug="echo")
        assert [app.slug for app in image.apps.all()] == ["echo"]
        assert image.status == "published"
