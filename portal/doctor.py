"""What `manage.py doctor` looks at, and how to mend what it finds.

Each check looks at one thing and returns findings; none raises and none changes anything. Processes
are seen through `portal.checks`, as `/readyz?all=1` sees them.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings
from django.core import checks as django_checks
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.catalog.environments.builder import is_built
from apps.catalog.models import EnvironmentBuild, Image
from apps.clusters.models import Cluster, ClusterKind
from apps.workspaces.models import Workspace
from portal import checks, probes

OK, NOTE, WRONG = "ok", "note", "wrong"
MIN_FREE_BYTES = 2 * 1024**3
MAX_CLOCK_S = 2.0
MIN_POSTGRES = 140000
SEES_LOG = "See {name}.log in the folder log of the data folder; `make up` starts it again."


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is `ok`, `note` (worth knowing) or `wrong`; `mend` says how to put it right."""

    name: str
    state: str
    found: str
    mend: str = ""


def examine() -> list[Finding]:
    """Everything, in the order in which it is best mended."""
    findings = [*_settings(), *_secrets(), *_folders()]
    database = [*_database()]
    findings += database
    if all(finding.state == OK for finding in database):
        findings += [*_migrations(), *_clock()]
        if not any(f.name == "migrations" and f.state == WRONG for f in findings):
            findings += [*_images(), *_isolation()]
    findings += [*_processes(), *_front_door()]
    return findings


def _settings() -> Iterator[Finding]:
    errors = [
        message for message in django_checks.run_checks() if message.level >= django_checks.ERROR
    ]
    for error in errors:
        yield Finding("settings", WRONG, f"{error.id}: {error.msg}", error.hint or "")
    if not errors:
        yield Finding("settings", OK, f"complete, for {settings.DEPLOYMENT}")
    is_open = not settings.PORTAL_IS_HTTPS and not _is_loopback(settings.PORTAL_URL)
    if is_open:
        yield Finding(
            "encryption",
            NOTE,
            f"{settings.PORTAL_URL} is not TLS: passwords and files can be read on the way",
            "Put a proxy with a certificate in front, and set PORTAL_URL to https.",
        )


def _is_loopback(url: str) -> bool:
    return any(f"://{host}" in url for host in ("localhost", "127.", "[::1]"))


def _secrets() -> Iterator[Finding]:
    if settings.SECRET_KEY == settings.GATE_KEY:
        yield Finding(
            "gate key",
            WRONG,
            "PORTAL_GATE_KEY is the same as PORTAL_SECRET_KEY",
            "Give each a value of its own: gate must not be able to forge portal sessions.",
        )
    else:
        yield Finding("gate key", OK, "its own")
    file = settings.DATA_DIR / "etc" / "portal.env"
    private = [file, settings.RUN_DIR / "valkey.sock"]
    for path in private:
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(
                "secrets",
                WRONG,
                f"others on this machine can open {path.name}",
                f"chmod 600 {path}",
            )


def _folders() -> Iterator[Finding]:
    for name, folder in (("data", settings.DATA_DIR), ("runtime", settings.RUN_DIR)):
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            yield Finding(
                f"{name} folder", WRONG, "is not there, or cannot be written", f"mkdir -p {folder}"
            )
            continue
        yield _space(name, folder)
    collected = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if settings.DEPLOYMENT != "test" and not collected.exists():
        yield Finding("assets", WRONG, "are not collected", "manage.py collectstatic --noinput")


def _space(name: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    told = f"{free / 1024**3:.1f} GiB free"
    if free < MIN_FREE_BYTES:
        mend = "Make room: remove old homes and logs, or move DATA to a larger disk."
        return Finding(f"{name} folder", WRONG, told, mend)
    return Finding(f"{name} folder", OK, told)


def _database() -> Iterator[Finding]:
    try:
        version = int(str(probes.query("SHOW server_version_num")[0][0]))
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        mend = "Start it (`make up`), or correct PORTAL_DATABASE_URL."
        yield Finding("database", WRONG, reason, mend)
        return
    if version < MIN_POSTGRES:
        yield Finding("database", WRONG, f"PostgreSQL {version // 10000}", "Use 14 or newer.")
        return
    yield Finding("database", OK, f"PostgreSQL {version // 10000}.{version % 10000}")


def _migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(
            f"{migration.app_label}.{migration.name}" for migration, _back in plan[:3]
        )
        told = f"{len(plan)} not applied: {names}"
        yield Finding("migrations", WRONG, told, "manage.py migrate")
    else:
        yield Finding("migrations", OK, "all applied")


def _clock() -> Iterator[Finding]:
    row = next(iter(probes.query("SELECT EXTRACT(EPOCH FROM clock_timestamp())")))
    apart_s = abs(float(str(row[0])) - time.time())
    if apart_s > MAX_CLOCK_S:
        told = f"this machine and the database are {apart_s:.1f} s apart"
        yield Finding("clock", WRONG, told, "Set both by NTP: grants and bills depend on it.")
    else:
        yield Finding("clock", OK, "agrees with the database's")


def _images() -> Iterator[Finding]:
    image = Image.objects.filter(is_default=True).select_related("current").first()
    if image is None or image.current is None:
        yield Finding("default image", WRONG, "there is none", "manage.py seed_trial")
    elif Cluster.objects.filter(kind=ClusterKind.LOCAL, is_enabled=True).exists():
        built = is_built(settings.ENVIRONMENTS_DIR, image.current.digest)
        told = f"{image.slug} is {'built' if built else 'not built on this machine'}"
        mend = "" if built else "manage.py build_image --default"
        yield Finding("default image", OK if built else WRONG, told, mend)
    for build in EnvironmentBuild.objects.filter(state="failed").select_related("version__image"):
        mend = f"Read its log, then manage.py build_image {build.version.image.slug}"
        yield Finding("image", WRONG, f"{build.version.image.slug}: {build.message}", mend)


def _isolation() -> Iterator[Finding]:
    if not Cluster.objects.filter(kind=ClusterKind.LOCAL, is_enabled=True).exists():
        return
    if os.geteuid() == 0:
        yield Finding("isolation", OK, "each person's processes have a user id of their own")
        return
    homes = Workspace.objects.filter(purged_at=None, owner__is_active=True)
    people = homes.values("owner").distinct().count()
    told = "not isolated: not started as root, so all processes have one user id"
    if people > 1:
        yield Finding("isolation", WRONG, f"{told}; {people} people use it", "Start it as root.")
    else:
        yield Finding("isolation", NOTE, f"{told}; for one person", "Start it as root for more.")


def _processes() -> Iterator[Finding]:
    checks.forget()
    for name, check in checks.everything().checks.items():
        if name in {"web", "database"}:
            continue  # web would be this command; the database has been looked at
        mend = "" if check.ok else SEES_LOG.format(name=name)
        yield Finding(name, OK if check.ok else WRONG, check.detail or "answers", mend)


def _front_door() -> Iterator[Finding]:
    if "nginx" not in settings.EXPECTED_PROCESSES:
        return
    try:
        # The address is a setting that begins with http:// or https://.
        with urllib.request.urlopen(f"{settings.PORTAL_URL}/livez", timeout=2) as answer:  # noqa: S310
            told = f"answered {answer.status}"
    except (OSError, urllib.error.URLError) as error:
        told, mend = str(error), "See nginx.log and web.log in the folder log of the data folder."
        yield Finding("web", WRONG, told, mend)
    else:
        yield Finding("web", OK, f"{told} through nginx")
