"""Taking the right to act on a run."""

from __future__ import annotations

import pytest

from apps.clusters.claims import MOST_TRIES, claim
from apps.clusters.models import Cluster, Workload
from tests.clusters.builders import again, make_due, run_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("tries", [MOST_TRIES - 1, MOST_TRIES])
def test_tries_are_counted_only_so_far(cluster: Cluster, tries: int) -> None:
    run = run_of(cluster)
    Workload.objects.filter(pk=run.pk).update(tries=tries)
    make_due(run)
    assert claim(run.uid) is not None
    assert again(run).tries == MOST_TRIES
