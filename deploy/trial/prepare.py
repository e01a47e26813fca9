"""Steps of `make up` that need Django: one process for several, because each costs a second.

python -m deploy.trial.prepare database   tables, messages, static files, trial people
python -m deploy.trial.prepare image      the default image
python -m deploy.trial.prepare links      sign-in links on standard output, one a line
"""

import hashlib
import sys
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

TRIAL_PEOPLE = ("admin", "student")


def database() -> None:
    """Bring tables, messages, static files and trial people up to date. Idempotent."""
    call_command("migrate", interactive=False, verbosity=1)
    for folder in settings.LOCALE_PATHS:
        compile_messages(Path(folder))
    collect_static(Path(settings.STATIC_ROOT))
    call_command("seed_trial")


def collect_static(target: Path) -> None:
    """Collect static files with hashes in their names, unless none has changed since."""
    fingerprint = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            found = Path(storage.path(name)).stat()
            fingerprint.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    stamp = target.with_name(f"{target.name}.stamp")
    if target.is_dir() and stamp.exists() and stamp.read_text() == fingerprint.hexdigest():
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(fingerprint.hexdigest())


def compile_messages(folder: Path) -> None:
    """Make the catalogues that are older than their source; gettext's tools are not needed."""
    import polib

    for source in folder.glob("*/LC_MESSAGES/*.po"):
        target = source.with_suffix(".mo")
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            fresh = target.with_suffix(".mo.new")
            polib.pofile(str(source)).save_as_mofile(str(fresh))
            fresh.replace(target)


def image() -> None:
    """Build the default image unless it is there."""
    call_command("build_image", "--default")


def links() -> None:
    """Print a sign-in link for each person that `make up` announces."""
    for username in TRIAL_PEOPLE:
        call_command("signin_link", username)


if __name__ == "__main__":
    django.setup()
    for name in sys.argv[1:]:
        {"database": database, "image": image, "links": links}[name]()
