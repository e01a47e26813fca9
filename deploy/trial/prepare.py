"""Steps of `make up` that need Django, in one process, because each process costs seconds.

    python -m deploy.trial.prepare

database: tables, messages, static files, trial people. image: the default image. links: sign-in
links, last, because they are good for minutes. Standard output tells `up` how far it is: the name
of each step that is done, and `link USER URL` lines.
"""

import hashlib
import io
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
    """Tell a sign-in link for each person that `make up` announces."""
    for username in TRIAL_PEOPLE:
        answer = io.StringIO()
        call_command("signin_link", username, stdout=answer)
        tell(f"link {username} {answer.getvalue().strip()}")


def tell(line: str) -> None:
    print(line, file=told, flush=True)


if __name__ == "__main__":
    # What commands print is for the log; `up` gets what is told.
    told, sys.stdout = sys.stdout, sys.stderr
    django.setup()
    for step in (database, image, links):
        step()
        tell(step.__name__)
