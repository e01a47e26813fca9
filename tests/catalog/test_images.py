"""Images, versions, the default image, prices: services and selectors."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import AuditRow, User
from apps.catalog import selectors
from apps.catalog.models import Image, ImageStatus, ImageVersion, Price, Size
from apps.catalog.services import (
    publish_image_version,
    request_build,
    save_image,
    set_default_image,
    set_image_status,
    set_price,
)
from apps.catalog.services.images import ImageRequest
from apps.live.errors import Conflict, DomainError, Forbidden, NotFound
from tests.cast import Cast, make_app, make_image, make_size

REQUEST = ImageRequest(
    slug="torch",
    name="PyTorch",
    framework="PyTorch",
    framework_version="2.13",
    python_version="3.11",
    lock="torch==2.13.0\n",
    apps=["jupyterlab"],
)


def test_a_new_image_is_published_with_its_first_version(admin: User) -> None:
    make_app()
    image = save_image(admin, request=REQUEST)
    assert image.status == ImageStatus.PUBLISHED
    assert image.current is not None
    assert image.current.number == 1
    assert [app.slug for app in selectors.apps_of(image)] == ["jupyterlab"]


def test_an_image_of_an_app_that_is_not_there_is_refused(admin: User) -> None:
    with pytest.raises(DomainError):
        save_image(admin, request=REQUEST)
    assert not Image.objects.exists()


def test_a_changed_lock_is_a_new_version_and_old_ones_stay(image: Image, admin: User) -> None:
    first = publish_image_version(admin, image=image, lock="numpy==2.1.0\n")
    same = publish_image_version(admin, image=image, lock="# a comment\nnumpy==2.1.0\n\n")
    assert same.pk == first.pk
    second = publish_image_version(
        admin, image=image, lock="numpy==2.1.0\n", pip_args=["--index-url=https://x.example/"]
    )
    image.refresh_from_db()
    assert image.current == second
    assert [v.number for v in ImageVersion.objects.order_by("number")] == [1, 2, 3]
    assert len(set(ImageVersion.objects.values_list("digest", flat=True))) == 3


def test_there_is_one_default_image(image: Image, admin: User) -> None:
    other = make_image("other")
    set_default_image(admin, image=other)
    assert list(Image.objects.filter(is_default=True)) == [other]
    assert selectors.default_image() == other
    with pytest.raises(Conflict):
        set_image_status(admin, image=other, status=ImageStatus.DEPRECATED)
    set_image_status(admin, image=image, status=ImageStatus.DRAFT)
    with pytest.raises(Conflict):
        set_default_image(admin, image=image)
    assert list(Image.objects.filter(is_default=True)) == [other]


def test_without_a_default_image_it_says_so(db: None) -> None:
    with pytest.raises(NotFound):
        selectors.default_image()


@pytest.mark.parametrize(
    ("status", "listed", "readable"),
    [("published", True, True), ("deprecated", False, True), ("draft", False, False)],
)
def test_who_sees_an_image(cast: Cast, status: str, listed: bool, readable: bool) -> None:
    image = make_image()
    Image.objects.update(status=status)
    for name in ("owner", "stranger", "lead"):
        assert (image in selectors.images_for(cast[name])) == listed
        if readable:
            assert selectors.get_image_for(cast[name], "python") == image
        else:
            with pytest.raises(NotFound):
                selectors.get_image_for(cast[name], "python")
    assert image in selectors.images_for(cast.admin)
    assert selectors.get_image_for(cast.admin, "python") == image


def test_an_image_without_a_version_cannot_be_had(admin: User) -> None:
    image = make_image()
    Image.objects.update(current=None)
    assert image not in selectors.images_for(admin)
    with pytest.raises(NotFound):
        selectors.get_image_for(admin, "python")


def test_images_cost_a_fixed_number_of_queries(
    owner: User, django_assert_num_queries: object
) -> None:
    for number in range(12):
        make_image(f"image{number}", digest=f"sha256:{number:064d}")
    with django_assert_num_queries(2):  # type: ignore[operator]  # pytest-django gives no type
        images = selectors.images_for(owner)
        assert [selectors.apps_of(image)[0].slug for image in images] == ["jupyterlab"] * 12


def test_who_sees_a_size(cast: Cast, sizes: dict[str, Size]) -> None:
    Size.objects.filter(slug="large").update(is_published=False)
    Size.objects.filter(slug="medium").update(for_workspaces=False, for_jobs=True)
    assert [s.slug for s in selectors.sizes_for(cast.owner, "workspace")] == ["small"]
    assert [s.slug for s in selectors.sizes_for(cast.owner, "job")] == ["medium"]
    assert [s.slug for s in selectors.sizes_for(cast.owner)] == ["small", "medium"]
    assert [s.slug for s in selectors.sizes_for(cast.admin)] == ["small", "medium", "large"]
    with pytest.raises(NotFound):
        selectors.get_size_for(cast.owner, "large")
    assert selectors.get_size_for(cast.admin, "large") == sizes["large"]
    with pytest.raises(NotFound):
        selectors.get_size_for(cast.owner, "huge")


def test_a_new_price_leaves_the_old_ones(admin: User) -> None:
    size = make_size("small", 1, 2, 5, "0.02")
    Price.objects.update(valid_from=timezone.now() - dt.timedelta(days=10))
    set_price(admin, size=size, per_hour=Decimal("0.03"))
    tomorrow = timezone.now() + dt.timedelta(days=1)
    set_price(admin, size=size, per_hour=Decimal("0.05"), valid_from=tomorrow)
    yesterday = timezone.now() - dt.timedelta(days=1)
    assert selectors.price_of(size).per_hour == Decimal("0.03")
    assert selectors.price_of(size, yesterday).per_hour == Decimal("0.02")
    assert selectors.price_of(size, tomorrow).per_hour == Decimal("0.05")
    assert selectors.current_prices([size])[size.pk].per_hour == Decimal("0.03")
    assert [price.per_hour for price in selectors.price_history(size)] == [
        Decimal("0.05"),
        Decimal("0.03"),
        Decimal("0.02"),
    ]
    with pytest.raises(Conflict):
        set_price(admin, size=size, per_hour=Decimal(1), valid_from=tomorrow)
    with pytest.raises(NotFound):
        selectors.price_of(size, timezone.now() - dt.timedelta(days=11))


@pytest.mark.parametrize("amount", ["-0.01", "NaN", "Infinity", "1e12"])
def test_prices_that_are_none(admin: User, amount: str) -> None:
    size = make_size("small", 1, 2, 5, "0.02")
    with pytest.raises(DomainError):
        set_price(admin, size=size, per_hour=Decimal(amount))
    assert Price.objects.count() == 1


def test_prices_of_many_sizes_are_one_query(
    sizes: dict[str, Size], django_assert_num_queries: object
) -> None:
    Price.objects.filter(size=sizes["large"]).update(valid_from=Now() + dt.timedelta(days=1))
    with django_assert_num_queries(1):  # type: ignore[operator]  # pytest-django gives no type
        prices = selectors.current_prices(sizes.values())
    assert set(prices) == {sizes["small"].pk, sizes["medium"].pk}


@pytest.mark.parametrize("name", ["owner", "member", "stranger", "lead"])
def test_only_admins_change_the_catalogue(cast: Cast, image: Image, name: str) -> None:
    actor = cast[name]
    size = make_size("small", 1, 2, 5, "0.02")
    rows = AuditRow.objects.count()
    with pytest.raises(Forbidden):
        save_image(actor, request=REQUEST)
    with pytest.raises(Forbidden):
        publish_image_version(actor, image=image, lock="evil==1\n")
    with pytest.raises(Forbidden):
        set_default_image(actor, image=image)
    with pytest.raises(Forbidden):
        set_image_status(actor, image=image, status=ImageStatus.DRAFT)
    with pytest.raises(Forbidden):
        set_price(actor, size=size, per_hour=Decimal(0))
    assert AuditRow.objects.count() == rows
    assert image.current is not None
    assert request_build(actor, version=image.current).state == "yes"
