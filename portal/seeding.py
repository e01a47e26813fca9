"""What an installation made by `make up` starts with: people, images, sizes, its cluster, limits.

Each is made where it is missing and left alone where it is there: admins change them in the
database. (A lock that changed in `deploy/images` becomes a new version of its image.)
"""

from __future__ import annotations

from decimal import Decimal

from django.db import transaction

from apps.accounts.models import Group, Role, User
from apps.accounts.services.people import PersonRequest, save_person
from apps.catalog.services.seeding import make_size, publish_from_folder
from apps.clusters.models import Cluster, ClusterKind
from apps.quotas.models import Limit, LimitScope, Resource, Window

GROUP = "course101"
PEOPLE = (
    PersonRequest("admin", "Ada Admin", role=Role.ADMIN),
    PersonRequest("lead", "Lena Lead", role=Role.LEAD, group=GROUP),
    PersonRequest("student", "Sam Student", group=GROUP),
    PersonRequest("student2", "Sofia Student", group=GROUP),
    PersonRequest("stranger", "Sasha Stranger"),
)
# slug, name, CPU cores, memory GiB, disk GiB, price per hour
SIZES = (
    ("small", "Small", 1, 2, 5, "0.02"),
    ("medium", "Medium", 2, 4, 10, "0.04"),
    ("large", "Large", 4, 8, 20, "0.08"),
)
# Three large ones at once; homes that are kept for a while after deletion count as disk.
LIMITS = {
    Resource.CPU_MILLIS: 12_000,
    Resource.MEMORY_MIB: 24 * 1024,
    Resource.DISK_GIB: 500,
}


@transaction.atomic
def seed_trial() -> None:
    """Make what is missing. Idempotent."""
    if not Group.objects.filter(slug=GROUP).exists():
        Group.objects.create(slug=GROUP, name="Course 101")
    for person in PEOPLE:
        if not User.objects.filter(username__iexact=person.username).exists():
            save_person(None, person=person)
    publish_from_folder(seed="trial")
    for position, (slug, name, cpu, memory_gib, disk_gib, price) in enumerate(SIZES, start=1):
        values = {
            "name": name,
            "cpu_millis": cpu * 1000,
            "memory_mib": memory_gib * 1024,
            "disk_gib": disk_gib,
            "position": position * 10,
        }
        make_size(slug, values=values, price_per_hour=Decimal(price))
    Cluster.objects.get_or_create(name="local", defaults={"kind": ClusterKind.LOCAL})
    for resource, most in LIMITS.items():
        Limit.objects.get_or_create(
            scope=LimitScope.EVERYONE,
            group=None,
            user=None,
            resource=resource,
            window=Window.NOW,
            defaults={"max": most},
        )
