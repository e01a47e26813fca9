"""Why a run is in its phase: a code for programs, and words for people with what would help.

The words are English sources, marked for translation and translated where they are shown, with
`values_of(workload)` as their values. `phase` picks the code, nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext, gettext_noop

from apps.clusters.models import Phase, Workload


@dataclass(frozen=True, slots=True)
class Words:
    """A message and what would help ("" where nothing is to be done)."""

    message: str
    hint: str = ""


REASONS: dict[str, Words] = {
    "": Words(""),
    "queued": Words(gettext_noop("Waiting for a place to run.")),
    "image_pulling": Words(
        gettext_noop("The image is being prepared; this happens once."),
        gettext_noop("You can close this page: it starts by itself when the image is there."),
    ),
    "starting": Words(gettext_noop("The server is starting.")),
    "not_answering": Words(
        gettext_noop("The server has stopped answering. It may come back by itself."),
        gettext_noop("If this lasts, stop it and start it again; your files are kept."),
    ),
    "retrying": Words(
        gettext_noop("The cluster did not take it yet, so it is tried again: %(error)s"),
        gettext_noop("There is nothing to do but wait; it fails by itself if this goes on."),
    ),
    "memory_low": Words(
        gettext_noop("Memory is nearly full: it uses nearly all of its %(memory_mib)s MiB."),
        gettext_noop("Free some of it, or stop it and choose a larger size."),
    ),
    "process_out_of_memory": Words(
        gettext_noop(
            "Memory ran out, so a process in it was ended, perhaps the kernel of a notebook:"
            " together they needed more than %(memory_mib)s MiB."
        ),
        gettext_noop("Restart what ended. If it happens again, stop it and choose a larger size."),
    ),
    "stopping": Words(gettext_noop("Stopping. The server is given time to end its work.")),
    "ending": Words(
        gettext_noop("The cluster is ending it."),
        gettext_noop("Your files are kept; start it again when it has stopped."),
    ),
    "stopped_by_owner": Words(gettext_noop("Stopped as asked. Your files are kept.")),
    "stopped": Words(gettext_noop("Stopped. Your files are kept.")),
    "idle": Words(
        gettext_noop("Stopped because nobody had used it for a while. Your files are kept."),
        gettext_noop("Start it again to go on where you were."),
    ),
    "max_lifetime": Words(
        gettext_noop("Stopped because its longest running time was over. Your files are kept."),
        gettext_noop("Start it again to go on where you were."),
    ),
    "deleted": Words(gettext_noop("Stopped because the workspace was deleted.")),
    "disabled": Words(
        gettext_noop("Stopped because the account is disabled."),
        gettext_noop("An admin can enable the account again."),
    ),
    "exited": Words(
        gettext_noop("The server ended by itself. Your files are kept."),
        gettext_noop("Start it again to go on."),
    ),
    "image_failed": Words(
        gettext_noop("The image could not be prepared."),
        gettext_noop("Choose another image, or ask an admin to look at this one."),
    ),
    "out_of_memory": Words(
        gettext_noop("It ran out of memory: it needed more than its %(memory_mib)s MiB."),
        gettext_noop("Choose a larger size, or load less data at once."),
    ),
    "command_failed": Words(
        gettext_noop("The server ended with exit code %(exit_code)s."),
        gettext_noop("Its log says more. Start it again; your files are kept."),
    ),
    "killed": Words(
        gettext_noop("The server was killed from outside."),
        gettext_noop("Start it again; your files are kept. If it happens again, ask an admin."),
    ),
    "lost": Words(
        gettext_noop("It has vanished from the cluster: its machine may have been restarted."),
        gettext_noop("Start it again; your files are kept."),
    ),
    "never_ready": Words(
        gettext_noop("The server started but never answered, so it was ended."),
        gettext_noop("Its log says more. Start it again; your files are kept."),
    ),
    "not_isolated": Words(
        gettext_noop("This machine cannot keep people apart, and somebody else runs here."),
        gettext_noop("An admin can run the portal as root, or declare its people trusted."),
    ),
    "conflict": Words(
        gettext_noop("Something that is not ours stands in its place on the cluster."),
        gettext_noop("An admin must look at the cluster: %(error)s"),
    ),
    "worker_lost": Words(
        gettext_noop("The portal's worker died each time it tried to start this."),
        gettext_noop("An admin should see whether the machine has enough memory."),
    ),
    "cluster_error": Words(
        gettext_noop("The cluster refused it: %(error)s"),
        gettext_noop("Start it again. If it is refused again, ask an admin."),
    ),
}


#: What may be wrong with a run that is ready all the same.
WARNINGS = frozenset({"memory_low", "process_out_of_memory"})


def is_warning(workload: Workload) -> bool:
    """Whether it runs, and there is something about it that people should know."""
    return workload.phase == Phase.READY and workload.reason in WARNINGS


def values_of(workload: Workload) -> Mapping[str, object]:
    """What the placeholders of a run's message and hint stand for."""
    resources = workload.spec.get("resources") or {}
    code = workload.observed_exit_code
    # What was seen, which differs from one occurrence of a warning to the next.
    said = {"said": workload.observed_message} if is_warning(workload) else {}
    return {
        **said,
        "exit_code": "?" if code is None else code,
        "memory_mib": resources.get("memory_mib", "?"),
        "error": workload.last_error,
        "progress": round(workload.image_progress * 100),
    }


def words_of(workload: Workload) -> Words:
    """Why the run is in its phase and what would help, in the reader's language."""
    values = values_of(workload)
    return Words(*(gettext(text) % values if text else "" for text in _sources(workload)))


def _sources(workload: Workload) -> tuple[str, str]:
    return workload.message, workload.hint
