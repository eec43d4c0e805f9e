"""What the factories make satisfies the database's constraints."""

from __future__ import annotations

import pytest
from factory.django import DjangoModelFactory

from leaderboard.models import Edition, Upload
from tests.leaderboard import factories

FACTORIES = [
    value
    for value in vars(factories).values()
    if isinstance(value, type)
    and issubclass(value, DjangoModelFactory)
    and not value._meta.abstract
    and value.__module__ == factories.__name__
]


@pytest.mark.django_db
@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.__name__)
def test_a_factory_can_be_called_twice(factory: type[DjangoModelFactory]) -> None:
    first, second = factory(), factory()
    assert factory._meta.model._default_manager.filter(pk__in=[first.pk, second.pk]).count() == 2


@pytest.mark.django_db
def test_an_upload_has_its_bytes() -> None:
    upload: Upload = factories.UploadFactory(content=b"abc", length=5)
    assert (upload.offset, upload.is_complete) == (3, False)
    assert factories.UploadFactory().is_complete


@pytest.mark.django_db
def test_an_edition_gets_the_windows_asked_for() -> None:
    edition: Edition = factories.EditionFactory(windows=3)
    assert [w.index for w in edition.windows.all()] == [0, 1, 2]
    generators = [g for w in edition.windows.all() for g in w.generators.all()]
    assert len({g.pk for g in generators}) == 6
    assert {g.corpus for g in generators} == {edition.benchmark.corpus}
